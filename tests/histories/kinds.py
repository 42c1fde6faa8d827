"""What is recorded: the stories of orders and of the catalog, each under the name of its file."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from tests.catalog.shop import Shop
from tests.support.engine import Engine
from tests.webhooks.receiver import Receiver

Json = dict[str, Any]
Run = WorkflowHandle[Any, Any]
Teller = TypeVar("Teller", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True)
class Kind:
    """One story. `settings` change the engine's, or the shop's, for it alone; `about` is told in the file."""

    name: str
    about: str
    settings: Json


@dataclass(frozen=True)
class OrderKind(Kind):
    """Leads one order as far as it is to be recorded, and returns it."""

    tell: Callable[[Engine], Awaitable[Json]]


@dataclass(frozen=True)
class WaitingOrderKind(Kind):
    """Does the same beside a server whose clock it can move on."""

    tell: Callable[[Engine, WorkflowEnvironment], Awaitable[Json]]


@dataclass(frozen=True)
class CatalogKind(Kind):
    """Leads a SKU's sync or an import as far as it is to be recorded, and returns it."""

    tell: Callable[[Shop], Awaitable[Run]]


@dataclass(frozen=True)
class StorefrontKind(Kind):
    """Lets the storefront be told of an order, and returns the workflow that tells it."""

    tell: Callable[[Engine, Receiver], Awaitable[Run]]


@dataclass
class Register:
    """All kinds by name."""

    orders: dict[str, OrderKind] = field(default_factory=dict)
    waiting: dict[str, WaitingOrderKind] = field(default_factory=dict)
    catalog: dict[str, CatalogKind] = field(default_factory=dict)
    storefront: dict[str, StorefrontKind] = field(default_factory=dict)
    short_runs: set[str] = field(default_factory=set)
    """Those that are told until they go on as a new run, beside a server that suggests it soon."""

    @property
    def names(self) -> set[str]:
        return {*self.orders, *self.waiting, *self.catalog, *self.storefront}


KINDS = Register()


def order(**settings: Any) -> Callable[[Teller], Teller]:
    """Make a story about an order one of those that are recorded."""

    def known(tell: Teller) -> Teller:
        name = _named("order", tell)
        KINDS.orders[name] = OrderKind(name, _about(tell), settings, tell)
        return tell

    return known


def of_several_runs(tell: Teller) -> Teller:
    """Let a story go on as a new run soon. Stands above the other decorator."""
    KINDS.short_runs |= {name for name in KINDS.names if name.partition("-")[2] == tell.__name__.replace("_", "-")}
    return tell


def waiting_order(tell: Teller) -> Teller:
    """The same for one that waits for days. It is told the clock too."""
    name = _named("order", tell)
    KINDS.waiting[name] = WaitingOrderKind(name, _about(tell), {}, tell)
    return tell


def catalog(**settings: Any) -> Callable[[Teller], Teller]:
    """Make a story about the catalog one of those that are recorded."""

    def known(tell: Teller) -> Teller:
        name = _named("catalog", tell)
        KINDS.catalog[name] = CatalogKind(name, _about(tell), settings, tell)
        return tell

    return known


def storefront(**settings: Any) -> Callable[[Teller], Teller]:
    """Make a story about the storefront one of those that are recorded."""

    def known(tell: Teller) -> Teller:
        name = _named("storefront", tell)
        KINDS.storefront[name] = StorefrontKind(name, _about(tell), settings, tell)
        return tell

    return known


def _named(subject: str, tell: Callable[..., Any]) -> str:
    return f"{subject}-{tell.__name__.replace('_', '-')}"


def _about(tell: Callable[..., Any]) -> str:
    assert tell.__doc__, f"{tell.__name__} does not say what it is about"
    return tell.__doc__
