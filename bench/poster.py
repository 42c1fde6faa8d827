"""Posts JSON over one kept connection, with as little work as can be: what posts must not be what is measured.

A client with a pool spends more on each request than the API does.
"""

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_KEPT = 2.0
"""Seconds without a request after which a server may have closed the connection: it is opened anew then."""


class Poster:
    """One connection to one URL. Not for several tasks at once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._head = f"host: {parts.netloc}\r\ncontent-type: application/json\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._used_at = 0.0

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        self._used_at = time.monotonic()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def post(self, body: Any) -> int:
        """Send a body; the status of the answer. Raises OSError and EOFError when the connection breaks."""
        return (await self.send(body))[0]

    async def send(self, body: Any, path: str | None = None, headers: str = "") -> tuple[int, bytes]:
        """Send a body, to another path of the same host if one is given; status and body of the answer.

        `headers` are lines, each ended by a line break. Raises OSError and EOFError when the connection breaks.
        """
        if time.monotonic() - self._used_at > _KEPT:
            self._close()
            await self._open()
        assert self._reader is not None
        assert self._writer is not None
        content = json.dumps(body).encode()
        head = f"POST {path or self._path} HTTP/1.1\r\n{self._head}{headers}content-length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        _, _, length = answer.partition("content-length:")
        answered = await self._reader.readexactly(int(length.split("\r\n")[0] or 0))
        self._used_at = time.monotonic()
        return int(answer.split()[1]), answered
