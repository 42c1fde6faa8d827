"""The exchange log tells each Seller's people what came in and went out, in VTEX's vocabulary."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.answers import problem
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Json, Shop
from tests.support.engine import Engine, new_order

KEYS = {
    *("id", "Operation", "Direction", "ContentSource", "ContentTranslated", "ContentTransalted"),
    *("ContentDestination", "BusinessMessage", "Status", "Date", "Subject", "Code"),
}


def told(entries: list[Json], subject: str) -> list[tuple[str, str, str | None]]:
    """What was told about a SKU or an order, oldest first."""
    return [(one["Operation"], one["Status"], one["Code"]) for one in reversed(entries) if one["Subject"] == subject]


async def test_the_life_of_an_offer_is_told_in_vtexs_words(shop: Shop) -> None:
    sku_id = await shop.listed()
    await shop.change(sku_id, price=1200)
    await shop.until(sku_id, price=1200)
    await shop.change(sku_id, stock=4)
    await shop.until(sku_id, stock=4)
    await shop.change(sku_id, name="Another vase")
    await shop.until(sku_id, lambda one: one["data"]["name"] == "Another vase")
    await shop.tell(sku_id, priceModified=True)
    await shop.settled(sku_id)
    await shop.change(sku_id, active=False)
    await shop.until(sku_id, status="blocked")
    found = told(await shop.logs_until(lambda found: "A2" in {one["Code"] for one in found}), sku_id)
    assert found[:4] == [
        ("Offer creation", "success", "S1"),
        ("Price update", "success", None),
        ("Inventory update", "success", None),
        ("Catalog change", "success", None),
    ]
    # A notice that changes nothing was an exchange too.
    assert found[4:] == [
        ("Catalog change", "success", None),
        ("Catalog change", "warning", "A2"),
        ("Inventory update", "success", None),
    ]


async def test_an_entry_has_vtexs_keys_and_says_what_to_do(shop: Shop) -> None:
    sku_id = await shop.listed()
    await shop.put(sku_id, active=False)
    await shop.tell(sku_id, priceModified=True)
    await shop.until(sku_id, status="blocked")
    entries = await shop.logs_until(lambda found: "A1" in {one["Code"] for one in found if one["Subject"] == sku_id})
    entry = next(one for one in entries if (one["Subject"], one["Code"]) == (sku_id, "A1"))
    assert set(entry) == KEYS
    assert (entry["Direction"], entry["Status"]) == ("VTEX to Marketplace", "warning")
    assert "check its price, stock and trade policy" in entry["BusinessMessage"]
    assert "priceChanged" in entry["ContentSource"]
    assert entry["ContentTransalted"] == entry["ContentTranslated"] != ""
    assert entry["ContentDestination"] == "blocked"
    at = datetime.fromisoformat(entry["Date"])
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=5)


async def test_entries_are_found_by_date_and_status_in_every_spelling_and_page_by_page(make_shop: MakeShop) -> None:
    async with make_shop() as shop:
        for _ in range(4):
            await shop.listed()
        off = await shop.add(active=False)
        await shop.tell(off)
        everything = await shop.logs_until(lambda found: len(found) >= 5)
        today = everything[0]["Date"][:10]
        yesterday = (datetime.fromisoformat(today) - timedelta(days=1)).date().isoformat()
        for query, count in (
            ({"status": "all"}, 5),
            ({"date": today}, 5),
            ({"DateAt": today}, 5),
            ({"date": yesterday}, 0),
            ({"DateAt": yesterday, "status": "all"}, 0),
            ({"status": "success"}, 4),
            ({"status": "sucess"}, 4),
            ({"status": "warning"}, 1),
            ({"status": "alert, error"}, 1),
            ({"status": "sucess,ALERT", "DateAt": today}, 5),
            ({"status": "pending"}, 0),
        ):
            assert len(await shop.logs(**query)) == count, query
        pages: list[str] = []
        cursor: str | None = None
        while True:
            query_of_page: dict[str, Any] = {"seller": shop.account, "limit": 2}
            answer = await shop.http.get("/logs", params={**query_of_page, **({"cursor": cursor} if cursor else {})})
            pages += [one["id"] for one in answer.json()["Messages"]]
            assert len(answer.json()["Messages"]) <= 2
            cursor = answer.json()["nextCursor"]
            if cursor is None:
                break
        assert pages == [one["id"] for one in everything]


@pytest.mark.parametrize(
    "query", ["status=done", "date=yesterday", "DateAt=2026-13-01", "limit=0", "limit=501", "cursor=x", "dateAt=2026"]
)
async def test_a_wrong_filter_is_422(shop: Shop, query: str) -> None:
    problem(await shop.http.get(f"/logs?seller={shop.account}&{query}"), 422)


async def test_a_log_is_of_one_configured_seller(shop: Shop) -> None:
    problem(await shop.http.get("/logs"), 422)
    problem(await shop.http.get("/logs?seller=nobody"), 404)
    problem(await shop.http.get("/logs?seller=%00"), 422)


async def test_the_log_needs_an_operators_key(make_shop: MakeShop) -> None:
    async with make_shop(operator_keys="operator-key", storefront_keys="storefront-key", run_worker=False) as shop:
        path = f"/logs?seller={shop.account}"
        for key, status in (("", 401), ("storefront-key", 403), ("operator-key", 200)):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            assert (await shop.http.get(path, headers=headers)).status_code == status
        # Notices need none.
        await shop.tell(await shop.add())


# --- orders ---


async def order_log(engine: Engine, order: Json, lines: int) -> list[Json]:
    """An order's entries, oldest first, once there are so many."""
    found: list[Json] = []
    async with asyncio.timeout(10):
        while len(found) < lines:
            answer = await engine.http.get("/logs", params={"seller": "acme", "limit": 500})
            messages = answer.json()["Messages"]
            found = [one for one in reversed(messages) if one["Subject"] == order["marketplaceOrderId"]]
            await asyncio.sleep(0.02)
    return found


async def test_what_was_exchanged_about_an_order_is_told(engine: Engine) -> None:
    await engine.switch(trackingRoute="number")
    order = await engine.dispatched()
    for what in ("invoice", "tracking", "delivery"):
        await engine.seller_sends(order, what)
    await engine.until(order, status="delivered")
    found = await order_log(engine, order, 6)
    ours, theirs = "Marketplace to VTEX", "VTEX to Marketplace"
    assert [(one["Operation"], one["Direction"], one["Status"]) for one in found] == [
        ("Order status update", ours, "success"),
        ("Order status update", ours, "success"),
        ("Order status update", ours, "success"),
        ("Invoice sending", theirs, "success"),
        ("Tracking code sending", theirs, "success"),
        ("Tracking code sending", theirs, "success"),
    ]
    assert "placed at the Seller" in found[1]["BusinessMessage"]
    assert "dispatch authorized" in found[2]["BusinessMessage"]
    everything = str(found).lower()
    assert not [word for word in ("livia", "andrade", "39053344705", "palmeiras") if word in everything]


async def test_refusals_and_cancellations_of_an_order_are_told(engine: Engine) -> None:
    dear = new_order(items=[{"id": "2001", "quantity": 2, "price": 3991}], marketplacePaymentValue=9472)
    assert (await engine.post(dear)).json()["status"] == "rejected"
    assert [one["Status"] for one in await order_log(engine, dear, 1)] == ["error"]
    by_us = await engine.placed()
    assert (await engine.cancel(by_us)).status_code == 200
    last = (await order_log(engine, by_us, 3))[-1]
    assert (last["Direction"], last["Status"]) == ("Marketplace to VTEX", "success")
    by_them = await engine.dispatched()
    await engine.seller_sends(by_them, "cancel")
    last = (await order_log(engine, by_them, 4))[-1]
    assert (last["Direction"], last["Status"]) == ("VTEX to Marketplace", "success")
    assert "canceled by the Seller" in last["BusinessMessage"]


async def test_what_needs_somebody_is_told_as_an_error(engine: Engine) -> None:
    order = await engine.placed()
    await engine.fault("dispatch", "error", order, code="FMT0084", times=50)
    await engine.pay(order)
    await engine.until(order, needsAttention=True)
    errors = [one for one in await order_log(engine, order, 3) if one["Status"] == "error"]
    assert len(errors) == 1
    assert errors[0]["BusinessMessage"].startswith("needs attention: ")
