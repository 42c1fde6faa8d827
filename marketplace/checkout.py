"""The checkout's own simulation: what a Seller says it can sell now, and whether an order still matches it."""

from typing import Annotated

from pydantic import Field

from marketplace.money import as_text, within
from marketplace.orders import (
    LogisticsInfo,
    Model,
    OrderItem,
    Reason,
    ReasonCode,
    SellerDate,
)

AVAILABLE = "available"
UNAVAILABLE = "unavailable"
"""The availability given to an item that the Seller left out of its answer."""
UNDELIVERABLE = "cannotBeDelivered"
"""The Seller has the item, but no SLA brings it to this destination. Source: contract A5."""


class Window(Model):
    """A window in which a scheduled SLA delivers; `price` in cents on top of the SLA's."""

    start_date_utc: SellerDate
    end_date_utc: SellerDate
    price: int = 0


class Sla(Model):
    """A shipping option for one line of the cart. `price` in cents for the whole line."""

    id: str
    name: str
    delivery_channel: str | None = None
    shipping_estimate: str | None = None
    price: int
    lock_ttl: Annotated[str | None, Field(alias="lockTTL")] = None
    available_delivery_windows: list[Window] = []


class SimulatedItem(Model):
    """One requested line, answered. Prices in cents a unit; None where the Seller gave none.

    `total` is the line's price in cents, which is not always `selling_price` times `quantity`: VTEX spreads the
    rounding of discounts over units. `quantity` may be lower than asked. `stock_balance` is None when not told.
    """

    id: str
    quantity: int
    availability: str
    price: int | None = None
    list_price: int | None = None
    selling_price: int | None = None
    total: int | None = None
    stock_balance: int | None = None
    slas: list[Sla] = []

    @property
    def sellable(self) -> bool:
        return self.availability == AVAILABLE and self.price is not None


class Total(Model):
    """`Items`: sum of the lines. `Shipping`: sum of each line's cheapest SLA, present when all lines have one."""

    id: str
    value: int


class Message(Model):
    """What the Seller said beside the answer, in one of VTEX's two forms brought to one."""

    code: str | None = None
    text: str
    status: str | None = None


class Simulation(Model):
    """A cart, simulated: every requested line is in `items`, in the order of the request."""

    seller: str
    items: list[SimulatedItem]
    totals: list[Total] = []
    messages: list[Message] = []


def find_problem(
    items: list[OrderItem], shipping: list[LogisticsInfo], simulation: Simulation, tolerance: float
) -> Reason | None:
    """Compare an order's lines and chosen shipping with what the Seller says now; None when it can be placed so.

    `tolerance` is the share by which prices may differ, 0 for none. All lines with the first kind of problem found
    are named, in the order: availability and stock, delivery to the destination, price, SLA, shipping price.
    """
    lines = list(zip(items, simulation.items, strict=True))
    chosen = [(info, simulation.items[info.item_index]) for info in shipping]
    checks = (
        (ReasonCode.OUT_OF_STOCK, [_stock_problem(asked, now) for asked, now in lines]),
        (ReasonCode.SLA_UNAVAILABLE, [_delivery_problem(asked, now) for asked, now in lines]),
        (ReasonCode.PRICE_DIVERGENCE, [_price_problem(asked, now, tolerance) for asked, now in lines]),
        (ReasonCode.SLA_UNAVAILABLE, [_sla_problem(info, now) for info, now in chosen]),
        (ReasonCode.PRICE_DIVERGENCE, [_shipping_problem(info, now, tolerance) for info, now in chosen]),
    )
    for code, problems in checks:
        if texts := [text for text in problems if text]:
            return Reason(code=code, message="; ".join(texts))
    return None


def with_promises(shipping: list[LogisticsInfo], simulation: Simulation) -> list[LogisticsInfo]:
    """Fill what VTEX needs beside the chosen SLA (lock time, estimate, channel) from the simulation, where left out.

    Raises pydantic's ValidationError when the Seller promises what no order can be placed with.
    """
    return [_with_promise(info, chosen_sla(info, simulation.items[info.item_index])) for info in shipping]


def _with_promise(info: LogisticsInfo, sla: Sla | None) -> LogisticsInfo:
    if sla is None:
        return info
    promise = {
        "selected_sla": sla.id,
        "lock_ttl": info.lock_ttl or sla.lock_ttl,
        "shipping_estimate": info.shipping_estimate or sla.shipping_estimate,
        "selected_delivery_channel": info.selected_delivery_channel or sla.delivery_channel,
    }
    # Checked anew, unlike by model_copy: a promise is the Seller's word.
    return LogisticsInfo.model_validate({**dict(info), **promise})


def chosen_sla(info: LogisticsInfo, now: SimulatedItem) -> Sla | None:
    """The SLA that the order chose, if it is still offered: by id, else by name."""
    for key in ("id", "name"):
        for sla in now.slas:
            if getattr(sla, key) == info.selected_sla:
                return sla
    return None


def _stock_problem(asked: OrderItem, now: SimulatedItem) -> str | None:
    if not now.sellable and now.availability != UNDELIVERABLE:
        return f"item {asked.id} is {now.availability}"
    stock = now.quantity if now.stock_balance is None else min(now.quantity, now.stock_balance)
    if stock < asked.quantity:
        return f"item {asked.id}: {asked.quantity} wanted, {stock} to be had"
    return None


def _delivery_problem(asked: OrderItem, now: SimulatedItem) -> str | None:
    if now.availability != UNDELIVERABLE:
        return None
    return f"item {asked.id} cannot be delivered to the order's address"


def _price_problem(asked: OrderItem, now: SimulatedItem, tolerance: float) -> str | None:
    unit = now.selling_price if now.selling_price is not None else now.price
    expected = now.total if now.total is not None else (unit or 0) * asked.quantity
    # The Seller's line total may hold a rounding cent for all units but one; a unit price cannot express it.
    slack = 0 if expected % asked.quantity == 0 else asked.quantity - 1
    if within(tolerance, expected, asked.price * asked.quantity, slack):
        return None
    return f"item {asked.id}: {as_text(asked.price)} asked, {as_text(round(expected / asked.quantity))} at the Seller"


def _sla_problem(info: LogisticsInfo, now: SimulatedItem) -> str | None:
    sla = chosen_sla(info, now)
    offered = ", ".join(sla.id for sla in now.slas) or "none"
    if sla is None:
        return f"item {now.id}: SLA {info.selected_sla} is not offered (offered: {offered})"
    window = info.delivery_window
    if window is not None and _window_price(info, sla) is None:
        return f"item {now.id}: SLA {sla.id} has no delivery window from {window.start_date_utc:%Y-%m-%dT%H:%MZ}"
    return None


def _shipping_problem(info: LogisticsInfo, now: SimulatedItem, tolerance: float) -> str | None:
    sla = chosen_sla(info, now)
    expected = (sla.price if sla else 0) + (_window_price(info, sla) or 0 if sla else 0)
    if within(tolerance, expected, info.price):
        return None
    return f"shipping of item {now.id}: {as_text(info.price)} asked, {as_text(expected)} at the Seller"


def _window_price(info: LogisticsInfo, sla: Sla) -> int | None:
    """What the chosen window costs on top; None when a window was chosen that is not offered."""
    window = info.delivery_window
    if window is None:
        return 0
    wanted = (window.start_date_utc, window.end_date_utc)
    for offer in sla.available_delivery_windows:
        if (offer.start_date_utc, offer.end_date_utc) == wanted:
            return offer.price
    return None
