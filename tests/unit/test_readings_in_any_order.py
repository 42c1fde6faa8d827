"""What holds of an offer in whatever order readings, failures and decisions come."""

from functools import reduce

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.assortment import Approval, InclusionPolicy, Rules
from marketplace.catalog import DecidedBy, Offer, OfferStatus, SkuData, Terms
from marketplace.readings import Failure, Reading, decide

from .reading_samples import ALL, INACTIVE, SLA, after, data, failure, reading

_TERMS = st.builds(
    Terms,
    listed=st.booleans(),
    availability=st.sampled_from(["available", "withoutStock"]),
    price=st.none() | st.integers(0, 20_000),
    stock=st.none() | st.integers(0, 9),
    slas=st.lists(st.just(SLA), max_size=1),
)
_BLOCKS = st.lists(st.just(INACTIVE), max_size=1)
_DATA = st.builds(data, st.sampled_from(["Mug", "Cup"]))
_POLICIES = st.sampled_from([ALL, Approval(), Rules(minimum_price=10_000)])

# On a busy machine an example may take long, and says nothing about the code.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _readings(known: st.SearchStrategy[SkuData | None], first: int = 0) -> st.SearchStrategy[Reading]:
    parts = {"data": known, "terms": st.none() | _TERMS, "blocks": _BLOCKS}
    return st.builds(reading, st.integers(first, first + 20), **parts)


def _events(first: int = 0) -> st.SearchStrategy[list[Reading | Failure]]:
    failures = st.builds(failure, st.integers(first, first + 20), final=st.booleans())
    return st.lists(_readings(st.none() | _DATA, first) | failures, min_size=1)


@CALM
@given(st.lists(_readings(_DATA), min_size=1, unique_by=lambda one: one.began_at), _POLICIES)
def test_readings_in_any_order_end_in_the_newest(readings: list[Reading], policy: InclusionPolicy) -> None:
    newest = max(readings, key=lambda one: one.began_at)
    offer, alone = after(*readings, policy=policy), after(newest, policy=policy)

    for name in ("data", "product_id", "blocks", "availability", "stock", "slas", "last_synced_at", "failed"):
        assert getattr(offer, name) == getattr(alone, name), name
    if newest.terms is not None and newest.terms.price is not None:
        assert offer.price == newest.terms.price


@CALM
@given(_events(), _POLICIES)
def test_a_failure_never_hides_a_newer_success(events: list[Reading | Failure], policy: InclusionPolicy) -> None:
    offer = after(*events, policy=policy)

    successes = [event.began_at for event in events if isinstance(event, Reading)]
    failures = [event.at for event in events if isinstance(event, Failure)]
    if successes and (not failures or max(successes) >= max(failures)):
        assert (offer.failed, offer.last_error, offer.attempts) == (False, None, 0)
    assert offer.last_synced_at == max(successes, default=None)


@CALM
@given(_events(), _events(21), st.booleans(), _POLICIES)
def test_an_operators_decision_stands(
    before: list[Reading | Failure], later: list[Reading | Failure], include: bool, policy: InclusionPolicy
) -> None:
    offer = decide(after(reading(-1), *before, policy=policy), include=include)
    offer = after(*later, offer=offer, policy=policy)

    assert (offer.sold, offer.decided_by) == (include, DecidedBy.OPERATOR)
    assert offer.status is not OfferStatus.PENDING


@CALM
@given(_events(), _POLICIES)
def test_what_is_blocked_at_any_time_has_no_stock(events: list[Reading | Failure], policy: InclusionPolicy) -> None:
    def step(offer: Offer | None, event: Reading | Failure) -> Offer:
        changed = after(event, offer=offer, policy=policy)
        if changed.status is OfferStatus.BLOCKED or changed.blocks:
            assert (changed.stock, changed.slas) == (0, [])
        return changed

    reduce(step, events, None)


@CALM
@given(_events(), _POLICIES)
def test_versions_count_what_changes(events: list[Reading | Failure], policy: InclusionPolicy) -> None:
    offer: Offer | None = None
    for event in events:
        changed = after(event, offer=offer, policy=policy)
        assert changed.version == (offer.version if offer else 0) + (changed is not offer)
        offer = changed
