"""Erasing an order over the API and the command line: when it is allowed, what remains, and that nothing comes back."""

import asyncio
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sandbox.server import SandboxServer
from tests.cli.terminal import Ran, enter, order_engine
from tests.conftest import MakeEngine
from tests.orders import reports
from tests.support.engine import Engine, new_order
from tests.support.scripted_server import scripted_server
from tests.webhooks.receiver import FAST, Receiver
from workflows.webhook_policies import webhook_workflow_id

Json = dict[str, Any]

WORD = "Quinzinho"
"""What everybody writes who may write something."""


async def returned(engine: Engine) -> Json:
    """An order about which much was said, and that has come to its end."""
    order = await engine.placed()
    assert (await engine.pay(order, transaction=f"pay-{WORD}")).status_code == 200
    await engine.until(order, status="handling")
    link = f"https://invoices.example/{WORD}"
    said: Json = {"invoiceUrl": link, "invoiceKey": WORD, "courier": WORD, "trackingNumber": WORD, "trackingUrl": link}
    assert (await reports.invoice(engine, order, f"NF-{WORD}", **said)).status_code == 200
    assert (await reports.delivery(engine, order, f"NF-{WORD}")).status_code == 200
    assert (await reports.invoice(engine, order, f"R-{WORD}", kind="Input")).status_code == 200
    await engine.until(order, status="returned")
    return await closed(engine, order)


async def closed(engine: Engine, order: Json) -> Json:
    """The order, once its workflow has left."""
    async with asyncio.timeout(20):
        await engine.workflow(order).result()
    return await engine.get(order)


async def erase(engine: Engine, order: Json) -> Any:
    return await engine.http.post(f"/orders/{order['marketplaceOrderId']}/erase")


async def kept(engine: Engine, order: Json) -> str:
    """All that the API tells of an order."""
    order_id = order["marketplaceOrderId"]
    journal = (await engine.http.get("/logs?seller=acme&limit=500")).json()["Messages"]
    told = (await engine.http.get(f"/webhooks?order={order_id}")).text
    return str([await engine.get(order), [one for one in journal if one["Subject"] == order_id], told])


async def forgotten(engine: Engine, workflow_id: str) -> None:
    """Wait until Temporal has nothing of a workflow any more: it deletes in its own time."""
    async with asyncio.timeout(30):
        while True:
            try:
                await engine.client.get_workflow_handle(workflow_id).describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return
            await asyncio.sleep(0.05)


async def test_an_erased_order_stays_readable_and_has_nothing_of_its_customer(
    temporal: Client, fresh_seller: SandboxServer, tmp_path: Path
) -> None:
    async with scripted_server() as storefront:
        receiver = Receiver(storefront)
        settings = {"webhook_url": f"{storefront.url}/hooks", **FAST}
        async with Engine(temporal, fresh_seller.url, tmp_path, **settings) as engine:
            order = await returned(engine)
            await receiver.until_status(order, "returned")
            webhooks = engine.client.get_workflow_handle(webhook_workflow_id("acme", order["marketplaceOrderId"]))
            await webhooks.result()
            callback = (await engine.ledger(order))["endpoint"]
            assert (await kept(engine, order)).count(WORD) > 5

            answer = await erase(engine, order)

            assert answer.status_code == 200, answer.text
            erased = answer.json()
            for name in ("orderId", "status", "items", "marketplacePaymentValue", "invoicedValue"):
                assert erased[name] == order[name]
            assert [one["invoiceValue"] for one in erased["invoices"]] == [reports.VALUE, reports.VALUE]
            assert [line["at"] for line in erased["history"]][:-1] == [line["at"] for line in order["history"]]
            assert erased["history"][-1]["detail"] == "the customer's data was erased"
            assert WORD not in await kept(engine, order)
            assert await engine.get(order) == erased
            for file in engine.settings.data_dir.glob("orders.sqlite3*"):
                assert WORD.encode() not in file.read_bytes(), file
            await forgotten(engine, engine.workflow(order).id)
            await forgotten(engine, webhooks.id)

            # A Seller that repeats itself, one that has something new to say, a shop that posts or pays again.
            order_id = order["marketplaceOrderId"]
            for path, body in (
                ("invoice", {"type": "Output", "invoiceNumber": f"NF-{WORD}", "invoiceValue": reports.VALUE}),
                (f"invoice/NF-{WORD}", reports.TRACKING | {"trackingNumber": f"{WORD}-2"}),
            ):
                late = await engine.http.post(f"{callback}/pvt/orders/{order_id}/{path}", json=body)
                assert (late.status_code, WORD in late.text.replace(late.json()["instance"], "")) == (409, False)
            assert (await engine.post(new_order(marketplaceOrderId=order_id))).status_code == 409
            assert (await engine.pay(order, transaction=f"pay-{WORD}")).status_code == 409
            assert await engine.get(order) == erased
            assert WORD not in await kept(engine, order)

            again = await erase(engine, order)
            assert (again.status_code, again.json()) == (200, erased)


async def parked(engine: Engine) -> Json:
    posted = new_order()
    await engine.fault("place", "forbidden", posted, times=1)
    await engine.post(posted, wait=1)
    return await engine.until(posted, needsAttention=True)


async def delivered(engine: Engine) -> Json:
    order = await engine.dispatched()
    for what in ("invoice", "tracking", "delivery"):
        await engine.seller_sends(order, what)
    return await engine.until(order, status="delivered")


@pytest.mark.parametrize(
    ("begin", "cure"),
    [
        (Engine.placed, "cancel it while it is payment-pending, or wait for its end, then erase it"),
        (delivered, "wait for the end of its return window, then erase it"),
        (parked, "decide about it first (retry or abort), then erase it"),
    ],
)
async def test_an_order_that_is_still_followed_is_not_erased(engine: Engine, begin: Any, cure: str) -> None:
    order = await begin(engine)
    answer = await erase(engine, order)
    assert (answer.status_code, answer.json()["detail"]) == (409, f"the order is still followed: {cure}")
    assert await engine.get(order) == order
    assert (await engine.workflow(order).describe()).close_time is None
    await engine.resume(order, "abort")


async def test_an_order_that_was_stopped_by_force_can_be_erased(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        order = await parked(engine)
        await engine.workflow(order).terminate()
        erased = (await erase(engine, order)).json()
        assert (erased["status"], erased["needsAttention"], erased["allowedActions"]) == ("placing", False, [])


async def test_an_unknown_order_is_a_404(engine: Engine) -> None:
    assert (await erase(engine, {"marketplaceOrderId": "T-404"})).status_code == 404


# --- the command ---


@pytest.fixture
async def canceled(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Json:
    """An order that was canceled, for a reason that names somebody; and its worker's environment."""
    enter(monkeypatch, engine, tmp_path)
    order = await engine.placed()
    path = f"/orders/{order['marketplaceOrderId']}/cancel"
    body = {"reason": f"{WORD} is in hospital", "requestedByUser": True}
    assert (await engine.http.post(path, json=body)).status_code == 200
    order = await closed(engine, order)
    assert WORD in str(order)
    return order


@pytest.mark.parametrize(("answer", "goes_on"), [("", False), ("n\n", False), ("y\n", True)])
async def test_the_command_asks_before_it_erases(
    engine: Engine, canceled: Json, monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool
) -> None:
    order_id = canceled["marketplaceOrderId"]
    monkeypatch.setattr(sys, "stdin", StringIO(answer))
    ran = await order_engine("orders", "erase", order_id)
    assert ran.code == (0 if goes_on else 1)
    assert f"of {order_id}, and its workflow in Temporal? This cannot be undone [y/N]:" in ran.err
    assert (WORD not in await kept(engine, canceled)) == goes_on


async def test_the_command_erases_when_told_so(engine: Engine, canceled: Json) -> None:
    order_id = canceled["marketplaceOrderId"]
    ran = await order_engine("orders", "erase", order_id, "--yes")
    assert ran == Ran(0, "Erased; the order stays as canceled, with its items and values.\n", "")
    assert WORD not in await kept(engine, canceled)
    again = await order_engine("orders", "erase", order_id, "--yes", "--json")
    assert (again.code, again.err) == (0, "")
    assert again.out == (await engine.http.get(f"/orders/{order_id}")).text + "\n"


async def test_the_command_says_why_it_does_not(engine: Engine, canceled: Json) -> None:
    order = await engine.placed()
    ran = await order_engine("orders", "erase", order["marketplaceOrderId"], "--yes")
    assert ran.problem.startswith("order-engine: the order is still followed: cancel it while it is payment-pending")
    await engine.cancel(order)
