"""`order-engine catalog`: the operator's work with offers from a terminal."""

import shlex
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from api.temporal_calls import SellerUnknown
from cli.catalog_import import import_catalog
from cli.options import AsJson, Cursor, check_id, usage
from cli.output import clean, columns, console, minute, moment, pairs, print_json, show
from cli.session import Desks, with_desks
from marketplace.catalog import Decision, Offer, OfferStatus, Problem, SkuData, SkuId
from marketplace.journal import JournalStatus, LogMessage, LogMessages
from marketplace.money import as_text
from marketplace.store.base import JournalPage, OfferPage
from workflows.catalog_policies import sku_workflow_id

app = typer.Typer(help="See the offers, import them, and decide about those that wait.", no_args_is_help=True)
app.command("import")(import_catalog)

_sku_id: TypeAdapter[str] = TypeAdapter(SkuId)
_PAGE: Final = 50
_WIDE: Final = 120
_STYLES: Final = {
    OfferStatus.PENDING: "yellow",
    OfferStatus.BLOCKED: "yellow",
    OfferStatus.FAILED: "bold red",
    JournalStatus.WARNING: "yellow",
    JournalStatus.PENDING: "yellow",
    JournalStatus.ERROR: "bold red",
}


class Choice(StrEnum):
    INCLUDE = "include"
    EXCLUDE = "exclude"


def _check_sku(value: str) -> str:
    try:
        return _sku_id.validate_python(value)
    except ValidationError:
        raise typer.BadParameter("a SKU's id is a number of at most 10 digits") from None


def _check_statuses(value: str) -> str:
    _statuses(value)
    return value


def _statuses(text: str) -> set[JournalStatus]:
    """Read what the API's filter takes: all, or some statuses with commas, VTEX's spellings too."""
    try:
        return {JournalStatus(word) for word in text.split(",") if word.strip() not in {"", "all"}}
    except ValueError:
        raise typer.BadParameter(f"all, or some of {', '.join(JournalStatus)} with commas") from None


Seller = Annotated[str, typer.Argument(metavar="SELLER", help="The Seller's VTEX account.", callback=check_id)]
Sku = Annotated[str, typer.Argument(metavar="SKU", help="The SKU's id at the Seller.", callback=_check_sku)]
Limit = Annotated[int, typer.Option(min=1, max=500, help="Lines a page.")]


@app.command("show")
def show_offer(seller: Seller, sku: Sku, as_json: AsJson = False) -> None:
    """Show one offer: where it stands and why, what it costs, and what the Seller says about it."""
    offer = with_desks(lambda desks: desks.catalog.find(seller, sku))
    if as_json:
        print_json(offer)
    else:
        _print_offer(offer)


@app.command("list")
def list_offers(
    seller: Seller,
    status: Annotated[OfferStatus | None, typer.Option(help="Only offers in this status.")] = None,
    limit: Limit = _PAGE,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List a Seller's offers, by SKU id."""
    with usage("--cursor", "not one of this list: start without one"):
        page = with_desks(lambda desks: desks.catalog.page(seller, status, limit, cursor))
    if as_json:
        print_json(page)
        return
    filters = ["--status", status] if status else []
    _print_offers(page, shlex.join(["list", seller, *filters, *_limit(limit)]))


@app.command("decide")
def decide(
    seller: Seller,
    sku: Sku,
    choice: Annotated[Choice, typer.Argument(help="include: sell it here. exclude: do not.")],
    as_json: AsJson = False,
) -> None:
    """Decide whether a SKU is sold here. It stands until you decide otherwise."""
    offer = with_desks(lambda desks: desks.catalog.decide(seller, sku, include=choice is Choice.INCLUDE))
    if as_json:
        print_json(offer)
        return
    why = "".join(f"; {problem.message}" for problem in _reasons(offer) if choice is Choice.INCLUDE)
    console().print(f"SKU {offer.id} of {offer.seller} is {offer.status}{clean(why)}", soft_wrap=True)


@app.command("logs")
def show_logs(
    seller: Seller,
    day: Annotated[
        datetime | None,
        typer.Option(
            "--date", formats=["%Y-%m-%d"], metavar="DAY", help="Only of this day, such as 2026-11-23, in UTC."
        ),
    ] = None,
    status: Annotated[
        str,
        typer.Option(help="all, or some of success, warning, error, pending with commas.", callback=_check_statuses),
    ] = "all",
    limit: Limit = _PAGE,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Show what was exchanged with a Seller, newest first, in VTEX's words."""
    on = day.date() if day else None
    with usage("--cursor", "not one of this log: start without one"):
        page = with_desks(lambda desks: _log_page(desks, seller, on, status, limit, cursor))
    if as_json:
        print_json(LogMessages(messages=list(map(LogMessage.of, page.entries)), next_cursor=page.next_cursor))
        return
    filters = ["--date", f"{on}"] if on else []
    filters += ["--status", status] if status != "all" else []
    _print_logs(page, shlex.join(["logs", seller, *filters, *_limit(limit)]))


async def _log_page(
    desks: Desks, seller: str, day: date | None, status: str, limit: int, cursor: str | None
) -> JournalPage:
    if seller not in desks.sellers:
        raise SellerUnknown(f"seller {seller} is not configured; configured: {', '.join(sorted(desks.sellers))}")
    return await desks.journal.page(seller, day, _statuses(status), limit, cursor)


def _limit(limit: int) -> list[str]:
    return ["--limit", str(limit)] if limit != _PAGE else []


# --- for people ---


def _print_offers(page: OfferPage, command: str) -> None:
    out = console()
    if not page.offers:
        out.print("No offers.")
        return
    table = columns("SKU", "STATUS", "PRICE", "STOCK", "READ (UTC)", "NAME", "WHY")
    for number in (2, 3):
        table.columns[number].justify = "right"
    for offer in page.offers:
        table.add_row(
            offer.id,
            offer.status,
            _amount(offer.price),
            _units(offer.stock),
            minute(offer.last_synced_at) if offer.last_synced_at else "never",
            clean(_name(offer.data)),
            ", ".join(problem.code for problem in _reasons(offer)),
            style=_STYLES.get(offer.status),
        )
    show(out, table)
    _print_more(out, command, page.next_cursor)


def _print_logs(page: JournalPage, command: str) -> None:
    out = console()
    if not page.entries:
        out.print("Nothing was exchanged.")
        return
    names = ["TIME (UTC)", "SUBJECT", "OPERATION", "STATUS", "CODE", "MESSAGE"]
    # On a narrow terminal the message tells what the operation was, and needs its room.
    wide = out.width >= _WIDE
    table = columns(*(name for name in names if wide or name != "OPERATION"))
    for entry in page.entries:
        cells = [moment(entry.at), entry.subject, *([entry.operation] if wide else []), entry.status]
        table.add_row(*cells, entry.code or "", clean(entry.business_message), style=_STYLES.get(entry.status))
    show(out, table)
    _print_more(out, command, page.next_cursor)


def _print_more(out: Console, command: str, cursor: str | None) -> None:
    if cursor:
        out.print(f"\nMore: order-engine catalog {command} --cursor {cursor}", soft_wrap=True)


def _print_offer(offer: Offer) -> None:
    out = console()
    out.print(f"SKU {offer.id} of {offer.seller}", style="bold")
    show(out, pairs(*_facts(offer)))
    if commands := _commands(offer):
        out.print("\nYou can", style="bold")
        for command, meaning in commands:
            out.print(f"  {command}", style="cyan", soft_wrap=True)
            out.print(f"      {meaning}", soft_wrap=True)
    if offer.data is not None:
        out.print("\nWhat the Seller says about it", style="bold")
        show(out, pairs(*_data_facts(offer.data)))
    if offer.slas:
        out.print("\nShipping options", style="bold")
        table = columns("ID", "ESTIMATE", "PRICE")
        for sla in offer.slas:
            table.add_row(clean(sla.id), clean(sla.shipping_estimate or ""), as_text(sla.price))
        show(out, table)


def _facts(offer: Offer) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = [("status", offer.status)]
    facts += [
        ("why", f"{problem.code}: {problem.message}") for problem in _reasons(offer) if problem is not offer.last_error
    ]
    if offer.decision and offer.decided_by:
        facts.append(("decision", f"{offer.decision}, by {offer.decided_by}"))
    facts += [
        ("price", _amount(offer.price) or "unknown"),
        ("list price", _amount(offer.list_price) or "unknown"),
        ("stock", _units(offer.stock)),
        ("availability", offer.availability or "not read"),
        ("last read", _time(offer.last_synced_at)),
        ("last changed", _time(offer.changed_at)),
    ]
    if offer.last_error:
        tries = f"after {offer.attempts} tries" if offer.attempts > 1 else "after one try"
        facts.append(("last error", f"{offer.last_error.code}: {offer.last_error.message} ({tries})"))
    return [*facts, ("workflow", sku_workflow_id(offer.seller, offer.id))]


def _data_facts(data: SkuData) -> list[tuple[str, str]]:
    facts = [
        ("name", data.name),
        ("product", f"{data.product_id} {data.product_name}".strip()),
        ("active", f"SKU {_yes(data.is_active)}, product {_yes(data.is_product_active)}"),
        ("sales channels", ", ".join(map(str, data.sales_channels)) or "none"),
        ("brand", f"{data.brand.id} {data.brand.name}".strip() if data.brand else ""),
        ("categories", " > ".join(f"{one.id} {one.name}".strip() for one in data.categories)),
        ("EAN", data.ean or ""),
        ("RefId", data.ref_id or ""),
        ("images", " ".join(image.url for image in data.images)),
    ]
    facts += [(one.name, ", ".join(one.values)) for one in data.specifications]
    return [(clean(name), value) for name, value in facts if value]


def _commands(offer: Offer) -> list[tuple[str, str]]:
    """What may be done with an offer, as command lines with their meaning."""
    commands = []
    decide_it = f"order-engine catalog decide {offer.seller} {offer.id}"
    if offer.failed:
        again = f"order-engine catalog import {offer.seller} --source failed"
        commands.append((again, "read anew everything of this Seller that was given up"))
    if offer.decision in {Decision.PENDING, Decision.EXCLUDED}:
        commands.append((f"{decide_it} include", "sell it here"))
    if offer.decision in {Decision.PENDING, Decision.INCLUDED}:
        commands.append((f"{decide_it} exclude", "do not sell it here, until you decide otherwise"))
    return commands


def _reasons(offer: Offer) -> list[Problem]:
    """Why an offer is not sold now."""
    if offer.status is OfferStatus.FAILED:
        return [offer.last_error] if offer.last_error else []
    return {OfferStatus.BLOCKED: offer.blocks, OfferStatus.EXCLUDED: offer.objections}.get(offer.status, [])


def _name(data: SkuData | None) -> str:
    if data is None:
        return ""
    # A SKU's own name may be "blue".
    return data.name if data.name.startswith(data.product_name) else f"{data.product_name} {data.name}"


def _amount(cents: int | None) -> str:
    return "" if cents is None else as_text(cents)


def _units(stock: int | None) -> str:
    return "not told" if stock is None else str(stock)


def _time(at: datetime | None) -> str:
    return f"{moment(at.astimezone(UTC))} UTC" if at else "never"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
