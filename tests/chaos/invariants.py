"""What must hold at the end of every run, whatever was broken on the way: nothing lost, nothing twice.

Each check yields what it finds wrong, as order id and text. `INVARIANTS` is what the report lists.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
_TRACKING: Final = ("courier", "trackingNumber", "trackingUrl")
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
        elif status in _DEAD and kept["status"] not in _GONE and not _is_known_to_go_on(evidence, one):
            yield one, f"{status}, but at the Seller it is {kept['status']}"
        elif status not in _DEAD and kept["status"] in _GONE and not _is_known_to_be_canceled(order):
            yield one, f"canceled at the Seller, but {status}"
        if status in {"payment-denied", "expired"} and kept["authorizedAt"]:
            yield one, f"{status}, but dispatched"
        canceled = (kept["cancellation"] or {}).get("canceledAt")
        if canceled and kept["authorizedAt"] and kept["authorizedAt"] > canceled:
            yield one, "dispatched after it was canceled"


def only_what_the_seller_does_not_want_is_rejected(evidence: Evidence) -> Iterator[Finding]:
    for one, diary in evidence.diaries.items():
        order = evidence.orders.get(one)
        if order is None or (order["status"] == "canceled" and _was_aborted(evidence, one)):
            continue
        if (order["status"] == "rejected") != (diary.plan.fate is Fate.WRONG_PRICE):
            yield one, f"{order['status']} ({diary.plan.fate}): {order['reason']}"


def money_is_followed_by_goods_or_a_cancellation(evidence: Evidence) -> Iterator[Finding]:
    for one, diary in evidence.diaries.items():
        status = evidence.orders.get(one, {}).get("status")
        paid = diary.answered("approved", 200, 202) or diary.plan.fate is Fate.PAID_AT_ONCE
        canceling = diary.plan.fate in _CANCELING or _was_aborted(evidence, one)
        wanted = {"delivered", "returned"} | ({"canceled"} if canceling else set())
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
        yield from ((one, text) for text in _unlike_the_packages(order, kept))
        canceled = any(record["kind"] == "cancel" for record in _acknowledged(kept))
        if canceled and order["status"] not in _DEAD and not _is_known_to_be_canceled(order):
            yield one, f"the Seller's cancel was acknowledged, and it is {order['status']}"


def _unlike_the_packages(order: Json, kept: Json) -> Iterator[str]:
    """Whether each package tells what was acknowledged of it, field by field and event by event, and nothing else."""
    packages = {package["invoiceNumber"]: package for package in order["packages"]}
    invoiced = sorted(invoice["invoiceNumber"] for invoice in order["invoices"] if invoice["type"] == "Output")
    if sorted(package["invoiceNumber"] for package in order["packages"]) != invoiced:
        yield f"packages of {sorted(packages)}, invoiced are {invoiced}"
    reports = [record for record in _acknowledged(kept) if record["kind"] in {"tracking", "tracking-events"}]
    if order["status"] not in _DEAD:  # there it waited for its invoice, and the order ended before
        for number in {_number(record) for record in reports} - set(packages):
            yield f"a report on the package of {number} was acknowledged and is nowhere"
    for number, package in packages.items():
        own = [record for record in reports if _number(record) == number]
        yield from _unlike(package, [(record["kind"], record["body"]) for record in own])


def _unlike(package: Json, reports: list[tuple[str, Json]]) -> Iterator[str]:
    number = package["invoiceNumber"]
    shown = {name: package[name] or None for name in _TRACKING}
    events: set[str] = set()
    delivered = False
    sent: Json = dict.fromkeys(_TRACKING)
    for kind, body in reports:
        if kind == "tracking":
            sent = {name: body[name] for name in _TRACKING}
        else:
            events.update(json.dumps(event, sort_keys=True) for event in body["events"])
            delivered = delivered or body["isDelivered"]
    if shown != sent:
        yield f"tracking of {number} is {shown}, acknowledged was {sent}"
    if delivered != package["isDelivered"]:
        yield f"{number} is {'' if package['isDelivered'] else 'not '}delivered, and acknowledged was the contrary"
    if len(package["events"]) != len(events):
        yield f"{len(package['events'])} events of {number}, acknowledged were {len(events)}"


def no_status_goes_backwards(evidence: Evidence) -> Iterator[Finding]:
    for one, order in evidence.orders.items():
        times = [entry["at"] for entry in order["history"]]
        if times != sorted(times):
            yield one, "its history is not in the order of time"
        yield from ((one, text) for text in _steps_back(entry["status"] for entry in order["history"]))
        if order["history"][-1]["status"] != order["status"]:
            yield one, f"history ends with {order['history'][-1]['status']}, the order is {order['status']}"


def nothing_shown_is_taken_back(evidence: Evidence) -> Iterator[Finding]:
    for one, shown in evidence.shown.items():
        order = evidence.orders.get(one)
        last = [order["status"]] if order else []
        yield from ((one, f"shown was {text}") for text in _steps_back([*shown, *last]))


def _steps_back(statuses: Iterable[str]) -> Iterator[str]:
    """Where a status leaves a final one, or comes before one that was reached. A refused cancellation goes back."""
    reached, ended = -1, ""
    for status in statuses:
        if ended and status != ended and not (ended == "delivered" and status == "returned"):
            yield f"{status} after {ended}"
        if status in _WAY:
            if _WAY.index(status) < reached:
                yield f"{status} after {_WAY[reached]}"
            reached = max(reached, _WAY.index(status))
        if status in _FINAL:
            ended = status


def the_sums_agree_with_the_seller(evidence: Evidence) -> Iterator[Finding]:
    for one, kept in evidence.ledger.items():
        if (order := evidence.orders.get(one)) is not None:
            known = _is_known_to_go_on(evidence, one) or _is_known_to_be_canceled(order)
            yield from ((one, text) for text in _invoiced_otherwise(order, kept))
            yield from ((one, text) for text in _canceled_otherwise(order, kept) if not known)


def _canceled_otherwise(order: Json, kept: Json) -> Iterator[str]:
    value = order["marketplacePaymentValue"]
    here = value if order["status"] in _DEAD else 0
    there = kept["value"] if kept["status"] in _GONE else 0
    if here != there:
        yield f"canceled {here}, by the Seller's account {there}"
    if value != kept["value"]:
        yield f"its value is {value}, at the Seller {kept['value']}"


def _invoiced_otherwise(order: Json, kept: Json) -> Iterator[str]:
    here, told, booked = Counter[str](), Counter[str](), Counter[str]()
    for invoice in order["invoices"]:
        here[invoice["type"]] += invoice["invoiceValue"]
    for kind, _, value in {*_acknowledged_invoices(kept)}:
        told[kind] += value
    for invoice in kept["invoices"]:
        booked[invoice["type"]] += invoice["value"]
    if order["invoicedValue"] != here["Output"]:
        yield f"invoicedValue {order['invoicedValue']}, the invoices sum to {here['Output']}"
    for kind in ("Output", "Input"):
        if here[kind] != told[kind]:
            yield f"{kind} invoices over {here[kind]}, by the Seller's account {told[kind]}"
        # Sales that were sent while the Seller itself had the order undispatched, or canceled, are in no book.
        least = told[kind] if kind == "Input" else _sold(kept)
        if not least <= booked[kind] <= told[kind]:
            yield f"the Seller's books have {kind} over {booked[kind]}, acknowledged were {least} to {told[kind]}"


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
    "Every order answered 200, 201 or 202 has ended; every parked one ended after an operator's word": (
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
    "No status that was shown during the run is taken back": nothing_shown_is_taken_back,
    "What is invoiced, returned and canceled agrees with the Seller's ledger": the_sums_agree_with_the_seller,
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


def _sold(kept: Json) -> int:
    """The sum of the sale invoices that were acknowledged to a Seller that had the order dispatched and alive."""
    since = kept["authorizedAt"]
    if since is None or kept["status"] in _GONE:
        return 0
    sold = {
        (record["body"]["invoiceNumber"], int(record["body"]["invoiceValue"]))
        for record in _acknowledged(kept)
        if record["kind"] == "invoice"
        and record["body"]["type"] == "Output"
        # In ISO 8601 of one form, all in UTC.
        and any(attempt["at"] > since for attempt in record["attempts"])
    }
    return sum(value for _, value in sold)


def _was_aborted(evidence: Evidence, one: str) -> bool:
    return "abort" in evidence.said.get(one, [])


def _is_known_to_go_on(evidence: Evidence, one: str) -> bool:
    """Whether an operator knows that the Seller goes on with an order that has ended here without a sale."""
    order = evidence.orders[one]
    closed = any("closed by an operator without the Seller's word" in entry["detail"] for entry in order["history"])
    return (closed and _was_aborted(evidence, one)) or "invoiced-after-end" in evidence.reasons.get(one, set())


def _is_known_to_be_canceled(order: Json) -> bool:
    """Whether an operator knows that the Seller has canceled what it had invoiced."""
    return any("canceled after it had invoiced" in entry["detail"] for entry in order["history"])
