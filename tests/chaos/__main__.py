"""`python -m tests.chaos`: break everything, by a seed, and count what was lost or done twice."""

import asyncio
import logging
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from marketplace.process import leave
from tests.chaos.invariants import INVARIANTS
from tests.chaos.plan import draw
from tests.chaos.run import Report, run

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def chaos(
    orders: Annotated[int, typer.Option(min=1, max=10_000, help="Orders of each run.")] = 1000,
    per_second: Annotated[float, typer.Option(min=0.1, max=100, help="Orders posted in a second.")] = 4,
    kills: Annotated[int, typer.Option(min=0, max=1000, help="SIGKILLs of each run.")] = 60,
    faults: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the Seller's answers that go wrong.")] = 0.3,
    seeds: Annotated[str, typer.Option(help="One run for each, with commas.")] = "1,2,3,4,5",
    output: Annotated[Path, typer.Option(help="Where the reports go.")] = Path("bench/results/chaos.json"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the directories with logs and databases.")] = False,
) -> None:
    """Run the engine while it is being broken, then check that nothing was lost and nothing done twice."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    out = Console(highlight=False, width=max(Console().width, 120))
    reports = []
    for seed in [int(word) for word in seeds.split(",")]:
        directory = Path(tempfile.mkdtemp(prefix=f"order-engine-chaos-{seed}-"))
        try:
            plan = draw(seed, orders, per_second, kills)
            with out.status(f"seed {seed}: {orders} orders in {plan.seconds:.0f} s, {plan.kills} kills"):
                report = asyncio.run(run(plan, directory, faults))
        finally:
            if keep:
                out.print(f"logs and databases: {directory}")
            else:
                shutil.rmtree(directory, ignore_errors=True)
        reports.append(report)
        show(report, out)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(TypeAdapter(list[Report]).dump_json(reports, indent=2))
    out.print(as_markdown(reports), markup=False, soft_wrap=True)
    raise typer.Exit(1 if any(report.violations for report in reports) else 0)


def as_markdown(reports: list[Report]) -> str:
    """The rows of the table in docs/reliability.md."""
    columns: dict[str, Callable[[Report], str]] = {
        "Seed": lambda report: str(report.seed),
        "Orders": lambda report: f"{report.orders:,}",
        "Kills": lambda report: f"{report.kills}: {_listed(report.kills_of)}",
        "Other blows": lambda report: str(sum(report.blows.values()) - report.kills),
        "Seller answers until the healing, wrong ones": lambda report: (
            f"{report.answers_until_healed:,}, {report.faulty_share_until_healed:.0%}"
        ),
        "Lost by the network": lambda report: f"{sum(report.network.values()):,}",
        "Reports of the Seller, refused ones": lambda report: (
            f"{report.callbacks:,}, {sum(report.refused_callbacks.values())}"
        ),
        "Parked": lambda report: f"{sum(report.parked.values())}: {_listed(report.parked)}",
        "Took": lambda report: f"{report.seconds:.0f} s",
        "Invariants broken": lambda report: (
            f"{len({violation.invariant for violation in report.violations})} of {len(INVARIANTS)}"
        ),
    }
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[column(report) for column in columns.values()] for report in reports]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def show(report: Report, out: Console) -> None:
    """Print one run's figures, and the invariants with what broke them."""
    figures = {name: value for name, value in asdict(report).items() if name not in {"seed", "violations"}}
    table = Table("", "", title=f"Seed {report.seed}", show_header=False)
    for name, value in figures.items():
        text = _listed(value) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), text)
    out.print(table)
    checked = Table("invariant", "violations")
    for name in INVARIANTS:
        found = [violation for violation in report.violations if violation.invariant == name]
        checked.add_row(name, str(len(found)))
    out.print(checked)
    for violation in report.violations[:50]:
        out.print(f"  {violation.subject}: {violation.text}", markup=False)


if __name__ == "__main__":
    code = 0
    try:
        app()
    except SystemExit as end:
        code = int(end.code or 0)
    leave(code)
