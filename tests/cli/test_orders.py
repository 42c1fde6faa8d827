"""`order-engine orders`: what an operator sees and does from a terminal, against a running engine."""

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import enter, order_engine, process
from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order

CLOSED = "127.0.0.1:1"


@pytest.fixture
def entered(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """The shared engine, and its worker's environment."""
    enter(monkeypatch, engine, tmp_path)
    return engine


async def parked(engine: Engine) -> dict[str, Any]:
    """An order that its Seller did not let us place."""
    posted = new_order()
    await engine.fault("place", "forbidden", posted, times=1)
    await engine.post(posted, wait=1)
    return await engine.until(posted, needsAttention=True)


async def test_list_shows_the_newest_first_and_leads_to_the_next_page(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with make_engine() as engine:
        enter(monkeypatch, engine, tmp_path)
        assert "No orders." in (await order_engine("orders", "list")).out
        old, new = await engine.placed(), await parked(engine)

        ran = await order_engine("orders", "list")
        heading, first, second = ran.out.splitlines()
        assert heading.split()[:5] == ["ID", "SELLER", "STATUS", "ATTENTION", "VALUE"]
        assert first.split()[:5] == [new["marketplaceOrderId"], "acme", "placing", "seller-credentials", "94.70"]
        assert second.split()[:4] == [old["marketplaceOrderId"], "acme", "payment-pending", "94.70"]
        assert not any(line.endswith(" ") or "\x1b" in line for line in ran.out.splitlines())

        page = await order_engine("orders", "list", "--limit", "1", "--seller", "acme")
        [hint] = [line for line in page.out.splitlines() if line.startswith("More: ")]
        following = await order_engine(*shlex.split(hint.removeprefix("More: order-engine")))
        assert old["marketplaceOrderId"] in following.out
        assert new["marketplaceOrderId"] not in following.out
        assert "More:" not in following.out

        in_need = await order_engine("orders", "list", "--needs-attention")
        assert [new["marketplaceOrderId"]] == [line.split()[0] for line in in_need.out.splitlines()[1:]]
        pending = await order_engine("orders", "list", "--status", "payment-pending")
        assert [old["marketplaceOrderId"]] == [line.split()[0] for line in pending.out.splitlines()[1:]]

        as_json = await process("orders", "list", "--json", "--limit", "1")
        assert (as_json.code, as_json.err) == (0, "")
        assert as_json.out == (await engine.http.get("/orders?limit=1")).text + "\n"


async def test_show_tells_the_whole_order_and_json_is_the_apis_answer(entered: Engine) -> None:
    order = await entered.dispatched()
    for what in ("invoice", "tracking", "delivery"):
        await entered.seller_sends(order, what)
    order = await entered.until(order, status="delivered")
    order_id = order["marketplaceOrderId"]

    ran = await order_engine("orders", "show", order_id)
    assert ran.code == 0, ran
    [invoice] = order["invoices"]
    [package] = order["packages"]
    for part in (
        f"order/acme/{order_id}",
        order["orderId"],
        invoice["invoiceNumber"],
        package["trackingNumber"],
        package["trackingUrl"],
    ):
        assert part in ran.out
    timeline = ran.out.partition("History\n")[2].splitlines()[1:]
    assert [line.split()[2] for line in timeline] == [entry["status"] for entry in order["history"]]
    assert "You can" not in ran.out, "nothing is to be decided about a delivered order"

    as_json = await order_engine("orders", "show", order_id, "--json")
    assert as_json.out == (await entered.http.get(f"/orders/{order_id}")).text + "\n"


async def test_the_command_lines_that_show_prints_do_what_they_say(entered: Engine) -> None:
    order = await parked(entered)
    shown = (await order_engine("orders", "show", order["marketplaceOrderId"])).out
    assert "placing, needs attention" in shown
    assert "seller-credentials: " in shown
    commands = [line.strip() for line in shown.splitlines() if line.strip().startswith("order-engine ")]
    retry, abort, cancel = (shlex.split(line)[1:] for line in commands)

    ran = await order_engine(*retry, "--note", "new keys are in")
    # Placed already, when the Seller was faster than the record.
    assert (ran.code, ran.out.rpartition(" is ")[0]) == (0, "retry was taken; the order"), ran
    placed = await entered.until(order, status="payment-pending")
    assert any("new keys are in" in entry["detail"] for entry in placed["history"])

    again = await order_engine(*abort)
    assert "abort is not possible now; allowed is nothing: the order is not parked" in again.problem

    ran = await order_engine(*cancel, "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == await entered.until(order, status="canceled")
    closed = await order_engine(*retry)
    assert closed.problem == "order-engine: the order has ended as canceled; nothing is left to retry"


@pytest.mark.parametrize("by_customer", [True, False])
async def test_cancel_tells_who_wished_it_and_that_it_is_done(entered: Engine, *, by_customer: bool) -> None:
    order = await entered.placed()
    who = ["--by-customer"] if by_customer else []
    ran = await order_engine("orders", "cancel", order["marketplaceOrderId"], "--reason", "sold twice", *who)
    assert (ran.code, ran.out) == (0, "The order is canceled.\n")
    state = await entered.state(order)
    assert state.cancellation is not None
    assert (state.cancellation.reason, state.cancellation.requested_by_user) == ("sold twice", by_customer)


async def test_cancel_says_when_the_seller_has_not_decided(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with make_engine(cancel_check="1h") as engine:
        enter(monkeypatch, engine, tmp_path)
        await engine.switch(cancelLate="silent", cancelWindowSeconds=0)
        order = await engine.dispatched()
        ran = await order_engine("orders", "cancel", order["marketplaceOrderId"], "--reason", "late")
        assert ran.code == 0
        assert ran.out.startswith("Asked for; the Seller has not decided.")
        shown = (await order_engine("orders", "show", order["marketplaceOrderId"])).out
        assert "cancellation-requested" in shown
        assert "You can" not in shown


async def test_cancel_of_an_order_whose_workflow_was_terminated_claims_nothing(entered: Engine) -> None:
    order = await entered.placed()
    await entered.workflow(order).terminate("by mistake")
    ran = await order_engine("orders", "cancel", order["marketplaceOrderId"], "--reason", "late")
    assert "the order was stopped by force while payment-pending" in ran.problem


async def test_without_a_worker_cancel_is_kept_and_resume_says_what_to_start(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with make_engine() as engine:
        enter(monkeypatch, engine, tmp_path)
        order, stuck = await engine.placed(), await parked(engine)
        await engine.stop_worker()
        canceled, resumed = await asyncio.gather(
            process("orders", "cancel", order["marketplaceOrderId"], "--reason", "late"),
            order_engine("orders", "resume", stuck["marketplaceOrderId"], "retry"),
        )
        assert canceled.code == 0
        assert canceled.out.startswith("Asked for; no worker has answered yet: start one with `order-engine worker`.")
        assert resumed.problem.startswith("order-engine: no worker has answered; it will be done when one is back;")
        assert "order-engine worker" in resumed.problem
        await engine.start_worker()
        await engine.until(order, status="canceled")
        await engine.until(stuck, status="payment-pending")


async def test_a_sellers_words_cannot_command_the_terminal(entered: Engine) -> None:
    order = await entered.placed()
    await entered.seller_sends(order, "cancel", reason="\x1b[2J\x9b31m[bold]gone[/bold]\r\x07")
    await entered.until(order, status="canceled")
    shown = (await order_engine("orders", "show", order["marketplaceOrderId"])).out
    assert "[bold]gone[/bold]" in shown
    assert all(char.isprintable() or char == "\n" for char in shown)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TEMPORAL_ADDRESS": CLOSED}, f"Temporal does not answer at {CLOSED}"),
        ({"TEMPORAL_NAMESPACE": "nowhere"}, "no namespace nowhere: set TEMPORAL_NAMESPACE"),
        ({"ORDER_ENGINE_DATABASE_URL": f"postgresql://me:secret-word@{CLOSED}/o"}, "set ORDER_ENGINE_DATABASE_URL"),
        ({"ORDER_ENGINE_DATABASE_URL": "sqlite:////nowhere/o.sqlite3"}, "does not exist: start the worker"),
        ({"ORDER_ENGINE_SELLERS": "/nowhere/sellers.toml"}, "create it, or set the variable"),
        ({"ORDER_ENGINE_PORT": "many"}, "ORDER_ENGINE_PORT: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_what_is_away_is_told_in_one_line_with_what_to_do(
    entered: Engine, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    order = await entered.placed()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = await order_engine("orders", "cancel", order["marketplaceOrderId"], "--reason", "late", "--json")
    assert said in ran.problem
    assert "secret-word" not in ran.problem
    assert (await entered.get(order))["status"] == "payment-pending"


async def test_the_record_alone_answers_while_temporal_is_away(
    entered: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await entered.placed()
    monkeypatch.setenv("TEMPORAL_ADDRESS", CLOSED)
    for command in (("list",), ("show", order["marketplaceOrderId"])):
        ran = await order_engine("orders", *command)
        assert (ran.code, order["marketplaceOrderId"] in ran.out) == (0, True), ran


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "nobody-1"), 1, "no order has the id nobody-1; `order-engine orders list` shows the orders"),
        (("resume", "nobody-1", "retry"), 1, "no order has the id nobody-1"),
        (("cancel", "nobody-1", "--reason", "late"), 1, "no order has the id nobody-1"),
        (("show", "a b"), 2, "128 characters of A-Z"),
        (("show", "\udcff"), 2, "128 characters of A-Z"),
        (("cancel", "nobody-1"), 2, "--reason"),
        (("cancel", "nobody-1", "--reason", ""), 2, "1 to 500 characters"),
        (("cancel", "nobody-1", "--reason", "\udcff"), 2, "1 to 500 characters"),
        (("resume", "nobody-1", "explode"), 2, "retry"),
        (("resume", "nobody-1", "retry", "--note", "x" * 501), 2, "at most 500 characters"),
        (("list", "--cursor", "x"), 2, "not one of this list"),
        (("list", "--limit", "0"), 2, "--limit"),
        (("list", "--status", "lost"), 2, "payment-pending"),
        (("list", "--seller", "a/b"), 2, "128 characters of A-Z"),
    ],
)
async def test_an_unknown_order_is_1_and_a_wrong_usage_2(
    entered: Engine, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = await order_engine("orders", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
