"""Who uses the engine under measurement: a storefront and a Seller, over HTTP and with as little work as can be."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

import httpx

from api.docs import EXAMPLE_DELIVERY, EXAMPLE_INVOICE, EXAMPLE_ORDER, EXAMPLE_PAYMENT, EXAMPLE_TRACKING
from bench.poster import Poster
from bench.stack import Stack, round_name
from marketplace.checkout import Simulation, with_promises
from marketplace.orders import CartItem, OrderRequest
from marketplace.security import CallbackTokens
from marketplace.seller.base import Cart, PlacementRequest
from marketplace.seller.translate import order_body, simulation_body
from marketplace.settings import secret_keys

Json = dict[str, Any]

SELLER: Final = round_name(0)
_EXAMPLE: Final[Json] = dict(EXAMPLE_ORDER)
_POLL: Final = 0.01
_PATIENCE: Final = 60.0
_WAIT: Final = "prefer: wait=30\r\n"
_AFFILIATE: Final = "affiliateId=MKP&sc=1"
_SIMULATION: Final = "/api/fulfillment/pvt/orderForms/simulation"
_KEYS: Final = "x-vtex-api-appkey: sandbox-key\r\nx-vtex-api-apptoken: sandbox-token\r\n"


class Shop:
    """Orders of one SKU at a Seller, each led by hand."""

    def __init__(self, stack: Stack, seller: str, offered: Json) -> None:
        self._stack = stack
        self.seller = seller
        self._tokens = CallbackTokens(secret_keys(stack.settings))
        self._offered = Simulation.model_validate(offered)
        [line] = offered["items"]
        self._price: int = line["sellingPrice"]
        self._sku: str = line["id"]
        self._sla: Json = line["slas"][0]
        address = _EXAMPLE["shippingData"]["address"]
        self._cart_there = simulation_body(
            Cart(
                items=[CartItem(id=self._sku, quantity=1)],
                postal_code=address["postalCode"],
                country=address["country"],
            )
        )
        self._record = sqlite3.connect(f"file:{stack.database}?mode=ro", uri=True, timeout=10)

    @classmethod
    async def opened(cls, stack: Stack, seller: str = SELLER) -> "Shop":
        """Learn from a simulation what there is to buy."""
        async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30) as http:
            offered = await http.post("/carts/simulation", json=cart(seller, "100001"))
        return cls(stack, seller, offered.raise_for_status().json())

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Poster]:
        """A kept connection to the API."""
        async with Poster(self._stack.api_url) as poster:
            yield poster

    def order(self) -> Json:
        """A new order."""
        shipping = _EXAMPLE["shippingData"]
        return {
            **_EXAMPLE,
            "marketplaceOrderId": f"B-{uuid4().hex[:16]}",
            "seller": self.seller,
            "items": [{"id": self._sku, "quantity": 1, "price": self._price}],
            "shippingData": {
                **shipping,
                "logisticsInfo": [{"itemIndex": 0, "selectedSla": self._sla["id"], "price": self._sla["price"]}],
            },
            "marketplacePaymentValue": self._price + self._sla["price"],
        }

    async def create(self, line: Poster, order: Json) -> None:
        """Post an order and wait until the Seller has it. Raises RuntimeError when it comes to anything else."""
        _expect(*await line.send(order, "/orders", _WAIT), wanted=(201,))

    async def pay(self, line: Poster, order: Json) -> None:
        """Tell that the money is there."""
        _expect(*await line.send(EXAMPLE_PAYMENT, f"/orders/{order['marketplaceOrderId']}/payment"))

    def callback(self, order: Json, kind: str, number: int = 1) -> tuple[str, Json]:
        """Path and body of one of the Seller's callbacks: invoice, tracking or delivered."""
        name = order["marketplaceOrderId"]
        base = f"/callbacks/{self.seller}/{name}/{self._tokens.mint(self.seller, name)}/pvt/orders/{name}/invoice"
        if kind == "invoice":
            value = order["marketplacePaymentValue"]
            return base, {**EXAMPLE_INVOICE, "items": [], "invoiceNumber": f"N-{number}", "invoiceValue": value}
        if kind == "tracking":
            return f"{base}/N-{number}", EXAMPLE_TRACKING
        return f"{base}/N-{number}/tracking", EXAMPLE_DELIVERY

    async def call_back(self, line: Poster, order: Json, kind: str, number: int = 1) -> None:
        """Send one of the Seller's callbacks."""
        path, body = self.callback(order, kind, number)
        _expect(*await line.send(body, path))

    async def live(self, line: Poster) -> Json:
        """Lead an order through its whole life; it has ended when the record tells that it was delivered."""
        order = self.order()
        await self.create(line, order)
        await self.pay(line, order)
        for kind in ("invoice", "tracking", "delivered"):
            await self.call_back(line, order, kind)
        await self.until(order, "delivered")
        return order

    async def until(self, order: Json, status: str) -> None:
        """Wait until the record tells a status, read beside the engine so that nothing of it is measured."""
        async with asyncio.timeout(_PATIENCE):
            while self._status(order) != status:  # noqa: ASYNC110 - what changes is a database
                await asyncio.sleep(_POLL)

    def _status(self, order: Json) -> str | None:
        query = "SELECT status FROM orders WHERE marketplace_order_id = ?"
        row = self._record.execute(query, (order["marketplaceOrderId"],)).fetchone()
        return row[0] if row else None

    def placement(self) -> Json:
        """The body that places an order at the Seller, but for its `marketplaceOrderId`."""
        asked = OrderRequest.model_validate(self.order())
        shipping = with_promises(asked.shipping_data.logistics_info, self._offered)
        request = asked.model_copy(
            update={"shipping_data": asked.shipping_data.model_copy(update={"logistics_info": shipping})}
        )
        placement = PlacementRequest(
            order=request, marketplace_services_endpoint="http://127.0.0.1:9/x", prices_may_diverge=False
        )
        [body] = order_body(placement)
        return body

    async def ask_seller(self, line: Poster, placement: Json) -> None:
        """What the Seller itself takes for an order: its own two answers, without the engine."""
        await self.simulate_there(line)
        body = [{**placement, "marketplaceOrderId": f"S-{uuid4().hex[:16]}"}]
        _expect(*await line.send(body, f"/api/fulfillment/pvt/orders?{_AFFILIATE}", _KEYS))

    async def simulate_there(self, line: Poster) -> None:
        """Simulate a cart at the Seller, without the engine."""
        _expect(*await line.send(self._cart_there, f"{_SIMULATION}?{_AFFILIATE}", _KEYS))

    async def simulate(self, line: Poster) -> None:
        """Simulate the same cart through the engine."""
        _expect(*await line.send(cart(self.seller, self._sku), "/carts/simulation"))

    @asynccontextmanager
    async def seller_line(self) -> AsyncIterator[Poster]:
        """A kept connection to the Seller."""
        async with Poster(self._stack.sellers[self.seller]) as poster:
            yield poster


def cart(seller: str, sku: str) -> Json:
    """A cart with one of a SKU."""
    address = _EXAMPLE["shippingData"]["address"]
    place = {"postalCode": address["postalCode"], "country": address["country"]}
    return {"seller": seller, "items": [{"id": sku, "quantity": 1}], **place}


def _expect(status: int, body: bytes, wanted: Container[int] = (200, 202)) -> None:
    if status not in wanted:
        raise RuntimeError(f"{status} instead of {wanted}: {body.decode(errors='replace')}")
