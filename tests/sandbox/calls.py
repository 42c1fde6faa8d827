"""The marketplace's side of a conversation with the sandbox Seller, as plain HTTP calls."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.scripted_server import Step, json_answer

KEYS = {"X-VTEX-API-AppKey": "sandbox-key", "X-VTEX-API-AppToken": "sandbox-token"}
SC = {"sc": "1", "affiliateId": "MKP"}
RECEIPT = {"date": "2026-03-10T12:30:05.0210000Z", "orderId": "MKP-A-1", "receipt": "r-1"}

ORDER: dict[str, Any] = {
    "marketplaceOrderId": "A-1",
    "marketplaceServicesEndpoint": "http://127.0.0.1:9/vtex?t=token-1",
    "marketplacePaymentValue": 2 * 3990 + 1490,
    "isCreatedAsync": False,
    "items": [{"id": "2001", "quantity": 2, "seller": "1", "price": 3990}],
    "clientProfileData": {
        "email": "livia.andrade@mail.example",
        "firstName": "Livia",
        "lastName": "Andrade",
        "documentType": "cpf",
        "document": "39053344705",
        "phone": "+5541990001122",
        "isCorporate": False,
    },
    "shippingData": {
        "address": {
            "addressType": "residential",
            "receiverName": "Livia Andrade",
            "postalCode": "80240-210",
            "city": "Curitiba",
            "state": "PR",
            "country": "BRA",
            "street": "Rua das Palmeiras",
            "number": "58",
        },
        "logisticsInfo": [
            {
                "itemIndex": 0,
                "selectedSla": "Standard",
                "selectedDeliveryChannel": "delivery",
                "lockTTL": "7d",
                "shippingEstimate": "5bd",
                "price": 1490,
            },
        ],
    },
    "paymentData": None,
}


def order(marketplace_order_id: str = "A-1", **changes: Any) -> dict[str, Any]:
    """A good order with some fields changed; a key with dots or digits is a path, such as `items.0.price`.

    The value MISSING takes a field out.
    """
    document = copy.deepcopy(ORDER)
    document["marketplaceOrderId"] = marketplace_order_id
    for path, value in changes.items():
        change(document, path, value)
    return document


MISSING = object()


def change(document: Any, path: str, value: Any) -> None:
    """Set the field at a dotted path, or take it out."""
    *parents, last = path.split(".")
    for name in parents:
        document = document[int(name)] if name.isdigit() else document[name]
    if value is MISSING:
        del document[last]
    else:
        document[int(last) if last.isdigit() else last] = value


def code_of(response: httpx.Response) -> str:
    """The refusal's code, after checking that body and headers say the same."""
    code = response.json()["error"]["code"]
    assert response.headers["x-vtex-error-code"] == code
    assert isinstance(code, str)
    return code


def kept_orders(file: Path) -> set[str]:
    """The orders that a state file tells of."""
    batches = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    return {order["marketplaceOrderId"] for batch in batches for order in batch["orders"]}


def acknowledged() -> Step:
    return json_answer(RECEIPT)


async def eventually(question: Callable[[], Awaitable[bool]], seconds: float = 5) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(seconds):
        while not await question():
            await asyncio.sleep(0.01)


@dataclass
class Caller:
    """Calls one sandbox. `endpoint`, when set, is where its callbacks go."""

    client: httpx.AsyncClient
    endpoint: str = ""

    async def simulate(self, *items: tuple[str, int], path: str = "checkout/pub", **more: Any) -> httpx.Response:
        body = {"items": [{"id": sku, "quantity": count, "seller": "1"} for sku, count in items], **more}
        return await self.client.post(
            f"/api/{path}/orderForms/simulation", params=SC, json=body, headers=KEYS if "pvt" in path else {}
        )

    async def place(self, document: Any | None = None, *, wrap: bool = True) -> httpx.Response:
        document = order() if document is None else document
        if (
            wrap
            and self.endpoint
            and document.get("marketplaceServicesEndpoint") == ORDER["marketplaceServicesEndpoint"]
        ):
            document = document | {"marketplaceServicesEndpoint": self.endpoint}
        body = [document] if wrap else document
        return await self.client.post("/api/fulfillment/pvt/orders", params=SC, json=body, headers=KEYS)

    async def dispatch(self, marketplace_order_id: str = "A-1", **body: Any) -> httpx.Response:
        return await self.client.post(
            f"/api/fulfillment/pvt/orders/MKP-{marketplace_order_id}/fulfill",
            params=SC,
            json={"marketplaceOrderId": marketplace_order_id, **body},
            headers=KEYS,
        )

    async def cancel(self, marketplace_order_id: str = "A-1") -> httpx.Response:
        return await self.client.post(
            f"/api/fulfillment/pvt/orders/MKP-{marketplace_order_id}/cancel",
            params=SC,
            json={"marketplaceOrderId": marketplace_order_id},
            headers=KEYS,
        )

    async def cancel_through_oms(self, marketplace_order_id: str = "A-1", **body: Any) -> httpx.Response:
        document = body or {"reason": "Changed their mind", "requestedByUser": True}
        return await self.client.post(
            f"/api/oms/pvt/orders/MKP-{marketplace_order_id}/cancel", json=document, headers=KEYS
        )

    async def read(self, marketplace_order_id: str = "A-1") -> httpx.Response:
        return await self.client.get(f"/api/oms/pvt/orders/MKP-{marketplace_order_id}", headers=KEYS)

    async def status(self, marketplace_order_id: str = "A-1") -> str:
        found = (await self.read(marketplace_order_id)).json()["status"]
        assert isinstance(found, str)
        return found

    async def dispatched(self, marketplace_order_id: str = "A-1", **changes: Any) -> None:
        """Place and dispatch an order."""
        assert (await self.place(order(marketplace_order_id, **changes))).status_code == 200
        assert (await self.dispatch(marketplace_order_id)).status_code in {200, 201}

    async def catalog(self, path: str, **params: Any) -> httpx.Response:
        """A private GET below /api, such as `catalog/pvt/product/1`."""
        return await self.client.get(f"/api/{path}", params=params, headers=KEYS)

    async def read_sku(self, sku_id: str | int, **params: Any) -> httpx.Response:
        return await self.catalog(f"catalog_system/pvt/sku/stockkeepingunitbyid/{sku_id}", **params)

    async def sku_ids(self, **params: Any) -> httpx.Response:
        return await self.catalog("catalog_system/pvt/sku/stockkeepingunitidsbysaleschannel", **{"sc": 1, **params})

    # --- the control API ---

    async def control(self, method: str, path: str, **options: Any) -> Any:
        """Any call below /sandbox, as its JSON; `options` are httpx's."""
        response = await self.client.request(method, f"/sandbox/{path}", **options)
        return response.raise_for_status().json() if response.content else None

    async def patch(self, sku_id: str, **changes: Any) -> dict[str, Any]:
        """Change a SKU and notify, unless `notify` says otherwise."""
        changed: dict[str, Any] = await self.control("PATCH", f"skus/{sku_id}", json=changes)
        return changed

    async def set(self, **settings: Any) -> None:
        (await self.client.put("/sandbox/settings", json=settings)).raise_for_status()

    async def fault(self, **fault: Any) -> None:
        (await self.client.post("/sandbox/faults", json=fault)).raise_for_status()

    async def sku(self, sku_id: str, **changes: Any) -> dict[str, Any]:
        """Change a SKU, if anything, and return it."""
        if changes:
            (await self.client.put(f"/sandbox/skus/{sku_id}", json=changes)).raise_for_status()
        sku: dict[str, Any] = await self.control("GET", f"skus/{sku_id}")
        return sku

    async def ledger(self, marketplace_order_id: str = "A-1") -> dict[str, Any]:
        response = await self.client.get(f"/sandbox/orders/{marketplace_order_id}")
        found: dict[str, Any] = response.raise_for_status().json()
        return found

    async def send(self, what: str, marketplace_order_id: str = "A-1", **report: Any) -> dict[str, Any]:
        """Make the Seller send a callback now."""
        response = await self.client.post(f"/sandbox/orders/{marketplace_order_id}/{what}", json=report)
        sent: dict[str, Any] = response.raise_for_status().json()
        return sent
