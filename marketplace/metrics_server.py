"""The page at which Prometheus reads a process's metrics, and a health check learns that it lives.

It runs in a thread of its own: what goes wrong with it, or how long it takes, is no matter for an order.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from marketplace.setting_values import Address
from marketplace.settings import PREFIX, SettingsError

HUNG_AFTER: Final = 30.0
"""Seconds without a beat of the event loop after which a process counts as hung."""
_BEAT: Final = 1.0
_PATIENCE: Final = 5.0
"""Seconds for a request to arrive."""


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing: it is asked every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without the reverse look-up of one's own name, which takes seconds where names cannot be resolved."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when somebody hangs up, or sends what is no request."""


class MetricsServer:
    """Serves /metrics and /live at an address, from entering its `async with` to leaving it."""

    def __init__(self, address: Address, hung_after: float = HUNG_AFTER) -> None:
        self._address = address
        self._hung_after = hung_after
        self._metrics = make_wsgi_app()
        self._beaten_at = time.monotonic()

    async def __aenter__(self) -> Self:
        host, port = self._address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kind = type("_FamilyServer", (_Server,), {"address_family": family})
        try:
            self._server: _Server = kind((host, port), _Handler)
        except OSError as error:
            raise SettingsError(f"{PREFIX}METRICS_ADDRESS: cannot listen there: {error.strerror or error}") from None
        self._server.set_app(self._answer)
        self._beating = asyncio.create_task(self._beat())
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()

    async def _beat(self) -> None:
        while True:
            self._beaten_at = time.monotonic()
            await asyncio.sleep(_BEAT)

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            page: Iterable[bytes] = self._metrics(environ, start)
            return page
        if path != "/live":
            return _say(start, "404 Not Found", "here are /metrics and /live")
        silence = time.monotonic() - self._beaten_at
        if silence > self._hung_after:
            return _say(start, "503 Service Unavailable", f"the event loop has stood still for {silence:.0f} s")
        return _say(start, "200 OK", "ok")


def _say(start: Callable[..., Any], status: str, text: str) -> list[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]
