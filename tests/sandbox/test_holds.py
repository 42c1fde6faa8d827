"""Calls that wait until they are released: before the work or after it, one by one, and never beyond the sandbox."""

import asyncio
from typing import Any

import httpx
import pytest

from sandbox.server import SandboxServer
from tests.sandbox.calls import ORDER, Caller, code_of, eventually, order


async def held(caller: Caller, **meant: Any) -> list[tuple[str, str | None]]:
    found = await caller.control("GET", "held", params=meant)
    return [(call["route"], call["marketplaceOrderId"]) for call in found]


async def release(caller: Caller, **meant: Any) -> int:
    return len(await caller.control("POST", "held/release", json=meant))


async def is_placed(caller: Caller) -> bool:
    return (await caller.client.get("/sandbox/orders/A-1")).status_code == 200


@pytest.mark.parametrize(("kind", "done"), [("hold", False), ("hold-after", True)])
async def test_a_held_call_is_answered_when_it_is_released(caller: Caller, kind: str, done: bool) -> None:
    await caller.fault(route="place", kind=kind)
    placing = asyncio.create_task(caller.place())
    assert await held(caller, wait=5) == [("place", "A-1")]
    assert await is_placed(caller) is done
    assert not placing.done()
    assert await release(caller) == 1
    assert (await placing).status_code == 200
    assert await is_placed(caller)
    assert await held(caller) == []
    (entry,) = (await caller.client.get("/sandbox/requests", params={"path": "/orders", "limit": 1})).json()
    assert (entry["fault"], entry["status"]) == (kind, 200)


async def test_a_released_call_meets_the_next_fault_of_the_queue(caller: Caller) -> None:
    await caller.fault(route="place", kind="hold")
    await caller.fault(route="place", kind="error", code="FMT0048")
    placing = asyncio.create_task(caller.place())
    await held(caller, wait=5)
    await release(caller)
    assert code_of(await placing) == "FMT0048"
    assert not await is_placed(caller)


async def test_the_seller_is_as_it_has_become_when_a_held_call_works(caller: Caller) -> None:
    await caller.place()
    await caller.fault(route="dispatch", kind="hold")
    dispatching = asyncio.create_task(caller.dispatch())
    await held(caller, wait=5)
    assert (await caller.send("cancel"))["status"] == "canceled"
    await release(caller)
    assert code_of(await dispatching) == "FMT0024"


async def test_only_the_calls_that_are_meant_are_released(caller: Caller) -> None:
    await caller.fault(route="any", kind="hold", times=3)
    calls = {
        name: asyncio.create_task(work)
        for name, work in {
            "A-1": caller.place(),
            "A-2": caller.place(order("A-2")),
            "cart": caller.simulate(("2001", 1), ("2002", 1)),
        }.items()
    }

    async def all_are_held() -> bool:
        return len(await held(caller)) == len(calls)

    await eventually(all_are_held)
    assert await held(caller, route="simulate") == [("simulate", None)]
    assert await held(caller, skuId="2003") == []
    assert await release(caller, skuId="2002") == 1
    assert (await calls["cart"]).status_code == 200
    assert await release(caller, marketplaceOrderId="A-3") == 0
    assert await release(caller, route="place", marketplaceOrderId="A-2") == 1
    assert (await calls["A-2"]).status_code == 200
    assert not calls["A-1"].done()
    assert await release(caller) == 1
    assert (await calls["A-1"]).status_code == 200


async def test_who_waits_for_a_held_call_in_vain_gets_an_empty_list(caller: Caller) -> None:
    assert await held(caller, wait=0.05) == []
    assert (await caller.client.get("/sandbox/held", params={"wayt": 1})).status_code == 422
    assert (await caller.client.post("/sandbox/held/release", json={"order": "A-1"})).status_code == 422


@pytest.mark.parametrize("kind", ["hold", "hold-after"])
async def test_a_reset_drops_held_calls_and_nothing_is_left_of_them(caller: Caller, kind: str) -> None:
    await caller.fault(route="place", kind=kind)
    placing = asyncio.create_task(caller.place())
    await held(caller, wait=5)
    await caller.control("POST", "reset")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await placing
    assert not await is_placed(caller)
    assert await held(caller) == []


async def test_a_sandbox_that_stops_waits_for_no_held_call() -> None:
    async with SandboxServer() as server, httpx.AsyncClient(base_url=server.url, timeout=5) as client:
        caller = Caller(client)
        await caller.fault(route="place", kind="hold")
        placing = asyncio.create_task(caller.place(dict(ORDER)))
        await held(caller, wait=5)
    with pytest.raises(httpx.TransportError):
        await placing
