"""`order-engine doctor` tells who sends webhooks, and which the storefront did not take."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketplace.webhooks import DeliveryState
from tests.cli.findings import findings
from tests.cli.terminal import enter, order_engine
from tests.conftest import MakeEngine
from tests.support.engine import Engine
from tests.support.scripted_server import answer

from .receiver import FAST, SECRET, Receiver, log

WORKER = "webhook worker"
DELIVERIES = "undelivered webhooks"


async def test_what_the_storefront_did_not_take_is_found(
    make_engine: MakeEngine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"{receiver.server.url}/hooks"
    async with make_engine(**FAST, webhook_url=url) as engine:
        enter(monkeypatch, engine, tmp_path, ORDER_ENGINE_WEBHOOK_URL=url, ORDER_ENGINE_WEBHOOK_SECRETS=SECRET)
        receiver.answer(answer(410))
        order = await engine.placed()
        async with asyncio.timeout(10):
            while (first := (await log(engine.stores, order))[0]).state is DeliveryState.PENDING:
                await asyncio.sleep(0.02)

        found = findings(await order_engine("doctor", "--json"))
        assert found[WORKER][0] == "ok", found[WORKER]
        state, told = found[DELIVERIES]
        assert (state, told.partition(":")[0]) == ("warning", f"1 given up ({first.id})")

        # Nobody was woken for it, as when the worker that should send it is gone.
        await engine.stores.webhooks.requeue([first.id], datetime.now(UTC) - timedelta(hours=1))
        state, told = findings(await order_engine("doctor", "--json"))[DELIVERIES]
        assert (state, told.partition(":")[0]) == ("warning", f"1 are tried again and again ({first.id})")

        monkeypatch.delenv("ORDER_ENGINE_WEBHOOK_URL")
        found = findings(await order_engine("doctor", "--json"))
        assert found[WORKER][1].startswith("none are sent")
        assert found[DELIVERIES] == ("warning", "1 wait, and ORDER_ENGINE_WEBHOOK_URL is not set: nobody sends them")


async def test_webhooks_that_nobody_sends_are_a_problem(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = {"WEBHOOK_URL": "http://127.0.0.1:1/hooks", "WEBHOOK_SECRETS": SECRET, "TASK_QUEUE": "forsaken"}
    enter(monkeypatch, engine, tmp_path, **{f"ORDER_ENGINE_{name}": value for name, value in settings.items()})
    state, told = findings(await order_engine("doctor", "--json"))[WORKER]
    assert (state, "none polls task queue forsaken-webhooks" in told) == ("problem", True)
