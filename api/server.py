"""The HTTP server of the API's process, and how it stops: who has asked is answered, and all is closed in order."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from api.connection import Connection

ANSWER_TIME = 5
"""Seconds that running requests have when the process is told to stop."""
_LAST_WORDS = 2.0
"""Seconds for the answers of those that took longer: what they asked for is durable, which is all they can be told."""

_SAFE_HEADERS = [
    # Orders are nobody's to keep on the way, a shared proxy's least of all.
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
]
"""Headers of every answer, of those too that no route has given."""


def server_config(app: ASGIApp, host: str, port: int, connection: type[Connection] = Connection) -> uvicorn.Config:
    """How the API is served: bounded connections, safe headers, and nothing logged or told but what we say."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=connection,
        ws="none",
        log_config=None,
        # It would log paths, and those of callbacks hold tokens.
        access_log=False,
        server_header=False,
        headers=_SAFE_HEADERS,
        timeout_graceful_shutdown=ANSWER_TIME,
    )


class Server(uvicorn.Server):
    """Uvicorn's own raises its signals again and drops what it has canceled: neither lets the process end in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals for as long as the process lives: one that comes while it closes its stores changes nothing."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, wait for the running requests, then cut them short, which makes them answer 202."""
        await super().shutdown(sockets)
        late = set(self.server_state.tasks)
        if self.force_exit:  # by a second Ctrl-C: nothing was canceled yet, nor the application told
            for request in late:
                request.cancel()
        if late:
            await asyncio.wait(late, timeout=_LAST_WORDS)
        if self.force_exit:
            await self.lifespan.shutdown()
