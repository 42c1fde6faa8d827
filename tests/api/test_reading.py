"""Reading and listing orders, and what is no id, no filter and no route."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.api.answers import problem
from tests.support.engine import Engine, new_order

NO_IDS = ["%00", "a%00", "%20", "a%20b", "%0A", "x" * 129, "%C3%A9", "%FF", "%2E%2E", "...", "a%2Cb", "%27", "a*b"]


@pytest.fixture(scope="module")
async def shelf(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    """An engine of its own with seven orders: five wait for payment, one is rejected, one needs attention."""
    async with httpx.AsyncClient() as client:
        (await client.post(f"{seller.url}/sandbox/reset")).raise_for_status()
    directory = tmp_path_factory.mktemp("shelf")
    async with Engine(temporal, seller.url, directory, seller_attempts=1, more_sellers={"bolt": {}}) as engine:
        for account in ("acme", "acme", "bolt", "bolt", "acme"):
            await engine.placed(seller=account)
        await engine.placed(items=[{"id": "2001", "quantity": 2, "price": 1}], marketplacePaymentValue=1492)
        parked = new_order()
        await engine.fault("place", "forbidden", parked)
        await engine.post(parked, 0)
        await engine.until(parked, needsAttention=True)
        yield engine


async def listed(engine: Engine, **query: Any) -> dict[str, Any]:
    answer = await engine.http.get("/orders", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"orders", "nextCursor"}
    return body


async def all_pages(engine: Engine, **query: Any) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = await listed(engine, **query, **({"cursor": cursor} if cursor else {}))
        found += page["orders"]
        cursor = page["nextCursor"]
        if cursor is None:
            return found


async def test_the_list_is_newest_first_and_holds_orders_as_they_are_read(shelf: Engine) -> None:
    orders = (await listed(shelf))["orders"]
    assert len(orders) == 7
    times = [order["history"][0]["at"] for order in orders]
    assert times == sorted(times, reverse=True)
    assert [await shelf.get(order) for order in orders] == orders


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 200])
async def test_pages_hold_every_order_once(shelf: Engine, limit: int) -> None:
    assert await all_pages(shelf, limit=limit) == (await listed(shelf))["orders"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"status": "payment-pending"}, 5),
        ({"status": "rejected"}, 1),
        ({"status": "delivered"}, 0),
        ({"seller": "bolt"}, 2),
        ({"seller": "nobody"}, 0),
        ({"seller": "acme", "status": "payment-pending"}, 3),
        ({"needsAttention": "true"}, 1),
        ({"needsAttention": "false"}, 6),
        ({"needsAttention": "true", "status": "rejected"}, 0),
    ],
)
async def test_filters_narrow_the_list_and_its_pages(shelf: Engine, query: dict[str, str], count: int) -> None:
    found = await all_pages(shelf, limit=1, **query)
    assert len(found) == count
    assert found == (await listed(shelf, **query))["orders"]
    for order in found:
        assert query.get("status") in {None, order["status"]}
        assert query.get("seller") in {None, order["seller"]}
        assert query.get("needsAttention") in {None, str(order["needsAttention"]).lower()}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=201", "limit"),
        ("limit=2.5", "limit"),
        ("limit=zqx", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("status=zqx", "status"),
        ("status=", "status"),
        ("status=HANDLING", "status"),
        ("status=handling%00", "status"),
        ("needsAttention=perhaps", "needsAttention"),
        ("needsAttention=", "needsAttention"),
        ("cursor=zqx", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("cursor=W10", "cursor"),
        ("cursor=WzEsICJhXHUwMDAwIl0", "cursor"),
        ("cursor=" + "A" * 401, "cursor"),
        ("seller=%00", "seller"),
        ("seller=a%20b", "seller"),
        ("seller=", "seller"),
        ("seller=" + "x" * 129, "seller"),
        ("statsu=handling", "statsu"),
        ("needs_attention=true", "needs_attention"),
        ("limit=5&colour=1", "colour"),
    ],
)
async def test_a_query_that_makes_no_sense_is_a_422_that_names_the_parameter(
    shared_engine: Engine, query: str, parameter: str
) -> None:
    problem(await shared_engine.http.get(f"/orders?{query}"), 422, f"/query/{parameter}")


@pytest.mark.parametrize("order_id", NO_IDS)
async def test_what_is_no_id_is_no_order(shared_engine: Engine, order_id: str) -> None:
    body = {"status": "approved", "transactionId": "t-1"}
    base = f"{shared_engine.settings.public_url}/orders/{order_id}"
    problem(await shared_engine.http.get(base), 404)
    for action in ("payment", "cancel", "resume"):
        problem(await shared_engine.http.post(f"{base}/{action}", json=body), 404)


async def test_a_well_formed_id_of_no_order_is_a_404_everywhere(shared_engine: Engine) -> None:
    order = {"marketplaceOrderId": "NONE-1"}
    answers = await asyncio.gather(
        shared_engine.http.get("/orders/NONE-1"),
        shared_engine.pay(order),
        shared_engine.cancel(order),
        shared_engine.resume(order, "retry"),
    )
    for answer in answers:
        assert "NONE-1" in problem(answer, 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/orders", "GET, POST"),
        ("PUT", "/orders/T-1", "GET"),
        ("GET", "/orders/T-1/payment", "POST"),
        ("GET", "/carts/simulation", "POST"),
        ("POST", "/health/live", "GET"),
        ("PATCH", "/callbacks/acme/T-1/x/pvt/orders/T-1/invoice", "POST"),
        ("GET", "/callbacks/acme/T-1/x/pvt/orders/T-1/invoice/1/tracking", "POST, PUT"),
        ("zqx", "/orders", None),
    ],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    shared_engine: Engine, method: str, path: str, allowed: str | None
) -> None:
    answer = await shared_engine.http.request(method, path)
    if allowed is None:
        # Not even HTTP: answered before the application.
        assert answer.status_code in {400, 405}
        return
    assert allowed in problem(answer, 405)["detail"]
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/orders/", "/orders/T-1/", "/orders/T-1/nope", "//orders", "/ORDERS", "/health", "/%00"]
)
async def test_an_unknown_address_is_a_404_that_says_where_they_are_listed(shared_engine: Engine, path: str) -> None:
    answer = await shared_engine.http.get(shared_engine.settings.public_url + path)
    assert "/docs" in problem(answer, 404)["detail"]
