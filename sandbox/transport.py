"""The bare ASGI exchange: reading a body, answering whole or half, and breaking a connection."""

import socket
import struct
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from sandbox.answers import Answer

if TYPE_CHECKING:
    from asyncio import Transport

TRANSPORT = "sandbox.transport"
"""Name of the ASGI extension under which `sandbox.server` hands us the connection, to close it without an answer."""


class Gone(Exception):  # noqa: N818 - not an error of ours
    """The caller has closed the connection."""


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises Gone."""
    body = bytearray()
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def send_answer(send: Send, answer: Answer, *, half: bool = False) -> None:
    """Send an answer, or its head and the first half of its body."""
    length = str(len(answer.body) if not half else max(2, len(answer.body)))
    headers = [(key.encode(), value.encode("latin-1")) for key, value in answer.headers.items()]
    headers.append((b"content-length", length.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    part = answer.body[: len(answer.body) // 2] if half else answer.body
    await send({"type": "http.response.body", "body": part, "more_body": half})


async def drop(scope: Scope, receive: Receive, *, reset: bool = False, flush: bool = False) -> None:
    """Close the connection without an answer, or after the half that was sent (`flush`).

    Uvicorn complains about an app that returns without having answered, unless the connection is already lost: so
    wait until it says so.
    """
    transport: Transport = scope["extensions"][TRANSPORT]["transport"]
    if reset and (sock := transport.get_extra_info("socket")) is not None:
        # Lingering for no time makes the close a TCP reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
