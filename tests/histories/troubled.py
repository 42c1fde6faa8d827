"""The orders that are recorded with somebody away: the Seller, its answers, the database, or the worker."""

import asyncio
import sqlite3

from sqlalchemy import make_url

from marketplace.seller.client import Manners
from marketplace.store.stores import open_stores
from tests.histories.kinds import Json, order
from tests.histories.orders import APPROVED, CHANGED_MIND, SOON, closed, posted
from tests.orders.reports import VALUE, delivery, invoice, tracking
from tests.support.engine import Engine, new_order
from workflows.messages import SellerCancelReport

IMPATIENT: Json = {"manners": Manners(failures_to_open=1, probe_every=0.1, first_pause=0.02, longest_pause=0.1)}


@order()
async def lost_answers(engine: Engine) -> Json:
    """The answers to placement, dispatch and cancellation are lost; each is done once."""
    story = new_order()
    for route in ("place", "dispatch", "cancel"):
        await engine.fault(route, "answer-lost", story)
    assert (await engine.post(story)).status_code == 201
    await engine.pay(story)
    await engine.until(story, status="handling")
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


@order(seller_attempts=1, **IMPATIENT)
async def waited_for_the_seller(engine: Engine) -> Json:
    """The Seller is down when the order comes: waited for, then placed and dispatched."""
    await engine.switch(down="unavailable")
    story = await posted(engine, new_order(payment=APPROVED))
    await engine.until(story, _waits)
    await engine.switch(down="no")
    return await engine.until(story, status="handling")


@order(seller_attempts=1, **IMPATIENT)
async def canceled_while_the_seller_is_away(engine: Engine) -> Json:
    """Canceled by the customer while the dispatch waits for the Seller."""
    story = await engine.placed()
    await engine.switch(down="unavailable")
    await engine.pay(story)
    await engine.until(story, _waits)
    canceling = asyncio.create_task(engine.cancel(story))
    await engine.until(story, status="cancellation-requested")
    await engine.switch(down="no")
    assert (await canceling).status_code == 200
    return await closed(engine, story, status="canceled")


def _waits(story: Json) -> bool:
    return any(entry["detail"].startswith("the Seller is waited for") for entry in story["history"])


@order(run_worker=False)
async def record_away(engine: Engine) -> Json:
    """The database takes no writes for a while: the order goes on, its record catches up."""
    apis, engine.stores = engine.stores, await open_stores(engine.settings)
    await engine.start_worker()
    story = await engine.placed()
    file = make_url(engine.settings.database_url.get_secret_value()).database
    lock = sqlite3.connect(str(file), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    await engine.workflow(story).signal("payment_reported", APPROVED)
    async with asyncio.timeout(20):
        while (await engine.workflow(story).describe()).history_length < 40 and not await _written_anew(engine, story):
            await asyncio.sleep(0.05)
    lock.close()
    await engine.until(story, seconds=40, status="handling")
    await engine.stop_worker()
    await engine.stores.aclose()
    engine.stores = apis
    return story


async def _written_anew(engine: Engine, story: Json) -> bool:
    """Whether the record waits for the database where an operator sees it."""
    described = await engine.workflow(story).describe()
    return "save_order" in [one.activity_type.name for one in described.raw_description.pending_activities]


@order(**SOON)
async def spoken_to_without_a_worker(engine: Engine) -> Json:
    """Payment, reports and two cancellations come as signals while no worker is there; one of them is too late."""
    story = await engine.placed()
    await engine.stop_worker()
    handle = engine.workflow(story)
    await handle.signal("payment_reported", APPROVED)
    await handle.signal("payment_reported", {"status": "denied", "transactionId": "t-2"})
    assert (await invoice(engine, story, "A", VALUE)).status_code == 200
    await handle.signal("cancel_requested", CHANGED_MIND)
    await engine.start_worker()
    await engine.until(story, status="invoiced")
    await tracking(engine, story, "A")
    await delivery(engine, story, "A")
    return await closed(engine, story, status="delivered")


@order()
async def canceled_without_a_worker(engine: Engine) -> Json:
    """The customer cancels while no worker is there."""
    story = await engine.placed()
    await engine.stop_worker()
    await engine.workflow(story).signal("cancel_requested", CHANGED_MIND)
    await engine.start_worker()
    return await closed(engine, story, status="canceled")


@order()
async def invoiced_after_its_end(engine: Engine) -> Json:
    """Canceled by the Seller and invoiced while no worker is there: flagged until an operator accepts it."""
    story = await engine.dispatched()
    await engine.stop_worker()
    report = SellerCancelReport.model_validate({"eventId": "c-1", "receivedAt": "2026-03-02T10:00:00Z"})
    await engine.workflow(story).signal("seller_cancel_reported", report)
    assert (await invoice(engine, story, "A")).status_code == 200
    await engine.start_worker()
    await engine.until(story, status="canceled", needsAttention=True)
    await engine.resume(story, "retry")
    return await closed(engine, story, status="canceled")
