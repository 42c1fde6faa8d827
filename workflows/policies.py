"""Timeouts, retries, names and search attributes, each with its reason."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from temporalio.common import Priority, RetryPolicy, SearchAttributeKey

from marketplace.orders import OrderStatus
from workflows.messages import (
    CancelResult,
    CartCheck,
    CheckedCart,
    Done,
    FoundOrder,
    OrderPolicy,
    PlaceCall,
    PlacedOrder,
    SellerOrderCall,
)

Argument = TypeVar("Argument")
Result = TypeVar("Result")

# --- names ---

ORDER_WORKFLOW = "OrderWorkflow"
FAIRNESS_KEY = 64
"""Characters of a fairness key that Temporal takes."""


def order_workflow_id(seller: str, marketplace_order_id: str) -> str:
    """The id under which an operator finds an order in the Temporal UI."""
    return f"order/{seller}/{marketplace_order_id}"


def share_of(seller: str) -> Priority:
    """A Seller's equal share of the workers: with a backlog the queue's tasks go out by turns between Sellers.

    What a workflow starts has the share of its workflow. The server wants `matching.enableFairness` for it.
    """
    return Priority(fairness_key=seller[:FAIRNESS_KEY])


SELLER = SearchAttributeKey.for_keyword("Seller")
ORDER_STATUS = SearchAttributeKey.for_keyword("OrderStatus")
MARKETPLACE_ORDER_ID = SearchAttributeKey.for_keyword("MarketplaceOrderId")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
SEARCH_ATTRIBUTES = (SELLER, ORDER_STATUS, MARKETPLACE_ORDER_ID, NEEDS_ATTENTION)

PASSING = frozenset(
    {
        OrderStatus.SIMULATING,
        OrderStatus.PLACING,
        OrderStatus.PAYMENT_APPROVED,
        OrderStatus.AUTHORIZING_FULFILLMENT,
    }
)
"""Statuses that last as long as one Seller call: not worth an upsert (2 ms of server each) unless the order parks."""

# --- errors that cross a boundary ---

SELLER_FAILURE = "SellerFailure"
"""Type of the ApplicationError whose first detail is a `marketplace.errors.SellerFailure`."""
CUT_OFF = "CutOff"
"""Type of the error of a call that was not let finish: its worker had to stop, or its time was up."""
ORDER_ID_TAKEN = "OrderIdTaken"
"""Type of the error of an order record that another Seller's order holds."""
UNCLAIMED = "Unclaimed"
"""Type of the error of a placement that was not begun, since the order record could not be written before it."""
CONFLICT = "Conflict"
"""Type of the error by which an update says that the order does not allow it any more."""


# --- activities ---


@dataclass(frozen=True)
class SellerActivity(Generic[Argument, Result]):
    """A Seller call as workflows name it, since they may not import the activities themselves."""

    name: str
    result: type[Result]


CHECK_CART: SellerActivity[CartCheck, CheckedCart] = SellerActivity("check_cart", CheckedCart)
PLACE_ORDER: SellerActivity[PlaceCall, PlacedOrder] = SellerActivity("place_order", PlacedOrder)
AUTHORIZE_DISPATCH: SellerActivity[SellerOrderCall, Done] = SellerActivity("authorize_dispatch", Done)
CANCEL_ORDER: SellerActivity[SellerOrderCall, CancelResult] = SellerActivity("cancel_order", CancelResult)
READ_ORDER: SellerActivity[SellerOrderCall, FoundOrder] = SellerActivity("read_order", FoundOrder)
SAVE_ORDER = "save_order"

# The client's own timeouts end a call within 20 s; the rest is for what follows it: a read that recovers the order id,
# and after the last try a look whether the Seller answers at all.
SELLER_CALL_TIMEOUT = timedelta(seconds=65)
AT_ONCE = timedelta(seconds=2)
"""How long a call that changes nothing is tried within a workflow task, which must end within 10 s."""
LONGEST_WAIT = timedelta(minutes=5)
"""Between two looks whether a Seller that is away is back: thousands of orders may wait for it."""
NO_ANSWER_WAIT = 10.0
"""Seconds after a call with whose last try the worker died: that says nothing about the Seller, nor the order."""
# A killed worker's call is tried again after this, not after the whole timeout.
HEARTBEAT_TIMEOUT = timedelta(seconds=6)
HEARTBEAT_EVERY = timedelta(seconds=2)
LONGEST_BACKOFF = timedelta(minutes=1)
PLACEMENT_LAG = 20
"""Pauses as after a first failed try, between two looks for a placement that may have worked: 20 s by default.

Its answer never came, or it was refused after such a try.
"""
FULFILLMENT_CHECK = timedelta(hours=24)
"""How often a Seller is asked about an order it is handling: VTEX does not say that callbacks are repeated."""


def seller_retry(policy: OrderPolicy) -> RetryPolicy:
    """Retries of one Seller call; after the last one the order is parked."""
    return RetryPolicy(
        initial_interval=policy.seller_backoff,
        backoff_coefficient=2.0,
        maximum_interval=max(LONGEST_BACKOFF, policy.seller_backoff),
        maximum_attempts=policy.seller_attempts,
    )


ONE_TRY = RetryPolicy(maximum_attempts=1)
# A look at the Seller's order is a help, not a step: a few tries, and the next look comes anyway.
LOOK_RETRY = RetryPolicy(maximum_attempts=3)

# A local activity is 2.3 ms of Python against 10 ms for a regular one, and must stay below a workflow task's 10 s.
RECORD_TIMEOUT = timedelta(seconds=2)
RECORD_FIRST_TRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=2)
# With the database away the record waits for it as a regular activity, where an operator sees it and its last error.
RECORD_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
