"""What becomes of an order when an event meets a step: the table that the tests follow and docs/orders.md shows.

A line is `event: answer, end, at the Seller`. The answer is the HTTP status given to the event while the workflows are
there. The end is the order's status when nothing is under way any more, or the reason of its cancellation; after `!`
stands what an operator must see. The lines differ by moment where it says so.
"""

from dataclasses import dataclass, field
from typing import Final

EVENTS: Final = (
    "payment approved",
    "payment denied",
    "customer cancels",
    "Seller cancels",
    "invoice",
    "tracking",
    "return",
)

BEFORE: Final = "before"
"""The event is durable before the step begins; the workflow sees both at once."""
DURING: Final = "during"
"""The step waits for somebody else."""
ASKED: Final = "asked"
"""The step's call is on its way: the Seller has not done it yet."""
DONE: Final = "done"
"""The Seller has done it, and its answer is on its way."""
AFTER: Final = "after"
"""What ends the step is durable, and the event right behind it; the workflow sees both at once."""

NONE: Final = "none"
WAITING: Final = "waiting"
DISPATCHED: Final = "dispatched"
DECIDING: Final = "deciding"
INVOICED: Final = "invoiced"
CANCELED: Final = "canceled"
TAKEN_BACK: Final = "canceled after dispatch"
AT_SELLER: Final = {
    NONE: (None, 0),
    WAITING: ("waiting-ffmt-authorization", 0),
    DISPATCHED: ("window-to-cancel", 1),
    DECIDING: ("cancellation-requested", 1),
    INVOICED: ("invoiced", 1),
    CANCELED: ("canceled", 0),
    TAKEN_BACK: ("canceled", 1),
}
"""The order's status in the Seller's ledger, and how often its dispatch was authorized in effect."""

PARKED: Final = "authorizing-fulfillment !dispatch-refused"
LOCKED_OUT: Final = "{} !seller-credentials"
CUSTOMER: Final = "canceled-by-customer"
SELLER: Final = "canceled-by-seller"


@dataclass(frozen=True)
class Pair:
    """How an event ends at a step: `end` and `seller`, but at the moments that `differing` names."""

    answer: int
    end: str
    seller: str
    differing: dict[str, tuple[str, str]] = field(default_factory=dict)

    def at(self, moment: str) -> tuple[str, str]:
        return self.differing.get(moment, (self.end, self.seller))


def ends(answer: int, end: str, seller: str, **differing: tuple[str, str]) -> Pair:
    return Pair(answer, end, seller, differing)


def _row(*pairs: Pair) -> dict[str, Pair]:
    return dict(zip(EVENTS, pairs, strict=True))


TABLE: Final[dict[str, dict[str, Pair]]] = {
    "simulate": _row(
        ends(200, "handling", DISPATCHED),
        ends(200, "payment-denied", NONE),
        ends(200, CUSTOMER, NONE),
        ends(200, SELLER, NONE),
        ends(200, "payment-pending", WAITING),
        ends(200, "payment-pending", WAITING),
        ends(200, "payment-pending", WAITING),
    ),
    "simulate parked": _row(
        ends(200, LOCKED_OUT.format("simulating"), NONE),
        ends(200, "payment-denied", NONE),
        ends(200, CUSTOMER, NONE),
        ends(200, SELLER, NONE),
        ends(200, LOCKED_OUT.format("simulating"), NONE),
        ends(200, LOCKED_OUT.format("simulating"), NONE),
        ends(200, LOCKED_OUT.format("simulating"), NONE),
    ),
    "place": _row(
        ends(200, "handling", DISPATCHED),
        ends(200, "payment-denied", CANCELED, before=("payment-denied", NONE)),
        ends(200, CUSTOMER, CANCELED, before=(CUSTOMER, NONE)),
        # Asked it cannot have the order yet; one that says so all the same has it afterwards, unpaid.
        ends(200, SELLER, CANCELED, before=(SELLER, NONE), asked=(SELLER, WAITING)),
        ends(200, "payment-pending", WAITING),
        ends(200, "payment-pending", WAITING),
        ends(200, "payment-pending", WAITING),
    ),
    "place parked": _row(
        ends(200, LOCKED_OUT.format("placing"), NONE),
        ends(200, "payment-denied", NONE),
        # An answer that a cancellation has overtaken is doubted: the Seller is asked again after a moment.
        ends(200, CUSTOMER, NONE, before=("cancellation-requested", NONE)),
        # What it says it has canceled is asked for again, to be sure of it.
        ends(200, SELLER, WAITING, before=(LOCKED_OUT.format("placing"), NONE)),
        ends(200, LOCKED_OUT.format("placing"), NONE),
        ends(200, LOCKED_OUT.format("placing"), NONE),
        ends(200, LOCKED_OUT.format("placing"), NONE),
    ),
    # Ends with the payment's approval.
    "await payment": _row(
        ends(200, "handling", DISPATCHED),
        ends(200, "payment-denied", CANCELED, after=("handling", DISPATCHED)),
        ends(200, CUSTOMER, CANCELED),
        ends(200, SELLER, CANCELED),
        # A Seller that invoices what it may not dispatch yet does not find it in its own books.
        ends(200, "payment-pending", WAITING, after=("invoiced", DISPATCHED)),
        ends(200, "payment-pending", WAITING, after=("handling", DISPATCHED)),
        ends(200, "payment-pending", WAITING, after=("handling", DISPATCHED)),
    ),
    "authorize dispatch": _row(
        ends(200, "handling", DISPATCHED),
        ends(409, "handling", DISPATCHED, before=("payment-denied", CANCELED)),
        ends(200, CUSTOMER, TAKEN_BACK, before=(CUSTOMER, CANCELED)),
        ends(200, SELLER, TAKEN_BACK, before=(SELLER, CANCELED), asked=(SELLER, CANCELED)),
        ends(200, "invoiced", INVOICED, before=("invoiced", DISPATCHED), asked=("invoiced", DISPATCHED)),
        ends(200, "handling", DISPATCHED),
        ends(200, "handling", DISPATCHED),
    ),
    # Ends with an invoice.
    "dispatch parked": _row(
        ends(200, PARKED, WAITING, after=("invoiced", WAITING)),
        ends(409, PARKED, WAITING, after=("invoiced", WAITING)),
        ends(200, CUSTOMER, CANCELED, after=("invoiced", WAITING)),
        ends(200, SELLER, CANCELED, after=("invoiced !canceled-after-invoice", CANCELED)),
        ends(200, "invoiced", WAITING),
        ends(200, PARKED, WAITING, after=("shipped", WAITING)),
        ends(200, PARKED, WAITING, after=("returned", WAITING)),
    ),
    "dispatch retried": _row(
        ends(200, "handling", DISPATCHED),
        ends(409, "handling", DISPATCHED),
        ends(200, CUSTOMER, TAKEN_BACK),
        ends(200, SELLER, TAKEN_BACK, asked=(SELLER, CANCELED)),
        ends(200, "invoiced", INVOICED, asked=("invoiced", DISPATCHED)),
        ends(200, "handling", DISPATCHED),
        ends(200, "handling", DISPATCHED),
    ),
    # Ends with the invoice.
    "follow fulfillment": _row(
        ends(200, "handling", DISPATCHED, after=("invoiced", INVOICED)),
        ends(409, "handling", DISPATCHED, after=("invoiced", INVOICED)),
        ends(200, CUSTOMER, TAKEN_BACK, after=("invoiced", INVOICED)),
        ends(200, SELLER, TAKEN_BACK, after=("invoiced !canceled-after-invoice", INVOICED)),
        ends(200, "invoiced", INVOICED),
        ends(200, "handling", DISPATCHED, after=("shipped", INVOICED)),
        ends(200, "handling", DISPATCHED, after=("returned", INVOICED)),
    ),
    # Begins with the invoice, ends with tracking and delivery.
    "invoiced": _row(
        ends(200, "invoiced", INVOICED, after=("delivered", INVOICED)),
        ends(409, "invoiced", INVOICED, after=("delivered", INVOICED)),
        ends(409, "invoiced", INVOICED, after=("delivered", INVOICED)),
        ends(
            409,
            "invoiced",
            INVOICED,
            before=(f"{SELLER} !invoiced-after-end", TAKEN_BACK),
            after=("delivered !canceled-after-invoice", INVOICED),
        ),
        ends(200, "invoiced", INVOICED, after=("delivered", INVOICED)),
        ends(200, "shipped", INVOICED, after=("delivered", INVOICED)),
        ends(200, "returned", INVOICED),
    ),
    # Begins with the delivery, ends with the return.
    "return window": _row(
        ends(200, "delivered", INVOICED, after=("returned", INVOICED)),
        ends(409, "delivered", INVOICED, after=("returned", INVOICED)),
        ends(409, "delivered", INVOICED, after=("returned", INVOICED)),
        ends(
            409,
            "delivered",
            INVOICED,
            before=("delivered !canceled-after-invoice", INVOICED),
            after=("returned", TAKEN_BACK),
        ),
        ends(200, "delivered", INVOICED, after=("returned", INVOICED)),
        ends(200, "delivered", INVOICED, after=("returned", INVOICED)),
        ends(200, "returned", INVOICED),
    ),
    "cancel, not paid": _row(
        ends(200, CUSTOMER, CANCELED),
        ends(200, "payment-denied", CANCELED),
        ends(200, CUSTOMER, CANCELED),
        ends(200, CUSTOMER, CANCELED, before=(SELLER, CANCELED)),
        ends(200, "payment-pending !canceled-after-invoice", CANCELED, before=("payment-pending", WAITING)),
        ends(200, CUSTOMER, CANCELED),
        ends(200, CUSTOMER, CANCELED),
    ),
    "cancel, dispatched": _row(
        ends(200, CUSTOMER, TAKEN_BACK),
        ends(409, CUSTOMER, TAKEN_BACK),
        ends(200, CUSTOMER, TAKEN_BACK),
        ends(200, CUSTOMER, TAKEN_BACK, before=(SELLER, TAKEN_BACK)),
        ends(
            200,
            "invoiced !canceled-after-invoice",
            TAKEN_BACK,
            before=("invoiced", INVOICED),
            asked=("invoiced", INVOICED),
        ),
        ends(200, CUSTOMER, TAKEN_BACK),
        ends(200, CUSTOMER, TAKEN_BACK),
    ),
    # Before it, an event finds the order placed, with all of its time before it.
    "cancel, expired": _row(
        ends(409, "expired", CANCELED, before=("handling", DISPATCHED)),
        ends(200, "expired", CANCELED, before=("payment-denied", CANCELED)),
        ends(409, "expired", CANCELED, before=(CUSTOMER, CANCELED)),
        ends(200, "expired", CANCELED, before=(SELLER, CANCELED)),
        ends(200, "expired !invoiced-after-end", CANCELED),
        ends(200, "expired", CANCELED),
        ends(200, "expired", CANCELED),
    ),
    "cancel parked": _row(
        ends(200, LOCKED_OUT.format("cancellation-requested"), DISPATCHED),
        ends(409, LOCKED_OUT.format("cancellation-requested"), DISPATCHED),
        ends(202, LOCKED_OUT.format("cancellation-requested"), DISPATCHED),
        ends(200, CUSTOMER, TAKEN_BACK),
        ends(200, "invoiced", INVOICED),
        ends(200, LOCKED_OUT.format("cancellation-requested"), DISPATCHED),
        ends(200, LOCKED_OUT.format("cancellation-requested"), DISPATCHED),
    ),
    # Ends with the Seller's cancel callback.
    "await the Seller's decision": _row(
        ends(200, "cancellation-requested", DECIDING, after=(CUSTOMER, TAKEN_BACK)),
        ends(409, "cancellation-requested", DECIDING, after=(CUSTOMER, TAKEN_BACK)),
        ends(202, "cancellation-requested", DECIDING, after=(CUSTOMER, TAKEN_BACK)),
        ends(200, CUSTOMER, TAKEN_BACK),
        ends(200, "invoiced", INVOICED, after=(f"{CUSTOMER} !invoiced-after-end", TAKEN_BACK)),
        ends(200, "cancellation-requested", DECIDING, after=(CUSTOMER, TAKEN_BACK)),
        ends(200, "cancellation-requested", DECIDING, after=(CUSTOMER, TAKEN_BACK)),
    ),
    # Ends with the invoice that refuses it.
    "the Seller's refusal": _row(
        ends(200, "invoiced", INVOICED),
        ends(409, "invoiced", INVOICED),
        ends(409, "invoiced", INVOICED),
        ends(409, "invoiced !canceled-after-invoice", INVOICED),
        ends(200, "invoiced", INVOICED),
        ends(200, "shipped", INVOICED),
        ends(200, "returned", INVOICED),
    ),
}
