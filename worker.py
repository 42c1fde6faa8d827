"""The worker's process: connect, register, run until told to stop, leave with nothing in hand."""

import asyncio
import os
import signal
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.orders import OrderActivities
from activities.seller import SellerActivities
from marketplace.errors import EngineError
from marketplace.security import CallbackTokens
from marketplace.seller.client import SellerPool
from marketplace.settings import Settings, load_sellers, load_settings, secret_keys
from marketplace.store.base import OrderStore
from marketplace.store.sql import open_store
from marketplace.telemetry import configure_logging, get_logger
from marketplace.temporal import connect, ensure_search_attributes
from workflows.order import OrderWorkflow
from workflows.policies import SEARCH_ATTRIBUTES

GRACE = timedelta(seconds=20)
"""How long running Seller calls may take to end when the worker is told to stop."""

# Pure modules of ours are shared with the workflow sandbox instead of being imported anew for each workflow.
_RUNNER = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("marketplace", "pydantic", "annotated_types")
)


def build_worker(
    client: Client, settings: Settings, pool: SellerPool, store: OrderStore, *, max_cached_workflows: int = 1000
) -> Worker:
    """Put together the worker of `settings.task_queue`: the order workflow and all activities."""
    tokens = CallbackTokens(secret_keys(settings))

    def endpoint(seller: str, marketplace_order_id: str) -> str:
        return tokens.endpoint(settings.public_url, seller, marketplace_order_id)

    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[OrderWorkflow],
        activities=[*SellerActivities(pool.get, endpoint).all, *OrderActivities(store).all],
        workflow_runner=_RUNNER,
        max_cached_workflows=max_cached_workflows,
        graceful_shutdown_timeout=GRACE,
        # A killed worker's orders wait for this before another worker takes them; the default is 10 s.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is running, within GRACE."""
    log = get_logger("worker")
    sellers = load_sellers(settings)
    client = await connect(settings)
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    store = await open_store(settings)
    pool = SellerPool(sellers)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with build_worker(client, settings, pool, store):
            log.info("worker runs", task_queue=settings.task_queue, sellers=sorted(sellers))
            await stop.wait()
            log.info("worker stops")
    finally:
        await pool.aclose()
        await store.aclose()


def leave(code: int) -> None:
    """End a process that used Temporal's SDK.

    While an interpreter shuts down the SDK's native threads can crash it (sdk-python issue 300), after all work was
    right; so everything is flushed and the rest of the shutdown skipped.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
