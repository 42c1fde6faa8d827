"""The routes the marketplace calls, as a bare ASGI app: VTEX's paths, keys and errors, and the faults on top."""

import asyncio
import json
import logging
import re
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope, Send

from sandbox.answers import Answer, error_answer, html_answer
from sandbox.base import now
from sandbox.faults import Fault, FaultKind, RouteName
from sandbox.protocol import ProtocolError, check_affiliate, check_keys
from sandbox.seller import RequestEntry, Seller

TRANSPORT = "sandbox.transport"
"""Name of the ASGI extension under which `sandbox.server` hands us the connection, to close it without an answer."""

_log = logging.getLogger("sandbox")
_AT_ONCE = {FaultKind.RATE_LIMITED, FaultKind.ERROR, FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.FORBIDDEN}


@dataclass(frozen=True)
class _Route:
    method: str
    path: re.Pattern[str]
    name: RouteName
    oms: bool = False
    public: bool = False


_ORDER = r"(?P<order_id>[^/]+)"
_ROUTES = (
    _Route("POST", re.compile(r"/api/checkout/pub/orderForms/simulation"), "simulate", public=True),
    _Route("POST", re.compile(r"/api/fulfillment/pvt/orderForms/simulation"), "simulate"),
    _Route("POST", re.compile(r"/api/fulfillment/pvt/orders"), "place"),
    _Route("POST", re.compile(rf"/api/fulfillment/pvt/orders/{_ORDER}/fulfill"), "dispatch"),
    _Route("POST", re.compile(rf"/api/fulfillment/pvt/orders/{_ORDER}/cancel"), "cancel"),
    _Route("POST", re.compile(rf"/api/oms/pvt/orders/{_ORDER}/cancel"), "cancel", oms=True),
    _Route("GET", re.compile(rf"/api/oms/pvt/orders/{_ORDER}"), "read", oms=True),
)


@dataclass(frozen=True)
class _Call:
    route: _Route
    order_id: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes


class _Gone(Exception):  # noqa: N818 - not an error of ours
    """The caller has closed the connection."""


class SellerRoutes:
    """ASGI app for everything the marketplace asks of the Seller."""

    def __init__(self, seller: Seller) -> None:
        self._seller = seller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        query = scope["query_string"].decode("latin-1")
        entry = RequestEntry(at=now(), method=scope["method"], path=scope["path"], query=query)
        self._seller.requests.append(entry)
        try:
            body = await _read_body(receive)
            await self._exchange(scope, receive, send, entry, body)
        except _Gone:
            return
        finally:
            entry.seconds = round(time.monotonic() - started, 4)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, entry: RequestEntry, body: bytes) -> None:
        matches = [(route, match) for route in _ROUTES if (match := route.path.fullmatch(scope["path"]))]
        if not matches:
            await _respond(send, entry, html_answer(404, "404 Not Found"))
            return
        route, match = next((pair for pair in matches if pair[0].method == scope["method"]), matches[0])
        if route.method != scope["method"]:
            await _respond(send, entry, html_answer(405, "405 Method Not Allowed"))
            return
        call = _Call(
            route,
            match.groupdict().get("order_id", ""),
            {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]},
            dict(parse_qsl(entry.query, keep_blank_values=True)),
            body,
        )
        entry.route = route.name
        entry.marketplace_order_id = self._marketplace_order_id(call)
        fault = self._seller.faults.take(route.name, entry.marketplace_order_id)
        if fault is None:
            await _respond(send, entry, self._work(call, entry))
            return
        entry.fault = fault.kind
        await self._suffer(fault, call, entry, scope, receive, send)

    async def _suffer(
        self, fault: Fault, call: _Call, entry: RequestEntry, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if fault.kind is FaultKind.RESET:
            await _drop(scope, receive, reset=True)
        elif fault.kind in _AT_ONCE:
            if fault.commit:
                self._work(call, entry)
            await _respond(send, entry, fault.answer(self._seller.settings))
        elif fault.kind is FaultKind.SLOW:
            await self._pause(fault.seconds)
            await _respond(send, entry, self._work(call, entry))
        else:
            answer = self._work(call, entry)
            if fault.kind is FaultKind.SLOW_AFTER:
                await self._pause(fault.seconds)
                await _respond(send, entry, answer)
            elif fault.kind is FaultKind.NOT_JSON:
                garbled = b"<<<" + answer.body[: len(answer.body) // 2]
                await _respond(send, entry, Answer(answer.status, garbled, answer.headers, answer.code))
            elif fault.kind is FaultKind.HALF_BODY:
                await _respond(send, entry, answer, half=True)
                await _drop(scope, receive, flush=True)
            else:
                await _drop(scope, receive)

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

    def _marketplace_order_id(self, call: _Call) -> str | None:
        """Which order a call is about, for faults and counts; it need not be a good call for that."""
        if call.order_id:
            prefix = f"{self._seller.identity.affiliate_id}-"
            return call.order_id.removeprefix(prefix)
        if call.route.name != "place":
            return None
        try:
            body: Any = json.loads(call.body)
        except ValueError:
            return None
        order = body[0] if isinstance(body, list) and body else body
        found = order.get("marketplaceOrderId") if isinstance(order, dict) else None
        return found if isinstance(found, str) else None

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
    try:
        return json.loads(call.body)
    except ValueError as error:
        raise ProtocolError("CHK00308", "Bad Request: the body is no JSON") from error


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def _respond(send: Send, entry: RequestEntry, answer: Answer, *, half: bool = False) -> None:
    entry.status, entry.code = answer.status, answer.code
    length = str(len(answer.body) if not half else max(2, len(answer.body)))
    headers = [(key.encode(), value.encode("latin-1")) for key, value in answer.headers.items()]
    headers.append((b"content-length", length.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    part = answer.body[: len(answer.body) // 2] if half else answer.body
    await send({"type": "http.response.body", "body": part, "more_body": half})


async def _drop(scope: Scope, receive: Receive, *, reset: bool = False, flush: bool = False) -> None:
    """Close the connection without an answer, or after the half that was sent (`flush`).

    Uvicorn complains about an app that returns without having answered, unless the connection is already lost: so
    wait until it says so.
    """
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    if reset and (sock := transport.get_extra_info("socket")) is not None:
        # Lingering for no time makes the close a TCP reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
