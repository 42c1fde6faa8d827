"""A Temporal that stands still: a 503 in time for whoever asks, and the same request again does nothing twice."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.server import SandboxServer
from tests.api.answers import problem
from tests.support.engine import Engine, new_order
from tests.support.processes import TemporalServer

INVOICE: dict[str, Any] = {"type": "Output", "invoiceNumber": "N-1", "invoiceValue": 9470}
WAIT = 1
IN_TIME = 13.0
"""Seconds: twice the patience with one call to Temporal, and room for a busy machine."""


def check_unknown(answer: httpx.Response) -> None:
    body = problem(answer, 503)
    assert "Temporal" in body["detail"]
    assert "send the same request again, which does nothing twice" in body["detail"]
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.slow
async def test_what_was_asked_while_temporal_stood_still_is_refused_in_time_and_safe_to_repeat(
    fresh_seller: SandboxServer, tmp_path: Path
) -> None:
    async with TemporalServer(tmp_path / "temporal") as server:
        await server.start()
        async with Engine(await server.client(), fresh_seller.url, tmp_path) as engine:
            unpaid, dispatched, posted = await engine.placed(), await engine.dispatched(), new_order()
            invoice = f"/pvt/orders/{dispatched['marketplaceOrderId']}/invoice"
            server.send(signal.SIGSTOP)
            try:
                begun = time.monotonic()
                for answer in await asyncio.gather(
                    engine.post(posted, wait=WAIT),
                    engine.pay(unpaid),
                    engine.callback(dispatched, invoice, INVOICE),
                    engine.http.get("/orders/T-unknown"),
                ):
                    check_unknown(answer)
                assert time.monotonic() - begun < IN_TIME
                assert (await engine.http.get("/health/live")).status_code == 200
                assert (await engine.get(unpaid))["status"] == "payment-pending"
            finally:
                server.send(signal.SIGCONT)
            assert (await engine.post(posted, wait=30)).status_code in {200, 201}
            assert (await engine.pay(unpaid)).status_code in {200, 202}
            assert (await engine.callback(dispatched, invoice, INVOICE)).status_code == 200
            await engine.until(unpaid, seconds=30, status="handling")
            found = await engine.until(dispatched, seconds=30, status="invoiced")
            assert [one["invoiceNumber"] for one in found["invoices"]] == ["N-1"]
            for order, calls in ((posted, {"place": 1}), (unpaid, {"place": 1, "dispatch": 1})):
                assert (await engine.ledger(order))["calls"] == calls
