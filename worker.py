"""The worker's process: connect, register, run until told to stop, leave with nothing in hand."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.catalog import CatalogActivities
from activities.orders import OrderActivities
from activities.retention import RetentionActivities
from activities.schedules import ensure_schedules
from activities.seller import SellerActivities
from activities.sku_reader import build_shop
from activities.trouble import StoreTrouble
from marketplace.errors import EngineError
from marketplace.process import leave
from marketplace.security import CallbackTokens
from marketplace.seller.base import SellerConfig
from marketplace.seller.client import SellerPool
from marketplace.settings import Settings, load_sellers, load_settings, secret_keys
from marketplace.store.stores import Stores, open_stores
from marketplace.telemetry import configure_logging, get_logger
from marketplace.temporal import connect, ensure_search_attributes
from workflows.catalog_import import CatalogImportWorkflow
from workflows.catalog_policies import SKU_ID, catalog_queue
from workflows.order import OrderWorkflow
from workflows.policies import SEARCH_ATTRIBUTES
from workflows.retention import JournalRetentionWorkflow
from workflows.sku_sync import SkuSyncWorkflow

GRACE = timedelta(seconds=20)
"""How long running Seller calls may take to end when the worker is told to stop."""

CATALOG_ACTIVITIES = 50
"""SKUs of all Sellers that are read at once after notices; more of them wait in Temporal and not in this process."""

_PURE = ("marketplace", "pydantic", "annotated_types")
# With our own workflow modules shared too, and not imported anew for each run, a worker needs less than half of the CPU
# and a third of the memory. They hold no state of their own; that they stay deterministic is tested in STRICT.
SHARED = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules("workflows", *_PURE))
STRICT = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*_PURE))
"""Every workflow run imports the workflow modules anew, under the SDK's watch for what is not deterministic."""


def build_worker(
    client: Client,
    settings: Settings,
    pool: SellerPool,
    stores: Stores,
    *,
    max_cached_workflows: int = 1000,
    runner: WorkflowRunner = SHARED,
) -> Worker:
    """Put together the worker of `settings.task_queue`: the order workflow and all activities."""
    tokens = CallbackTokens(secret_keys(settings))

    def endpoint(seller: str, marketplace_order_id: str) -> str:
        return tokens.endpoint(settings.public_url, seller, marketplace_order_id)

    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[OrderWorkflow],
        activities=[*SellerActivities(pool.get, pool.catalog, endpoint).all, *OrderActivities(stores.orders).all],
        workflow_runner=runner,
        interceptors=[StoreTrouble()],
        max_cached_workflows=max_cached_workflows,
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
    retention = RetentionActivities(stores.journal, settings.log_retention)
    return Worker(
        client,
        task_queue=catalog_queue(settings.task_queue),
        workflows=[SkuSyncWorkflow, CatalogImportWorkflow, JournalRetentionWorkflow],
        activities=[*catalog.all, *retention.all],
        workflow_runner=SHARED,
        interceptors=[StoreTrouble()],
        max_concurrent_activities=CATALOG_ACTIVITIES,
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is running, within GRACE."""
    log = get_logger("worker")
    sellers = load_sellers(settings)
    client = await connect(settings)
    await ensure_search_attributes(client, [*SEARCH_ATTRIBUTES, SKU_ID])
    stores = await open_stores(settings)
    pool = SellerPool(sellers)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with (
            build_worker(client, settings, pool, stores),
            build_catalog_worker(client, settings, sellers, pool, stores),
        ):
            await ensure_schedules(client, settings, sellers)
            log.info("worker runs", task_queue=settings.task_queue, sellers=sorted(sellers))
            await stop.wait()
            log.info("worker stops")
    finally:
        await pool.aclose()
        await stores.aclose()


def main() -> None:
    """Entry point of the worker process."""
    code = 0
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        asyncio.run(run(settings))
    except EngineError as error:
        sys.stderr.write(f"worker: {error}\n")
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
