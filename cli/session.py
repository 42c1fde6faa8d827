"""What the operator's commands work with: the desks on the worker's own settings, without HTTP between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

from temporalio.client import Client
from temporalio.exceptions import TemporalError
from temporalio.runtime import Runtime, TelemetryConfig

from api.catalog_desk import CatalogDesk, OfferUnknown
from api.desk import OrderDesk
from api.temporal_calls import NoWorker, OrderUnknown, TemporalAway
from api.webhook_desk import WebhookDesk, WebhookUnknown
from marketplace.errors import EngineError
from marketplace.seller.base import SellerConfig
from marketplace.settings import load_sellers, load_settings
from marketplace.store.base import Journal, StoreUnavailable
from marketplace.store.stores import open_migrated_stores
from marketplace.temporal import connect

Result = TypeVar("Result")

_ADVICE: Final[dict[type[EngineError], str]] = {
    OrderUnknown: "`order-engine orders list` shows the orders",
    OfferUnknown: "`order-engine catalog list` shows the offers",
    WebhookUnknown: "`order-engine webhooks list` shows the webhooks",
    NoWorker: "start one with `order-engine worker`",
    TemporalAway: "`order-engine doctor` tells more",
    StoreUnavailable: "start it, or set ORDER_ENGINE_DATABASE_URL",
}


class CommandError(EngineError):
    """A command could not do its work. The text is one line for the operator, with what to do."""


@dataclass(frozen=True)
class Desks:
    """Everything that an operator's command may work with, open until the work is done."""

    orders: OrderDesk
    catalog: CatalogDesk
    journal: Journal
    webhooks: WebhookDesk
    sellers: Mapping[str, SellerConfig]
    client: Client
    """Connects with its first call; what the record alone can answer never makes one."""


def with_desk(work: Callable[[OrderDesk], Awaitable[Result]]) -> Result:
    """Do some work with the order desk. Raises CommandError, and other leaves of EngineError that say what to do."""
    return with_desks(lambda desks: work(desks.orders))


def with_desks(work: Callable[[Desks], Awaitable[Result]]) -> Result:
    """Do some work with all desks. Raises as `with_desk` does."""
    return asyncio.run(_work(work))


@cache
def quiet_runtime() -> Runtime:
    """Temporal's native part without its log, which it would write to standard output, amid the JSON."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


async def _work(work: Callable[[Desks], Awaitable[Result]]) -> Result:
    try:
        async with _desks() as desks:
            return await work(desks)
    except tuple(_ADVICE) as error:
        advice = next(text for kind, text in _ADVICE.items() if isinstance(error, kind))
        raise CommandError(f"{error}; {advice}") from None
    except TemporalError as error:
        text = " ".join(str(error).split())
        raise CommandError(f"Temporal did not do it ({text}); `order-engine doctor` tells more") from None


@asynccontextmanager
async def _desks() -> AsyncIterator[Desks]:
    settings = load_settings()
    # The Sellers themselves are not called from here.
    sellers = load_sellers(settings, require_secrets=False)
    stores = await open_migrated_stores(settings)
    try:
        # What the record alone can answer is answered without Temporal.
        client = await connect(settings, runtime=quiet_runtime(), lazy=True)
        yield Desks(
            orders=OrderDesk(client, stores.orders, settings, sellers),
            catalog=CatalogDesk(client, stores.offers, settings, sellers),
            journal=stores.journal,
            webhooks=WebhookDesk(client, stores.webhooks, settings),
            sellers=sellers,
            client=client,
        )
    finally:
        await stores.aclose()
