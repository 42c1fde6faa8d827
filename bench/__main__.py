"""`python -m bench catalog` and `python -m bench orders`: measure, print tables and write JSON."""

import asyncio
import platform
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from bench import order_tables
from bench.imports import ImportFigures, RateFigures, measure_imports, measure_rate, run_import
from bench.measure import Cost, Load
from bench.notices import NoticeFigures, measure_notices
from bench.orders import (
    Callbacks,
    Creations,
    Fairness,
    Footprint,
    Latencies,
    Lives,
    Open,
    measure_callbacks,
    measure_carts,
    measure_creations,
    measure_fairness,
    measure_footprint,
    measure_lives,
    measure_open,
)
from bench.shop import Shop
from bench.stack import Stack, build_stack, round_name
from marketplace.process import leave
from marketplace.temporal import connect

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

RATIO_TARGET: Final = 0.8
SHARE_TARGET: Final = 0.9
ORDERS: Final = ("bursts", "scattered")
IN_FLIGHT: Final = (1, 8, 32)


class Figures(BaseModel):
    """When, and on what machine."""

    at: datetime
    python: str
    machine: str
    before: Load
    after: Load


class CatalogFigures(Figures):
    """All that a run has measured of the catalog."""

    imports: ImportFigures | None = None
    rate: RateFigures | None = None
    notices: list[NoticeFigures] = []


class OrderFigures(Figures):
    """All that a run has measured of orders."""

    lives: list[Lives] = []
    creations: list[Creations] = []
    carts: Latencies | None = None
    callbacks: Callbacks | None = None
    fairness: Fairness | None = None
    footprint: Footprint | None = None
    waiting: list[Open] = []


Measured = TypeVar("Measured", bound=Figures)


@app.callback()
def _bench() -> None:
    """Measurements of the engine, on this machine and nowhere else."""


@app.command()
def catalog(
    skus: Annotated[int, typer.Option(min=50, help="SKUs of the Seller that is imported.")] = 5000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Turns of import and floor.")] = 3,
    limited_skus: Annotated[int, typer.Option(min=50, help="SKUs of the Seller with a rate limit.")] = 2000,
    notices: Annotated[int, typer.Option(min=10, help="Notices, ten for each SKU.")] = 5000,
    full: Annotated[  # noqa: FBT002 - so Typer declares options
        bool, typer.Option("--full", help="50,000 notices over 5,000 SKUs.")
    ] = False,
    only: Annotated[str, typer.Option(help="Some of import, rate, notices, with commas.")] = "import,rate,notices",
    output: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path("bench/results/catalog.json"),
) -> None:
    """Import 5,000 SKUs beside the floor, keep a rate limit, take a storm of notices."""
    wanted = _words(only)
    out = _console()
    with _directory() as directory:
        stack = build_stack(directory, skus, limited_skus, rounds)
        measured = _lead(stack, _measure(stack, wanted, rounds, 50_000 if full else notices, out), out)
    _print(measured, out)
    _write(measured, output, out)


@app.command()
def orders(
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Turns of engine and floor.")] = 5,
    lives: Annotated[int, typer.Option(min=8, help="Order lives of each turn.")] = 64,
    full: Annotated[  # noqa: FBT002 - so Typer declares options
        bool, typer.Option("--full", help="Up to 10,000 open orders instead of 1,000.")
    ] = False,
    only: Annotated[
        str, typer.Option(help="Some of lives, create, carts, callbacks, fairness, open, with commas.")
    ] = "lives,create,carts,callbacks,fairness,open",
    output: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path("bench/results/orders.json"),
) -> None:
    """Lead orders through their lives beside bare Temporal workflows; time placements, carts and callbacks."""
    out = _console()
    waiting = [100, 1000, 10_000] if full else [100, 1000]
    # What is measured is the engine at its limit, and a life to its very end.
    changes = {"RATE_LIMIT": "0", "SELLER_RATE_LIMIT": "0", "RETURN_WINDOW": "1s"}
    with _directory() as directory:
        stack = build_stack(directory, skus=50, limited_skus=50, rounds=1, changes=changes)
        measured = _lead(stack, _measure_orders(stack, _words(only), rounds, lives, waiting, out), out)
    _print_orders(measured, out)
    _write(measured, output, out)


def _words(only: str) -> set[str]:
    return {word.strip() for word in only.split(",")}


def _console() -> Console:
    return Console(highlight=False, width=max(Console().width, 110))


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="order-engine-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _lead(stack: Stack, measuring: Coroutine[Any, Any, Measured], out: Console) -> Measured:
    measured = asyncio.run(stack.supervisor.lead(measuring))
    if measured is None:
        out.print("Stopped.")
        raise typer.Exit(130)
    return measured


def _write(measured: Figures, output: Path, out: Console) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(measured.model_dump_json(indent=2) + "\n", encoding="utf-8")
    out.print(f"\nBefore: {measured.before}; after: {measured.after}")
    out.print(f"\nAll figures: {output}")


async def _started(stack: Stack, kind: type[Measured], out: Console) -> Measured:
    before = Load.now()
    out.print(f"{platform.machine()}, Python {platform.python_version()}, {before}")
    with out.status("Starting Temporal, Sellers, worker and API"):
        await stack.supervisor.start()
    return kind(
        at=datetime.now(UTC),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        before=before,
        after=before,
    )


async def _measure(stack: Stack, wanted: set[str], rounds: int, notices: int, out: Console) -> CatalogFigures:
    figures = await _started(stack, CatalogFigures, out)
    if "import" in wanted:
        with out.status(f"Importing, {rounds} turns with the floor"):
            figures.imports = await measure_imports(stack, rounds)
    elif "notices" in wanted:
        with out.status("Importing, so that there is something to notify about"):
            await run_import(stack, round_name(0))
    if "rate" in wanted:
        with out.status("Importing under a rate limit"):
            figures.rate = await measure_rate(stack)
    if "notices" in wanted:
        for order in ORDERS:
            with out.status(f"Notices, {order}"):
                figures.notices.append(await measure_notices(stack, notices, notices // 10, order))
    figures.after = Load.now()
    return figures


async def _measure_orders(
    stack: Stack, wanted: set[str], rounds: int, lives: int, waiting: list[int], out: Console
) -> OrderFigures:
    figures = await _started(stack, OrderFigures, out)
    shop, client = await Shop.opened(stack), await connect(stack.settings)
    with out.status("Warming up"):
        await measure_lives(shop, client, in_flight=8, orders=16, rounds=1)
        figures.footprint = await measure_footprint(shop, client)
    if "lives" in wanted:
        for in_flight in IN_FLIGHT:
            with out.status(f"Order lives, {in_flight} in flight"):
                count = max(lives // 4, 8) if in_flight == 1 else lives
                figures.lives.append(await measure_lives(shop, client, in_flight, count, rounds))
    if "create" in wanted:
        for in_flight in (1, 20):
            with out.status(f"POST /orders, {in_flight} in flight"):
                figures.creations.append(await measure_creations(shop, client, in_flight, 200))
    if "carts" in wanted:
        with out.status("Carts"):
            figures.carts = await measure_carts(shop, 1000)
    if "callbacks" in wanted:
        with out.status("Callbacks"):
            figures.callbacks = await measure_callbacks(shop, client, 400, rounds)
    if "fairness" in wanted:
        with out.status("One Seller beside another's flood"):
            figures.fairness = await measure_fairness(shop, await Shop.opened(stack, round_name(1)), 200)
    if "open" in wanted:
        with out.status(f"Lives beside up to {waiting[-1]} open orders"):
            figures.waiting = await measure_open(shop, client, waiting, lives)
    figures.after = Load.now()
    return figures


# --- for people ---


def _print(figures: CatalogFigures, out: Console) -> None:
    if figures.imports:
        _print_imports(figures.imports, out)
    if figures.rate:
        _print_rate(figures.rate, out)
    if figures.notices:
        _print_notices(figures.notices, out)


def _print_orders(figures: OrderFigures, out: Console) -> None:
    if figures.lives:
        order_tables.lives(figures.lives, out)
    if figures.creations:
        order_tables.creations(figures.creations, out)
    if figures.carts:
        order_tables.carts(figures.carts, out)
    if figures.callbacks:
        order_tables.callbacks(figures.callbacks, out)
    if figures.fairness:
        order_tables.fairness(figures.fairness, out)
    if figures.footprint:
        order_tables.footprint(figures.footprint, out)
    if figures.waiting:
        order_tables.open_orders(figures.waiting, out)


def _print_imports(found: ImportFigures, out: Console) -> None:
    names = ("round", "import SKU/s", "floor SKU/s", "ratio", "worker ms/SKU", "floor ms/SKU", "others' CPU")
    table = Table(*names, title="Import")
    for number, one in enumerate(found.rounds, 1):
        floor = one.floor.skus / one.floor.seconds
        speeds = (f"{one.engine.skus_per_second:.1f}", f"{floor:.1f}", f"{one.ratio:.2f}")
        cpu = (f"{1000 * one.worker_cpu:.2f}", f"{1000 * one.floor_cpu:.2f}")
        table.add_row(str(number), *speeds, *cpu, f"{one.engine.others_cpu:.0%}")
    out.print(table)
    verdict = "met" if found.ratio >= RATIO_TARGET else "missed"
    out.print(
        f"median: {found.skus_per_second} of {found.floor_skus_per_second} SKUs/s, ratio {found.ratio},"
        f" target {RATIO_TARGET}: {verdict}; by CPU time {found.cpu_ratio}; {found.requests_per_sku} requests a SKU"
    )
    _print_costs(found.rounds[-1].engine.costs, found.rounds[-1].engine.skus, "SKU", out)


def _print_costs(costs: dict[str, Cost], count: int, unit: str, out: Console) -> None:
    table = Table("process", f"CPU ms/{unit}", "peak MiB")
    for name, cost in costs.items():
        table.add_row(name, f"{1000 * cost.cpu_seconds / count:.2f}", f"{cost.peak_mib:.0f}")
    out.print(table)


def _print_rate(found: RateFigures, out: Console) -> None:
    verdict = "met" if found.used_share >= SHARE_TARGET else "missed"
    out.print(
        f"\nRate limit {found.allowed_per_second:g}/s: {found.used_share:.1%} of it used in {found.run.seconds:.0f} s,"
        f" at most {found.most_in_a_second} in a second, {found.limited} refused; target {SHARE_TARGET:.0%}: {verdict}"
    )


def _print_notices(found: list[NoticeFigures], out: Console) -> None:
    names = ("order", "notices", "SKUs", "taken/s", "reads/SKU", "p50 s", "p99 s", "unseen", "others' CPU")
    table = Table(*names, title="Notices")
    for one in found:
        counts = (f"{one.notices}", f"{one.skus}", f"{one.accepted_per_second:.0f}", f"{one.readings_per_sku:.2f}")
        times = (f"{one.to_catalog_p50:.2f}", f"{one.to_catalog_p99:.2f}", f"{one.unseen}", f"{one.others_cpu:.0%}")
        table.add_row(one.order, *counts, *times)
    out.print(table)
    for one in found:
        out.print(f"{one.order}: answers {one.answers}")
        _print_costs(one.costs, one.notices, "notice", out)


if __name__ == "__main__":
    try:
        app()
    except SystemExit as ending:
        leave(ending.code if isinstance(ending.code, int) else int(ending.code is not None))
