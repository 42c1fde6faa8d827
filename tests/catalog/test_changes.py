"""A Seller changes something; moments later the marketplace's catalog is right."""

import asyncio
from typing import Any

from tests.support.engine import Engine


async def offer_when(shop: Engine, sku_id: str, **fields: Any) -> dict[str, Any]:
    found: Any = None
    try:
        async with asyncio.timeout(15):
            while True:
                answer = await shop.http.get(f"/catalog/acme/skus/{sku_id}")
                found = answer.json()
                if answer.status_code == 200 and all(found[name] == value for name, value in fields.items()):
                    return dict(found)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"wanted {fields}, got {found}") from None


async def test_a_new_sku_is_read_and_sold(shop: Engine) -> None:
    await shop.sandbox.post("/notices", json={"skuId": "2001"})
    offer = await offer_when(shop, "2001", status="listed")
    assert offer["price"] == 3990
    assert offer["data"]["name"]


async def test_a_price_change_arrives(shop: Engine) -> None:
    await shop.sandbox.post("/notices", json={"skuId": "2001"})
    await offer_when(shop, "2001", status="listed")
    (await shop.sandbox.patch("/skus/2001", json={"price": 4190})).raise_for_status()
    await offer_when(shop, "2001", price=4190)
