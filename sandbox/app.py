"""Puts the sandbox together: the marketplace's routes, the control API, and the life span."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from sandbox.catalog_control import catalog_router
from sandbox.config import SandboxConfig
from sandbox.control import control_router
from sandbox.routes import SellerRoutes
from sandbox.seller import Seller


class SandboxApp:
    """The ASGI app. `seller` is the Seller behind it, for whoever runs it in the same process.

    Faults that close connections need a server that hands over the connection: use `sandbox.server`.
    """

    def __init__(self, seller: Seller) -> None:
        self.seller = seller
        self._routes = SellerRoutes(seller)
        self._control = _control_app(seller)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path != "/sandbox" and not path.startswith("/sandbox/"):
            await self._routes(scope, receive, send)
        else:
            await self._control(scope, receive, send)


def create_app(config: SandboxConfig | None = None) -> SandboxApp:
    """Build the app of one sandbox Seller. Its work starts and stops with the ASGI life span."""
    return SandboxApp(Seller(config or SandboxConfig()))


def _control_app(seller: Seller) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await seller.start()
        try:
            yield
        finally:
            await seller.stop()

    app = FastAPI(
        title="Sandbox Seller",
        description="Controls a simulated VTEX seller. The seller's own routes are VTEX's and not listed here.",
        docs_url="/sandbox/docs",
        redoc_url=None,
        openapi_url="/sandbox/openapi.json",
        lifespan=lifespan,
    )
    app.include_router(control_router(seller))
    app.include_router(catalog_router(seller))
    return app
