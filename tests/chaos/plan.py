"""What will happen in a run, drawn from its seed before it begins: each order's fate, and each blow of the nemesis.

The seed decides what is done and in which order. When exactly it meets the engine is up to the machine: two runs of a
seed are alike, not the same.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Fate(StrEnum):
    """What storefront, customer and Seller want of an order."""

    DELIVERED = "delivered"
    PAID_AT_ONCE = "paid at once"
    IN_PARTS = "invoiced in parts"
    RETURNED = "returned"
    DENIED = "payment denied"
    UNPAID = "never paid"
    CUSTOMER_CANCELS = "the customer cancels"
    SELLER_CANCELS = "the Seller cancels"
    WRONG_PRICE = "wrong price"


_SHARES: Final = {
    Fate.DELIVERED: 30,
    Fate.PAID_AT_ONCE: 12,
    Fate.IN_PARTS: 14,
    Fate.RETURNED: 6,
    Fate.DENIED: 8,
    Fate.UNPAID: 4,
    Fate.CUSTOMER_CANCELS: 14,
    Fate.SELLER_CANCELS: 8,
    Fate.WRONG_PRICE: 4,
}

ITEM: Final = "100001"
"""The SKU that every order is about; the others change their prices."""
PRICE: Final = 1000
"""Cents: what the sandbox asks for it."""
SHIPPING: Final = 1490


@dataclass(frozen=True)
class OrderPlan:
    """One order: when it is posted, what it wants, and how much disorder its Seller makes of its callbacks."""

    id: str
    at: float
    """Seconds after the start of the run."""
    fate: Fate
    quantity: int
    posted_twice: bool
    """The storefront posts it twice at the same moment."""
    pays_after: float
    cancels_after: float
    """Seconds after it was placed (or after the post, for a customer in a hurry)."""
    hurried: bool
    """The customer cancels without waiting for the placement, the Seller without waiting for the dispatch."""
    early_tracking: bool
    """Tracking is sent before the invoice it belongs to."""
    repeats: int
    """How often each callback is sent, at the same moment."""

    @property
    def body(self) -> dict[str, Any]:
        """The order as the storefront posts it."""
        price = PRICE + (777 if self.fate is Fate.WRONG_PRICE else 0)
        shipping = [{"itemIndex": 0, "selectedSla": "Standard", "price": SHIPPING}]
        order: dict[str, Any] = {
            "marketplaceOrderId": self.id,
            "seller": "acme",
            "items": [{"id": ITEM, "quantity": self.quantity, "price": price}],
            "clientProfileData": _CUSTOMER,
            "shippingData": {"address": _ADDRESS, "logisticsInfo": shipping},
            "marketplacePaymentValue": price * self.quantity + SHIPPING,
        }
        if self.fate is Fate.PAID_AT_ONCE:
            order["payment"] = {"status": "approved", "transactionId": f"t-{self.id}"}
        return order


class Blow(StrEnum):
    """What the nemesis does to a part of the engine."""

    KILL = "kill"
    """SIGKILL; started again after a while, as an orchestrator would."""
    STOP = "stop"
    """SIGTERM; the same."""
    FREEZE = "freeze"
    """SIGSTOP, and SIGCONT after a while: a process that is alive and does nothing."""
    DOWN = "down"
    """The Seller only: it does not answer for a while."""


@dataclass(frozen=True)
class Strike:
    """One blow: seconds after the start, at whom, and for how many seconds."""

    at: float
    part: str
    blow: Blow
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    orders: list[OrderPlan]
    strikes: list[Strike]
    cancel_late: str
    """How the Seller takes late wishes to cancel; see the sandbox's switch."""
    payment_deadline: float
    """Seconds that a placed order waits for its payment."""

    @property
    def seconds(self) -> float:
        """How long orders are posted."""
        return self.orders[-1].at

    @property
    def kills(self) -> int:
        return sum(strike.blow is Blow.KILL for strike in self.strikes)


WORKERS: Final = ("worker-1", "worker-2")
APIS: Final = ("api-1", "api-2")
# Workers hold the most, so they are hit the most.
_TARGETS: Final = {**dict.fromkeys(WORKERS, 6), **dict.fromkeys(APIS, 4), "temporal": 2, "database": 2, "seller": 1}


def draw(seed: int, orders: int, per_second: float, kills: int, payment_deadline: float = 40) -> Plan:
    """Draw a run: orders at random moments, `per_second` on average, and at least so many kills meanwhile."""
    dice = random.Random(seed)
    moments = sorted(dice.uniform(0, orders / per_second) for _ in range(orders))
    plans = [_order(dice, seed, number, at) for number, at in enumerate(moments)]
    strikes = list(_strikes(dice, moments[-1] + 5, kills))
    cancel_late = dice.choice(["agree", "silent", "invoice", "incomplete"])
    return Plan(seed=seed, orders=plans, strikes=strikes, cancel_late=cancel_late, payment_deadline=payment_deadline)


def _order(dice: random.Random, seed: int, number: int, at: float) -> OrderPlan:
    [fate] = dice.choices(list(_SHARES), list(_SHARES.values()))
    return OrderPlan(
        id=f"C{seed}-{number:05}",
        at=at,
        fate=fate,
        quantity=dice.choice([2, 2, 4]) if fate is Fate.IN_PARTS else dice.choice([1, 2]),
        posted_twice=dice.random() < 0.15,
        pays_after=dice.choice([0.0, 0.0, dice.uniform(0, 3)]),
        cancels_after=dice.choice([0.0, dice.uniform(0, 1), dice.uniform(0, 6)]),
        hurried=dice.random() < 0.4,
        early_tracking=dice.random() < 0.25,
        repeats=dice.choice([1, 1, 2, 3]),
    )


def _strikes(dice: random.Random, seconds: float, kills: int) -> Iterator[Strike]:
    blows = [Blow.KILL] * kills + [Blow.STOP] * max(kills // 10, 1) + [Blow.FREEZE] * max(kills // 5, 1)
    dice.shuffle(blows)
    for number, blow in enumerate(blows):
        at = (number + dice.random()) * seconds / len(blows)
        [part] = dice.choices(list(_TARGETS), list(_TARGETS.values()))
        if part == "seller":
            # The Seller keeps the ledger by which all is judged, so it is never killed; it goes away beside the rest.
            yield Strike(at, part, Blow.DOWN, dice.uniform(1, 6))
            [part] = dice.choices(WORKERS + APIS)
        longest = 2.0 if blow is not Blow.FREEZE else 5.0
        yield Strike(at, part, blow, dice.uniform(0.1, longest))


_CUSTOMER: Final = {
    "email": "livia.andrade@mail.example",
    "firstName": "Livia",
    "lastName": "Andrade",
    "documentType": "cpf",
    "document": "39053344705",
    "phone": "+5541990001122",
}
_ADDRESS: Final = {
    "addressType": "residential",
    "receiverName": "Livia Andrade",
    "postalCode": "80240-210",
    "city": "Curitiba",
    "state": "PR",
    "country": "BRA",
    "street": "Rua das Palmeiras",
    "number": "58",
}
