"""`python -m tests.observability` (`make dashboard`): watch the engine for six minutes and draw its dashboard.

Worker processes, API, Temporal, a sandbox Seller, a receiver of webhooks and Prometheus run on free ports of loopback.
Prometheus is asked every query of the dashboard's file, and the panels are drawn where the file has them. Needs
`prometheus` (Debian has it; the binary alone will do) and requirements/draw.txt.
"""

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from marketplace.process import leave
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.observability.dashboard import ROOT, STEP, Answers, ask
from tests.observability.minutes import Shop, watched
from tests.observability.run import running
from tests.support.scripted_server import scripted_server
from tests.webhooks.receiver import SECRET, Receiver

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def dashboard(
    seconds: Annotated[float, typer.Option(min=60, help="How long orders are posted.")] = 360,
    per_second: Annotated[float, typer.Option(min=0.1, max=100, help="Orders posted in a second.")] = 1,
    away: Annotated[float, typer.Option(min=0, help="Seconds for which the Seller answers nothing.")] = 60,
    seed: Annotated[int, typer.Option(help="Repeats the same shoppers.")] = 1,
    prometheus: Annotated[str, typer.Option(help="Prometheus' binary.")] = "prometheus",
    answers: Annotated[Path, typer.Option(help="Prometheus' answers.")] = Path("bench/results/dashboard.json"),
    again: Annotated[bool, typer.Option("--again", help="Draw the answers that are there, without a run.")] = False,
    output: Annotated[Path, typer.Option(help="Where the picture goes.")] = ROOT / "docs/images/dashboard.png",
) -> None:
    """Watch the engine for some minutes, and draw the dashboard of what was seen."""
    # The tool for drawing is asked for before the minutes pass, and by nothing else here.
    from tests.observability.draw import draw  # noqa: PLC0415

    if not again:
        program = shutil.which(prometheus)
        if program is None:
            raise typer.BadParameter(f"there is no {prometheus}", param_hint="--prometheus")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        found = asyncio.run(observe(program, seconds, per_second, away, seed))
        answers.parent.mkdir(parents=True, exist_ok=True)
        answers.write_text(found.model_dump_json())
    draw(Answers.model_validate_json(answers.read_bytes()), output)
    sys.stdout.write(f"{output}: {output.stat().st_size / 1000:.0f} kB\n")


async def observe(program: str, seconds: float, per_second: float, away: float, seed: int) -> Answers:
    """Run the engine with two workers for some minutes, and ask Prometheus about them."""
    directory = Path(tempfile.mkdtemp(prefix="order-engine-dashboard-"))
    try:
        async with SandboxServer(SandboxConfig()) as seller, scripted_server() as storefront:
            receiver = Receiver(storefront)
            settings = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "",
                "ORDER_ENGINE_SELLER_BACKOFF": "1s",
                "ORDER_ENGINE_SELLER_ATTEMPTS": "10",
                "ORDER_ENGINE_NOTICE_DEBOUNCE": "2s",
                "ORDER_ENGINE_WEBHOOK_URL": f"{storefront.url}/hooks",
                "ORDER_ENGINE_WEBHOOK_SECRETS": SECRET,
            }
            async with (
                running(seller.url, directory, workers=2, **settings) as run,
                watched(run, program, directory / "prometheus") as url,
            ):
                start = time.time() - STEP
                shop = Shop(run, receiver, seed)
                await shop.trade(seconds, per_second, away)
                sys.stdout.write(f"{shop.posted} orders in {seconds:.0f} s\n")
                return await ask(url, start, time.time())
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    code = 0
    try:
        app()
    except SystemExit as end:
        code = int(end.code or 0)
    leave(code)
