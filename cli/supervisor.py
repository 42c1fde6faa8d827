"""Runs the engine's parts as child processes: starts them, watches them, and never leaves one behind.

The children share a process group of their own, led by a guard. So Ctrl-C in the terminal reaches the supervisor
alone, which stops them in order; and when the supervisor is killed, the guard sees its pipe close and ends the group.
"""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from marketplace.errors import EngineError

Check = Callable[[httpx.AsyncClient], Awaitable[bool]]
Result = TypeVar("Result")

START_SECONDS: Final = 60.0
"""How long a part may take to become healthy: on a busy machine imports alone take several seconds."""

_POLL: Final = 0.1
_TAIL_LINES: Final = 12
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GUARD: Final = "read -r _; trap '' TERM; kill -TERM 0; sleep 1; kill -KILL 0"


class PartFailed(EngineError):  # noqa: N818 - it names what is the matter
    """A part has ended by itself, or is not healthy in time. The text ends with the last lines of its log."""


@dataclass(frozen=True)
class Part:
    """One child process. `command` is run in the supervisor's own environment."""

    name: str
    command: Sequence[str]
    healthy: Check
    after: str = ""
    """Name of the part that must be healthy before this one can start."""
    grace: float = 0.8
    """Seconds it gets to end by itself; then it is killed."""
    hint: str = ""
    """What to do when it does not start."""


# --- checks of health ---


def answers(url: str) -> Check:
    """Healthy once a GET of `url` succeeds."""

    async def check(http: httpx.AsyncClient) -> bool:
        return (await http.get(url)).is_success

    return check


def temporal_answers(port: int, ui_url: str) -> Check:
    """Healthy once the server listens and its UI reaches the default namespace."""

    async def check(http: httpx.AsyncClient) -> bool:
        # The UI asked too early finds no server, and tries again only a second later.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return (await http.get(f"{ui_url}/api/v1/namespaces/default")).is_success

    return check


def polls(ui_url: str, task_queue: str) -> Check:
    """Healthy once a worker asks Temporal for work of `task_queue`."""

    async def check(http: httpx.AsyncClient) -> bool:
        url = f"{ui_url}/api/v1/namespaces/default/task-queues/{task_queue}"
        answer = await http.get(url, params={"taskQueueType": 1})
        return answer.is_success and bool(answer.json().get("pollers"))

    return check


# --- the supervisor ---


class Supervisor:
    """Leads parts through one run. `parts` in the order of their dependence: they are stopped in reverse.

    `log_dir` gets one file for each part, named after it and begun anew.
    """

    def __init__(self, parts: Sequence[Part], log_dir: Path) -> None:
        self._parts = parts
        self._log_dir = log_dir
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[None] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self._log_dir / f"{part}.log"

    async def lead(self, story: Coroutine[Any, Any, Result]) -> Result | None:
        """Run a story, which calls `start`, and stop all parts when it ends.

        None when a signal (Ctrl-C, SIGTERM) ended it before. Raises PartFailed, or what the story raises.
        """
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        for number in _SIGNALS:
            loop.add_signal_handler(number, told.set)
        self._failure = loop.create_future()
        self._guard = self._start_guard()
        telling = asyncio.create_task(story)
        stopping = asyncio.create_task(told.wait())
        try:
            await asyncio.wait({telling, stopping, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done() and telling.exception() is not None:
                # Perhaps only because a part has died, which is then the better thing to tell.
                await asyncio.wait({self._failure}, timeout=_POLL)
        finally:
            telling.cancel()
            stopping.cancel()
            await asyncio.wait({telling, stopping})
            await self._stop()
        if self._failure.done():
            self._failure.result()
        return None if telling.cancelled() else telling.result()

    async def start(self) -> None:
        """Start all parts and wait until each is healthy. Raises PartFailed."""
        healthy = {part.name: asyncio.Event() for part in self._parts}

        async def bring_up(part: Part) -> None:
            if part.after:
                await healthy[part.after].wait()
            await self._spawn(part)
            await self._until_healthy(part)
            healthy[part.name].set()

        await asyncio.gather(*map(bring_up, self._parts))

    def _start_guard(self) -> "subprocess.Popen[bytes]":
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return subprocess.Popen(  # noqa: S603 - a constant
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    async def _spawn(self, part: Part) -> None:
        assert self._guard is not None
        log = os.open(self.log(part.name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._guard.pid,
            )
        finally:
            os.close(log)
        self._processes[part.name] = process
        self._watches.append(asyncio.create_task(self._watch(part, process)))

    async def _watch(self, part: Part, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._fail(part, ending)

    async def _until_healthy(self, part: Part) -> None:
        deadline = time.monotonic() + START_SECONDS
        # Without the proxy that the environment may name: everything here is on this machine.
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            while time.monotonic() < deadline:
                with suppress(OSError, httpx.HTTPError, json.JSONDecodeError):
                    if await part.healthy(http):
                        return
                await asyncio.sleep(_POLL)
        self._fail(part, f"is not healthy after {START_SECONDS:.0f} s")
        await asyncio.Event().wait()  # `lead` cancels the story now

    def _fail(self, part: Part, what: str) -> None:
        assert self._failure is not None
        if self._failure.done():
            return
        log = self.log(part.name)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        tail = [f"The end of {log}:", *(f"  {line}" for line in lines)] if lines else [f"{log} is empty."]
        hint = [part.hint] if part.hint else []
        text = "\n".join([f"{part.name} {what}: everything was stopped.", *tail, *hint])
        self._failure.set_exception(PartFailed(text))

    async def _stop(self) -> None:
        for watch in self._watches:
            watch.cancel()
        for part in reversed(self._parts):
            process = self._processes.get(part.name)
            if process is None or process.returncode is not None:
                continue
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(part.grace):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        assert self._guard is not None
        with suppress(ProcessLookupError):
            os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
