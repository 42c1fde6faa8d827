"""The command line as real processes: started, watched, told to stop, with whatever they have started themselves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.cli.terminal import COLOURS
from tests.support.http_server import free_port

ORDER_ENGINE = str(Path(sys.executable).with_name("order-engine"))
PATIENCE = 90.0
"""Seconds to wait for what takes three on a machine that has nothing else to do."""


def environment(directory: Path, **changes: str) -> dict[str, str]:
    """The shell of somebody who has set nothing but a data directory."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TEMPORAL_", "ORDER_ENGINE_")) and name not in COLOURS
    }
    return {**kept, "ORDER_ENGINE_DATA_DIR": str(directory), **changes}


class Running:
    """A command that runs: what it has written, and its children."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""
        self.err = ""
        self._reading = asyncio.gather(self._read_out(), self._read_err())

    async def _read_out(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.out += line.decode()

    async def _read_err(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.err += line.decode()

    @property
    def children(self) -> list[psutil.Process]:
        """Everything below the process, however deep, that is still there."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def child(self, *words: str) -> psutil.Process:
        """The child whose command line has these words."""
        [found] = [child for child in self.children if set(words) <= set(child.cmdline())]
        return found

    async def until_says(self, text: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while text not in self.out:
                assert self.process.returncode is None, (self.process.returncode, self.out, self.err)
                await asyncio.sleep(0.05)

    async def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; the exit code."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await self._reading
        return code

    async def stops(self, number: signal.Signals = signal.SIGINT, seconds: float = 5.0) -> int:
        """Tell it to stop; the exit code. It must end within 5 seconds, as it promises."""
        self.process.send_signal(number)
        return await self.ends(seconds)


@asynccontextmanager
async def running(*arguments: str, env: Mapping[str, str], cwd: Path) -> AsyncIterator[Running]:
    """Run `order-engine`, and whatever happens in the test leave nothing of it behind."""
    process = await asyncio.create_subprocess_exec(
        ORDER_ENGINE, *arguments, env=env, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    command = Running(process)
    try:
        yield command
    finally:
        if process.returncode is None:
            kill(command.children)
            with suppress(ProcessLookupError):
                process.kill()
        await command.ends()


def kill(processes: list[psutil.Process]) -> None:
    """End whatever of these is still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def gone(processes: list[psutil.Process], seconds: float = 10.0) -> bool:
    """Whether all have ended, waiting for them at most so long."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, seconds)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def free_ports() -> dict[str, int]:
    """A free port for each part of `dev`, by its option."""
    options = ("--port", "--temporal-port", "--ui-port", "--sandbox-port")
    return {option: free_port() for option in options}


def as_options(ports: dict[str, int]) -> list[str]:
    return [text for option, port in ports.items() for text in (option, str(port))]


async def until_delivered(api: str, marketplace_order_id: str) -> None:
    """Wait until an order has reached its customer."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=api, trust_env=False) as http:
        while (await http.get(f"/orders/{marketplace_order_id}")).json()["status"] != "delivered":
            await asyncio.sleep(0.05)
