"""What must hold at the end of every run, whatever was broken on the way: nothing lost, nothing twice.

Each check yields what it finds wrong, as order id and text. `INVARIANTS` is what the report lists.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.chaos.evidence import Evidence
from tests.chaos.plan import Fate

Json = dict[str, Any]
Finding = tuple[str, str]

_WAY: Final = (
    "simulating",
    "placing",
    "payment-pending",
    "payment-approved",
    "authorizing-fulfillment",
    "handling",
    "invoiced",
    "shipped",
    "delivered",
)
_DEAD: Final = {"rejected", "payment-denied", "expired", "canceled"}
_FINAL: Final = {*_DEAD, "returned", "delivered"}
_ASKING: Final = "cancellation-requested"
_GONE: Final = {"cancel", "canceled"}
_CANCELING: Final = {Fate.CUSTOMER_CANCELS, Fate.SELLER_CANCELS}


@dataclass(frozen=True)
class Violation:
    """One thing that must not be."""

    invariant: str
    subject: str
    text: str


def every_answered_order_has_ended(evidence: Evidence) -> Iterator[Finding]:
    for one, diary in evidence.diaries.items():
        answers = diary.answers.get("post", [])
        if not answers or any(status not in {200, 201, 202} for status in answers):
            yield one, f"POST /orders was answered {answers}"
        order = evidence.orders.get(one)
        if order is None:
            yield one, "the engine does not know it"
        elif order["needsAttention"]:
            yield one, f"still parked after retry: {order['reason']}"
        elif order["status"] not in _FINAL:
            yield one, f"has not ended: {order['status']}"


def at_most_one_seller_order(evidence: Evidence) -> Iterator[Finding]:
    for one, kept in evidence.ledger.items():
        if one not in evidence.orders:
            yield one, "the Seller has an order that the engine does not know"
        if (times := _effective(kept, "place")) > 1:
            yield one, f"placed {times} times"


def dispatch_once_and_never_before_payment(evidence: Evidence) -> Iterator[Finding]:
    for one, kept in evidence.ledger.items():
        if (times := _effective(kept, "dispatch")) > 1:
            yield one, f"dispatched {times} times"
        at, diary = kept["authorizedAt"], evidence.diaries.get(one)
        if at is None or diary is None:
            continue
        if diary.approved_at is None:
            yield one, "dispatched without a payment"
        elif datetime.fromisoformat(at).timestamp() < diary.approved_at:
            yield one, "dispatched before its payment"


def what_ended_badly_is_canceled_at_the_seller(evidence: Evidence) -> Iterator[Finding]:
    for one, order in evidence.orders.items():
        kept = evidence.ledger.get(one)
        status = order["status"]
        if kept is None:
            if status not in _DEAD:
                yield one, f"{status}, but the Seller never had it"
            continue
        if status == "rejected":
            yield one, "rejected, but the Seller has it"
        elif status in _DEAD and kept["status"] not in _GONE and not _is_flagged(order):
            yield one, f"{status}, but at the Seller it is {kept['status']}"
        elif status not in _DEAD and kept["status"] in _GONE and not _is_flagged(order):
            yield one, f"canceled at the Seller, but {status}"
        if status in {"payment-denied", "expired"} and kept["authorizedAt"]:
            yield one, f"{status}, but dispatched"
        canceled = (kept["cancellation"] or {}).get("canceledAt")
        if canceled and kept["authorizedAt"] and kept["authorizedAt"] > canceled:
            yield one, "dispatched after it was canceled"


def only_what_the_seller_does_not_want_is_rejected(evidence: Evidence) -> Iterator[Finding]:
    for one, diary in evidence.diaries.items():
        order = evidence.orders.get(one)
        if order is not None and (order["status"] == "rejected") != (diary.plan.fate is Fate.WRONG_PRICE):
            yield one, f"{order['status']} ({diary.plan.fate}): {order['reason']}"


def money_is_followed_by_goods_or_a_cancellation(evidence: Evidence) -> Iterator[Finding]:
    for one, diary in evidence.diaries.items():
        status = evidence.orders.get(one, {}).get("status")
        paid = diary.answered("approved", 200, 202) or diary.plan.fate is Fate.PAID_AT_ONCE
        wanted = {"delivered", "returned"} | ({"canceled"} if diary.plan.fate in _CANCELING else set())
        if diary.answered("approved", 202) and status in {"expired", *wanted}:
            continue  # kept for later, and then it was too late
        if paid and status not in wanted:
            yield one, f"paid ({diary.plan.fate}), and then {status}"


def every_acknowledged_callback_is_reflected_once(evidence: Evidence) -> Iterator[Finding]:
    for one, kept in evidence.ledger.items():
        order = evidence.orders.get(one)
        if order is None:
            continue
        told = {(kind, number): value for kind, number, value in _acknowledged_invoices(kept)}
        listed = [(i["type"], i["invoiceNumber"], i["invoiceValue"]) for i in order["invoices"]]
        if sorted(listed) != sorted((*key, value) for key, value in told.items()):
            yield one, f"acknowledged invoices {sorted(told.items())}, listed {sorted(listed)}"
        packages = {package["invoiceNumber"]: package for package in order["packages"]}
        for record in _acknowledged(kept):
            if record["kind"] in {"tracking", "tracking-events"}:
                package = packages.get(_number(record))
                if package is None or not (package["trackingNumber"] or package["isDelivered"]):
                    yield one, f"{record['kind']} of {_number(record)} was acknowledged and is nowhere"
                elif record["kind"] == "tracking-events" and not package["isDelivered"]:
                    yield one, f"delivery of {_number(record)} was acknowledged and is nowhere"
            elif record["kind"] == "cancel" and order["status"] not in _DEAD:
                yield one, f"the Seller's cancel was acknowledged, and it is {order['status']}"


def no_status_goes_backwards(evidence: Evidence) -> Iterator[Finding]:
    for one, order in evidence.orders.items():
        reached, ended = -1, ""
        times = [entry["at"] for entry in order["history"]]
        if times != sorted(times):
            yield one, "its history is not in the order of time"
        for entry in order["history"]:
            status = entry["status"]
            if ended and status != ended and not (ended == "delivered" and status == "returned"):
                yield one, f"{status} after {ended}"
            if status in _WAY:
                if _WAY.index(status) < reached:
                    yield one, f"{status} after {_WAY[reached]}"
                reached = max(reached, _WAY.index(status))
            elif status != _ASKING:
                ended = status
        if order["history"][-1]["status"] != order["status"]:
            yield one, f"history ends with {order['history'][-1]['status']}, the order is {order['status']}"


def the_sums_agree_with_the_seller(evidence: Evidence) -> Iterator[Finding]:
    for one, kept in evidence.ledger.items():
        order = evidence.orders.get(one)
        if order is None:
            continue
        sums: Counter[str] = Counter()
        for kind, _, value in set(_acknowledged_invoices(kept)):
            sums[kind] += value
        if order["invoicedValue"] != sums["Output"]:
            yield one, f"invoiced {order['invoicedValue']}, by the Seller's account {sums['Output']}"
        for kind in ("Output", "Input"):
            own = sum(invoice["value"] for invoice in kept["invoices"] if invoice["type"] == kind)
            if own > sums[kind]:
                yield one, f"the Seller's books have {kind} invoices over {own}, acknowledged were {sums[kind]}"


def every_notice_led_to_the_latest_state(evidence: Evidence) -> Iterator[Finding]:
    for sku_id, known in evidence.skus.items():
        sku, offer = known["seller"], known["offer"]
        if offer is None:
            yield sku_id, "changed and notified, and not in the catalog"
        elif not sku["active"]:
            if offer["status"] != "blocked" or offer["stock"] != 0:
                yield sku_id, f"inactive at the Seller, here {offer['status']} with stock {offer['stock']}"
        else:
            # A SKU's own name is the end of the full one.
            name = (offer["data"] or {}).get("name") or "no name"
            there = {"price": sku["price"], "stock": sku["stock"], "name": sku["name"]}
            here = {"price": offer["price"], "stock": offer["stock"], "name": name}
            if {**there, "name": ""} != {**here, "name": ""} or not sku["name"].endswith(name):
                yield sku_id, f"at the Seller {there}, here {offer['status']} {here}: {offer['lastError']}"


def nothing_failed_by_a_defect(evidence: Evidence) -> Iterator[Finding]:
    for bug in evidence.bugs:
        yield "engine", bug


INVARIANTS: Final[dict[str, Callable[[Evidence], Iterator[Finding]]]] = {
    "Every order answered 200, 201 or 202 has ended; every parked one ended after `retry`": (
        every_answered_order_has_ended
    ),
    "At most one Seller order for each marketplaceOrderId, and none that the engine does not know": (
        at_most_one_seller_order
    ),
    "Dispatch is authorized at most once in effect, and never before the payment": (
        dispatch_once_and_never_before_payment
    ),
    "What is rejected, denied, expired or canceled is not dispatched, and canceled where the Seller had it": (
        what_ended_badly_is_canceled_at_the_seller
    ),
    "An order is rejected for its wrong price, and never for a fault": only_what_the_seller_does_not_want_is_rejected,
    "An accepted payment is followed by goods or by a cancellation": money_is_followed_by_goods_or_a_cancellation,
    "Every callback answered 2xx is reflected exactly once": every_acknowledged_callback_is_reflected_once,
    "No status goes backwards": no_status_goes_backwards,
    "What is invoiced and returned agrees with the Seller's ledger": the_sums_agree_with_the_seller,
    "Every notice answered 2xx led to the SKU's latest state": every_notice_led_to_the_latest_state,
    "No workflow task failed, and no log shows a traceback": nothing_failed_by_a_defect,
}


def check(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong."""
    return [
        Violation(name, subject, text)
        for name, invariant in INVARIANTS.items()
        for subject, text in invariant(evidence)
    ]


def _effective(kept: Json, route: str) -> int:
    calls: dict[str, int] = kept["calls"]
    return calls.get(route, 0) - calls.get(f"{route}Rejected", 0)


def _acknowledged(kept: Json) -> Iterator[Json]:
    for record in kept["callbacks"]:
        if record["acknowledged"]:
            yield record


def _acknowledged_invoices(kept: Json) -> Iterator[tuple[str, str, int]]:
    for record in _acknowledged(kept):
        if record["kind"] == "invoice":
            body = record["body"]
            yield body["type"], body["invoiceNumber"], int(body["invoiceValue"])


def _number(record: Json) -> str:
    """The invoice that a tracking callback names in its path."""
    return str(record["url"].partition("/invoice/")[2].partition("/")[0].partition("?")[0])


def _is_flagged(order: Json) -> bool:
    """Whether the Seller said two things, such as an invoice after the end, so that an operator had to see it."""
    words = ("needs attention", "canceled after it had invoiced")
    return any(word in entry["detail"] for entry in order["history"] for word in words)
