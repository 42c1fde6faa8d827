"""What operators see of an order in Temporal's UI, and what they must not see."""

import asyncio
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowInteractionDefinition, WorkflowMetadata

from tests.conftest import MakeEngine
from tests.support.engine import ORDER, Engine, new_order

CUSTOMER = [
    *(value for name, value in ORDER["clientProfileData"].items() if name != "documentType"),
    *(ORDER["shippingData"]["address"][name] for name in ("postalCode", "city", "street")),
]


async def searched(engine: Engine, order: dict[str, Any], status: str) -> dict[str, Any]:
    """Wait until a search for the status finds the order; its search attributes."""
    query = f"OrderStatus = '{status}' AND MarketplaceOrderId = '{order['marketplaceOrderId']}'"
    async with asyncio.timeout(15):
        while True:
            async for found in engine.client.list_workflows(query):
                return {name: values[0] for name, values in found.search_attributes.items()}
            await asyncio.sleep(0.05)


async def summaries(engine: Engine, order: dict[str, Any], kind: "EventType.ValueType") -> list[str]:
    """The summaries that stand beside the events of a kind in the order's history."""
    converter = engine.client.data_converter.payload_converter
    history = await engine.workflow(order).fetch_history()
    found = [event.user_metadata.summary for event in history.events if event.event_type == kind]
    return [converter.from_payload(summary, str) for summary in found]


async def metadata(engine: Engine, order: dict[str, Any]) -> WorkflowMetadata:
    found: WorkflowMetadata = await engine.workflow(order).query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    return found


async def test_an_order_is_found_by_its_id_and_by_its_search_attributes_over_its_life(engine: Engine) -> None:
    order = await engine.placed()
    name = order["marketplaceOrderId"]
    described = await engine.workflow(order).describe()
    assert (described.id, described.workflow_type) == (f"order/acme/{name}", "OrderWorkflow")
    assert await described.static_summary() == f"order {name} at acme"
    expected = {"Seller": "acme", "MarketplaceOrderId": name, "NeedsAttention": False}

    found = await searched(engine, order, "payment-pending")
    assert {key: found[key] for key in expected} == expected
    await engine.pay(order)
    for step, status in (("invoice", "invoiced"), ("tracking", "shipped"), ("delivery", "delivered")):
        await engine.until(order, lambda found: found["status"] not in {"payment-approved", "authorizing-fulfillment"})
        await searched(engine, order, {"invoice": "handling", "tracking": "invoiced", "delivery": "shipped"}[step])
        await engine.seller_sends(order, step)
        await searched(engine, order, status)
    await engine.seller_sends(order, "invoice", type="Input")
    found = await searched(engine, order, "returned")
    assert {key: found[key] for key in expected} == expected


async def test_the_current_details_tell_where_an_order_stands_and_what_it_waits_for(make_engine: MakeEngine) -> None:
    async with make_engine(payment_deadline="48h", return_window="30d") as engine:
        order = await engine.placed()
        expires = order["expiresAt"][:19].replace("T", " ")
        details = await engine.details(order)
        assert details.startswith("**payment-pending**\n")
        assert f"Waits for the marketplace's word about the payment, until {expires} UTC." in details
        for line in (
            "| Seller | acme |",
            f"| Seller's order id | {order['orderId']} |",
            "| Value | 94.70 |",
            "| Payment | pending |",
            "| Invoiced | 0.00 |",
        ):
            assert line in details.splitlines()

        await engine.pay(order)
        await engine.until(order, status="handling")
        assert "Waits for the Seller's invoice." in await engine.details(order)
        waits = {"invoice": "the Seller's tracking.", "tracking": "the delivery.", "delivery": "the end of the return"}
        for step, status in (("invoice", "invoiced"), ("tracking", "shipped"), ("delivery", "delivered")):
            await engine.seller_sends(order, step)
            await engine.until(order, status=status)
            assert f"Waits for {waits[step]}" in await engine.details(order)
        details = await engine.details(order)
        number = f"NF-{order['marketplaceOrderId']}-1"
        [row] = [line for line in details.splitlines() if line.startswith(f"| {number} |")]
        assert row.startswith(f"| {number} | sale | 94.70 | RS")
        assert row.endswith(" | yes |")
        assert "| Payment | approved |" in details

        await engine.seller_sends(order, "invoice", type="Input")
        await engine.workflow(order).result()
        details = await engine.details(order)
        assert "Waits for nothing: the order has ended." in details
        assert "| Returned | 94.70 |" in details


async def test_the_words_of_a_seller_do_not_break_the_table(engine: Engine) -> None:
    order = await engine.placed()
    await engine.seller_sends(order, "cancel", reason="broken | torn\nand lost")
    await engine.until(order, status="canceled")
    await engine.workflow(order).result()
    assert "| Reason | `canceled-by-seller` broken \\| torn and lost |" in await engine.details(order)


async def test_each_activity_and_timer_in_the_history_says_what_it_is_for(make_engine: MakeEngine) -> None:
    async with make_engine(return_window="300ms") as engine:
        order = await engine.dispatched()
        for step in ("invoice", "tracking", "delivery"):
            await engine.seller_sends(order, step)
        await engine.workflow(order).result()
        told = await summaries(engine, order, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
        calls = [summary for summary in told if not summary.startswith("order record, version ")]
        assert calls == ["place (acme)", "authorize dispatch (acme)"]
        history = await engine.workflow(order).fetch_history()
        assert any(b"simulate (acme)" in event.user_metadata.summary.data for event in history.events)
        timers = await summaries(engine, order, EventType.EVENT_TYPE_TIMER_STARTED)
        assert (timers[0], timers[1], timers[-1]) == ("payment deadline", "look at the Seller's order", "return window")


async def test_signals_updates_and_queries_describe_themselves(engine: Engine) -> None:
    order = await engine.placed()
    definition = (await metadata(engine, order)).definition
    assert definition.type == "OrderWorkflow"

    def named(definitions: Any) -> dict[str, str]:
        ours: list[WorkflowInteractionDefinition] = [one for one in definitions if not one.name.startswith("__")]
        return {one.name: one.description for one in ours}

    signals, updates = named(definition.signal_definitions), named(definition.update_definitions)
    queries = named(definition.query_definitions)
    assert set(signals) == {
        "invoice",
        "tracking",
        "delivery",
        "seller_cancel_reported",
        "record_wanted",
        "payment_reported",
        "cancel_requested",
    }
    assert set(updates) == {"await_placement", "payment", "cancel", "seller_cancel", "retry", "abort"}
    assert set(queries) == {"state"}
    assert all([*signals.values(), *updates.values(), *queries.values()])
    assert updates["abort"] == "Parked order: end it; unless that was what failed, the Seller is asked to cancel it"


async def test_nothing_that_is_shown_holds_the_customers_data(engine: Engine) -> None:
    posted = new_order()
    await engine.fault("place", "error", posted, code="FMT0021", message=f"no {CUSTOMER[0]} in {CUSTOMER[-1]}")
    assert (await engine.post(posted, wait=0)).status_code == 202
    order = await engine.until(posted, needsAttention=True)
    raw = await engine.workflow(order).query("state")
    assert (await engine.state(order)).marketplace_order_id == raw["marketplaceOrderId"] == order["marketplaceOrderId"]
    described = await engine.workflow(order).describe()
    shown = [str(raw), await engine.details(order), str(described.search_attributes), str(await described.memo())]
    for secret in CUSTOMER:
        assert not any(secret in text for text in [*shown, str(order)]), secret
    assert "no [...] in [...]" in str(order)


async def test_the_history_never_holds_the_token_of_the_callbacks(engine: Engine) -> None:
    order = await engine.dispatched()
    await engine.seller_sends(order, "invoice")
    await engine.until(order, status="invoiced")
    token = (await engine.ledger(order))["endpoint"].rsplit("/", 1)[-1]
    assert len(token) > 20
    history = await engine.workflow(order).fetch_history()
    written = b"".join(event.SerializeToString() for event in history.events)
    assert order["orderId"].encode() in written
    assert token.encode() not in written
