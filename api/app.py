"""The API's application and process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi_offline import FastAPIOffline
from prometheus_fastapi_instrumentator import Instrumentator
from temporalio.client import Client
from temporalio.service import RPCError

from api import docs, problems
from api.catalog_desk import CatalogDesk
from api.deps import Services, operator
from api.desk import OrderDesk
from api.last_words import LastWords
from api.limits import Limits
from api.middleware import BodyLimit, OneSlash, OwnTraces, RequestId
from api.routes import callbacks, carts, catalog, health, logs, notifications, orders, webhooks
from api.server import Server, server_config
from api.webhook_desk import WebhookDesk
from marketplace.errors import EngineError
from marketplace.metrics_server import MetricsServer
from marketplace.process import run_loop, settle
from marketplace.safety import check_api_safety
from marketplace.security import AffiliateTokens, ApiKeys, CallbackTokens
from marketplace.seller.base import SellerConfig
from marketplace.seller.client import SellerPool, Timeouts
from marketplace.settings import Settings, load_sellers, load_settings, secret_keys
from marketplace.store.base import OrderStore, StoreUnavailable
from marketplace.store.stores import Stores, open_stores
from marketplace.telemetry import configure_logging, get_logger
from marketplace.temporal import build_runtime, connect
from marketplace.tracing import open_tracing

_UNTRACED = ("/health/", "/metrics")
_LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds by which answers are counted for each route: a cart takes milliseconds, a placement may take 30 s."""
_CHECK_TIMEOUT = timedelta(seconds=2)
CART_TIMEOUT = 5.0
"""Seconds a shopper is made to wait for a Seller."""


def create_app(
    settings: Settings,
    sellers: dict[str, SellerConfig],
    client: Client,
    stores: Stores,
    *,
    cart_timeout: float = CART_TIMEOUT,
) -> FastAPI:
    """Put together the API over a Temporal client and stores, which stay the caller's to close."""
    # Looser than the cart's own limit, so that it is always that one which tells a late Seller from a failed one.
    pool = SellerPool(sellers, Timeouts(read=2 * cart_timeout, total=2 * cart_timeout))

    checking: asyncio.Task[tuple[str, str]] | None = None

    async def ready() -> dict[str, str]:
        # Anybody may ask, as often as he likes: all who ask at the same time share one look.
        nonlocal checking
        if checking is None or checking.done():
            checking = asyncio.create_task(_check_parts(client, stores.orders))
        temporal, database = await asyncio.shield(checking)
        return {"temporal": temporal, "database": database}

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await pool.aclose()

    # The page at /docs brings its own scripts: whoever reads it may have no internet.
    app = FastAPIOffline(
        title="Marketplace order engine",
        version=version("marketplace-order-engine"),
        description="Orders of an own marketplace, placed and followed with Sellers on VTEX. Cents, and UTC.",
        lifespan=lifespan,
        redoc_url=None,
        # The redirect repeats the Host header, and behind a proxy would send a client's key to plain http.
        redirect_slashes=False,
        # One span for a request, when this process is traced at all (`marketplace.tracing`).
        telemetry={
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": lambda scope: scope.get("path", "").startswith(_UNTRACED),
        },
    )
    app.state.services = Services(
        desk=OrderDesk(client, stores.orders, settings, sellers),
        catalog=CatalogDesk(client, stores.offers, settings, sellers),
        journal=stores.journal,
        webhooks=WebhookDesk(client, stores.webhooks, settings),
        sellers=sellers,
        pool=pool,
        keys=ApiKeys(settings.storefront_keys, settings.operator_keys),
        tokens=CallbackTokens(secret_keys(settings)),
        affiliates=AffiliateTokens(secret_keys(settings)),
        limits=Limits(settings, sellers),
        cart_timeout=cart_timeout,
        ready=ready,
    )
    problems.install(app)
    docs.install(app)
    for router in (
        carts.router,
        orders.router,
        orders.operators,
        callbacks.router,
        notifications.router,
        catalog.router,
        logs.router,
        webhooks.router,
        health.router,
    ):
        app.include_router(router)
    app.webhooks.include_router(webhooks.sent)
    # Route templates are the label, not paths: paths hold order ids, and tokens.
    instrumentator = Instrumentator(excluded_handlers=["/metrics", "/health/.*"])
    instrumentator.instrument(app, latency_lowr_buckets=_LATENCIES).expose(
        app,
        tags=["Operator"],
        dependencies=[Depends(operator)],
        response_class=PlainTextResponse,
        responses=docs.problem_docs(401, 403, 429),
    )
    app.add_middleware(OneSlash)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestId)
    app.add_middleware(LastWords)
    return app


async def _check_parts(client: Client, store: OrderStore) -> tuple[str, str]:
    return await asyncio.gather(_check_temporal(client), _check_store(store))


async def _check_temporal(client: Client) -> str:
    try:
        await client.service_client.check_health(timeout=_CHECK_TIMEOUT)
    except (RPCError, RuntimeError) as error:
        return _away("temporal", error)
    return "ok"


async def _check_store(store: OrderStore) -> str:
    try:
        await store.ping()
    except StoreUnavailable as error:
        return _away("database", error)
    return "ok"


def _away(part: str, error: Exception) -> str:
    # Anybody may ask for health; addresses and account names are for the log alone.
    get_logger("api").warning("not ready", part=part, error=" ".join(str(error).split())[:200])
    return "cannot be reached"


async def serve(settings: Settings) -> None:
    """Run the API until SIGTERM or SIGINT."""
    check_api_safety(settings)
    sellers = load_sellers(settings)
    tracing = open_tracing("api")
    interceptors = tracing.interceptors if tracing else ()
    # The server may come later than the API: requests get 503 until then.
    client = await connect(settings, runtime=build_runtime(settings), lazy=True, interceptors=interceptors)
    stores = await open_stores(settings)
    app = create_app(settings, sellers, client, stores)
    get_logger("api").info("api listens", url=f"http://{settings.host}:{settings.port}", sellers=sorted(sellers))
    served = OwnTraces(app) if tracing else app
    settle()
    try:
        async with AsyncExitStack() as stack:
            if settings.metrics_address is not None:
                await stack.enter_async_context(MetricsServer(settings.metrics_address))
            await Server(server_config(served, settings.host, settings.port)).serve()
    finally:
        await stores.aclose()
        if tracing is not None:
            await tracing.aclose()


def main() -> int:
    """Entry point of the API process; the exit code."""
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        run_loop(serve(settings))
    except EngineError as error:
        sys.stderr.write(f"api: {error}\n")
        return 1
    return 0
