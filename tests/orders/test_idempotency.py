"""One order for one id, for ever: however many posts there are, at once, later, or after Temporal has forgotten it."""

import asyncio
import sqlite3
from collections import Counter
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order

Json = dict[str, Any]


async def runs_of(engine: Engine, order: Json) -> int:
    """How many runs Temporal has under the order's workflow id."""
    found = engine.client.list_workflows(f'WorkflowId = "{engine.workflow(order).id}"')
    return len([run.run_id async for run in found])


async def forgotten(engine: Engine, order: Json) -> None:
    """Remove an order from Temporal, as its retention does."""
    workflow = engine.workflow(order)
    execution = WorkflowExecution(workflow_id=workflow.id)
    await engine.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=execution)
    )
    async with asyncio.timeout(20):
        while True:
            try:
                await workflow.describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return
                raise
            await asyncio.sleep(0.05)


def changed(order: Json, **changes: Any) -> Json:
    return {**order, **changes}


OTHER_PAYMENT = {"payment": {"status": "approved", "transactionId": "t-7"}}


@pytest.mark.parametrize("more", [{}, {"items": [{"id": "2001", "quantity": 2, "price": 3991}]}], ids=["good", "dear"])
async def test_fifty_posts_at_once_make_one_order(engine: Engine, more: Json) -> None:
    posted = new_order(**more)
    if more:
        posted["marketplacePaymentValue"] += 2
    answers = await asyncio.gather(*(engine.post(posted, wait=30) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 49}
    assert len({answer.text for answer in answers}) == 1
    assert {answer.headers["location"] for answer in answers} == {f"/orders/{posted['marketplaceOrderId']}"}
    if more:
        assert answers[0].json()["reason"]["code"] == "price-divergence"
    else:
        assert (await engine.ledger(posted))["calls"] == {"place": 1}
    async with asyncio.timeout(20):
        # Temporal's list of workflows is a little behind.
        while await runs_of(engine, posted) == 0:
            await asyncio.sleep(0.05)
    assert await runs_of(engine, posted) == 1


async def test_posts_of_one_id_with_two_contents_at_once_make_one_order_of_one_content(engine: Engine) -> None:
    posted = new_order()
    other = changed(posted, **OTHER_PAYMENT)
    answers = await asyncio.gather(*(engine.post(body, wait=30) for body in [posted, other] * 5))
    counts = [Counter(answer.status_code for answer in answers[first::2]) for first in (0, 1)]
    assert sorted(counts, key=len) == [{409: 5}, {201: 1, 200: 4}]
    assert (await engine.ledger(posted))["calls"]["place"] == 1


async def test_posts_of_one_id_for_two_sellers_at_once_make_one_order(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"other": {}}) as engine:
        posted = new_order()
        answers = await asyncio.gather(
            *(engine.post(changed(posted, seller=seller), wait=30) for seller in ("acme", "other"))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        [made] = [answer.json() for answer in answers if answer.status_code == 201]
        assert (await engine.get(posted))["seller"] == made["seller"]
        assert (await engine.ledger(posted))["calls"] == {"place": 1}


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
async def test_an_id_stays_with_its_first_content(make_engine: MakeEngine, closed: bool) -> None:
    async with make_engine(more_sellers={"other": {}}) as engine:
        posted = new_order()
        first = await engine.post(posted)
        assert first.status_code == 201
        if closed:
            assert (await engine.cancel(posted)).status_code == 200
            await engine.workflow(posted).result()
        now = await engine.get(posted)

        again = await engine.post(posted)
        assert (again.status_code, again.json()) == (200, now)
        # The same, spelt differently: what is left out is what it is by default.
        spelt = changed(posted, payment={"status": "pending"})
        assert (await engine.post(spelt)).status_code == 200
        for other in (
            changed(posted, **OTHER_PAYMENT),
            changed(posted, marketplaceOrderGroup="group-1"),
            changed(posted, clientProfileData={**posted["clientProfileData"], "firstName": "Lidia"}),
            changed(posted, seller="other"),
        ):
            answer = await engine.post(other)
            assert (answer.status_code, answer.json()["title"]) == (409, "Conflict with the order's state")
            assert "use a new id" in answer.json()["detail"]
        assert await engine.get(posted) == now
        assert (await engine.ledger(posted))["calls"]["place"] == 1


async def test_a_payment_reported_by_many_at_once_is_taken_once(engine: Engine) -> None:
    order = await engine.placed()
    answers = await asyncio.gather(*(engine.pay(order) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    handling = await engine.until(order, status="handling")
    assert len([entry for entry in handling["history"] if "payment approved" in entry["detail"]]) == 1
    assert (await engine.ledger(order))["calls"]["dispatch"] == 1


async def test_an_order_that_temporal_has_forgotten_is_answered_from_its_record(make_engine: MakeEngine) -> None:
    async with make_engine(return_window="100ms") as engine:
        posted = new_order()
        assert (await engine.post(posted)).status_code == 201
        assert (await engine.pay(posted)).status_code == 200
        await engine.until(posted, status="handling")
        for what in ("invoice", "tracking", "delivery"):
            [sent] = await engine.seller_sends(posted, what)
            assert sent["status"] == 200
        canceled = await engine.placed()
        path = f"/pvt/orders/{canceled['marketplaceOrderId']}/cancel"
        kept = await engine.callback(canceled, path)
        assert kept.status_code == 200
        for order in (posted, canceled):
            await engine.workflow(order).result()
        await asyncio.gather(*(forgotten(engine, order) for order in (posted, canceled)))

        delivered = await engine.get(posted)
        assert delivered["status"] == "delivered"
        again = await engine.post(posted)
        assert (again.status_code, again.json()) == (200, delivered)
        assert (await engine.post(changed(posted, **OTHER_PAYMENT))).status_code == 409
        assert await runs_of(engine, posted) == 0
        assert (await engine.pay(posted)).status_code == 200
        assert (await engine.pay(posted, "denied")).status_code == 409
        assert (await engine.pay(posted, transaction="t-2")).status_code == 409
        assert (await engine.cancel(posted)).status_code == 409
        assert (await engine.resume(posted, "retry")).status_code == 409

        # The Seller's reports: one that was taken before gets the same receipt, a new one is refused.
        invoice, receipt = await sent_before(engine, posted)
        invoice_path = f"/pvt/orders/{posted['marketplaceOrderId']}/invoice"
        repeated = await engine.callback(posted, invoice_path, invoice)
        assert (repeated.status_code, repeated.json()["receipt"]) == (200, receipt)
        late = await engine.callback(posted, invoice_path, {**invoice, "invoiceNumber": "N-2"})
        assert late.status_code == 409
        assert (await engine.callback(posted, f"/pvt/orders/{posted['marketplaceOrderId']}/cancel")).status_code == 409

        assert (await engine.cancel(canceled)).status_code == 200
        assert (await engine.pay(canceled)).status_code == 409
        assert (await engine.callback(canceled, path)).json()["receipt"] == kept.json()["receipt"]
        assert await engine.get(posted) == delivered
        assert (await engine.ledger(posted))["calls"] == {"place": 1, "dispatch": 1}


async def test_an_order_that_the_database_has_forgotten_is_not_placed_again(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        posted = new_order()
        assert (await engine.post(posted)).status_code == 201
        assert (await engine.cancel(posted)).status_code == 200
        await engine.workflow(posted).result()
        # As after going back to an older backup.
        with sqlite3.connect(engine.settings.data_dir / "orders.sqlite3") as database:
            database.execute("DELETE FROM orders")
        again = await engine.post(posted)
        assert (again.status_code, again.json()["status"]) == (200, "canceled")
        assert (await engine.post(changed(posted, **OTHER_PAYMENT))).status_code == 409
        assert (await engine.ledger(posted))["calls"] == {"place": 1, "cancel": 1}


async def sent_before(engine: Engine, order: Json) -> tuple[Json, str]:
    """The first callback that the Seller has sent, and its receipt."""
    sent = (await engine.ledger(order))["callbacks"][0]
    return sent["body"], sent["receipt"]
