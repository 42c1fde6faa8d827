"""Runs the sandbox Seller over HTTP: in the loop of a test or a demonstration, or as a process of its own."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.app import SandboxApp, create_app
from sandbox.config import SandboxConfig
from sandbox.seller import Seller
from sandbox.transport import TRANSPORT

_GRACE = 0.5


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, which also hands the connection to the app, as faults must be able to break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class _Server(uvicorn.Server):
    """Uvicorn's server without its signal handlers and its polling, and with an end that waits for nobody."""

    def __init__(self, config: uvicorn.Config, seller: Seller) -> None:
        super().__init__(config)
        self._seller = seller
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Slow answers end now; whoever still holds a connection after the grace loses it.
        self._seller.closing.set()
        self._seller.held.drop_all()
        cutting = asyncio.get_running_loop().call_later(_GRACE, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


class SandboxServer:
    """A sandbox Seller on a real socket, run in the current event loop.

        async with SandboxServer(SandboxConfig(account="acme")) as server:
            ...  # server.url, server.seller

    Port 0 takes any free one. Raises OSError when the port is taken, StateFileError for an unreadable state file.
    """

    def __init__(self, config: SandboxConfig | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self._app: SandboxApp = create_app(config)
        self._address = (host, port)
        self._url = ""
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def seller(self) -> Seller:
        """The Seller behind the server, for looking into it without HTTP."""
        return self._app.seller

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end. It stays the same after the server has stopped."""
        assert self._url, "the server has not been started"
        return self._url

    async def __aenter__(self) -> Self:
        host, port = self._address
        sock = _listen(host, port)
        try:
            await self.seller.start()
        except BaseException:
            sock.close()
            raise
        bound = sock.getsockname()
        self._url = f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws="none",
            # The Seller is started and stopped here, where its errors reach the caller as they are.
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            # Longer than callers keep idle connections: else a call may meet the end of the one it is sent on.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config, self.seller)
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))
        await self._server.ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._task is not None
        self._server.stop()
        await self._task
        await self.seller.stop()


def _listen(host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off; without, every answer is some 40 ms late.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def serve(
    config: SandboxConfig | None = None,
    host: str = "127.0.0.1",
    port: int = 8100,
    on_start: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM; blocks. `on_start` is told the URL once it answers."""
    factory = uvicorn.Config(None, log_config=None).get_loop_factory()  # type: ignore[arg-type]
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(SandboxServer(config, host, port), on_start))


async def _serve(server: SandboxServer, on_start: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # signal.signal and not add_signal_handler: that one is not there on Windows.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with server:
        on_start(server.url)
        await stop.wait()
