"""`order-engine webhooks`: what the storefront was told, and telling it again."""

import asyncio
import shlex
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import uuid4

import typer

from cli.options import AsJson, Cursor, check_id, usage
from cli.output import clean, columns, console, moment, pairs, print_json, show
from cli.session import CommandError, with_desks
from marketplace.orders import Model
from marketplace.settings import PREFIX, load_settings, parse_duration
from marketplace.store.base import DeliveryPage
from marketplace.storefront import open_storefront
from marketplace.webhooks import Attempt, Delivery, DeliveryState, Ping
from workflows.webhook_policies import webhook_workflow_id

app = typer.Typer(help="See what the storefront was told of orders, and tell it again.", no_args_is_help=True)

_PAGE: Final = 50
_STYLES: Final = {DeliveryState.PENDING: "yellow", DeliveryState.FAILED: "bold red"}


class Resent(Model):
    """How many events are to be sent anew."""

    webhooks: int


def _check_period(value: str | None) -> str | None:
    if value is not None:
        try:
            parse_duration(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return value


Order = Annotated[str | None, typer.Option(help="Only of this marketplaceOrderId.", callback=check_id)]
Since = Annotated[
    str | None,
    typer.Option(help="Only of what happened since then, such as 24h or 7d ago.", callback=_check_period),
]
Failed = Annotated[bool, typer.Option("--failed", help="Only those that were given up.")]
Pending = Annotated[bool, typer.Option("--pending", help="Only those that are not taken yet.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The event's id, its webhook-id.", callback=check_id)]


@app.command("list")
def list_webhooks(
    order: Order = None,
    failed: Failed = False,
    pending: Pending = False,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Lines a page.")] = _PAGE,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List what the storefront was told, or is to be told, newest first."""
    state, start = _state(failed, pending), _start(since)
    with usage("--cursor", "not one of this list: start without one"):
        page = with_desks(lambda desks: desks.webhooks.page(order, state, start, limit, cursor))
    if as_json:
        print_json(page)
        return
    filters = ["--order", order] if order else []
    filters += [f"--{state}"] if state else []
    filters += ["--since", since] if since else []
    filters += ["--limit", str(limit)] if limit != _PAGE else []
    _print_page(page, shlex.join(filters))


@app.command("show")
def show_webhook(event_id: Id, as_json: AsJson = False) -> None:
    """Show one event, and what became of telling it."""
    event = with_desks(lambda desks: desks.webhooks.find(event_id))
    if as_json:
        print_json(event)
    else:
        _print_event(event)


@app.command("resend")
def resend_webhooks(
    event_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The event's id, its webhook-id.", callback=check_id)
    ] = None,
    order: Order = None,
    failed: Failed = False,
    pending: Pending = False,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Send events anew: one, those of an order, or all that failed. Their ids and sequence stay the same."""
    state, start = _state(failed, pending), _start(since)
    if (event_id is None) == (order is None and state is None):
        raise typer.BadParameter("name one event, or some by --order, --failed or --pending")
    if event_id is not None:
        event = with_desks(lambda desks: desks.webhooks.resend(event_id))
        count, told = 1, f"event {event.sequence} of order {event.marketplace_order_id}"
    else:
        count = with_desks(lambda desks: desks.webhooks.resend_all(order, state, start))
        told = f"{count} webhook{'' if count == 1 else 's'}"
    if as_json:
        print_json(Resent(webhooks=count))
    else:
        console().print(f"To be sent: {told}." if count else "There is nothing to send.", soft_wrap=True)


@app.command("test")
def send_ping(as_json: AsJson = False) -> None:
    """Send a signed trial event from this machine to the storefront's address, once."""
    attempt = asyncio.run(_ping())
    if attempt.error is not None:
        raise CommandError(f"the storefront did not take it: {attempt.error}")
    if as_json:
        print_json(attempt)
    else:
        console().print(f"The storefront took it (HTTP {attempt.status}).")


async def _ping() -> Attempt:
    storefront = open_storefront(load_settings())
    if storefront is None:
        raise CommandError(f"{PREFIX}WEBHOOK_URL is not set: nothing can be sent")
    try:
        body = Ping(timestamp=datetime.now(UTC)).model_dump_json()
        return await storefront.send(f"ping_{uuid4().hex}", body)
    finally:
        await storefront.aclose()


def _state(failed: bool, pending: bool) -> DeliveryState | None:
    if failed and pending:
        raise typer.BadParameter("--failed or --pending, not both")
    return DeliveryState.FAILED if failed else DeliveryState.PENDING if pending else None


def _start(since: str | None) -> datetime | None:
    period = parse_duration(since)
    return datetime.now(UTC) - period if isinstance(period, timedelta) else None


# --- for people ---


def _print_page(page: DeliveryPage, filters: str) -> None:
    out = console()
    if not page.deliveries:
        out.print("No webhooks.")
        return
    table = columns("TIME (UTC)", "ORDER", "SEQUENCE", "STATUS", "STATE", "TRIES", "LAST ERROR", "ID")
    for number in (2, 5):
        table.columns[number].justify = "right"
    for event in page.deliveries:
        table.add_row(
            moment(event.occurred_at),
            event.marketplace_order_id,
            str(event.sequence),
            _what(event),
            event.state,
            str(event.attempts),
            clean(event.last_error or ""),
            event.id,
            style=_STYLES.get(event.state),
        )
    show(out, table)
    if page.next_cursor:
        parts = ("order-engine webhooks list", filters, f"--cursor {page.next_cursor}")
        out.print(f"\nMore: {' '.join(filter(None, parts))}", soft_wrap=True)


def _what(event: Delivery) -> str:
    kind = event.type.removeprefix("order.")
    return event.status if kind == "status-changed" else f"{event.status}, {kind}"


def _print_event(event: Delivery) -> None:
    out = console()
    out.print(event.id, style="bold")
    facts = [
        ("type", event.type),
        ("order", f"{event.marketplace_order_id} at {event.seller}"),
        ("status", event.status),
        ("sequence", str(event.sequence)),
        ("happened", f"{moment(event.occurred_at)} UTC"),
        ("state", event.state),
        ("tries", str(event.attempts)),
    ]
    if event.last_attempt_at:
        facts.append(("last try", f"{moment(event.last_attempt_at)} UTC"))
    if event.last_status:
        facts.append(("last answer", f"HTTP {event.last_status}"))
    if event.last_error:
        facts.append(("last error", event.last_error))
    if event.delivered_at:
        facts.append(("delivered", f"{moment(event.delivered_at)} UTC"))
    facts.append(("workflow", webhook_workflow_id(event.seller, event.marketplace_order_id)))
    show(out, pairs(*facts))
    if event.state is not DeliveryState.PENDING:
        out.print("\nYou can", style="bold")
        out.print(f"  order-engine webhooks resend {event.id}", style="cyan", soft_wrap=True)
