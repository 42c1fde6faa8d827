"""What the engine counts and times, for Prometheus: docs/operations.md lists all of it, with what to do about it.

Label values are bounded: Sellers of the sellers file, words of ours, and error codes that VTEX documents. Nothing about
one order, one customer or one SKU is ever a label. Each process counts for itself.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from marketplace.errors import SellerFailure
from marketplace.orders import Order

# A second series for each counter that tells when it began: nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_QUICK: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, _MINUTE, 5 * _MINUTE)

# --- orders ---

ORDERS = Gauge("order_engine_orders", "Orders under way by status, as the order record has them", ["seller", "status"])
PARKED_ORDERS = Gauge("order_engine_parked_orders", "Orders that wait for an operator, by reason", ["reason"])
STATUS_CHANGES = Counter("order_engine_order_status_changes", "Orders that came to a status", ["seller", "status"])
STATUS_SECONDS = Histogram(
    "order_engine_order_status_seconds",
    "How long orders were in a status, told when they leave it",
    ["status"],
    buckets=(0.1, 0.5, 1, 5, 30, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 8 * _HOUR, _DAY, 3 * _DAY, 10 * _DAY, 30 * _DAY),
)
RECORD_LAG = Histogram(
    "order_engine_record_lag_seconds", "From an order's step to its record in the database", buckets=_QUICK
)
DATABASE_AWAY = Counter("order_engine_database_away", "Activities that found the database away and are tried again")

# --- Sellers ---

SELLER_SECONDS = Histogram(
    "order_engine_seller_request_seconds",
    "Requests to Sellers from the moment they left to the whole answer; outcome is ok or the verdict on the answer",
    ["seller", "call", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
SELLER_ERRORS = Counter(
    "order_engine_seller_errors",
    "Requests to Sellers without success, by VTEX's code, else HTTP status, else no-answer",
    ["seller", "code"],
)
SELLER_DOWN = Gauge("order_engine_seller_down", "1 while a Seller counts as down in this process", ["seller"])
SELLER_PAUSES = Counter("order_engine_seller_pauses", "Pauses that a Seller asked for with a 429", ["seller"])
SELLER_HELD_BACK = Counter(
    "order_engine_seller_calls_held_back",
    "Calls not sent: the Seller is down, pauses, or its rate is used up",
    ["seller"],
)

# --- catalog and webhooks ---

NOTICE_LAG = Histogram(
    "order_engine_notice_lag_seconds",
    "From the API's taking of the oldest notice about a SKU to its offer in the catalog",
    ["seller"],
    buckets=(0.5, 1, 2, 5, 10, 30, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR),
)
SKUS_GIVEN_UP = Counter("order_engine_skus_given_up", "SKUs that could not be read after a notice", ["seller"])
IMPORTED_SKUS = Counter(
    "order_engine_imported_skus", "SKUs read by imports and refreshes", ["seller", "source", "result"]
)
WEBHOOKS = Counter(
    "order_engine_webhooks", "Webhooks to the storefront: delivered, not-taken (tried again), given-up", ["outcome"]
)
for _outcome in ("delivered", "not-taken", "given-up"):
    WEBHOOKS.labels(_outcome)  # a rate needs a 0 to begin with


def seller_answered(seller: str, call: str, seconds: float, failure: SellerFailure | None, code: str | None) -> None:
    """Count a request that was sent. `code` is the failure's own as VTEX documents it, None for an unknown one."""
    SELLER_SECONDS.labels(seller, call, failure.verdict if failure else "ok").observe(seconds)
    if failure is not None:
        SELLER_ERRORS.labels(seller, _label(failure, code)).inc()


def _label(failure: SellerFailure, code: str | None) -> str:
    if code is not None:
        return code
    # Not the Seller's own code: what it may write there is without end, and a label is for ever.
    return f"http-{failure.http_status}" if failure.http_status else "no-answer"


def order_moved(order: Order, after: int) -> None:
    """Count where an order has gone by the lines of its history from index `after` on."""
    history = order.history
    for index in range(after, len(history)):
        line = history[index]
        before = history[index - 1] if index else None
        if before is not None and before.status == line.status:
            continue
        STATUS_CHANGES.labels(order.seller, line.status).inc()
        if before is not None:
            since = index - 1
            while since and history[since - 1].status == before.status:
                since -= 1
            STATUS_SECONDS.labels(before.status).observe(max((line.at - history[since].at).total_seconds(), 0.0))
