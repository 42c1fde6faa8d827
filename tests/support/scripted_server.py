"""A real HTTP server on loopback that follows a script, down to the bytes: for what no sane server would answer."""

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Step:
    """What to do with one request: wait `delay` seconds, send `raw`, and then keep, close, reset or hang."""

    raw: bytes = b""
    then: Literal["keep", "close", "reset", "hang"] = "keep"
    delay: float = 0


@dataclass(frozen=True)
class Request:
    """A request as it came, header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answer(
    status: int = 200,
    body: bytes | str = b"",
    headers: Mapping[str, str] | None = None,
    *,
    delay: float = 0,
    then: Literal["keep", "close"] = "keep",
) -> Step:
    """Build a well-formed HTTP answer with a Content-Length."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return Step("\r\n".join([*lines, "", ""]).encode() + content, then, delay)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Step:
    """Build an answer with a JSON body."""
    return answer(status, json.dumps(value), {"Content-Type": "application/json", **(headers or {})})


@dataclass
class ScriptedServer:
    """Answers by `script`, step by step, then by `always`; without either with 599. Records what it got."""

    url: str = ""
    script: deque[Step] = field(default_factory=deque)
    always: Step | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def follow(self, *steps: Step) -> None:
        """Set the script anew and forget what came so far."""
        self.script = deque(steps)
        self.always = None
        self.requests.clear()
        self.connections = 0

    @property
    def last(self) -> Request:
        return self.requests[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                step = self.script.popleft() if self.script else self.always or answer(599, "the script is over")
                await asyncio.sleep(step.delay)
                writer.write(step.raw)
                await writer.drain()
                if step.then == "hang":
                    await reader.read()
                if step.then == "reset":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if step.then != "keep":
                    return
        except ConnectionError:
            pass
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    path, _, query = target.partition("?")
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, query, headers, body)


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """Run a scripted server on a free port of loopback."""
    scripted = ScriptedServer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await scripted.serve(reader, writer)
        except asyncio.CancelledError:
            # The end of the server, not of somebody's wish to cancel: asyncio would report it as an error.
            writer.close()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    scripted.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield scripted
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
