"""What routes need, as annotated dependencies: the desk, the Sellers, who is asking, and for which order."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError
from structlog.contextvars import bind_contextvars

from api.catalog_desk import CatalogDesk
from api.desk import OrderDesk
from api.limits import Lane, Limits
from api.problems import Problem, unavailable
from api.temporal_calls import NoWorker, OrderConflict, OrderUnknown, SellerUnknown, TemporalAway
from api.webhook_desk import WebhookDesk
from marketplace.orders import Identifier
from marketplace.security import AffiliateTokens, ApiKeys, CallbackTokens, Role
from marketplace.seller.base import SellerConfig
from marketplace.seller.client import SellerPool
from marketplace.store.base import Journal

DEFAULT_WAIT = 5.0
LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Services:
    """Everything an app is made of; one per process, in `app.state.services`."""

    desk: OrderDesk
    catalog: CatalogDesk
    journal: Journal
    webhooks: WebhookDesk
    sellers: dict[str, SellerConfig]
    pool: SellerPool
    keys: ApiKeys
    tokens: CallbackTokens
    affiliates: AffiliateTokens
    limits: Limits
    cart_timeout: float
    """Seconds a shopper is made to wait for a Seller."""
    ready: Callable[[], Coroutine[Any, Any, dict[str, str]]]
    """Checks what the API needs: from a part's name to "ok" or what is the matter."""


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


async def _services(request: Request) -> Services:
    # FastAPI calls a dependency that is no coroutine in another thread.
    return services(request)


ServicesDep = Annotated[Services, Depends(_services)]


Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, description="A storefront or operator key; none when no keys are set.")),
]


async def stranger(request: Request) -> None:
    """Count a request without a valid key or token. Guessing is slowed; who has a valid one is not kept out by it."""
    await services(request).limits.stranger.take(request.client.host if request.client else "")


async def _role(request: Request, bearer: HTTPAuthorizationCredentials | None) -> Role:
    keys = services(request).keys
    if not keys.required:
        return Role.OPERATOR
    key = bearer.credentials.strip() if bearer else ""
    role = keys.role_of(key)
    if role is None:
        await stranger(request)
        detail = "send a valid key as 'Authorization: Bearer <key>'"
        raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="order-engine"'})
    await services(request).limits.key.take(key)
    return role


async def storefront(request: Request, bearer: Bearer) -> None:
    """Let storefront and operator keys pass."""
    await _role(request, bearer)


async def operator(request: Request, bearer: Bearer) -> None:
    """Let operator keys pass."""
    if await _role(request, bearer) is not Role.OPERATOR:
        raise Problem(403, "this needs an operator key")


def _within(lane_of: Callable[[Limits], Lane]) -> Any:
    """A dependency that holds a place in a lane until the request is answered."""

    async def held(services: ServicesDep) -> AsyncIterator[None]:
        async with lane_of(services.limits).place():
            yield

    return Depends(held)


# Behind a route's key: whoever has none takes up no place.
AS_ORDER = _within(lambda limits: limits.orders)
AS_CHANGE = _within(lambda limits: limits.changes)
AS_CART = _within(lambda limits: limits.carts)
AS_READ = _within(lambda limits: limits.reads)

_identifier = TypeAdapter[str](Identifier)


async def order_id(marketplace_order_id: Annotated[str, Path(description="The order's marketplaceOrderId")]) -> str:
    """The order id in the path. What is no id is no order's; not every database would even look for it."""
    try:
        order = _identifier.validate_python(marketplace_order_id)
    except ValidationError:
        raise Problem(404, "no such order: an id is 1 to 128 characters of A-Z a-z 0-9 . _ -") from None
    bind_contextvars(order=order)
    return order


OrderId = Annotated[str, Depends(order_id)]


def prefer_wait(prefer: Annotated[str | None, Header(description="`wait=N`, seconds, up to 30")] = None) -> float:
    """How long the client is ready to wait, by its Prefer header (RFC 7240). What makes no sense is not preferred."""
    for part in (prefer or "").split(","):
        name, _, value = part.partition(";")[0].partition("=")
        seconds = value.strip().strip('"')
        if name.strip().lower() == "wait" and seconds.isdecimal():
            return min(float(seconds), LONGEST_WAIT)
    return DEFAULT_WAIT


WaitDep = Annotated[float, Depends(prefer_wait)]


@asynccontextmanager
async def desk_problems() -> AsyncIterator[None]:
    """Tell the desk's errors as problems."""
    try:
        yield
    except (OrderUnknown, SellerUnknown) as error:
        raise Problem(404, str(error)) from None
    except OrderConflict as error:
        raise Problem(409, str(error)) from None
    except (TemporalAway, NoWorker) as error:
        raise unavailable(str(error)) from None
