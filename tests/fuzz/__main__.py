"""`python -m tests.fuzz`: send the engine everything that it should not get, by a seed, and count what breaks."""

import asyncio
import os
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from marketplace.process import leave
from marketplace.temporal import ensure_search_attributes
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.fuzz import openapi
from tests.fuzz.test_seller_answers import ORDERS
from tests.fuzz.watch import failed_tasks, watching
from tests.support.engine import SERVER_FLAGS, Engine
from tests.support.temporal import development_server
from workflows.catalog_policies import SKU_ID, catalog_queue
from workflows.policies import SEARCH_ATTRIBUTES

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MODULES: Final = {
    "Seller's answers, call by call": "tests/seller/test_seller_fuzz.py",
    "Seller's answers, whole orders": "tests/fuzz/test_seller_answers.py",
    "callbacks and notices": "tests/fuzz/test_reports.py",
    "requests as bytes": "tests/fuzz/test_requests.py",
    "events of an order": "tests/fuzz/test_order_events.py tests/workflows/test_order_state_properties.py",
}
ROUND: Final = 60
"""Examples of each operation in a round of schemathesis; each round has new orders."""
_EXAMPLES: Final = re.compile(r"(\d+) passing, (\d+) failing")


@dataclass
class Part:
    """What one part has shown."""

    name: str
    cases: int
    failures: list[str]
    seconds: float


@app.command()
def fuzz(
    cases: Annotated[int, typer.Option(min=1, help="Calls made from the OpenAPI document.")] = 10_000,
    thoroughness: Annotated[int, typer.Option(min=2, max=1000, help="Times the examples of the tests.")] = 10,
    minutes: Annotated[int, typer.Option(min=1, help="The longest that the calls of the document may take.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Repeats a run; 0 draws one.")] = 0,
) -> None:
    """Fuzz the API by its document, both sides of the Seller's wire, and the events of an order.

    Exits with 1 when something broke, and when the time was up before there were enough cases.
    """
    out = Console(highlight=False, width=max(Console().width, 120))
    seed = seed or secrets.randbelow(10**6) + 1
    out.print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="order-engine-fuzz-") as directory:
        parts = [asyncio.run(document(Path(directory), cases, minutes, seed, out))]
        for name, modules in MODULES.items():
            with out.status(name):
                parts.append(asyncio.run(_module(name, modules.split(), thoroughness, seed, Path(directory))))
    table = Table("", "cases", "failures", "seconds", title=f"Seed {seed}")
    for part in parts:
        table.add_row(part.name, str(part.cases), str(len(part.failures)), f"{part.seconds:.0f}")
    out.print(table)
    for part in parts:
        for failure in part.failures:
            out.print(f"{part.name}:\n{failure}", markup=False)
    raise typer.Exit(1 if any(part.failures for part in parts) else 0)


async def document(directory: Path, cases: int, minutes: int, seed: int, out: Console) -> Part:
    """Rounds of schemathesis until there were enough cases; the second has the other role's key.

    That the time was up before is a failure: fewer cases than asked for have shown nothing.
    """
    began = time.monotonic()
    reports: list[openapi.Report] = []
    failures: list[str] = []
    async with (
        await development_server(SERVER_FLAGS) as environment,
        SandboxServer(SandboxConfig()) as seller,
    ):
        client = environment.client
        await ensure_search_attributes(client, [*SEARCH_ATTRIBUTES, SKU_ID])
        async with Engine(client, seller.url, directory, **openapi.FUZZED) as engine:
            with watching() as watch:
                while (done := sum(report.cases for report in reports)) < cases:
                    left = minutes * 60 - (time.monotonic() - began)
                    if left <= 0:
                        failures.append(f"time is up: {done} of {cases} cases; --minutes gives it more than {minutes}")
                        break
                    place = directory / f"round-{len(reports)}"
                    place.mkdir()
                    with out.status(f"OpenAPI document: {done} of {cases} cases"):
                        found = await openapi.run(
                            engine,
                            place,
                            seed=seed + len(reports),
                            examples=ROUND,
                            phases=openapi.ALL_PHASES if not reports else "fuzzing,stateful",
                            key=openapi.STOREFRONT if len(reports) == 1 else openapi.OPERATOR,
                            seconds=int(left) + 60,
                        )
                    reports.append(found)
                queue = engine.settings.task_queue
                failures += await failed_tasks(client, queue, catalog_queue(queue))
    failures += watch.findings
    for report in reports:
        failures += [f"{failure}\n{report.output}" for failure in report.failures]
    _show(reports, out)
    return Part("OpenAPI document", sum(report.cases for report in reports), failures, time.monotonic() - began)


def _show(reports: list[openapi.Report], out: Console) -> None:
    operations: Counter[str] = sum((report.per_operation for report in reports), Counter())
    statuses: Counter[int] = sum((report.statuses for report in reports), Counter())
    table = Table("operation", "calls")
    for name, count in operations.most_common():
        if count > len(reports):
            table.add_row(name, str(count))
    out.print(table)
    out.print("answers: " + ", ".join(f"{status} x {count}" for status, count in sorted(statuses.items())))


async def _module(name: str, modules: list[str], thoroughness: int, seed: int, directory: Path) -> Part:
    """Run test modules for longer than by default, and count what hypothesis tried."""
    began = time.monotonic()
    options = ["-n", "0", "--quiet", "--hypothesis-show-statistics", f"--hypothesis-seed={seed}", "--tb=short"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests", *modules, *options, f"--basetemp={directory}/pytest"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TEST_THOROUGHNESS": str(thoroughness)},
    )
    output = (await process.communicate())[0].decode(errors="replace")
    counted = [sum(map(int, found)) for found in _EXAMPLES.findall(output)] or [ORDERS * thoroughness]
    return Part(
        name,
        sum(counted),
        [output.partition("= Hypothesis Statistics")[0]] if process.returncode else [],
        time.monotonic() - began,
    )


if __name__ == "__main__":
    code = 0
    try:
        app()
    except SystemExit as end:
        code = int(end.code or 0)
    leave(code)
