"""The shipping options that SKUs are offered with, and the four that every account has."""

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
