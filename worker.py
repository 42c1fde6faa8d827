"""The worker's process: connect, register, run until told to stop, leave with nothing in hand."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.catalog import CatalogActivities
from activities.log_context import LogContext
from activities.orders import OrderActivities
from activities.retention import RetentionActivities
from activities.schedules import ensure_schedules
from activities.seller import SellerActivities
from activities.sku_reader import build_shop
from activities.storefront import StorefrontActivities, build_teller
from activities.trouble import Trouble
from marketplace.errors import EngineError
from marketplace.metrics_server import MetricsServer
from marketplace.order_watch import orders_watched
from marketplace.process import leave, run_loop, settle
from marketplace.safety import check_worker_safety
from marketplace.security import CallbackTokens
from marketplace.seller.base import SellerConfig
from marketplace.seller.client import SellerPool
from marketplace.settings import Settings, load_sellers, load_settings, secret_keys
from marketplace.store.stores import Stores, open_stores
from marketplace.storefront import CONNECTIONS, Storefront, open_storefront
from marketplace.telemetry import configure_logging, get_logger
from marketplace.temporal import build_runtime, connect, ensure_search_attributes
from marketplace.tracing import open_tracing
from workflows.catalog_import import CatalogImportWorkflow
from workflows.catalog_policies import SKU_ID, catalog_queue
from workflows.order import OrderWorkflow
from workflows.policies import SEARCH_ATTRIBUTES
from workflows.retention import JournalRetentionWorkflow
from workflows.sku_sync import SkuSyncWorkflow
from workflows.webhook_policies import webhook_queue
from workflows.webhooks import WebhookWorkflow

GRACE = timedelta(seconds=20)
"""How long running Seller calls may take to end when the worker is told to stop."""

CACHED_ORDERS = 128
"""Orders kept in memory, the last ones heard of: 140 KiB each, and each of them is looked at by a full collection of
garbage, for which the worker stands still. The others are read again from their history when something happens to them,
for 3 ms of the worker's CPU (docs/performance.md).
"""
SELLER_CALLS = 300
"""Seller calls of orders at a time. They wait for the network, for 20 s and more where a Seller is slow: so many that a
few slow Sellers, with 50 connections each, do not keep the others' orders waiting.
"""
CATALOG_ACTIVITIES = 50
"""SKUs of all Sellers that are read at once after notices; more of them wait in Temporal and not in this process."""

INTERCEPTORS: Sequence[Interceptor] = (LogContext(), Trouble())
"""The first is the outermost: what the second logs says what it is about."""

RUNNER = UnsandboxedWorkflowRunner()
"""Runs the workflow modules as they were imported. Temporal's workflow sandbox would watch each run for what is not
deterministic, for much of a worker's CPU (docs/decisions.md, 28); the tests do that instead, in STRICT, with the
histories of every kind of order and sync.
"""
STRICT = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "marketplace", "pydantic", "annotated_types", "opentelemetry"
    )
)
"""Every workflow run imports the workflow modules anew, under the SDK's watch for what is not deterministic."""


def build_worker(
    client: Client,
    settings: Settings,
    pool: SellerPool,
    stores: Stores,
    *,
    max_cached_workflows: int = CACHED_ORDERS,
    seller_calls: int = SELLER_CALLS,
    runner: WorkflowRunner = RUNNER,
) -> Worker:
    """Put together the worker of `settings.task_queue`: the order workflow and all activities."""
    tokens = CallbackTokens(secret_keys(settings))

    def endpoint(seller: str, marketplace_order_id: str) -> str:
        return tokens.endpoint(settings.public_url, seller, marketplace_order_id)

    records = OrderActivities(stores.orders, build_teller(client, settings))
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[OrderWorkflow],
        activities=[*SellerActivities(pool.get, pool.catalog, endpoint, records.claim).all, *records.all],
        workflow_runner=runner,
        interceptors=INTERCEPTORS,
        max_cached_workflows=max_cached_workflows,
        max_concurrent_activities=seller_calls,
        # A new order's cart is asked for within its workflow task: a slow Seller must not keep the others' waiting.
        max_concurrent_workflow_tasks=seller_calls,
        max_concurrent_local_activities=seller_calls,
        graceful_shutdown_timeout=GRACE,
        # A killed worker's orders wait for this before another worker takes them; the default is 10 s.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


def build_catalog_worker(
    client: Client, settings: Settings, sellers: Mapping[str, SellerConfig], pool: SellerPool, stores: Stores
) -> Worker:
    """Put together the worker of the catalog, on a task queue of its own: a re-index must not stand before an order."""
    shops = {name: build_shop(config, pool) for name, config in sellers.items()}
    catalog = CatalogActivities(shops, stores.offers)
    retention = RetentionActivities(stores.journal, stores.webhooks, settings.log_retention)
    return Worker(
        client,
        task_queue=catalog_queue(settings.task_queue),
        workflows=[SkuSyncWorkflow, CatalogImportWorkflow, JournalRetentionWorkflow],
        activities=[*catalog.all, *retention.all],
        workflow_runner=RUNNER,
        interceptors=INTERCEPTORS,
        max_concurrent_activities=CATALOG_ACTIVITIES,
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


def build_webhook_worker(client: Client, settings: Settings, storefront: Storefront, stores: Stores) -> Worker:
    """Put together the worker of the webhooks, on a task queue of its own: a slow storefront delays no order."""
    activities = StorefrontActivities(stores.webhooks, stores.orders, storefront, settings.webhook_patience)
    return Worker(
        client,
        task_queue=webhook_queue(settings.task_queue),
        workflows=[WebhookWorkflow],
        activities=activities.all,
        workflow_runner=RUNNER,
        interceptors=INTERCEPTORS,
        max_concurrent_activities=CONNECTIONS,
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is running, within GRACE."""
    log = get_logger("worker")
    check_worker_safety(settings)
    sellers = load_sellers(settings)
    tracing = open_tracing("worker")
    runtime = build_runtime(settings)
    client = await connect(settings, runtime=runtime, interceptors=tracing.interceptors if tracing else ())
    await ensure_search_attributes(client, [*SEARCH_ATTRIBUTES, SKU_ID])
    stores = await open_stores(settings)
    pool = SellerPool(sellers)
    storefront = open_storefront(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        workers = [
            build_worker(client, settings, pool, stores),
            build_catalog_worker(client, settings, sellers, pool, stores),
        ]
        if storefront is not None:
            workers.append(build_webhook_worker(client, settings, storefront, stores))
        async with AsyncExitStack() as stack:
            if settings.metrics_address is not None:
                await stack.enter_async_context(MetricsServer(settings.metrics_address))
                await stack.enter_async_context(orders_watched(stores.orders, sellers))
            for worker in workers:
                await stack.enter_async_context(worker)
            await ensure_schedules(client, settings, sellers)
            settle()
            log.info("worker runs", task_queue=settings.task_queue, sellers=sorted(sellers))
            await stop.wait()
            log.info("worker stops")
            # All at once: one after another each may take GRACE, and those still to come would go on taking work.
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        await pool.aclose()
        if storefront is not None:
            await storefront.aclose()
        await stores.aclose()
        if tracing is not None:
            await tracing.aclose()


def main() -> None:
    """Entry point of the worker process."""
    code = 0
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        # What a line is about is told by its fields.
        workflow.logger.workflow_info_on_message = activity.logger.activity_info_on_message = False
        run_loop(run(settings))
    except EngineError as error:
        sys.stderr.write(f"worker: {error}\n")
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
