"""A workflow task that is lost after its local activities have written: what is worked out anew replaces what was told.

The record orders its writes by the length of the history, so a write of the lost task never stands against one that
became durable, in whatever order the two reach the database.
"""

from datetime import UTC, datetime

from temporalio.testing import ActivityEnvironment

from activities.orders import OrderActivities
from marketplace.orders import HistoryEntry, Order, OrderItem, OrderStatus
from tests.orders.parking import DOWN, parked
from tests.support.engine import Engine, new_order
from workflows.messages import SaveCall

AT = datetime(2026, 3, 1, tzinfo=UTC)


def call(version: int, *details: str, status: OrderStatus = OrderStatus.HANDLING) -> SaveCall:
    history = [HistoryEntry(at=AT, status=status, detail=detail) for detail in details]
    order = Order(
        marketplace_order_id="lost-1",
        seller="acme",
        status=status,
        items=[OrderItem(id="1", quantity=1, price=1000)],
        marketplace_payment_value=1000,
        history=history,
    )
    return SaveCall(order=order, digest="d", version=version, payment=None, event_ids=[], created_at=AT, updated_at=AT)


async def test_the_journal_tells_what_was_worked_out_anew(engine: Engine) -> None:
    stores = engine.stores
    save = ActivityEnvironment()
    activities = OrderActivities(stores.orders)
    lost = call(20, "placed at the Seller as X", "dispatch authorized", "invoice NF-lost")
    durable = call(30, "placed at the Seller as X", "canceled by the Seller; gone", status=OrderStatus.CANCELED)
    await save.run(activities.save_order, lost)
    await save.run(activities.save_order, durable)
    await save.run(activities.save_order, lost)  # a worker that was frozen wakes up
    record = await stores.orders.get("lost-1")
    assert record is not None
    assert (record.order.status, record.version) == (OrderStatus.CANCELED, 30)
    told = [entry.business_message for entry in (await stores.journal.page("acme", AT.date())).entries]
    assert "canceled by the Seller; gone" in told


async def test_a_later_write_has_a_higher_version_though_fewer_things_have_happened(engine: Engine) -> None:
    order = await engine.placed()
    first = await engine.stores.orders.get(order["marketplaceOrderId"])
    assert (await engine.pay(order)).status_code == 200
    await engine.until(order, status="handling")
    second = await engine.stores.orders.get(order["marketplaceOrderId"])
    assert first is not None
    assert second is not None
    state = await engine.state(order)
    # Beside the count of changes stands the length of the history, which alone grows when a task is lost.
    assert first.version >> 20 < second.version >> 20
    assert second.version % 2**20 <= state.version
    assert second.version < 2**53


async def test_what_an_update_asks_for_is_written_only_once_it_is_durable(engine: Engine) -> None:
    order = await engine.placed(**new_order())
    assert (await engine.pay(order)).status_code == 200
    await engine.until(order, status="handling")
    events = [event async for event in engine.workflow(order).fetch_history_events()]
    began = [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]
    # Not even as an activity of its own: the Seller's answer brings another workflow task.
    assert "save_order" not in began
    [accepting] = [
        events[place - 1].event_id
        for place, event in enumerate(events)
        if event.workflow_execution_update_accepted_event_attributes.accepted_request.input.name == "payment"
    ]
    written = [event.marker_recorded_event_attributes.workflow_task_completed_event_id for event in events]
    assert max(written) > accepting
    assert accepting not in written


async def test_a_payment_that_the_seller_does_not_hear_of_yet_is_written_by_an_activity_of_its_own(
    engine: Engine,
) -> None:
    order = await parked(engine, "place", DOWN)
    assert (await engine.pay(order)).status_code == 200
    events = [event async for event in engine.workflow(order).fetch_history_events()]
    began = [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]
    assert began.count("save_order") == 1
