"""Encryption keys are rotated while orders are open, step by step as docs/security.md has it, without downtime."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.service import RPCError

from activities.schedules import ensure_schedules
from marketplace.security import EncryptionKey
from marketplace.settings import Settings
from marketplace.temporal import data_converter
from sandbox.server import SandboxServer
from tests.orders import reports
from tests.support.engine import Engine, new_order
from workflows.catalog_messages import ImportInput, Source
from workflows.catalog_policies import import_workflow_id

Json = dict[str, Any]
Step = tuple[EncryptionKey, ...]

OLD, NEW = EncryptionKey("k1", b"1" * 32), EncryptionKey("k2", b"2" * 32)
STEPS: tuple[Step, ...] = ((OLD,), (OLD, NEW), (NEW, OLD))
GONE: Step = (NEW,)


@pytest.fixture
async def engines(temporal: Client, fresh_seller: SandboxServer, tmp_path: Path) -> AsyncIterator[dict[Step, Engine]]:
    """Worker and API of one and the same engine with the keys of each step; the workers do not run yet."""
    shared = {"data_dir": tmp_path / "data", "task_queue": f"rotation-{uuid4().hex[:8]}", "run_worker": False}
    address = temporal.service_client.config.target_host
    async with AsyncExitStack() as stack:
        made = {}
        for keys in (*STEPS, GONE):
            # Each with a connection of its own: on a shared one, a task queue has one worker.
            client = await Client.connect(address, data_converter=data_converter(Settings(encryption_keys=keys)))
            engine = Engine(client, fresh_seller.url, tmp_path, encryption_keys=keys, **shared)
            made[keys] = await stack.enter_async_context(engine)
        yield made


async def start(engine: Engine) -> None:
    # Without a cache each step of an order is worked out anew from its whole history.
    await engine.start_worker(max_cached_workflows=0)


async def keys_in_use(engine: Engine, order: Json) -> list[str]:
    """The ids of the keys in an order's history, each where it comes first."""
    seen: dict[str, None] = {}
    async for event in engine.workflow(order).fetch_history_events():
        text = event.SerializeToString()
        for key in (OLD, NEW):
            if b"encryption-key-id\x12" + bytes([len(key.id)]) + key.id.encode() in text:
                seen[key.id] = None
    return list(seen)


async def test_an_open_order_goes_on_through_a_rotation(engines: dict[Step, Engine]) -> None:
    first = engines[STEPS[0]]
    await start(first)
    opened = await first.placed()
    assert await keys_in_use(first, opened) == ["k1"]
    # What happens to the open order at each step, told to a process that has been renewed and to one that has not.
    happens = iter([first.pay, lambda order: reports.invoice(first, order, "NF-1")])
    for before, after in pairwise(STEPS):
        # Processes are renewed one after another: for a while both kinds work side by side.
        await start(engines[after])
        assert (await next(happens)(opened)).status_code == 200
        for step in (before, after):
            order = await engines[step].dispatched()
            for other in (before, after):
                assert (await engines[other].get(order))["status"] == "handling"
        await engines[before].stop_worker()
        order = await engines[before].dispatched()
        await engines[after].cancel(order)
    last = engines[STEPS[-1]]
    assert (await reports.delivery(first, opened, "NF-1")).status_code == 200
    await last.until(opened, status="delivered")
    assert await keys_in_use(last, opened) == ["k1", "k2"]
    fresh = await last.placed()
    assert await keys_in_use(last, fresh) == ["k2"]


@pytest.mark.slow
async def test_an_order_whose_key_was_taken_too_early_waits_until_it_is_back(engines: dict[Step, Engine]) -> None:
    first, gone, back = engines[STEPS[0]], engines[GONE], engines[STEPS[-1]]
    await start(first)
    opened = await first.placed()
    await first.stop_worker()

    await start(gone)
    # Others are not held up by it.
    assert (await gone.post(new_order())).status_code == 201
    # Nobody can act on it, and nothing is lost: what is told it is kept.
    paid = await gone.pay(opened)
    assert (paid.status_code, paid.json()["status"]) == (202, "payment-pending")
    await gone.stop_worker()

    await start(back)
    await back.until(opened, status="handling")
    async with asyncio.timeout(20):
        assert (await back.cancel(opened)).status_code == 200


async def test_schedules_go_on_with_the_new_key_alone(engines: dict[Step, Engine]) -> None:
    first, last = engines[STEPS[0]], engines[GONE]
    acme, gone = first.sellers["acme"], first.sellers["acme"].model_copy(update={"account": "gone"})
    try:
        await ensure_schedules(first.client, first.settings, {"acme": acme, "gone": gone})
        # A Seller's that is not there any more can be read no more either; it must not keep a worker from its start.
        await ensure_schedules(last.client, last.settings, {"acme": acme})
        schedule = last.client.get_schedule_handle(import_workflow_id("acme", Source.SOLD))
        action = (await schedule.describe()).schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        [wanted] = await last.client.data_converter.decode(action.args, [ImportInput])
        assert wanted.seller == "acme"
    finally:
        await ensure_schedules(first.client, first.settings, {})
        for seller in ("acme", "gone"):
            with suppress(RPCError):
                await first.client.get_schedule_handle(import_workflow_id(seller, Source.SOLD)).delete()
