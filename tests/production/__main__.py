"""The timed walk to the first order on PostgreSQL: what `deploy/walk.sh` calls once everything is installed.

The only argument is when the walk began, in seconds since 1970; without it only what follows is timed.
"""

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from marketplace.process import leave
from tests.chaos.stack import Process
from tests.production.topology import ORDER_ENGINE, Topology, make_namespace, new_postgres
from tests.support.http_server import free_port
from tests.support.postgres import postgres_programs
from tests.support.processes import STARTUP


class Watch:
    """Tells each step with the seconds since the one before."""

    def __init__(self, began: float) -> None:
        self._began = self._last = began

    def tell(self, step: str) -> None:
        now = time.time()
        sys.stdout.write(f"{now - self._last:7.1f} s  {step}\n")
        sys.stdout.flush()
        self._last = now

    def total(self) -> None:
        sys.stdout.write(f"{self._last - self._began:7.1f} s  in all\n")


@asynccontextmanager
async def part(directory: Path, name: str, port: int, *options: str) -> AsyncIterator[str]:
    """A part that `order-engine` starts, once it takes connections; its address."""
    process = Process(directory / f"{name}.log", [ORDER_ENGINE, name, "--port", str(port), *options], {})
    async with process:
        await process.start()
        async with asyncio.timeout(STARTUP):
            while not _listens(port):
                assert process.running, process.log.read_text()
                await asyncio.sleep(0.05)
        yield f"127.0.0.1:{port}"


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def walk(watch: Watch, directory: Path) -> None:
    """Start one part after another, and place an order."""
    async with new_postgres() as (postgres, password):
        watch.tell("PostgreSQL runs, with a role and a database for the engine")
        ui = ("--ui-port", str(free_port()), "--in-memory")
        async with (
            part(directory, "temporal", free_port(), *ui) as temporal,
            part(directory, "sandbox", free_port()) as sandbox,
        ):
            watch.tell("Temporal and the sandbox Seller run")
            async with Topology(directory, postgres, temporal, ("acme", f"http://{sandbox}"), password) as topology:
                await make_namespace(temporal, topology.namespace)
                watch.tell("Temporal has the namespace and the search attributes")
                await topology.start(["worker-1", "api"])
                watch.tell("worker and API run, the database is migrated")
                order = await topology.post()
                watch.tell(f"the first order is placed: {order['orderId']} of {order['seller']}")
                watch.total()
                await topology.stop("worker-1", "api")


def main() -> int:
    """Entry point; the exit code."""
    watch = Watch(float(sys.argv[1]) if len(sys.argv) > 1 else time.time())
    if postgres_programs() is None:
        sys.stderr.write("PostgreSQL's programs initdb and postgres are not installed (Debian: postgresql)\n")
        return 1
    watch.tell("installed")
    with tempfile.TemporaryDirectory(prefix="order-engine-walk-") as directory:
        asyncio.run(walk(watch, Path(directory)))
    return 0


if __name__ == "__main__":
    leave(main())
