"""An order that is told very much: it stays within what Temporal takes, and says so when it can hold no more."""

from datetime import UTC, datetime

from marketplace.orders import Action, InvoiceType, OrderStatus, ReasonCode, TrackingEvent
from tests.support.order_life import TO_HANDLING, arrived, follow, fresh, invoiced
from workflows.display import details
from workflows.fulfillment import MAX_REPORT_BYTES
from workflows.messages import DeliveryReport, SaveCall
from workflows.order_events import Resumed, SellerReported
from workflows.order_state import OrderState, to_order
from workflows.renewal import pack, unpack

PAYLOAD_LIMIT = 2 * 2**20
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def long_report(number: int) -> SellerReported:
    """A report of about 200 kB, as no Seller sends it."""
    events = [TrackingEvent(city="Curitiba", description=f"{number}-{event} " + "x" * 1900) for event in range(100)]
    report = DeliveryReport(
        event_id=f"long-{number}", received_at=AT, invoice_number=f"N-{number}", is_delivered=False, events=events
    )
    return SellerReported(report=report)


def overfull() -> OrderState:
    invoices = [invoiced(f"N-{number}", 1) for number in range(10)]
    return follow(fresh(), *TO_HANDLING, *invoices, *(long_report(number) for number in range(10)))


def test_more_than_an_order_holds_is_not_kept_and_flagged_until_it_is_seen() -> None:
    state = overfull()
    assert MAX_REPORT_BYTES - 250_000 < state.report_bytes <= MAX_REPORT_BYTES
    assert [flag.code for flag in state.flags] == [ReasonCode.TOO_MANY_REPORTS]
    assert (state.status, state.allowed_actions) == (OrderStatus.HANDLING, [Action.RETRY])
    assert follow(state, long_report(99)) is state
    seen = follow(state, Resumed(action=Action.RETRY))
    assert not seen.needs_attention
    # What still fits is taken in as ever.
    packages = follow(seen, arrived("N-1")).fulfillment.packages
    assert [package.invoice_number for package in packages if package.is_delivered] == ["N-1"]


def test_an_order_as_full_as_can_be_fits_into_every_payload() -> None:
    state = overfull()
    call = SaveCall(
        order=to_order(state),
        digest="x" * 64,
        version=state.version,
        payment=state.payment,
        event_ids=state.event_ids,
        created_at=AT,
        updated_at=AT,
    )
    assert len(call.model_dump_json()) < PAYLOAD_LIMIT
    assert len(pack(state)) < PAYLOAD_LIMIT


def test_what_a_new_run_takes_along_is_the_very_same_state() -> None:
    returned = invoiced("N-2", 3990, kind=InvoiceType.INPUT)
    for state in (fresh(), overfull(), follow(fresh(), *TO_HANDLING, invoiced("N-1", 9470), returned, arrived("N-1"))):
        assert unpack(pack(state)) == state


def test_the_details_of_an_order_list_some_of_its_invoices_and_count_the_rest() -> None:
    state = follow(fresh(), *TO_HANDLING, *(invoiced(f"N-{number}", 1) for number in range(25)))
    assert details(state, None).count("| sale |") == 20
    assert "and 5 more" in details(state, None)
