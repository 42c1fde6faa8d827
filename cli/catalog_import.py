"""`order-engine catalog import`: starts an import, or joins the one that runs, and watches it to its end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from api.catalog_desk import CatalogDesk, ImportReport, ImportRuns
from cli.options import AsJson, check_id
from cli.output import clean, columns, console, print_json, show
from cli.session import CommandError, Desks, with_desks
from workflows.catalog_messages import Source

_POLL: Final = 0.2
_RUNNING: Final = "running"
_COMPLETED: Final = "completed"
_SILENCE: Final = 5.0
"""Seconds without a first count after which the person who waits is told where to look."""
_MINUTE: Final = 60


def import_catalog(
    seller: Annotated[str, typer.Argument(metavar="SELLER", help="The Seller's VTEX account.", callback=check_id)],
    source: Annotated[
        Source, typer.Option(help="What to read: the sales channel, what is sold here, or what failed.")
    ] = Source.ASSORTMENT,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and do not wait for its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read many SKUs of a Seller into the catalog. Joins an import of the same kind that runs already."""
    out = console()

    async def work(desks: Desks) -> ImportReport:
        joined = await _start(desks.catalog, seller, source)
        if not as_json:
            out.print(_told_of_start(seller, source, joined=joined), soft_wrap=True)
        if no_wait:
            return await desks.catalog.import_report(seller, source)
        with _bar(out, shown=not as_json) as tell:
            return await _follow(desks.catalog, seller, source, tell)

    try:
        report = with_desks(work)
    except KeyboardInterrupt:
        typer.echo("The import goes on. The same command joins it again.", err=True)
        raise
    _print(out, report, seller, as_json=as_json)


async def _start(desk: CatalogDesk, seller: str, source: Source) -> bool:
    """Start an import; whether one of its kind was running already."""
    try:
        await desk.start_import(seller, source)
    except ImportRuns:
        return True
    return False


async def _follow(desk: CatalogDesk, seller: str, source: Source, tell: Callable[[ImportReport], None]) -> ImportReport:
    """Tell how far the import is until it has ended."""
    while True:
        report = await desk.import_report(seller, source)
        tell(report)
        if report.state != _RUNNING:
            return report
        await asyncio.sleep(_POLL)


# --- for people ---


@contextmanager
def _bar(out: Console, *, shown: bool) -> Iterator[Callable[[ImportReport], None]]:
    """A bar on a terminal, and nothing anywhere else; gone at its end. Takes each report of the import."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        console=out,
        transient=True,
        disable=not (shown and out.is_terminal),
    )
    with bar:
        task = bar.add_task("Importing", total=None, told="counting the SKUs")
        begun = changed = time.monotonic()
        read, rate = 0, 0.0

        def tell(report: ImportReport) -> None:
            nonlocal changed, read, rate
            now = time.monotonic()
            if report.done + report.failed != read:
                # Measured when a page has come in: in between it would seem to sink.
                read, rate, changed = report.done + report.failed, report.rate_per_second, now
            if report.total is None:
                silent = now - begun > _SILENCE
                told = "not counted yet: `order-engine doctor` tells why" if silent else "counting the SKUs"
            else:
                told = _told_of_progress(report, rate, now - changed)
            if report.last_problem:
                told += f"; tried again: {clean(report.last_problem)}"
            bar.update(task, total=report.total, completed=read, told=told)

        yield tell


def _told_of_progress(report: ImportReport, rate: float, since: float) -> str:
    """How far, how fast, and how long it will take. `rate` in SKUs a second, as it was `since` seconds ago."""
    read = report.done + report.failed
    told = [f"{read} of {report.total}"]
    if report.failed:
        told.append(f"{report.failed} failed")
    if rate and report.total is not None:
        left = max((report.total - read) / rate - since, 0)
        told += [f"{rate:.0f} SKUs/s", f"{_duration(left)} left"]
    return ", ".join(told)


def _told_of_start(seller: str, source: Source, *, joined: bool) -> str:
    if joined:
        return f"An import of this kind ({source}) runs already for {seller}: joined it."
    return f"The import ({source}) of {seller} has started."


def _print(out: Console, report: ImportReport, seller: str, *, as_json: bool) -> None:
    ended_badly = report.state not in {_RUNNING, _COMPLETED}
    if as_json:
        print_json(report)
        if ended_badly:
            raise typer.Exit(1)
        return
    command = f"order-engine catalog import {seller}"
    if report.state == _RUNNING:
        out.print(f"`{command} --source {report.source}` joins it and waits for its end.", soft_wrap=True)
        return
    if report.ended_at is not None:
        took = _duration((report.ended_at - report.started_at).total_seconds())
        failed = f", {report.failed} failed" if report.failed else ""
        told = f"{report.done} SKUs read{failed} in {took} ({report.rate_per_second:g} SKUs/s)."
        out.print(told, style="yellow" if report.failed else "green", soft_wrap=True)
    if report.failed_skus:
        _print_failed(out, report, seller)
    if ended_badly:
        raise CommandError(
            f"the import has ended as {report.state}: see workflow {report.import_id} in Temporal's UI,"
            f" and start it again with `{command} --source {report.source}`"
        )


def _print_failed(out: Console, report: ImportReport, seller: str) -> None:
    out.print("\nFailed", style="bold")
    table = columns("SKU", "CODE", "WHY")
    for sku in report.failed_skus:
        table.add_row(sku.id, sku.problem.code, clean(sku.problem.message))
    show(out, table)
    if report.failed > len(report.failed_skus):
        out.print(f"\nAll of them: order-engine catalog list {seller} --status failed", soft_wrap=True)
    out.print(f"\nTry them again: order-engine catalog import {seller} --source failed", soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - two figures are enough
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
