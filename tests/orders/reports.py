"""What a Seller reports of an order, posted below its marketplaceServicesEndpoint by hand."""

from typing import Any

import httpx

from tests.support.engine import Engine

VALUE = 9470
TRACKING: dict[str, Any] = {
    "courier": "Rota Sul",
    "trackingNumber": "RS123",
    "trackingUrl": "https://track.rotasul.example/RS123",
    "dispatchedDate": "2026-03-02",
}
EVENT = {"city": "Curitiba", "state": "PR", "description": "Left the hub", "date": "2026-03-02T10:00:00"}


async def invoice(
    engine: Engine, order: dict[str, Any], number: str, value: int = VALUE, kind: str = "Output", **more: Any
) -> httpx.Response:
    """An invoice, or with `kind` Input a return invoice, over `value` cents."""
    items = [{"id": "2001", "quantity": 1, "price": value}]
    body = {"type": kind, "invoiceNumber": number, "invoiceValue": value, "items": items, **more}
    return await engine.callback(order, f"/pvt/orders/{order['marketplaceOrderId']}/invoice", body)


async def tracking(engine: Engine, order: dict[str, Any], number: str, method: str = "POST") -> httpx.Response:
    path = f"/pvt/orders/{order['marketplaceOrderId']}/invoice/{number}"
    return await engine.callback(order, path, TRACKING, method)


async def delivery(engine: Engine, order: dict[str, Any], number: str, method: str = "POST") -> httpx.Response:
    path = f"/pvt/orders/{order['marketplaceOrderId']}/invoice/{number}/tracking"
    return await engine.callback(order, path, {"isDelivered": True, "events": [EVENT]}, method)
