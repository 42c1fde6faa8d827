"""How storefronts are told, as it is recorded."""

import asyncio

from marketplace.webhooks import DeliveryState
from tests.histories.kinds import Run, storefront
from tests.support.engine import Engine
from tests.support.scripted_server import answer
from tests.webhooks.receiver import Receiver, until_state
from workflows.webhook_policies import webhook_workflow_id

ENDED = 2
"""WORKFLOW_EXECUTION_STATUS_COMPLETED."""


async def _told(engine: Engine, state: DeliveryState) -> Run:
    order = await engine.placed()
    async with asyncio.timeout(30):
        while len(await until_state(engine, order, state)) < 3:
            await asyncio.sleep(0.02)
        run: Run = engine.client.get_workflow_handle(webhook_workflow_id("acme", order["marketplaceOrderId"]))
        while (await run.describe()).status != ENDED:
            await asyncio.sleep(0.02)
    return run


@storefront()
async def told(engine: Engine, receiver: Receiver) -> Run:
    """The storefront takes each event at once."""
    receiver.answer()
    return await _told(engine, DeliveryState.DELIVERED)


@storefront()
async def told_after_some_tries(engine: Engine, receiver: Receiver) -> Run:
    """The storefront is down for the first tries, and events gather behind them."""
    receiver.answer(answer(500), answer(503), answer(500))
    return await _told(engine, DeliveryState.DELIVERED)


@storefront(webhook_patience="1s")
async def given_up(engine: Engine, receiver: Receiver) -> Run:
    """The storefront takes nothing, and each event is given up when its time is over."""
    receiver.answer(then=answer(500))
    return await _told(engine, DeliveryState.FAILED)
