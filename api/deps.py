"""What routes need, as annotated dependencies: the desk, the Sellers, who is asking, and the body."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel, ValidationError

from api.desk import NoWorker, OrderConflict, OrderDesk, OrderUnknown, SellerUnknown, TemporalAway
from api.problems import Problem, field_errors, unavailable
from marketplace.security import ApiKeys, CallbackTokens, Role
from marketplace.seller.base import SellerConfig
from marketplace.seller.client import SellerPool

Body = TypeVar("Body", bound=BaseModel)

DEFAULT_WAIT = 5.0
LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Services:
    """Everything an app is made of; one per process, in `app.state.services`."""

    desk: OrderDesk
    sellers: dict[str, SellerConfig]
    pool: SellerPool
    keys: ApiKeys
    tokens: CallbackTokens
    cart_timeout: float
    """Seconds a shopper is made to wait for a Seller."""
    ready: Callable[[], Coroutine[Any, Any, dict[str, str]]]
    """Checks what the API needs: from a part's name to "ok" or what is the matter."""


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


ServicesDep = Annotated[Services, Depends(services)]


def _role(request: Request, authorization: str | None) -> Role:
    keys = services(request).keys
    if not keys.required:
        return Role.OPERATOR
    scheme, _, key = (authorization or "").partition(" ")
    role = keys.role_of(key.strip()) if scheme.lower() == "bearer" else None
    if role is None:
        detail = "send a valid key as 'Authorization: Bearer <key>'"
        raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="order-engine"'})
    return role


Authorization = Annotated[str | None, Header(description="`Bearer <key>`")]


def storefront(request: Request, authorization: Authorization = None) -> None:
    """Let storefront and operator keys pass."""
    _role(request, authorization)


def operator(request: Request, authorization: Authorization = None) -> None:
    """Let operator keys pass."""
    if _role(request, authorization) is not Role.OPERATOR:
        raise Problem(403, "this needs an operator key")


async def read_body(request: Request, model: type[Body], *, invalid: int) -> Body:
    """Read a JSON body into a model; 400 when it is no JSON, `invalid` when it is not what the model asks for.

    Read here and not by the framework: after the key was checked, and with pydantic's own parser, which has answers
    to half surrogate pairs, endless nesting and numbers of a thousand digits.
    """
    raw = await request.body()
    if not raw.strip():
        raise Problem(400 if invalid == 400 else 422, "the body is empty: send JSON")  # noqa: PLR2004
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        errors = field_errors(error)
        if error.errors()[0]["type"] == "json_invalid":
            raise Problem(400, "the body is not JSON", errors=errors) from None
        raise Problem(invalid, _summary(len(errors)), errors=errors) from None


def _summary(count: int) -> str:
    return "one field is invalid" if count == 1 else f"{count} fields are invalid"


def prefer_wait(prefer: Annotated[str | None, Header(description="`wait=N`, seconds, up to 30")] = None) -> float:
    """How long the client is ready to wait, by its Prefer header (RFC 7240)."""
    for part in (prefer or "").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() == "wait" and value.strip().isdecimal():
            return min(float(value.strip()[:6]), LONGEST_WAIT)
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
