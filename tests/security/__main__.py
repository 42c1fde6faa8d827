"""Forge callbacks and notices by the thousand, and measure: `python -m tests.security` (`make forge`).

API and Temporal are processes of their own on free ports of loopback, the worker is in this one. Exits with 1 when a
forged call was taken, or when an answer tells known from unknown orders. Times are printed and decide nothing.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

from marketplace.process import leave
from marketplace.settings import secret_keys
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.api.callback_line import dispatched_line
from tests.security.forgery import Mint, forged, send
from tests.support.engine import Engine
from tests.support.http_server import free_port
from tests.support.processes import ROOT, EngineProcess, TemporalServer


async def run(arguments: argparse.Namespace, directory: Path) -> tuple[bool, dict[str, str]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"ORDER_ENGINE_PORT": str(port), "ORDER_ENGINE_PUBLIC_URL": url, "ORDER_ENGINE_RATE_LIMIT": "0"}
    async with TemporalServer(directory / "temporal") as temporal, SandboxServer(SandboxConfig()) as seller:
        await temporal.start()
        async with (
            Engine(await temporal.client(), seller.url, directory) as engine,
            EngineProcess(engine, directory / "api", temporal.address, **environment) as api,
        ):
            await api.start_api(url)
            lines = [await dispatched_line(engine) for _ in range(20)]
            mint = Mint.of(secret_keys(engine.settings))
            known, unknown = [line.id for line in lines], [f"{line.id}x" for line in lines]
            assert api._process is not None
            process = psutil.Process(api._process.pid)
            before = process.memory_info().rss
            begun = time.monotonic()
            verdict = await send(port, forged(mint, known, unknown, arguments.seed), arguments.count, 8)
            seconds = time.monotonic() - begun
            grown = process.memory_info().rss - before
            changed = [line.id for line in lines if await line.version() != line.version_at_first]
            logged = api.log.stat().st_size
    figures = {
        **verdict.figures(),
        "orders changed": f"{len(changed)} of {len(lines)}",
        "took": f"{seconds:.0f} s ({arguments.count / seconds:.0f} a second)",
        "the API's memory grew by": f"{grown / 2**20:.1f} MiB",
        "it logged": f"{logged:,} bytes",
        "load average at the end": " ".join(f"{one:.1f}" for one in psutil.getloadavg()),
    }
    return not (verdict.accepted or verdict.telling or changed), figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.security", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="forgery-") as directory:
        safe, figures = asyncio.run(run(arguments, Path(directory)))
    lines = [f"{name:<40} {value}" for name, value in figures.items()]
    sys.stdout.write("\n".join([*lines, ""]))
    return 0 if safe else 1


if __name__ == "__main__":
    leave(main())
