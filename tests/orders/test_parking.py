"""Orders that the engine has stopped trying by itself: what is seen of them, and what brings them on or to an end."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.orders.parking import DONE_UNTOLD, DOWN, NO_ENTRY, OTHER_AFFILIATE, REFUSED, STATUS, parked
from tests.support.engine import Engine, new_order

AFTER_RETRY = {"simulate": "payment-pending", "place": "payment-pending", "dispatch": "handling", "cancel": "canceled"}


async def shown_in_temporal(engine: Engine, order: dict[str, Any], statuses: set[str], *, attention: bool) -> None:
    """Wait until a search finds the order with one of these statuses, with or without a need for attention."""
    name = order["marketplaceOrderId"]
    query = f"MarketplaceOrderId = '{name}' AND NeedsAttention = {str(attention).lower()}"
    async with asyncio.timeout(15):
        while True:
            async for found in engine.client.list_workflows(query):
                if found.search_attributes["OrderStatus"][0] in statuses:
                    return
            await asyncio.sleep(0.05)


async def listed(engine: Engine, order: dict[str, Any]) -> bool:
    """Whether the list of orders that need attention has this one."""
    page = (await engine.http.get("/orders", params={"needsAttention": "true", "limit": 200})).json()
    return order["marketplaceOrderId"] in [one["marketplaceOrderId"] for one in page["orders"]]


@pytest.mark.parametrize(
    ("step", "fault", "code", "words"),
    [
        ("simulate", DOWN, "seller-unavailable", "simulate: 1 Service Unavailable (HTTP 503)"),
        ("place", NO_ENTRY, "seller-credentials", "place: 1 Access denied (HTTP 403)"),
        ("place", OTHER_AFFILIATE, "seller-misconfigured", "place: FMT0021 Invalid affiliate id (HTTP 400)"),
        ("dispatch", REFUSED, "dispatch-refused", "authorize dispatch: FMT0085 Time limit to retry reached (HTTP 400)"),
        ("cancel", DOWN, "seller-unavailable", "cancel at the Seller: 1 Service Unavailable (HTTP 503)"),
    ],
)
async def test_a_parked_order_is_seen_everywhere_and_retry_heals_it(
    engine: Engine, step: str, fault: dict[str, Any], code: str, words: str
) -> None:
    order = await parked(engine, step, fault)
    assert order["reason"] == {"code": code, "message": words}
    assert await listed(engine, order)
    await shown_in_temporal(engine, order, {STATUS[step]}, attention=True)
    details = await engine.details(order)
    assert "**needs attention**" in details
    assert "Waits for an operator: retry or abort." in details
    assert f"| Reason | `{code}` {words} |" in details

    answer = await engine.resume(order, "retry", "asked the Seller")
    assert (answer.status_code, answer.json()["needsAttention"], answer.json()["allowedActions"]) == (200, False, [])
    healed = await engine.until(order, status=AFTER_RETRY[step], needsAttention=False)
    assert "operator says retry: asked the Seller" in [entry["detail"] for entry in healed["history"]]
    assert (healed["reason"] or {}).get("code") in {None, "canceled-by-customer"}
    assert not await listed(engine, order)
    await shown_in_temporal(engine, order, {AFTER_RETRY[step], "payment-pending"}, attention=False)
    assert "attention" not in await engine.details(order)


@pytest.mark.parametrize(
    ("step", "fault", "code"),
    [
        ("simulate", OTHER_AFFILIATE, "seller-misconfigured"),
        ("place", NO_ENTRY, "seller-credentials"),
        ("dispatch", OTHER_AFFILIATE, "seller-misconfigured"),
        ("cancel", NO_ENTRY, "seller-credentials"),
    ],
)
async def test_keys_and_affiliate_are_for_people_to_mend_and_are_not_tried_again(
    engine: Engine, step: str, fault: dict[str, Any], code: str
) -> None:
    order = await parked(engine, step, fault)
    assert order["reason"]["code"] == code
    requests = (await engine.sandbox.get("/requests")).json()
    assert len([request for request in requests if request["route"] == step]) == 1


async def test_an_order_is_parked_again_when_the_retry_fails_too(engine: Engine) -> None:
    order = await parked(engine, "dispatch", {**NO_ENTRY, "times": 2})
    first = len(order["history"])
    assert (await engine.resume(order, "retry")).status_code == 200
    again = await engine.until(order, lambda found: len(found["history"]) >= first + 2, needsAttention=True)
    assert [entry["detail"].split(":")[0] for entry in again["history"][first - 1 :]] == [
        "needs attention",
        "operator says retry",
        "needs attention",
    ]


@pytest.mark.parametrize(
    ("step", "fault", "left"),
    [
        ("simulate", NO_ENTRY, None),
        ("place", NO_ENTRY, None),
        ("place", DONE_UNTOLD, "canceled"),
        ("dispatch", REFUSED, "canceled"),
        ("dispatch", DOWN, "canceled"),
        ("cancel", NO_ENTRY, "waiting-ffmt-authorization"),
    ],
)
async def test_abort_ends_the_order_and_cancels_what_the_seller_has_of_it(
    engine: Engine, step: str, fault: dict[str, Any], left: str | None
) -> None:
    order = await parked(engine, step, fault)
    assert (await engine.resume(order, "abort", "not worth it")).status_code == 200
    ended = await engine.until(order, status="canceled", needsAttention=False)
    # A cancellation that was the customer's wish stays so; abort only stops waiting for the Seller.
    expected = (
        ("canceled-by-customer", "changed mind") if step == "cancel" else ("canceled-by-operator", "not worth it")
    )
    assert (ended["reason"]["code"], ended["reason"]["message"]) == expected
    await engine.workflow(order).result()
    at_seller = await engine.sandbox.get(f"/orders/{order['marketplaceOrderId']}")
    assert (at_seller.json()["status"] if at_seller.status_code == 200 else None) == left
    late = await engine.resume(order, "retry")
    assert (late.status_code, "has ended as canceled" in late.json()["detail"]) == (409, True)


async def test_an_order_that_may_be_at_the_seller_is_not_ended_on_the_word_of_an_edge_page(engine: Engine) -> None:
    order = await parked(engine, "place", DONE_UNTOLD)
    await engine.fault("read", "html", times=3)
    assert (await engine.resume(order, "abort")).status_code == 200
    again = await engine.until(order, needsAttention=True, status="cancellation-requested")
    assert again["reason"]["code"] == "seller-unavailable"
    assert (await engine.resume(order, "retry")).status_code == 200
    await engine.until(order, status="canceled")
    assert (await engine.ledger(order))["status"] == "canceled"


async def test_resume_is_refused_when_nothing_is_parked_or_the_action_is_not_allowed(engine: Engine) -> None:
    order = await engine.dispatched()
    for action in ("retry", "abort"):
        answer = await engine.resume(order, action)
        assert answer.status_code == 409
        assert "nothing: the order is not parked" in answer.json()["detail"]
    await engine.seller_sends(order, "invoice", invoiceValue=99999)
    flagged = await engine.until(order, needsAttention=True)
    assert flagged["allowedActions"] == ["retry"]
    answer = await engine.resume(order, "abort")
    assert (answer.status_code, answer.json()["detail"]) == (409, "abort is not possible now; allowed is retry")
    assert (await engine.resume(order, "give up")).status_code == 422
    assert (await engine.resume(new_order(), "retry")).status_code == 404
    assert (await engine.get(order)) == flagged


@pytest.mark.parametrize(
    ("action", "arguments", "status"),
    [
        ("retry", [], "handling"),
        ("retry", [{"note": "from the UI"}], "handling"),
        ("abort", [], "canceled"),
        ("abort", [{}], "canceled"),
    ],
)
async def test_the_updates_of_temporals_ui_resume_an_order_too(
    engine: Engine, action: str, arguments: list[Any], status: str
) -> None:
    order = await parked(engine, "dispatch", NO_ENTRY)
    answer = await engine.workflow(order).execute_update(action, args=arguments)
    # It is left out where the record tells it.
    assert answer["order"] is None or answer["order"]["needsAttention"] is False
    resumed = await engine.until(order, status=status)
    note = ": from the UI" if arguments and arguments[0] else ""
    assert f"operator says {action}{note}" in [entry["detail"] for entry in resumed["history"]]


@pytest.mark.parametrize("action", ["retry", "abort"])
async def test_the_updates_of_temporals_ui_are_refused_when_nothing_is_parked(engine: Engine, action: str) -> None:
    order = await engine.placed()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await engine.workflow(order).execute_update(action)
    assert "nothing: the order is not parked" in str(refused.value.cause)
    assert (await engine.get(order)) == order
