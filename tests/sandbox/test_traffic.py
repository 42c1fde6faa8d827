"""What the account bears: faults of catalog calls, the rate limit, being down, and the record of what was read."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox.config import SandboxConfig, Settings
from sandbox.server import SandboxServer
from tests.sandbox.calls import Caller


async def call(caller: Caller, route: str, sku_id: str = "2001") -> httpx.Response:
    if route == "sku":
        return await caller.read_sku(sku_id)
    if route == "product":
        return await caller.catalog(f"catalog/pvt/product/{sku_id}")
    return await caller.sku_ids() if route == "sku-ids" else await caller.simulate((sku_id, 1))


@pytest.mark.parametrize("route", ["sku", "product", "sku-ids", "simulation"])
async def test_faults_hit_the_catalog_routes(caller: Caller, route: str) -> None:
    await caller.fault(route=route, kind="rate-limited", retryAfter=3)
    limited = await call(caller, route)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    await caller.fault(route=route, kind="not-json")
    with pytest.raises(ValueError, match="Expecting value"):
        (await call(caller, route)).json()
    await caller.fault(route=route, kind="reset")
    with pytest.raises(httpx.ReadError):
        await call(caller, route)
    assert (await call(caller, route)).status_code == 200


@pytest.mark.parametrize("route", ["sku", "product", "simulation"])
async def test_a_fault_can_be_meant_for_one_sku(caller: Caller, route: str) -> None:
    await caller.fault(route=route, kind="server-error", skuId="2002")
    assert (await call(caller, route, "2001")).status_code == 200
    assert (await call(caller, "sku-ids")).status_code == 200
    assert (await call(caller, route, "2002")).status_code == 500
    assert (await call(caller, route, "2002")).status_code == 200


async def test_above_the_rate_limit_every_call_is_refused_until_the_store_is_filled_again(caller: Caller) -> None:
    await caller.set(rateLimit=20)
    answers = await asyncio.gather(*(call(caller, route) for route in ("sku", "simulation") for _ in range(20)))
    refused = [response for response in answers if response.status_code == 429]
    # While the forty calls ran, a busy machine has let the store fill up a little.
    assert 5 <= len(refused) <= 20
    assert "retry-after" not in refused[0].headers
    await asyncio.sleep(0.2)
    assert (await call(caller, "sku")).status_code == 200
    traffic = await caller.control("GET", "traffic")
    assert (traffic["requests"], traffic["byRoute"]) == (41, {"sku": 21, "simulate": 20})
    assert traffic["rateLimited"] == traffic["answers"]["429"] == len(refused)
    assert sum(second["arrived"] for second in traffic["seconds"]) == 41
    await caller.set(rateLimit=None)
    assert (await call(caller, "sku")).status_code == 200


async def test_the_limit_can_be_kept_for_each_group_of_routes(caller: Caller) -> None:
    await caller.set(rateLimit=0.01, rateLimitScope="group", rateLimitRetryAfter="seconds")
    assert [(await call(caller, "sku")).status_code for _ in range(2)] == [200, 429]
    assert (await call(caller, "sku-ids")).headers["retry-after"] == "100"
    assert (await call(caller, "simulation")).status_code == 200
    assert (await caller.place()).status_code == 200
    await caller.set(rateLimitRetryAfter="date")
    assert parsedate_to_datetime((await call(caller, "sku")).headers["retry-after"]).tzinfo is not None
    await caller.set(rateLimitScope="account")
    assert [(await call(caller, route)).status_code for route in ("sku", "simulation")] == [200, 429]


async def test_while_the_account_is_down_all_is_refused_and_noted(caller: Caller) -> None:
    await caller.set(down="unavailable")
    for route in ("sku", "simulation"):
        assert (await call(caller, route)).status_code == 503
    await caller.set(down="reset")
    with pytest.raises(httpx.ReadError):
        await caller.place()
    await caller.set(down="no")
    assert (await caller.place()).status_code == 200
    first, second = await caller.control("GET", "outages")
    assert (first["mode"], first["count"], second["mode"], second["count"]) == ("unavailable", 2, "reset", 1)
    assert first["since"] <= first["requests"][0]["at"] <= first["until"] == second["since"]
    assert second["requests"][0]["path"] == "/api/fulfillment/pvt/orders"
    entries = await caller.control("GET", "requests")
    assert [(entry["fault"], entry["status"]) for entry in entries] == [
        ("down", 503),
        ("down", 503),
        ("down", None),
        (None, 200),
    ]


async def test_keys_may_lose_their_permission_for_a_while(caller: Caller) -> None:
    await caller.set(down="forbidden")
    assert [(await call(caller, route)).status_code for route in ("sku", "simulation")] == [403, 403]
    assert (await caller.place()).status_code == 403
    await caller.set(down="no")
    assert (await caller.place()).status_code == 200


async def test_an_account_can_be_down_from_the_start() -> None:
    config = SandboxConfig(settings=Settings(down="unavailable"))
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        caller = Caller(client)
        assert (await call(caller, "sku")).status_code == 503
        assert (await caller.control("GET", "outages"))[0]["count"] == 1


async def test_reads_are_counted_for_each_sku_with_the_values_told_last(caller: Caller) -> None:
    await caller.read_sku(2001)
    await caller.simulate(("2001", 1), ("2002", 1))
    await caller.patch("2001", price=100, notify=False)
    reads = await caller.control("GET", "reads/2001")
    assert (reads["calls"], reads["reads"]) == ({"sku": 1, "simulate": 1}, {"sku": 1, "simulate": 1})
    assert (reads["data"]["values"]["name"], reads["offer"]["values"]["price"]) == ("Ceramic mug, blue", 3990)
    assert (reads["dataVersion"], reads["offerVersion"], reads["upToDate"]) == (1, 2, False)
    assert [one["skuId"] for one in await caller.control("GET", "reads", params={"stale": True})] == ["2001"]
    await caller.simulate(("2001", 1))
    reads = await caller.control("GET", "reads/2001")
    assert (reads["offer"]["version"], reads["offer"]["values"]["price"], reads["upToDate"]) == (2, 100, True)
    await caller.control("DELETE", "reads")
    assert await caller.control("GET", "reads") == []
    assert (await caller.control("GET", "reads/2001"))["upToDate"] is False


@pytest.mark.parametrize(
    ("change", "versions"),
    [
        ({"stock": 1}, (1, 2)),
        ({"name": "Mug"}, (2, 1)),
        ({"active": False}, (2, 2)),
        ({"salesChannels": [2]}, (2, 2)),
        ({"name": "Mug", "listPrice": 1}, (2, 2)),
    ],
)
async def test_a_change_raises_the_version_of_what_would_show_it(
    caller: Caller, change: dict[str, Any], versions: tuple[int, int]
) -> None:
    await caller.patch("2001", **change, notify=False)
    reads = await caller.control("GET", "reads/2001")
    assert (reads["dataVersion"], reads["offerVersion"]) == versions


@pytest.mark.parametrize("kind", ["answer-lost", "half-body", "not-json", "server-error", "reset"])
async def test_an_answer_that_was_not_sent_whole_is_a_call_but_no_read(caller: Caller, kind: str) -> None:
    await caller.fault(route="sku", kind=kind, commit=kind == "server-error")
    try:
        await caller.read_sku(2001)
    except httpx.TransportError:
        assert kind in {"answer-lost", "half-body", "reset"}
    reads = await caller.control("GET", "reads/2001")
    assert (reads["calls"], reads["reads"], reads["upToDate"]) == ({"sku": 1}, {}, False)


async def test_the_counts_can_be_forgotten(caller: Caller) -> None:
    await caller.read_sku(2001)
    await caller.client.get("/nowhere")
    assert (await caller.control("GET", "traffic"))["byRoute"] == {"sku": 1, "unknown": 1}
    await caller.control("DELETE", "traffic")
    assert (await caller.control("GET", "traffic"))["requests"] == 0
    assert await caller.control("GET", "requests") == []
