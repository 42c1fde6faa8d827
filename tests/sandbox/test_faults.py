"""The sandbox's faults: each kind does to a call what it says, to the right calls, and leaves the right traces."""

import time
from typing import Any

import httpx
import pytest

from tests.sandbox.calls import Caller, code_of


async def placed(caller: Caller, marketplace_order_id: str = "A-1") -> bool:
    return (await caller.client.get(f"/sandbox/orders/{marketplace_order_id}")).status_code == 200


async def last_request(caller: Caller) -> dict[str, Any]:
    (entry,) = (await caller.client.get("/sandbox/requests", params={"limit": 1})).json()
    assert isinstance(entry, dict)
    return entry


async def test_a_lost_answer_leaves_the_order_placed(caller: Caller) -> None:
    await caller.fault(route="place", kind="answer-lost")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await caller.place()
    assert await placed(caller)
    entry = await last_request(caller)
    assert (entry["status"], entry["fault"], entry["marketplaceOrderId"]) == (None, "answer-lost", "A-1")
    assert code_of(await caller.place()) == "FMT009"


async def test_a_reset_connection_leaves_nothing_placed(caller: Caller) -> None:
    await caller.fault(route="place", kind="reset")
    with pytest.raises(httpx.ReadError):
        await caller.place()
    assert not await placed(caller)
    assert (await caller.place()).status_code == 200


@pytest.mark.parametrize("after", [None, 3, "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_rate_limited_call_may_carry_retry_after(caller: Caller, after: int | str | None) -> None:
    await caller.fault(route="place", kind="rate-limited", retryAfter=after)
    response = await caller.place()
    assert response.status_code == 429
    assert response.headers.get("retry-after") == (None if after is None else str(after))
    assert not await placed(caller)


async def test_an_error_has_the_given_code_and_status(caller: Caller) -> None:
    await caller.fault(route="place", kind="error", code="FMT0048", httpStatus=400)
    response = await caller.place()
    assert (response.status_code, code_of(response)) == (400, "FMT0048")
    assert not await placed(caller)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_has_a_json_body(caller: Caller, status: int) -> None:
    await caller.fault(route="place", kind="server-error", httpStatus=status)
    response = await caller.place()
    assert (response.status_code, response.json()["error"]["code"]) == (status, "1")
    assert not await placed(caller)


async def test_a_fault_may_lie_about_work_that_was_done(caller: Caller) -> None:
    await caller.fault(route="place", kind="server-error", commit=True)
    assert (await caller.place()).status_code == 500
    assert await placed(caller)


@pytest.mark.parametrize("status", [404, 502])
async def test_the_edge_may_answer_a_page(caller: Caller, status: int) -> None:
    await caller.fault(route="place", kind="html", httpStatus=status)
    response = await caller.place()
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert not await placed(caller)


async def test_a_slow_call_works_late(caller: Caller) -> None:
    await caller.fault(route="place", kind="slow", seconds=0.2)
    started = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        await caller.client.post("/api/fulfillment/pvt/orders", json=[], timeout=0.05)
    await caller.fault(route="place", kind="slow", seconds=0.2)
    assert (await caller.place()).status_code == 200
    assert time.monotonic() - started > 0.24


async def test_a_slow_answer_comes_after_the_work(caller: Caller) -> None:
    await caller.fault(route="read", kind="slow", seconds=0.01)
    await caller.fault(route="place", kind="slow-after", seconds=30)
    caller.client.timeout = httpx.Timeout(0.2)
    try:
        with pytest.raises(httpx.ReadTimeout):
            await caller.place()
    finally:
        caller.client.timeout = httpx.Timeout(5)
    assert await placed(caller)


async def test_half_a_body_is_an_order_placed(caller: Caller) -> None:
    await caller.fault(route="place", kind="half-body")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        await caller.place()
    assert await placed(caller)


async def test_an_answer_that_is_no_json_is_an_order_placed(caller: Caller) -> None:
    await caller.fault(route="place", kind="not-json")
    response = await caller.place()
    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()
    assert await placed(caller)


async def test_a_forbidden_call_does_nothing(caller: Caller) -> None:
    await caller.fault(route="place", kind="forbidden")
    assert (await caller.place()).status_code == 403
    assert not await placed(caller)


async def test_faults_are_consumed_in_order_by_the_calls_they_are_meant_for(caller: Caller) -> None:
    await caller.fault(route="dispatch", kind="forbidden")
    await caller.fault(route="place", kind="rate-limited", marketplaceOrderId="B-1")
    await caller.fault(route="any", kind="server-error", times=2)
    assert (await caller.place()).status_code == 500
    assert (await caller.simulate(("2001", 1))).status_code == 500
    assert (await caller.place()).status_code == 200
    left = (await caller.client.get("/sandbox/faults")).json()
    assert [(fault["route"], fault["times"]) for fault in left] == [("dispatch", 1), ("place", 1)]
    assert (await caller.dispatch()).status_code == 403
    assert (await caller.client.delete("/sandbox/faults")).json() == []
    assert (await caller.dispatch()).status_code == 200


async def test_a_fault_for_one_order_finds_its_other_calls_too(caller: Caller) -> None:
    await caller.place()
    for route, call in (("dispatch", caller.dispatch), ("read", caller.read), ("cancel", caller.cancel)):
        await caller.fault(route=route, kind="forbidden", marketplaceOrderId="A-2")
        await caller.fault(route=route, kind="server-error", marketplaceOrderId="A-1")
        assert (await call("A-1")).status_code == 500


@pytest.mark.parametrize(
    "fault", [{"kind": "explode"}, {"route": "place"}, {"kind": "reset", "times": 0}, {"kind": "slow", "secs": 1}]
)
async def test_a_misspelt_fault_is_refused(caller: Caller, fault: dict[str, Any]) -> None:
    assert (await caller.client.post("/sandbox/faults", json=fault)).status_code == 422


async def test_requests_are_logged_with_their_outcome(caller: Caller) -> None:
    await caller.place()
    await caller.place()
    await caller.dispatch()
    entries = (await caller.client.get("/sandbox/requests", params={"path": "/orders"})).json()
    assert [(entry["route"], entry["status"], entry["code"]) for entry in entries] == [
        ("place", 200, None),
        ("place", 400, "FMT009"),
        ("dispatch", 200, None),
    ]
    assert entries[0]["query"] == "sc=1&affiliateId=MKP"


async def test_no_fault_prints_a_traceback(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    for kind in ("answer-lost", "reset", "half-body"):
        await caller.fault(route="simulate", kind=kind)
        with pytest.raises(httpx.TransportError):
            await caller.simulate(("2001", 1))
    assert caplog.records == []


async def test_a_fault_of_some_percent_hits_about_that_share_and_spares_the_rest(caller: Caller) -> None:
    await caller.fault(route="read", kind="server-error", percent=30, times=100_000)
    await caller.place()
    hits = [(await caller.read()).status_code == 500 for _ in range(300)]
    assert 50 <= sum(hits) <= 130
    (left,) = (await caller.client.get("/sandbox/faults")).json()
    assert left["times"] == 100_000 - sum(hits)
