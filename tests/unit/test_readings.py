"""How an offer changes by a reading, a failure or a decision."""

from typing import Any

import pytest

from marketplace.assortment import Approval, Rules
from marketplace.catalog import DecidedBy, Decision, Offer, OfferStatus, ProblemCode, Terms
from marketplace.readings import decide, fail, read

from .reading_samples import ALL, AT, AWAY, INACTIVE, SLA, after, at, blocked, data, failure, reading, terms

# --- readings ---


def test_the_first_reading_makes_an_offer() -> None:
    offer = after(reading())

    assert offer == Offer(
        seller="acme",
        id="7",
        product_id="1",
        decision=Decision.INCLUDED,
        decided_by=DecidedBy.POLICY,
        data=data(),
        price=9990,
        stock=5,
        availability="available",
        slas=[SLA],
        last_synced_at=AT,
        changed_at=AT,
        version=1,
    )
    assert offer.status is OfferStatus.LISTED


@pytest.mark.parametrize("minute", [-1, 0])
def test_an_older_reading_or_the_same_again_changes_nothing(minute: int) -> None:
    offer = after(reading())

    assert read(offer, reading(minute, data=data("Cup"), terms=terms(stock=9)), ALL) is offer


def test_a_reading_that_finds_nothing_new_keeps_the_time_of_the_change() -> None:
    offer = after(reading(), reading(1))

    assert (offer.last_synced_at, offer.changed_at, offer.version) == (at(1), AT, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"data": data("Cup")},
        {"terms": terms(stock=4)},
        {"terms": terms(price=1)},
        {"terms": terms(list_price=12000)},
        {"terms": terms(slas=[])},
        {"terms": terms(availability="withoutStock")},
        {"terms": None, "blocks": [INACTIVE]},
    ],
)
def test_a_reading_that_differs_sets_the_time_of_the_change(change: dict[str, Any]) -> None:
    assert after(reading(), reading(1, **change)).changed_at == at(1)


@pytest.mark.parametrize(
    ("told", "stock", "status"),
    [
        ({"terms": terms(stock=None)}, None, OfferStatus.LISTED),
        ({"terms": terms(stock=0)}, 0, OfferStatus.LISTED),
        ({"terms": terms(availability="withoutStock")}, 0, OfferStatus.LISTED),
        ({"terms": terms(price=None)}, 0, OfferStatus.LISTED),
        ({"terms": terms(listed=False, availability="unavailable")}, 0, OfferStatus.BLOCKED),
        ({"terms": None, "blocks": [INACTIVE]}, 0, OfferStatus.BLOCKED),
        ({"blocks": [INACTIVE]}, 0, OfferStatus.BLOCKED),
    ],
)
def test_what_cannot_be_sold_now_has_no_stock(told: dict[str, Any], stock: int | None, status: OfferStatus) -> None:
    offer = after(reading(), reading(1, **told))

    assert (offer.stock, offer.status) == (stock, status)
    assert offer.slas == ([SLA] if stock is None or told == {"terms": terms(stock=0)} else [])


def test_a_blocked_offer_keeps_its_last_price_for_people_to_see() -> None:
    offer = after(reading(terms=terms(list_price=12000)), blocked(1))

    assert (offer.price, offer.list_price, offer.stock) == (9990, 12000, 0)


def test_a_sku_that_the_simulation_does_not_know_is_blocked_until_it_does() -> None:
    unknown = after(reading(), reading(1, data=None, terms=Terms(listed=False, availability="unavailable")))
    assert [block.code for block in unknown.blocks] == [ProblemCode.NOT_IN_SIMULATION]

    assert after(reading(2, data=None), offer=unknown).status is OfferStatus.LISTED


def test_price_and_stock_alone_lift_nothing_that_the_data_forbids() -> None:
    offer = after(reading(), blocked(1), reading(2, data=None))

    assert (offer.blocks, offer.stock, offer.status) == ([INACTIVE], 0, OfferStatus.BLOCKED)
    assert after(reading(3, data=None, blocks=[INACTIVE]), offer=offer).blocks == [INACTIVE]
    assert after(reading(3), offer=offer).status is OfferStatus.LISTED


def test_a_reading_of_price_and_stock_keeps_the_data() -> None:
    offer = after(reading(), reading(1, data=None, terms=terms(price=8000)))

    assert (offer.data, offer.product_id, offer.price) == (data(), "1", 8000)


def test_nothing_is_sold_before_its_data_was_read() -> None:
    offer = after(reading(data=None))

    assert (offer.status, offer.decision, offer.stock, offer.product_id) == (OfferStatus.BLOCKED, None, 0, None)


# --- decisions ---


def test_a_blocked_sku_is_decided_about_when_it_can_be_sold() -> None:
    offer = after(blocked(0), policy=Approval())
    assert offer.decision is None

    assert after(reading(1), offer=offer, policy=Approval()).status is OfferStatus.PENDING


def test_what_is_sold_stays_sold_when_the_rules_change() -> None:
    offer = after(reading())

    assert after(reading(1), offer=offer, policy=Rules(minimum_price=10**6)).decision is Decision.INCLUDED


def test_what_is_excluded_or_waits_is_decided_about_at_each_reading() -> None:
    dear = Rules(minimum_price=10_000)
    offer = after(reading(), policy=dear)
    assert (offer.status, [one.code for one in offer.objections]) == (
        OfferStatus.EXCLUDED,
        [ProblemCode.PRICE_OUT_OF_RANGE],
    )

    offer = after(reading(1, data=None, terms=terms(price=10_000)), offer=offer, policy=dear)
    assert (offer.status, offer.objections) == (OfferStatus.LISTED, [])


def test_an_operators_decision_is_told_with_its_reason_and_counts_as_a_change_once() -> None:
    offer = after(reading(), policy=Approval())
    excluded = decide(offer, include=False)

    assert (excluded.status, excluded.decided_by, excluded.version) == (
        OfferStatus.EXCLUDED,
        DecidedBy.OPERATOR,
        offer.version + 1,
    )
    assert [one.code for one in excluded.objections] == [ProblemCode.DECIDED_BY_OPERATOR]
    assert decide(excluded, include=False) is excluded
    included = decide(excluded, include=True)
    assert (included.status, included.objections) == (OfferStatus.LISTED, [])


def test_an_operator_makes_a_policys_decision_their_own() -> None:
    offer = after(reading())
    own = decide(offer, include=True)

    assert (own.decision, own.decided_by, own.version) == (Decision.INCLUDED, DecidedBy.OPERATOR, 2)


@pytest.mark.parametrize("include", [True, False])
def test_no_reading_overrides_what_an_operator_decided(include: bool) -> None:
    decided = decide(after(reading(), policy=Approval()), include=include)

    assert after(reading(1), reading(2, data=None), offer=decided, policy=ALL).sold is include
    assert after(reading(1), offer=decided, policy=Rules(minimum_price=10**6)).sold is include


# --- failures ---


def test_failures_are_counted_until_the_engine_gives_up() -> None:
    tried = after(failure(), failure(1))
    assert (tried.status, tried.attempts, tried.last_error) == (OfferStatus.BLOCKED, 2, AWAY)

    given_up = after(failure(2, final=True), offer=tried)
    assert (given_up.status, given_up.attempts) == (OfferStatus.FAILED, 3)
    assert after(failure(3), offer=given_up).status is OfferStatus.FAILED


def test_a_success_makes_failures_forgotten() -> None:
    offer = after(failure(final=True), reading(1))

    assert (offer.status, offer.attempts, offer.last_error) == (OfferStatus.LISTED, 0, None)


@pytest.mark.parametrize("minute", [0, 1])
def test_a_failure_that_comes_late_changes_nothing(minute: int) -> None:
    offer = after(reading(1))

    assert fail(offer, failure(minute, final=True)) is offer


def test_a_failure_keeps_what_was_read() -> None:
    offer = after(reading(), failure(1, final=True))

    assert (offer.price, offer.stock, offer.last_synced_at, offer.changed_at) == (9990, 5, AT, AT)
