"""`order-engine orders`: the operator's work with orders from a terminal."""

import shlex
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Console

from api.desk import Answer, Outcome
from cli.need import Asked, InNeed, find_in_need, find_with_standing
from cli.options import AsJson, Cursor, check_id, usage
from cli.output import clean, columns, console, minute, moment, pairs, print_json, show
from cli.session import CommandError, with_desk, with_desks
from cli.stuck import TASKS_FAIL
from marketplace.money import as_text
from marketplace.orders import (
    Action,
    CancelRequest,
    InvoiceType,
    Order,
    OrderStatus,
    ResumeRequest,
)
from marketplace.rules import cancel_conflict, has_open_invoice
from marketplace.store.base import OrderPage
from workflows.policies import order_workflow_id

app = typer.Typer(help="See orders, and decide about those that need attention.", no_args_is_help=True)

_MEANINGS: Final = {
    Action.RETRY: "try the failed step again",
    Action.ABORT: "end it; what the Seller has of it is canceled there",
}
_OF_A_CANCELLATION: Final = {
    Action.RETRY: "ask the Seller again",
    Action.ABORT: "close it without the Seller's word; settle with the Seller what it has of it",
}
_OF_A_FLAG: Final = {Action.RETRY: "accept what was flagged"}
_CANCELING: Final = {OrderStatus.CANCELLATION_REQUESTED, OrderStatus.PAYMENT_DENIED, OrderStatus.EXPIRED}
_WIDE: Final = 105


Id = Annotated[str, typer.Argument(metavar="ID", help="The order's marketplaceOrderId.", callback=check_id)]


@app.command("list")
def list_orders(
    status: Annotated[OrderStatus | None, typer.Option(help="Only orders in this status.")] = None,
    seller: Annotated[str | None, typer.Option(help="Only orders of this Seller.", callback=check_id)] = None,
    needs_attention: Annotated[bool, typer.Option("--needs-attention", help="Only orders that wait for you.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Orders a page.")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    asked = Asked(status, seller, limit, cursor)
    with usage("--cursor", "not one of this list: start without one"):
        in_need = with_desks(partial(find_in_need, asked)) if needs_attention else None
        page = in_need or with_desk(lambda desk: desk.page(status, seller, None, limit, cursor))
    filters = ["--status", status] if status else []
    filters += ["--seller", seller] if seller else []
    filters += ["--needs-attention"] if needs_attention else []
    filters += ["--limit", str(limit)] if limit != 50 else []  # noqa: PLR2004 - the default above
    if as_json:
        print_json(page)
    else:
        _print_page(page, shlex.join(filters))
    if in_need and in_need.failing is None:
        raise CommandError(f"orders that a bug holds up may be missing here: {in_need.untold}")


@app.command("show")
def show_order(marketplace_order_id: Id, as_json: AsJson = False) -> None:
    """Show one order: where it stands, what you can do about it, and how it came there."""
    if as_json:
        print_json(with_desk(lambda desk: desk.find(marketplace_order_id)))
        return
    order, held_up = with_desks(partial(find_with_standing, marketplace_order_id))
    _print_order(order, held_up)


@app.command("resume")
def resume_order(
    marketplace_order_id: Id,
    action: Annotated[Action, typer.Argument(help="retry: try the failed step again. abort: end the order.")],
    note: Annotated[str, typer.Option(help="Why; kept in the order's history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Decide about an order that needs attention."""
    with usage("--note", "at most 500 characters"):
        request = ResumeRequest(action=action, note=note)
    order = with_desk(lambda desk: desk.resume(marketplace_order_id, request.action, request.note))
    if as_json:
        print_json(order)
        return
    out = console()
    if order.needs_attention and order.reason:
        out.print(f"{action} was taken, and the order needs attention again: {clean(order.reason.message)}")
    else:
        out.print(f"{action} was taken; the order is {order.status}.")


@app.command("erase")
def erase_order(
    marketplace_order_id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase the customer's data of an order that has ended, for ever. Ids, statuses, items and values stay."""
    if not yes:
        question = f"Erase all texts, numbers and links of {marketplace_order_id}, and its workflow in Temporal?"
        typer.confirm(f"{question} This cannot be undone", abort=True, err=True)
    order = with_desk(lambda desk: desk.erase(marketplace_order_id))
    if as_json:
        print_json(order)
    else:
        console().print(f"Erased; the order stays as {order.status}, with its items and values.")


@app.command("cancel")
def cancel_order(
    marketplace_order_id: Id,
    reason: Annotated[str, typer.Option(help="Why; the Seller reads it.")],
    by_customer: Annotated[bool, typer.Option("--by-customer", help="The customer wishes it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask to cancel an order. The Seller may take its time to decide, or refuse."""
    with usage("--reason", "1 to 500 characters"):
        request = CancelRequest(reason=reason, requested_by_user=by_customer)
    answer = with_desk(lambda desk: desk.cancel(marketplace_order_id, request))
    if as_json:
        print_json(answer.order)
    else:
        console().print(_told_of_cancel(answer), soft_wrap=True)


def _told_of_cancel(answer: Answer) -> str:
    order = answer.order
    later = f"`order-engine orders show {order.marketplace_order_id}` tells how it goes on."
    if answer.outcome is Outcome.DONE:
        return f"The order is {order.status}."
    if order.needs_attention and order.reason:
        return f"Asked for, but the order needs attention: {clean(order.reason.message)}. {later}"
    if order.status is OrderStatus.CANCELLATION_REQUESTED:
        return f"Asked for; the Seller has not decided. {later}"
    return f"Asked for; no worker has answered yet: start one with `order-engine worker`. {later}"


# --- for people ---


def _print_page(page: OrderPage, filters: str) -> None:
    out = console()
    in_need = page if isinstance(page, InNeed) else InNeed(orders=page.orders)
    if not (page.orders or in_need.unparked or in_need.unrecorded):
        out.print("No orders.")
        return
    failing = {one.workflow_id for one in in_need.failing or []}
    names = ["ID", "SELLER", "STATUS", "ATTENTION", "VALUE", "UPDATED (UTC)", "CREATED (UTC)"]
    # On a narrow terminal one time is enough, rather than to break every line.
    names = names if out.width >= _WIDE else names[:-1]
    table = columns(*names)
    table.columns[4].justify = "right"
    for one in in_need.unrecorded:
        table.add_row(one.marketplace_order_id, one.seller, "", TASKS_FAIL, style="bold red")
    for order in (*in_need.unparked, *page.orders):
        fails = order_workflow_id(order.seller, order.marketplace_order_id) in failing
        attention = _attention(order, fails=fails)
        cells = (
            order.marketplace_order_id,
            order.seller,
            order.status,
            attention,
            as_text(order.marketplace_payment_value),
            minute(order.history[-1].at),
            minute(order.history[0].at),
        )
        table.add_row(*cells[: len(names)], style="bold red" if attention else None)
    show(out, table)
    if failing:
        out.print(f"\n{TASKS_FAIL}: a bug holds these up; a worker that mends it brings them on", soft_wrap=True)
    if more := (in_need.failing_count or 0) - len(failing):
        out.print(f"{more} more of them are not shown: --limit shows up to 200, doctor counts all", soft_wrap=True)
    if page.next_cursor:
        parts = ("order-engine orders list", filters, f"--cursor {page.next_cursor}")
        out.print(f"\nMore: {' '.join(filter(None, parts))}", soft_wrap=True)


def _attention(order: Order, *, fails: bool) -> str:
    reason = (order.reason.code if order.reason else "yes") if order.needs_attention else ""
    return ", ".join(filter(None, (reason, TASKS_FAIL if fails else "")))


def _print_order(order: Order, held_up: list[str]) -> None:
    out = console()
    out.print(f"{order.marketplace_order_id} at {order.seller}", style="bold")
    show(out, pairs(*_facts(order), *(("held up" if not place else "", told) for place, told in enumerate(held_up))))
    if commands := _commands(order):
        _heading(out, "You can")
        for command, meaning in commands:
            out.print(f"  {command}", style="cyan", soft_wrap=True)
            out.print(f"      {meaning}", soft_wrap=True)
    _print_items(out, order)
    _print_invoices(out, order)
    _print_packages(out, order)
    _heading(out, "History")
    timeline = columns("TIME (UTC)", "STATUS", "WHAT")
    for entry in order.history:
        timeline.add_row(moment(entry.at), entry.status, clean(entry.detail))
    show(out, timeline)


def _facts(order: Order) -> list[tuple[str, str]]:
    facts = [("status", f"{order.status}{', needs attention' if order.needs_attention else ''}")]
    if order.reason:
        facts.append(("reason", f"{order.reason.code}: {order.reason.message}"))
    facts += [
        ("Seller's order id", order.order_id or "none yet"),
        ("value", as_text(order.marketplace_payment_value)),
        ("invoiced", as_text(order.invoiced_value)),
    ]
    if order.expires_at and order.status is OrderStatus.PAYMENT_PENDING:
        facts.append(("expires unpaid", f"{moment(order.expires_at)} UTC"))
    return [*facts, ("workflow", order_workflow_id(order.seller, order.marketplace_order_id))]


def _commands(order: Order) -> list[tuple[str, str]]:
    """What may be done with an order, as command lines with their meaning."""
    name = (
        f"-- {order.marketplace_order_id}" if order.marketplace_order_id.startswith("-") else order.marketplace_order_id
    )
    meanings = _OF_A_CANCELLATION if order.status in _CANCELING else _MEANINGS
    meanings = meanings if Action.ABORT in order.allowed_actions else _OF_A_FLAG
    commands = [(f"order-engine orders resume {name} {action}", meanings[action]) for action in order.allowed_actions]
    conflict = cancel_conflict(order.status, has_open_invoice=has_open_invoice(order.invoices))
    if conflict is None and order.status not in {OrderStatus.CANCELED, OrderStatus.CANCELLATION_REQUESTED}:
        commands.append((f"order-engine orders cancel --reason TEXT {name}", "ask the Seller to cancel it"))
    return commands


def _heading(out: Console, text: str) -> None:
    out.print(f"\n{text}", style="bold")


def _print_items(out: Console, order: Order) -> None:
    _heading(out, "Items")
    table = columns("SKU", "QUANTITY", "PRICE", "SUM")
    for item in order.items:
        table.add_row(item.id, str(item.quantity), as_text(item.price), as_text(item.price * item.quantity))
    show(out, table)


def _print_invoices(out: Console, order: Order) -> None:
    if not order.invoices:
        return
    _heading(out, "Invoices")
    table = columns("NUMBER", "KIND", "VALUE", "ISSUED (UTC)", "URL")
    for invoice in order.invoices:
        table.add_row(
            clean(invoice.invoice_number),
            "sale" if invoice.type is InvoiceType.OUTPUT else "return",
            "" if invoice.invoice_value is None else as_text(invoice.invoice_value),
            moment(invoice.issuance_date) if invoice.issuance_date else "",
            clean(invoice.invoice_url or ""),
        )
    show(out, table)


def _print_packages(out: Console, order: Order) -> None:
    if not order.packages:
        return
    _heading(out, "Packages")
    table = columns("INVOICE", "COURIER", "TRACKING", "DELIVERED", "LAST EVENT", "URL")
    for package in order.packages:
        last = package.events[-1].description if package.events else None
        table.add_row(
            clean(package.invoice_number),
            clean(package.courier or ""),
            clean(package.tracking_number or ""),
            "yes" if package.is_delivered else "no",
            clean(last or ""),
            clean(package.tracking_url or ""),
        )
    show(out, table)
