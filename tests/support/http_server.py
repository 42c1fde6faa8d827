"""Runs an ASGI app on a real loopback socket, in the event loop of the tests."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from api.connection import Connection
from api.server import server_config


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def http_server(app: ASGIApp, port: int) -> AbstractAsyncContextManager[str]:
    return _serving(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))


def api_server(app: ASGIApp, port: int, connection: type[Connection] = Connection) -> AbstractAsyncContextManager[str]:
    """As the API's own process serves it."""
    return _serving(server_config(app, "127.0.0.1", port, connection))


@asynccontextmanager
async def _serving(config: uvicorn.Config) -> AsyncIterator[str]:
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown()
