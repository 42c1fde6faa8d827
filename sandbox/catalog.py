"""What the sandbox Seller sells: SKUs with price, stock and SLAs, and the reservations on their stock."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from sandbox.base import DURATION, Model, now

Cents = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Duration = Annotated[str, StringConstraints(pattern=DURATION.pattern)]
_WINDOW_DAYS = 3


class DailyWindow(Model):
    """A window that is offered on each of the next days: hours in UTC, `price` in cents on top of the SLA's."""

    start_hour: Annotated[int, Field(ge=0, le=23)]
    end_hour: Annotated[int, Field(ge=0, le=23)]
    price: Cents = 0

    def on(self, days_ahead: int) -> tuple[datetime, datetime]:
        """Start and end of the window so many days from today."""
        day = now().date() + timedelta(days=days_ahead)
        return (
            datetime.combine(day, time(self.start_hour), UTC),
            datetime.combine(day, time(self.end_hour), UTC),
        )


class PickupPoint(Model):
    id: str
    friendly_name: str


class Sla(Model):
    """A shipping option of a SKU. `price` in cents for the whole line, whatever its quantity.

    With `windows` the delivery is scheduled: an order must choose one of them, and pays its price too.
    """

    id: str
    name: str
    price: Cents
    shipping_estimate: Duration = "5bd"
    lock_ttl: Annotated[Duration, Field(alias="lockTTL")] = "7d"
    delivery_channel: Literal["delivery", "pickup-in-point"] = "delivery"
    windows: list[DailyWindow] = []
    pickup_point: PickupPoint | None = None

    def offered_windows(self) -> list[tuple[datetime, datetime, int]]:
        """Start, end and price of the windows offered now."""
        days = range(1, 1 + _WINDOW_DAYS)
        return [(*window.on(day), window.price) for day in days for window in self.windows]

    def window_price(self, start: datetime, end: datetime) -> int | None:
        """What the window costs on top, None when it is not offered. One chosen before midnight is good after it."""
        for day in range(1 + _WINDOW_DAYS):
            for window in self.windows:
                if window.on(day) == (start, end):
                    return window.price
        return None


STANDARD = Sla(id="Standard", name="Standard", price=1490, shipping_estimate="5bd")
EXPRESS = Sla(id="Express", name="Express", price=2990, shipping_estimate="1bd", lock_ttl="3d")
SCHEDULED = Sla(
    id="Scheduled",
    name="Scheduled",
    price=1990,
    shipping_estimate="3d",
    windows=[DailyWindow(start_hour=8, end_hour=12), DailyWindow(start_hour=13, end_hour=18, price=350)],
)
PICKUP = Sla(
    id="Pickup Centro",
    name="Pickup Centro",
    price=0,
    shipping_estimate="2h",
    delivery_channel="pickup-in-point",
    pickup_point=PickupPoint(id="acme_centro", friendly_name="Loja Centro"),
)
STANDARD_SLAS = {sla.id: sla for sla in (STANDARD, EXPRESS, SCHEDULED, PICKUP)}


def _named_sla(value: object) -> object:
    """Let the name of one of the four standard SLAs stand for it."""
    return STANDARD_SLAS.get(value, value) if isinstance(value, str) else value


AnySla = Annotated[Sla, BeforeValidator(_named_sla)]


class Sku(Model):
    """A SKU. Prices in cents; `stock` counts units on the shelf, `reserved` those that placed orders hold."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")]
    name: str
    price: Cents
    list_price: Cents | None = None
    stock: Annotated[int, Field(ge=0)] = 0
    reserved: Annotated[int, Field(ge=0)] = 0
    active: bool = True
    slas: list[AnySla] = Field(default_factory=lambda: [STANDARD, EXPRESS])
    measurement_unit: str = "un"

    @property
    def available(self) -> int:
        """Units that can still be sold."""
        return max(0, self.stock - self.reserved)

    def sla(self, sla_id: str) -> Sla | None:
        return next((sla for sla in self.slas if sla.id == sla_id), None)


class Catalog:
    """The SKUs by id. `on_change` is told the id of every SKU that was changed."""

    def __init__(self, skus: Iterable[Sku], on_change: Callable[[str], None] = lambda _: None) -> None:
        self._skus: dict[str, Sku] = {}
        self._on_change = on_change
        self.reset(skus)

    def reset(self, skus: Iterable[Sku]) -> None:
        """Sell these SKUs and no others."""
        self._skus = {sku.id: sku.model_copy() for sku in skus}
        for sku_id in self._skus:
            self._on_change(sku_id)

    def all(self) -> list[Sku]:
        return list(self._skus.values())

    def get(self, sku_id: str) -> Sku | None:
        return self._skus.get(sku_id)

    def sellable(self, sku_id: str) -> Sku | None:
        """The SKU, if it is known and active."""
        sku = self._skus.get(sku_id)
        return sku if sku is not None and sku.active else None

    def knows_sla(self, sla_id: str) -> bool:
        """Whether any SKU of the account is offered with this SLA."""
        return sla_id in STANDARD_SLAS or any(sku.sla(sla_id) for sku in self._skus.values())

    def put(self, sku: Sku) -> None:
        self._skus[sku.id] = sku
        self._on_change(sku.id)

    def reserve(self, units: dict[str, int]) -> str | None:
        """Reserve all units or none. Answers the id of the first SKU that has too few, None when all are reserved."""
        for sku_id, quantity in units.items():
            if self._skus[sku_id].available < quantity:
                return sku_id
        for sku_id, quantity in units.items():
            self._skus[sku_id].reserved += quantity
            self._on_change(sku_id)
        return None

    def release(self, units: dict[str, int]) -> None:
        """Give reserved units back."""
        for sku_id, quantity in units.items():
            if sku := self._skus.get(sku_id):
                sku.reserved = max(0, sku.reserved - quantity)
                self._on_change(sku_id)

    def take(self, units: dict[str, int]) -> None:
        """Let reserved units leave the shelf."""
        for sku_id, quantity in units.items():
            if sku := self._skus.get(sku_id):
                sku.reserved = max(0, sku.reserved - quantity)
                sku.stock = max(0, sku.stock - quantity)
                self._on_change(sku_id)


def seed_skus() -> list[Sku]:
    """The dozen SKUs a sandbox starts with when it is told no others."""
    both, dated, picked = [STANDARD, EXPRESS], [STANDARD, SCHEDULED], [STANDARD, EXPRESS, PICKUP]
    rows: list[tuple[str, str, int, int, int, list[Sla]]] = [
        ("2001", "Ceramic mug, blue", 3990, 4990, 120, both),
        ("2002", "Linen table runner, sand", 12990, 15990, 37, dated),
        ("2003", "Cotton napkins, set of four", 4550, 4550, 80, both),
        ("2004", "Oak serving board", 8990, 9990, 25, picked),
        ("2005", "Cast iron pan, 26 cm", 21900, 24900, 14, both),
        ("2006", "Glass jug, 1.5 l", 6490, 6490, 40, picked),
        ("2007", "Wool throw, grey", 18900, 22900, 9, dated),
        ("2008", "Bread knife", 7990, 7990, 60, both),
        ("2009", "Dining chair, ash", 49900, 59900, 6, [SCHEDULED]),
        ("2010", "Tea towel", 1990, 1990, 300, both),
        ("2011", "Copper lamp, the last two", 32900, 39900, 2, both),
        ("2012", "Stoneware bowl, sold out", 5490, 5490, 0, both),
    ]
    return [
        Sku(id=sku_id, name=name, price=price, list_price=list_price, stock=stock, slas=slas)
        for sku_id, name, price, list_price, stock, slas in rows
    ]


def numbered_skus(count: int, *, first_id: int = 100_001, stock: int = 1_000_000) -> list[Sku]:
    """As many SKUs as a load test needs, with prices from 10.00 to 109.90."""
    return [
        Sku(id=str(first_id + n), name=f"Item {n + 1}", price=1000 + 90 * (n % 112), stock=stock) for n in range(count)
    ]
