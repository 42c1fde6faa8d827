"""What a workflow makes of a Seller call that ended without the Seller's word."""

from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutError, TimeoutType  # noqa: A004

from marketplace.errors import SellerFailure, Verdict
from workflows.parking import failure_of
from workflows.policies import CUT_OFF, SELLER_FAILURE


def activity_error(cause: BaseException) -> ActivityError:
    error = ActivityError(
        "activity failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="place_order",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def test_a_call_with_whose_last_try_the_worker_died_is_waited_out() -> None:
    lost = TimeoutError("activity heartbeat timeout", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[])
    failure = failure_of(activity_error(lost))
    assert (failure.verdict, failure.wait_out) == (Verdict.UNKNOWN_OUTCOME, True)
    assert failure.retry_after


def test_a_call_that_was_cut_off_is_waited_out() -> None:
    assert failure_of(activity_error(ApplicationError("the worker had to stop", type=CUT_OFF))).wait_out


def test_a_defect_of_the_engine_is_no_reason_to_wait() -> None:
    failure = failure_of(activity_error(ApplicationError("division by zero", type="ZeroDivisionError")))
    assert (failure.verdict, failure.wait_out) == (Verdict.UNKNOWN_OUTCOME, False)


def test_the_facts_of_a_call_are_read_from_its_error() -> None:
    told = SellerFailure(verdict=Verdict.RETRY, message="Service Unavailable", http_status=503)
    assert failure_of(activity_error(ApplicationError("failed", told, type=SELLER_FAILURE))) == told
