"""Faults to order: what the network and VTEX's edge do to a call, queued and consumed in order."""

import random
from collections.abc import Collection
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sandbox.answers import Answer, error_answer, html_answer, json_answer
from sandbox.base import Model
from sandbox.catalog_settings import Seconds
from sandbox.config import Settings
from sandbox.protocol import ProtocolError

RouteName = Literal["simulate", "place", "dispatch", "cancel", "read", "sku", "product", "sku-ids"]


class FaultKind(StrEnum):
    """What happens to the call. Unless it says otherwise, nothing is done and the Seller is as before."""

    ANSWER_LOST = "answer-lost"
    """The work is done, then the connection closes without an answer."""
    RESET = "reset"
    """The connection is reset before anything is done."""
    RATE_LIMITED = "rate-limited"
    """429, with `retryAfter` when given."""
    ERROR = "error"
    """`httpStatus` (400) with VTEX's `code`."""
    SERVER_ERROR = "server-error"
    """`httpStatus` (500, 502, 503) with a JSON error."""
    HTML = "html"
    """`httpStatus` (404, 502) with an HTML page."""
    SLOW = "slow"
    """Sleep `seconds`, then work and answer."""
    SLOW_AFTER = "slow-after"
    """Work, sleep `seconds`, then answer."""
    HALF_BODY = "half-body"
    """Work, then the connection closes in the middle of the answer."""
    NOT_JSON = "not-json"
    """Work, then answer something that is no JSON."""
    FORBIDDEN = "forbidden"
    """403, as with a key that lacks the permission."""
    HOLD = "hold"
    """Keep the call until it is released; then it meets the next fault queued for it, or works."""
    HOLD_AFTER = "hold-after"
    """Work, keep the answer until the call is released, then answer."""


def _one_word(route: object) -> object:
    """Let `simulation` stand for `simulate`: both are in use for that call."""
    return "simulate" if route == "simulation" else route


class Fault(Model):
    """One fault, for the next `times` calls of a route, or of the calls about one order or one SKU."""

    route: Annotated[RouteName | Literal["any"], BeforeValidator(_one_word)] = "any"
    kind: FaultKind
    times: Annotated[int, Field(ge=1, le=100_000)] = 1
    percent: Annotated[float, Field(gt=0, le=100)] = 100.0
    """How likely each of these calls is hit; one that is spared uses up nothing."""
    marketplace_order_id: str | None = None
    sku_id: str | None = None
    """Hits SKU reads, reads of its product, and simulations that name it."""
    seconds: Seconds = 1.0
    retry_after: str | int | None = None
    """Value of the Retry-After header: seconds, or an HTTP date."""
    code: str | None = None
    http_status: Annotated[int, Field(ge=400, le=599)] | None = None
    message: str | None = None
    commit: bool = False
    """For the kinds with an answer of their own: do the work first, then lie about it."""

    def answer(self, settings: Settings) -> Answer:
        """The answer of a kind that has one of its own."""
        if self.kind is FaultKind.HTML:
            status = self.http_status or 404
            return html_answer(status, f"{status} {self.message or _phrase(status)}")
        if self.kind is FaultKind.RATE_LIMITED:
            headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
            error = ProtocolError(self.code or "1", self.message or "Too Many Requests", 429)
            return error_answer(error, settings, more_headers=headers)
        if self.kind is FaultKind.FORBIDDEN:
            return error_answer(ProtocolError(self.code or "1", self.message or "Access denied", 403), settings)
        if self.kind is FaultKind.ERROR:
            error = ProtocolError(self.code or "ORD008", self.message or "The order could not be created")
            error.status = self.http_status or 400
            return error_answer(error, settings)
        status = self.http_status or 500
        return json_answer(
            {"error": {"code": "1", "message": self.message or _phrase(status), "exception": None}}, status
        )


class FaultQueue:
    """The faults that are still to happen, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._dice = random.Random(0)  # noqa: S311 - no secret, and the same in every run

    def add(self, fault: Fault) -> None:
        self._faults.append(fault.model_copy())

    def all(self) -> list[Fault]:
        return list(self._faults)

    def clear(self) -> None:
        self._faults.clear()

    def take(self, route: RouteName, marketplace_order_id: str | None, sku_ids: Collection[str] = ()) -> Fault | None:
        """The first fault that is meant for this call; it has one time less afterwards."""
        for fault in self._faults:
            if fault.route not in {"any", route}:
                continue
            if fault.marketplace_order_id not in {None, marketplace_order_id}:
                continue
            if fault.sku_id is not None and fault.sku_id not in sku_ids:
                continue
            if self._dice.random() * 100 >= fault.percent:
                continue
            fault.times -= 1
            if fault.times == 0:
                self._faults.remove(fault)
            return fault
        return None


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
