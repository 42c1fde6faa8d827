"""The routes the marketplace calls, as a bare ASGI app: VTEX's paths, keys and errors, and the faults on top."""

import asyncio
import json
import logging
import re
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from sandbox.answers import Answer, error_answer, html_answer
from sandbox.base import now
from sandbox.catalog_routes import is_number
from sandbox.faults import Fault, FaultKind, RouteName
from sandbox.holds import HeldCall
from sandbox.protocol import ProtocolError, check_affiliate, check_keys
from sandbox.seller import Seller
from sandbox.traffic import RequestEntry
from sandbox.transport import Gone, drop, read_body, send_answer

_log = logging.getLogger("sandbox")
_AT_ONCE = {FaultKind.RATE_LIMITED, FaultKind.ERROR, FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.FORBIDDEN}
_UNAVAILABLE = ProtocolError("1", "Service Unavailable", 503)
_FORBIDDEN = ProtocolError("1", "Access denied", 403)


@dataclass(frozen=True)
class _Route:
    method: str
    path: re.Pattern[str]
    name: RouteName
    oms: bool = False
    """Of the Orders API and not the fulfilment one: no affiliate in the query string."""
    public: bool = False
    older: bool = False


_ORDER = r"(?P<order_id>[^/]+)"
_ID = r"(?P<id>[^/]+)"
_CATALOG = frozenset({"sku", "product", "sku-ids"})
_ROUTES = (
    _Route("POST", re.compile(r"/api/checkout/pub/orderForms/simulation"), "simulate", public=True),
    _Route("POST", re.compile(r"/api/fulfillment/pvt/orderForms/simulation"), "simulate"),
    _Route("POST", re.compile(r"/api/fulfillment/pvt/orders"), "place"),
    _Route("POST", re.compile(rf"/api/fulfillment/pvt/orders/{_ORDER}/fulfill"), "dispatch"),
    _Route("POST", re.compile(rf"/api/fulfillment/pvt/orders/{_ORDER}/cancel"), "cancel"),
    _Route("POST", re.compile(rf"/api/oms/pvt/orders/{_ORDER}/cancel"), "cancel", oms=True),
    _Route("GET", re.compile(rf"/api/oms/pvt/orders/{_ORDER}"), "read", oms=True),
    _Route("GET", re.compile(rf"/api/catalog_system/pvt/sku/stockkeepingunitbyid/{_ID}"), "sku"),
    _Route("GET", re.compile(rf"/api/catalog/pvt/product/{_ID}"), "product"),
    _Route("GET", re.compile(rf"/api/catalog_system/pvt/products/productget/{_ID}"), "product", older=True),
    _Route("GET", re.compile(r"/api/catalog_system/pvt/sku/stockkeepingunitidsbysaleschannel"), "sku-ids"),
)


@dataclass(frozen=True)
class _Call:
    route: _Route
    order_id: str
    id: str
    """Of a SKU or a product."""
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes

    @cached_property
    def document(self) -> Any:
        """The body, None when it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class SellerRoutes:
    """ASGI app for everything the marketplace asks of the Seller."""

    def __init__(self, seller: Seller) -> None:
        self._seller = seller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        query = scope["query_string"].decode("latin-1")
        entry = RequestEntry(at=now(), method=scope["method"], path=scope["path"], query=query)
        self._seller.traffic.arrived(entry)
        try:
            body = await read_body(receive)
            await self._exchange(scope, receive, send, entry, body)
        except Gone:
            return
        finally:
            entry.seconds = round(time.monotonic() - started, 4)
            self._seller.traffic.ended(entry)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, entry: RequestEntry, body: bytes) -> None:
        settings = self._seller.settings
        matches = [(route, match) for route in _ROUTES if (match := route.path.fullmatch(scope["path"]))]
        route, match = next((pair for pair in matches if pair[0].method == scope["method"]), (None, None))
        entry.route = route.name if route else None
        if settings.down != "no":
            entry.fault = "down"
            self._seller.traffic.turned_away(entry)
            if settings.down == "reset":
                await drop(scope, receive, reset=True)
            else:
                refusal = _FORBIDDEN if settings.down == "forbidden" else _UNAVAILABLE
                await self._respond(send, entry, error_answer(refusal, settings))
            return
        if (limited := self._seller.traffic.limited(entry, settings)) is not None:
            entry.fault = "rate-limit"
            refusal = ProtocolError("1", "Too Many Requests", 429)
            await self._respond(send, entry, error_answer(refusal, settings, more_headers=limited))
            return
        if route is None or match is None:
            page = html_answer(405, "405 Method Not Allowed") if matches else html_answer(404, "404 Not Found")
            await self._respond(send, entry, page)
            return
        groups = match.groupdict()
        call = _Call(
            route,
            groups.get("order_id", ""),
            groups.get("id", ""),
            {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]},
            dict(parse_qsl(entry.query, keep_blank_values=True)),
            body,
        )
        await self._serve(call, entry, scope, receive, send)

    async def _serve(self, call: _Call, entry: RequestEntry, scope: Scope, receive: Receive, send: Send) -> None:
        entry.marketplace_order_id = self._marketplace_order_id(call)
        sku_ids = self._sku_ids(call)
        if len(sku_ids) == 1:
            entry.sku_id = sku_ids[0]
        self._seller.reads.called(call.route.name, sku_ids)
        while (fault := self._next_fault(call, entry, sku_ids)) is not None:
            entry.fault = fault.kind
            if fault.kind is not FaultKind.HOLD:
                await self._suffer(fault, call, entry, scope, receive, send)
                return
            if not await self._held(fault, call, entry, sku_ids):
                await drop(scope, receive)
                return
        await self._respond(send, entry, self._work(call, entry))

    def _next_fault(self, call: _Call, entry: RequestEntry, sku_ids: list[str]) -> Fault | None:
        return self._seller.faults.take(call.route.name, entry.marketplace_order_id, sku_ids)

    async def _held(self, fault: Fault, call: _Call, entry: RequestEntry, sku_ids: list[str]) -> bool:
        """Wait until the call is released. False when its connection is to be closed instead."""
        return await self._seller.held.keep(
            HeldCall(
                route=call.route.name,
                fault=fault.kind,
                marketplace_order_id=entry.marketplace_order_id,
                sku_ids=sku_ids,
            )
        )

    async def _suffer(
        self, fault: Fault, call: _Call, entry: RequestEntry, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if fault.kind is FaultKind.RESET:
            await drop(scope, receive, reset=True)
        elif fault.kind in _AT_ONCE:
            if fault.commit:
                self._work(call, entry)
            await self._respond(send, entry, fault.answer(self._seller.settings))
        elif fault.kind is FaultKind.SLOW:
            await self._pause(fault.seconds)
            await self._respond(send, entry, self._work(call, entry))
        else:
            answer = self._work(call, entry)
            if fault.kind is FaultKind.SLOW_AFTER:
                await self._pause(fault.seconds)
                await self._respond(send, entry, answer)
            elif fault.kind is FaultKind.HOLD_AFTER:
                if await self._held(fault, call, entry, self._sku_ids(call)):
                    await self._respond(send, entry, answer)
                else:
                    await drop(scope, receive)
            elif fault.kind is FaultKind.NOT_JSON:
                garbled = b"<<<" + answer.body[: len(answer.body) // 2]
                await self._respond(send, entry, replace(answer, body=garbled, tells=()))
            elif fault.kind is FaultKind.HALF_BODY:
                entry.status, entry.code = answer.status, answer.code
                await send_answer(send, answer, half=True)
                await drop(scope, receive, flush=True)
            else:
                await drop(scope, receive)

    def _work(self, call: _Call, entry: RequestEntry) -> Answer:
        settings = self._seller.settings
        try:
            answer = self._answer(call)
        except ProtocolError as error:
            answer = error_answer(error, settings)
        except Exception:  # noqa: BLE001 - a mistake of the sandbox itself must not look like a dropped connection
            _log.exception("the sandbox failed on %s %s", call.route.method, call.route.name)
            answer = error_answer(ProtocolError("1", "The sandbox itself failed", 500), settings)
        entry.code = answer.code
        if entry.marketplace_order_id is not None:
            rejected = answer.code is not None
            self._seller.ledger.count(entry.marketplace_order_id, call.route.name, rejected=rejected)
        return answer

    def _answer(self, call: _Call) -> Answer:
        route, seller = call.route, self._seller
        if not route.public:
            check_keys(call.headers, seller.identity)
        if route.name in _CATALOG:
            return self._catalog_answer(call)
        affiliate = ""
        if not route.oms:
            simulation = route.name == "simulate"
            affiliate = check_affiliate(call.query, seller.identity, channel_required=simulation)
        if route.name == "read":
            return seller.read(call.order_id)
        body = _json(call)
        if route.name == "simulate":
            return seller.simulate(body)
        if route.name == "place":
            return seller.place(body, affiliate)
        if route.name == "dispatch":
            return seller.dispatch(call.order_id, body)
        return seller.cancel_through_oms(call.order_id, body) if route.oms else seller.cancel(call.order_id, body)

    def _catalog_answer(self, call: _Call) -> Answer:
        routes, settings = self._seller.catalog_routes, self._seller.settings
        if call.route.name == "sku":
            return routes.sku(call.id, call.query, settings)
        if call.route.name == "product":
            return routes.product(call.id, settings, older=call.route.older)
        return routes.sku_ids(call.query, settings)

    def _sku_ids(self, call: _Call) -> list[str]:
        """Which SKUs a catalog call or a simulation is about, for faults and counts; it need not be a good call."""
        if call.route.name == "sku":
            return [call.id]
        if call.route.name == "product":
            product = int(call.id) if is_number(call.id) else 0
            return [sku.id for sku in self._seller.catalog.of_product(product)]
        items = (
            call.document.get("items") if call.route.name == "simulate" and isinstance(call.document, dict) else None
        )
        found = [item.get("id") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        return list(dict.fromkeys(sku_id for sku_id in found if isinstance(sku_id, str)))

    def _marketplace_order_id(self, call: _Call) -> str | None:
        """Which order a call is about, for faults and counts; it need not be a good call for that."""
        if call.order_id:
            prefix = f"{self._seller.identity.affiliate_id}-"
            return call.order_id.removeprefix(prefix)
        if call.route.name != "place":
            return None
        body = call.document
        order = body[0] if isinstance(body, list) and body else body
        found = order.get("marketplaceOrderId") if isinstance(order, dict) else None
        return found if isinstance(found, str) else None

    async def _respond(self, send: Send, entry: RequestEntry, answer: Answer) -> None:
        entry.status, entry.code = answer.status, answer.code
        await send_answer(send, answer)
        self._seller.reads.record(answer.tells)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the sandbox's own end."""
        try:
            async with asyncio.timeout(seconds):
                await self._seller.closing.wait()
        except TimeoutError:
            return


def _json(call: _Call) -> object:
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise ProtocolError("1", "Unsupported Media Type: send application/json", 415)
    if call.document is None and call.body.strip() != b"null":
        raise ProtocolError("CHK00308", "Bad Request: the body is no JSON")
    document: object = call.document
    return document
