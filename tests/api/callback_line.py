"""An order at the Seller, and the line over which the Seller calls back about it."""

from dataclasses import dataclass
from typing import Any

import httpx

from marketplace.orders import Order
from marketplace.security import CallbackTokens
from marketplace.settings import secret_keys
from tests.support.engine import Engine

INVOICE: dict[str, Any] = {
    "type": "Output",
    "invoiceNumber": "NF-1",
    "invoiceValue": 10,
    "issuanceDate": "2026-03-10T12:28:00Z",
    "items": [{"id": "2001", "quantity": 1, "price": 10}],
}
TRACKING = {"courier": "Rapido Sul", "trackingNumber": "RS-7781", "trackingUrl": "https://rapidosul.example/RS-7781"}
DELIVERY: dict[str, Any] = {
    "isDelivered": False,
    "events": [{"city": "Curitiba", "state": "PR", "description": "on its way", "date": "2026-03-11T08:00:00Z"}],
}


@dataclass
class Line:
    """Calls back about one order. The token is minted here: whoever has the secret key can, and nobody else."""

    engine: Engine
    order: dict[str, Any]
    version_at_first: int

    @property
    def id(self) -> str:
        return str(self.order["marketplaceOrderId"])

    def token(self, order_id: str | None = None, seller: str = "acme") -> str:
        return CallbackTokens(secret_keys(self.engine.settings)).mint(seller, order_id or self.id)

    async def send(
        self,
        tail: str,
        body: Any = None,
        method: str = "POST",
        *,
        path_id: str | None = None,
        scope: str = "/pvt",
        base: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Send `body` as JSON to `{base}{scope}/orders/{path_id}{tail}`; the base is the order's own by default."""
        base = f"/callbacks/acme/{self.id}/{self.token()}" if base is None else base
        if body is not None:
            options["json"] = body
        return await self.engine.http.request(method, f"{base}{scope}/orders/{path_id or self.id}{tail}", **options)

    async def version(self) -> int:
        """Counts what has changed the order; told by its workflow, which has taken every signal in by then."""
        return (await self.engine.state(self.order)).version

    async def found(self) -> Order:
        return Order.model_validate(await self.engine.get(self.order))


async def dispatched_line(engine: Engine) -> Line:
    order = await engine.dispatched()
    return Line(engine, order, (await engine.state(order)).version)
