"""A flood of orders from a storefront that does not wait, and what it was answered."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from api.deps import DEFAULT_WAIT
from api.problems import MEDIA_TYPE

Json = dict[str, Any]
TAKEN = {200, 201, 202}
REFUSED = {429, 503}
LONGEST = 600.0
"""Seconds of one flood, by which it must be over."""
IN_TIME = 2 * DEFAULT_WAIT
"""Seconds within which an order that is taken is answered: after half of them the API answers what is known by then."""
IDLE = 2.0
"""Seconds after which a connection is not used any more: the server is about to close it."""


@dataclass(frozen=True)
class Answered:
    """One request: what was sent, what came back, and the seconds between, from when a connection was free."""

    order: Json
    answer: httpx.Response
    seconds: float

    @property
    def taken(self) -> bool:
        return self.answer.status_code in TAKEN


class Connection:
    """One kept connection, with as little work as can be: a pool spends more on a request than the API does."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        lines = [f"host: {parts.netloc}", "content-type: application/json", *map(": ".join, headers.items())]
        self._head = "\r\n".join(["POST /orders HTTP/1.1", *lines])
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def post(self, order: Json) -> httpx.Response:
        if self._stream is None or time.monotonic() - self._used > IDLE:
            self.close()
            self._stream = await asyncio.open_connection(*self._address)
        reader, writer = self._stream
        body = json.dumps(order).encode()
        writer.write(f"{self._head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        answer = httpx.Response(int(status.split()[1]), headers=headers)
        content = await reader.readexactly(int(answer.headers["content-length"]))
        self._used = time.monotonic()
        return httpx.Response(answer.status_code, headers=headers, content=content)

    def close(self) -> None:
        if self._stream is not None:
            self._stream[1].close()


class Flood:
    """Posts orders over so many connections at once."""

    def __init__(self, url: str, connections: int, key: str = "") -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._connections = [Connection(url, headers) for _ in range(connections)]
        self.answers: list[Answered] = []

    async def post(self, orders: list[Json], *, again: bool = False) -> None:
        """Post each order once, or `again` as often as it takes, obeying Retry-After."""
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in self._connections:
            free.put_nowait(connection)
        try:
            async with asyncio.timeout(LONGEST):
                await asyncio.gather(*(self._post(order, free, again=again) for order in orders))
        finally:
            for connection in self._connections:
                connection.close()

    async def _post(self, order: Json, free: asyncio.Queue[Connection], *, again: bool) -> None:
        while True:
            connection = await free.get()
            answered = await self.once(order, connection)
            free.put_nowait(connection)
            if answered.taken or not again:
                return
            await asyncio.sleep(float(answered.answer.headers["retry-after"]))

    async def once(self, order: Json, connection: Connection) -> Answered:
        begun = time.monotonic()
        answer = await connection.post(order)
        answered = Answered(order, answer, time.monotonic() - begun)
        self.answers.append(answered)
        return answered

    @property
    def statuses(self) -> Counter[int]:
        return Counter(one.answer.status_code for one in self.answers)

    @property
    def taken(self) -> list[Json]:
        return [one.order for one in self.answers if one.taken]

    @property
    def refused(self) -> list[Json]:
        return [one.order for one in self.answers if not one.taken]

    def check(self) -> None:
        """Every answer takes the order, or refuses it in a way that a program can act on."""
        assert set(self.statuses) <= TAKEN | REFUSED, self.statuses
        for one in self.answers:
            if not one.taken:
                assert int(one.answer.headers["retry-after"]) >= 1
                assert one.answer.headers["content-type"] == MEDIA_TYPE
                assert one.answer.json()["type"].endswith(("rate-limit", "busy")), one.answer.text


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of all lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def broken(taken: list[float], quiet: dict[str, float], peaks: dict[str, float], growth: float) -> list[str]:
    """What a flood must not do and did: answer late what it took, or let a process grow by more than so many MiB.

    `taken` are seconds; `quiet` and `peaks` MiB by process, before and at most.
    """
    found, late = [], percentile(taken, 0.99)
    if late > IN_TIME:
        found.append(f"{late:.1f} s to answer an order that was taken, p99: {IN_TIME:g} s are the limit")
    for name, most in peaks.items():
        if most - quiet[name] > growth:
            found.append(f"the {name} grew from {quiet[name]:.0f} to {most:.0f} MiB: {growth:.0f} MiB are the limit")
    return found


@asynccontextmanager
async def meanwhile(call: Callable[[], Awaitable[httpx.Response]], every: float = 0.1) -> AsyncIterator[list[float]]:
    """Make a call again and again while the `async with` lasts; the seconds that each took. None may fail."""
    seconds: list[float] = []
    stop = asyncio.Event()

    async def calling() -> None:
        while not stop.is_set():
            begun = time.monotonic()
            answer = await call()
            assert answer.status_code == 200, answer.text
            seconds.append(time.monotonic() - begun)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every)

    task = asyncio.create_task(calling())
    try:
        yield seconds
    finally:
        stop.set()
        await task


@asynccontextmanager
async def peak_memory(**pids: int) -> AsyncIterator[dict[str, float]]:
    """The largest resident memory of each process while the `async with` lasts, in MiB."""
    processes = {name: psutil.Process(pid) for name, pid in pids.items()}
    peaks = dict.fromkeys(processes, 0.0)

    async def watch() -> None:
        while True:
            for name, process in processes.items():
                peaks[name] = max(peaks[name], process.memory_info().rss / 2**20)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(watch())
    try:
        yield peaks
    finally:
        task.cancel()
