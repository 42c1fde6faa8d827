"""A load balancer over the API processes with a bad network: it cuts connections, above all before the answer."""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

_RESET: Final = struct.pack("ii", 1, 0)
_CHUNK: Final = 65536


class Proxy:
    """Listens on `port`, forwards each connection to the next of `backends` that takes it.

    A share of `faults` of what passes is lost: a request before it reached the API, or an answer after the work was
    done. `counts` says how many of each.
    """

    def __init__(self, port: int, backends: Sequence[int], faults: float, seed: int) -> None:
        self._port = port
        self._backends = list(backends)
        self._faults = faults
        self._dice = random.Random(seed)
        self._next = 0
        self._open: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def heal(self) -> None:
        """Lose nothing any more."""
        self._faults = 0.0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            # Canceled at the end of the run alone; asyncio would report that as a failed callback.
            with suppress(asyncio.CancelledError):
                await self._forward(reader, writer)
        finally:
            self._open.discard(task)
            with suppress(OSError):
                writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self._backends:
            self._next += 1
            port = self._backends[self._next % len(self._backends)]
            try:
                upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            try:
                await self._pipe_both((reader, downstream, "requests lost"), (upstream, writer, "answers lost"))
            finally:
                with suppress(OSError):
                    downstream.close()
            return
        self.counts["nobody listened"] += 1

    async def _pipe_both(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter, str]) -> None:
        pipes = [asyncio.create_task(self._pipe(*way)) for way in ways]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            if any(not pipe.cancelled() and pipe.exception() is None and pipe.result() for pipe in pipes):
                for _, writer, _ in ways:
                    _reset(writer)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str) -> bool:
        """Forward until one side closes. True when the rest is to be lost."""
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._dice.random() < self._faults:
                    self.counts[fault] += 1
                    return True
                writer.write(data)
                await writer.drain()
        return False


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset and not an end."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
