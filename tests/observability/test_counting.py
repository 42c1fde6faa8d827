"""What is counted of orders and Sellers, and under which labels."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from marketplace import metrics
from marketplace.catalog import ChangeNotice
from marketplace.errors import SellerFailure, Verdict
from marketplace.orders import HistoryEntry, Order, OrderItem, OrderStatus
from marketplace.seller import classify

AT = datetime(2026, 3, 1, tzinfo=UTC)
S = OrderStatus


def order(*steps: tuple[OrderStatus, float], seller: str) -> Order:
    """An order whose history has a line for each status and second."""
    return Order(
        marketplace_order_id="count-1",
        seller=seller,
        status=steps[-1][0],
        items=[OrderItem(id="1", quantity=1, price=1000)],
        marketplace_payment_value=1000,
        history=[HistoryEntry(at=AT + timedelta(seconds=at), status=status, detail="x") for status, at in steps],
    )


def read(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_each_change_of_status_is_counted_once_and_timed_from_its_first_line() -> None:
    steps = [(S.SIMULATING, 0), (S.SIMULATING, 1), (S.PLACING, 3), (S.PAYMENT_PENDING, 4), (S.PAYMENT_PENDING, 9)]
    before = read("order_engine_order_status_seconds_sum", status="simulating")
    metrics.order_moved(order(*steps[:3], seller="counted"), 0)
    metrics.order_moved(order(*steps, seller="counted"), 3)
    counted = {
        status: read("order_engine_order_status_changes_total", seller="counted", status=status)
        for status in ("simulating", "placing", "payment-pending", "handling")
    }
    assert counted == {"simulating": 1, "placing": 1, "payment-pending": 1, "handling": 0}
    assert read("order_engine_order_status_seconds_sum", status="simulating") - before == pytest.approx(3)


@pytest.mark.parametrize(
    ("failure", "label"),
    [
        (SellerFailure(verdict=Verdict.REFUSED, code="FMT007", http_status=400), "FMT007"),
        (SellerFailure(verdict=Verdict.UNKNOWN_OUTCOME, code="ORD015.2", http_status=400), "ORD015"),
        (SellerFailure(verdict=Verdict.REFUSED, code="CHK0299", http_status=400), "CHK*"),
        (SellerFailure(verdict=Verdict.REFUSED, code="made-up-4711", http_status=400), "http-400"),
        (SellerFailure(verdict=Verdict.RETRY, http_status=503), "http-503"),
        (SellerFailure(verdict=Verdict.RETRY), "no-answer"),
    ],
)
def test_an_error_is_counted_under_a_code_of_a_bounded_set(failure: SellerFailure, label: str) -> None:
    before = read("order_engine_seller_errors_total", seller="s", code=label)
    metrics.seller_answered("s", "place", 0.1, failure, classify.known_code(failure.code))
    assert read("order_engine_seller_errors_total", seller="s", code=label) == before + 1
    assert read("order_engine_seller_request_seconds_count", seller="s", call="place", outcome=failure.verdict) > 0


def test_merged_notices_wait_since_the_oldest_and_one_without_a_time_reads_as_before() -> None:
    first, second = ChangeNotice(noticed_at=AT), ChangeNotice(noticed_at=AT + timedelta(seconds=5))
    assert second.merged(first).merged(ChangeNotice()).noticed_at == AT
    assert ChangeNotice().merged(ChangeNotice()).noticed_at is None
    # A worker that does not know the field refuses it: what needs none must not have it.
    assert "noticedAt" not in ChangeNotice(price_changed=True).model_dump_json()
    assert ChangeNotice.model_validate_json(first.model_dump_json()) == first
