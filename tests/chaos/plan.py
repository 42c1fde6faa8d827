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


class Trouble(StrEnum):
    """What the Seller does wrong with one order, beside the faults that hit any call."""

    NONE = "none"
    DISPATCH_REFUSED = "dispatch refused"
    CANCEL_REFUSED = "cancel refused"
    PLACE_REFUSED = "placed, the answer lost, and the repeat refused"
    LAST_UNITS = "placed with the last units, and the answer lost"
    EARLY_INVOICE = "invoiced before the placement is answered"
    TOO_SLOW = "answered later than anybody waits"
    FORBIDDEN = "answered 403"


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

_GOODS: Final = {Fate.DELIVERED, Fate.PAID_AT_ONCE, Fate.IN_PARTS, Fate.RETURNED}
_UNDONE: Final = {Fate.DENIED, Fate.UNPAID, Fate.CUSTOMER_CANCELS}
# Percent of the orders of these fates.
_TROUBLES: Final[dict[Trouble, tuple[set[Fate], int]]] = {
    Trouble.DISPATCH_REFUSED: (_GOODS | {Fate.CUSTOMER_CANCELS, Fate.SELLER_CANCELS}, 5),
    Trouble.CANCEL_REFUSED: (_UNDONE, 25),
    Trouble.PLACE_REFUSED: (set(Fate) - {Fate.WRONG_PRICE}, 5),
    Trouble.LAST_UNITS: (set(Fate) - {Fate.WRONG_PRICE}, 5),
    Trouble.EARLY_INVOICE: (_GOODS, 6),
    Trouble.TOO_SLOW: (set(Fate) - {Fate.WRONG_PRICE}, 2),
    Trouble.FORBIDDEN: (set(Fate) - {Fate.WRONG_PRICE}, 2),
}
TOO_SLOW: Final = 16.0
"""Seconds: the engine waits 15 for the answer to what changes something."""

ITEM: Final = "100001"
"""The SKU that nearly every order is about; the others change their prices."""
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
    shuffled: bool
    """All that the Seller reports is sent in any order."""
    repeats: int
    """How often each callback is sent, at the same moment."""
    trouble: Trouble
    trouble_times: int
    """How often the Seller refuses."""
    trouble_code: str
    """VTEX's code of the refusal."""
    trouble_route: str
    """Which call is answered too late, or 403."""
    aborts: bool
    """An operator who may, says `abort` of it, and not `retry`."""
    attended: bool
    """An operator looks after it while everything is broken; after the others when all is healed."""
    watched: bool
    """Somebody reads it again and again."""

    @property
    def item(self) -> str:
        """The SKU that is ordered: for the last units one of its own."""
        return f"9{self.id.rpartition('-')[2]}" if self.trouble is Trouble.LAST_UNITS else ITEM

    @property
    def faults(self) -> list[dict[str, Any]]:
        """What to ask of the sandbox for its trouble, in this order."""
        lost = {"route": "place", "kind": "answer-lost"}
        refused = {"kind": "error", "code": self.trouble_code, "times": self.trouble_times}
        faults: dict[Trouble, list[dict[str, Any]]] = {
            Trouble.DISPATCH_REFUSED: [{**refused, "route": "dispatch"}],
            Trouble.CANCEL_REFUSED: [{**refused, "route": "cancel"}],
            Trouble.PLACE_REFUSED: [lost, {**refused, "route": "place"}],
            Trouble.LAST_UNITS: [lost],
            Trouble.EARLY_INVOICE: [{"route": "place", "kind": "slow-after", "seconds": 3}],
            Trouble.FORBIDDEN: [{"route": self.trouble_route, "kind": "forbidden", "times": self.trouble_times}],
            Trouble.TOO_SLOW: [{"route": self.trouble_route, "kind": "slow-after", "seconds": TOO_SLOW}],
        }
        return [{**fault, "marketplaceOrderId": self.id} for fault in faults.get(self.trouble, [])]

    @property
    def body(self) -> dict[str, Any]:
        """The order as the storefront posts it."""
        price = PRICE + (777 if self.fate is Fate.WRONG_PRICE else 0)
        shipping = [{"itemIndex": 0, "selectedSla": "Standard", "price": SHIPPING}]
        order: dict[str, Any] = {
            "marketplaceOrderId": self.id,
            "seller": "acme",
            "items": [{"id": self.item, "quantity": self.quantity, "price": price}],
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
    """SIGSTOP, and SIGCONT after a while: a process, or a database, that is alive and does nothing."""
    DOWN = "down"
    """The Seller only: it does not answer for a while."""
    FORBID = "forbid"
    """The Seller only: it answers 403 for a while."""


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
    switches: dict[str, Any]
    """How the Seller takes late wishes to cancel and repeated placements, and how late it shows an order; see the
    sandbox's switches."""
    payment_deadline: float
    """Seconds that a placed order waits for its payment."""

    @property
    def seconds(self) -> float:
        """How long orders are posted."""
        return self.orders[-1].at

    @property
    def kills(self) -> int:
        return sum(strike.blow is Blow.KILL for strike in self.strikes)


LAG: Final = 0.3
"""Seconds that a new order may be unknown to those who read it: longer than the engine's first pause."""
_CODES: Final = {
    Trouble.DISPATCH_REFUSED: ["FMT0024", "FMT0085", "CHK0299"],
    Trouble.CANCEL_REFUSED: ["CHK0202"],
    Trouble.PLACE_REFUSED: ["FMT005", "FMT006", "FMT007", "FMT010"],
}
WORKERS: Final = ("worker-1", "worker-2")
APIS: Final = ("api-1", "api-2")
# Workers hold the most, so they are hit the most.
_TARGETS: Final = {**dict.fromkeys(WORKERS, 6), **dict.fromkeys(APIS, 4), "temporal": 2, "database": 2, "seller": 1}


def draw(seed: int, orders: int, per_second: float, kills: int, payment_deadline: float = 40) -> Plan:
    """Draw a run: orders at random moments, `per_second` on average, and at least so many kills meanwhile."""
    dice = random.Random(seed)
    moments = sorted(dice.uniform(0, orders / per_second) for _ in range(orders))
    plans = [_order(dice, seed, number, at) for number, at in enumerate(moments)]
    strikes = sorted(_strikes(dice, moments[-1] + 5, kills), key=lambda strike: strike.at)
    switches = {
        "cancelLate": dice.choice(["agree", "silent", "invoice", "incomplete", "refuse"]),
        "placeRepeat": dice.choice(["refuse", "validate-first"]),
        "readLagSeconds": dice.choice([0.0, LAG]),
    }
    return Plan(seed=seed, orders=plans, strikes=strikes, switches=switches, payment_deadline=payment_deadline)


def _order(dice: random.Random, seed: int, number: int, at: float) -> OrderPlan:
    [fate] = dice.choices(list(_SHARES), list(_SHARES.values()))
    trouble = _trouble(dice, fate)
    times = dice.choice([2, 4, 50])
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
        shuffled=dice.random() < 0.2,
        repeats=dice.choice([1, 1, 2, 3]),
        trouble=trouble,
        trouble_times=times,
        trouble_code=dice.choice(_CODES.get(trouble, [""])),
        trouble_route=dice.choice(["place", "cancel"] if fate in _UNDONE else ["place", "dispatch"]),
        aborts=dice.random() < 0.3,
        attended=dice.random() < 0.6,
        watched=dice.random() < 0.3,
    )


def _trouble(dice: random.Random, fate: Fate) -> Trouble:
    """At most one for each order."""
    left = dice.uniform(0, 100)
    for trouble, (fates, percent) in _TROUBLES.items():
        if fate in fates:
            left -= percent
            if left < 0:
                return trouble
    return Trouble.NONE


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
    # A catalog whose reads were answered 403 is left alone for a minute: too long for a short run.
    for _ in range(kills // 20):
        yield Strike(dice.uniform(0.1, 0.9) * seconds, "seller", Blow.FORBID, dice.uniform(0.5, 2))


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
