"""Each invariant sees what it is there for: good evidence passes, and each forgery is found by the one that should."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos import invariants
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import INVARIANTS, check
from tests.chaos.plan import Fate, draw
from tests.chaos.storefront import Diary

Json = dict[str, Any]
AT = "2026-03-01T12:00:0"
VALUE = 2490
INVOICE = {"type": "Output", "invoiceNumber": "NF-1", "invoiceValue": VALUE}


TRACKING = {"courier": "Rota Sul", "trackingNumber": "RS1", "trackingUrl": "https://track.example/RS1"}
EVENTS = [{"description": "Parcel left the hub"}, {"description": "Delivered to recipient"}]


def record(kind: str, body: Json, path: str = "") -> Json:
    attempts = [{"at": f"{AT}4Z", "status": 200}]
    return {"kind": kind, "url": f"http://e/orders/C1{path}", "body": body, "acknowledged": True, "attempts": attempts}


def history(*statuses: str) -> list[Json]:
    return [{"at": f"{AT}{n}Z", "status": status, "detail": ""} for n, status in enumerate(statuses)]


LIFE = ("simulating", "placing", "payment-pending", "payment-approved", "handling", "invoiced", "delivered")


def good(fate: Fate = Fate.DELIVERED) -> Evidence:
    """One order that went its way, and one SKU."""
    plan = next(plan for seed in range(9) for plan in draw(seed, 200, 9, 0).orders if plan.fate is fate)
    diary = Diary(plan, answers={"post": [201], "approved": [200]}, approved_at=1772366400.0)
    package = {"invoiceNumber": "NF-1", **TRACKING, "isDelivered": True, "events": list(EVENTS)}
    order = {
        "status": "delivered",
        "reason": None,
        "needsAttention": False,
        "invoices": [dict(INVOICE)],
        "packages": [package],
        "invoicedValue": VALUE,
        "marketplacePaymentValue": VALUE,
        "history": history(*LIFE),
    }
    kept = {
        "status": "invoiced",
        "value": VALUE,
        "calls": {"place": 2, "placeRejected": 1, "dispatch": 1},
        "authorizedAt": f"{AT}3Z",
        "cancellation": None,
        "invoices": [{"type": "Output", "value": VALUE}],
        "callbacks": [
            record("invoice", dict(INVOICE)),
            record("tracking", dict(TRACKING), "/invoice/NF-1"),
            record("tracking-events", {"isDelivered": True, "events": EVENTS}, "/invoice/NF-1/tracking"),
        ],
    }
    sku = {
        "seller": {"active": True, "price": 5, "stock": 2, "name": "Bowl 1, blue"},
        "offer": {"status": "listed", "price": 5, "stock": 2, "data": {"name": "blue"}, "lastError": None},
    }
    return Evidence(
        diaries={"C1": diary}, orders={"C1": order}, ledger={"C1": kept}, skus={"7": sku}, shown={"C1": list(LIFE)}
    )


def ends(how: str, **kept: Any) -> Callable[[Evidence], None]:
    def forge(evidence: Evidence) -> None:
        evidence.orders["C1"] |= {"status": how, "history": history(*LIFE[:3], how)}
        evidence.ledger["C1"] |= kept

    return forge


def order(**changes: Any) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.orders["C1"].update(changes)


def kept(**changes: Any) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.ledger["C1"].update(changes)


def heard(*records: Json) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.ledger["C1"]["callbacks"].extend(records)


def never_paid(evidence: Evidence) -> None:
    evidence.diaries["C1"].approved_at = None


def paid_later(evidence: Evidence) -> None:
    evidence.diaries["C1"].approved_at = 1772366409.0


def lost(evidence: Evidence) -> None:
    del evidence.orders["C1"]


def refused(evidence: Evidence) -> None:
    evidence.diaries["C1"].answers["post"] = [201, 409]


def stale(evidence: Evidence) -> None:
    evidence.skus["7"]["offer"]["price"] = 4


def still_sold(evidence: Evidence) -> None:
    evidence.skus["7"]["seller"]["active"] = False


def no_offer(evidence: Evidence) -> None:
    evidence.skus["7"]["offer"] = None


def package(**changes: Any) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.orders["C1"]["packages"][0].update(changes)


def another_package(evidence: Evidence) -> None:
    packages = evidence.orders["C1"]["packages"]
    packages.append({**packages[0], "invoiceNumber": "NF-9"})


def shown(*statuses: str) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.shown.update({"C1": list(statuses)})


def parked_once(evidence: Evidence) -> None:
    """An operator had to see it; that alone excuses nothing."""
    evidence.said["C1"], evidence.reasons["C1"] = ["retry"], {"seller-unavailable"}
    evidence.orders["C1"]["history"][3]["detail"] = "needs attention: authorize-dispatch: no answer"


def each(*forgeries: Callable[[Evidence], None]) -> Callable[[Evidence], None]:
    def forge(evidence: Evidence) -> None:
        for one in forgeries:
            one(evidence)

    return forge


def a_defect(evidence: Evidence) -> None:
    evidence.bugs.append("order/acme/C1: [TMPRL1100] Nondeterminism error")


FORGERIES: dict[str, tuple[Callable[[Evidence], None], Callable[..., Any]]] = {
    "lost": (lost, invariants.every_answered_order_has_ended),
    "lost, and at the Seller": (lost, invariants.at_most_one_seller_order),
    "refused the second time": (refused, invariants.every_answered_order_has_ended),
    "parked for good": (order(needsAttention=True), invariants.every_answered_order_has_ended),
    "open": (order(status="handling"), invariants.every_answered_order_has_ended),
    "placed twice": (kept(calls={"place": 2, "dispatch": 1}), invariants.at_most_one_seller_order),
    "dispatched twice": (kept(calls={"dispatch": 2}), invariants.dispatch_once_and_never_before_payment),
    "dispatched unpaid": (never_paid, invariants.dispatch_once_and_never_before_payment),
    "dispatched too early": (paid_later, invariants.dispatch_once_and_never_before_payment),
    "canceled here only": (ends("canceled"), invariants.what_ended_badly_is_canceled_at_the_seller),
    "canceled there only": (kept(status="canceled"), invariants.what_ended_badly_is_canceled_at_the_seller),
    "canceled there only, and parked before": (
        each(kept(status="canceled"), parked_once),
        invariants.what_ended_badly_is_canceled_at_the_seller,
    ),
    "canceled here only, after a retry": (
        each(ends("canceled"), lambda evidence: evidence.said.update({"C1": ["retry"]})),
        invariants.what_ended_badly_is_canceled_at_the_seller,
    ),
    "rejected and placed": (ends("rejected"), invariants.what_ended_badly_is_canceled_at_the_seller),
    "expired and dispatched": (
        ends("expired", status="canceled"),
        invariants.what_ended_badly_is_canceled_at_the_seller,
    ),
    "dispatched when canceled": (
        ends("canceled", status="canceled", cancellation={"canceledAt": f"{AT}2Z"}),
        invariants.what_ended_badly_is_canceled_at_the_seller,
    ),
    "rejected for a fault": (ends("rejected"), invariants.only_what_the_seller_does_not_want_is_rejected),
    "paid for nothing": (
        ends("expired", status="canceled", authorizedAt=None),
        invariants.money_is_followed_by_goods_or_a_cancellation,
    ),
    "an invoice unheard": (order(invoices=[]), invariants.every_acknowledged_callback_is_reflected_once),
    "an invoice twice": (order(invoices=[INVOICE, INVOICE]), invariants.every_acknowledged_callback_is_reflected_once),
    "a package unheard": (order(packages=[]), invariants.every_acknowledged_callback_is_reflected_once),
    "an early package unheard": (
        heard(record("tracking", TRACKING, "/invoice/NF-2")),
        invariants.every_acknowledged_callback_is_reflected_once,
    ),
    "a tracking unheard": (
        package(courier=None, trackingNumber=None, trackingUrl=None),
        invariants.every_acknowledged_callback_is_reflected_once,
    ),
    "another tracking": (package(trackingNumber="RS2"), invariants.every_acknowledged_callback_is_reflected_once),
    "a delivery unheard": (package(isDelivered=False), invariants.every_acknowledged_callback_is_reflected_once),
    "an event unheard": (package(events=EVENTS[:1]), invariants.every_acknowledged_callback_is_reflected_once),
    "an event twice": (package(events=[*EVENTS, EVENTS[0]]), invariants.every_acknowledged_callback_is_reflected_once),
    "a package of nothing": (
        another_package,
        invariants.every_acknowledged_callback_is_reflected_once,
    ),
    "a cancel unheard": (heard(record("cancel", {})), invariants.every_acknowledged_callback_is_reflected_once),
    "backwards": (
        order(history=history(*LIFE[:5], "payment-pending", "delivered")),
        invariants.no_status_goes_backwards,
    ),
    "after the end": (order(history=history("expired", "delivered")), invariants.no_status_goes_backwards),
    "another end than told": (order(history=history(*LIFE[:6])), invariants.no_status_goes_backwards),
    "shown after the end": (shown(*LIFE[:3], "expired"), invariants.nothing_shown_is_taken_back),
    "shown to have ended": (shown("canceled", "handling"), invariants.nothing_shown_is_taken_back),
    "shown backwards": (shown("handling", "payment-pending"), invariants.nothing_shown_is_taken_back),
    "shown further than it came": (
        each(shown("handling", "delivered"), order(status="invoiced")),
        invariants.nothing_shown_is_taken_back,
    ),
    "a sum": (order(invoicedValue=1), invariants.the_sums_agree_with_the_seller),
    "the Seller's own sum": (
        kept(invoices=[{"type": "Input", "value": 1}]),
        invariants.the_sums_agree_with_the_seller,
    ),
    "a sale that the Seller has not in its books": (kept(invoices=[]), invariants.the_sums_agree_with_the_seller),
    "a return that nobody sent": (
        order(invoices=[INVOICE, {**INVOICE, "type": "Input"}]),
        invariants.the_sums_agree_with_the_seller,
    ),
    "a return unheard": (
        heard(record("invoice", {**INVOICE, "type": "Input"})),
        invariants.the_sums_agree_with_the_seller,
    ),
    "a return that the Seller has not in its books": (
        each(
            order(invoices=[INVOICE, {**INVOICE, "type": "Input"}]),
            heard(record("invoice", {**INVOICE, "type": "Input"})),
        ),
        invariants.the_sums_agree_with_the_seller,
    ),
    "canceled money": (kept(status="canceled"), invariants.the_sums_agree_with_the_seller),
    "another value": (kept(value=VALUE + 1), invariants.the_sums_agree_with_the_seller),
    "an old price": (stale, invariants.every_notice_led_to_the_latest_state),
    "sold on": (still_sold, invariants.every_notice_led_to_the_latest_state),
    "no offer": (no_offer, invariants.every_notice_led_to_the_latest_state),
    "a defect": (a_defect, invariants.nothing_failed_by_a_defect),
}


def test_good_evidence_passes() -> None:
    assert check(good()) == []


def test_what_an_operator_was_asked_about_passes() -> None:
    evidence = good()
    evidence.ledger["C1"]["status"] = "canceled"
    evidence.orders["C1"]["history"][-1]["detail"] = (
        "the Seller canceled after it had invoiced; a return invoice is needed"
    )
    assert check(evidence) == []


def test_what_an_operator_closed_without_the_seller_passes() -> None:
    evidence = good(Fate.UNPAID)
    ends("expired", status="waiting-ffmt-authorization", authorizedAt=None, invoices=[], callbacks=[])(evidence)
    order(invoices=[], packages=[], invoicedValue=0)(evidence)
    evidence.diaries["C1"].answers.pop("approved")
    evidence.shown.clear()
    assert check(evidence) != []
    evidence.orders["C1"]["history"][-1]["detail"] = "closed by an operator without the Seller's word"
    evidence.said["C1"] = ["abort"]
    assert check(evidence) == []


def test_an_aborted_order_may_be_canceled_with_its_money() -> None:
    evidence = good()
    ends("canceled", status="canceled", authorizedAt=None, invoices=[], callbacks=[])(evidence)
    order(invoices=[], packages=[], invoicedValue=0)(evidence)
    evidence.shown.clear()
    assert check(evidence) != []
    evidence.said["C1"] = ["abort"]
    assert check(evidence) == []


@pytest.mark.parametrize(("forge", "invariant"), FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_is_found(forge: Callable[[Evidence], None], invariant: Callable[..., Any]) -> None:
    evidence = good()
    forge(evidence)
    name = next(name for name, function in INVARIANTS.items() if function is invariant)
    assert name in {violation.invariant for violation in check(evidence)}


def test_no_invariant_is_without_a_forgery() -> None:
    assert {invariant for _, invariant in FORGERIES.values()} == set(INVARIANTS.values())


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    assert draw(3, 50, 6, 10) == draw(3, 50, 6, 10)
    assert draw(3, 50, 6, 10).orders != draw(4, 50, 6, 10).orders
    assert draw(3, 50, 6, 10).kills == 10
