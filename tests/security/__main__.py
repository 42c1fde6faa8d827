"""Forge callbacks and notices by the thousand, and measure: `python -m tests.security` (`make forge`).

API and Temporal are processes of their own on free ports of loopback, the worker is in this one. Exits with 1 when a
forged call was taken, or when an answer tells known from unknown orders. Times are printed and decide nothing:
the slow tests judge them, with one request at a time.
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
from tests.security.target import target
from tests.support.processes import ROOT

ORDERS, CONNECTIONS = 20, 8


async def run(arguments: argparse.Namespace, directory: Path) -> tuple[bool, dict[str, str]]:
    async with target(directory, ORDERS) as found:
        before = found.process.memory_info().rss
        begun = time.monotonic()
        verdict = await found.attacked(arguments.count, CONNECTIONS, arguments.seed)
        seconds = time.monotonic() - begun
        grown = found.process.memory_info().rss - before
        changed = await found.changed()
        logged = found.log.stat().st_size
    figures = {
        **verdict.figures(),
        "orders changed": f"{len(changed)} of {ORDERS}",
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
