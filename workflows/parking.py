"""From a failed Seller call to the words in which an order is rejected or parked."""

from temporalio import exceptions
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from marketplace.errors import Cause, SellerFailure, Verdict
from marketplace.orders import Reason, ReasonCode
from workflows.order_events import Step
from workflows.policies import CUT_OFF, NO_ANSWER_WAIT, SELLER_FAILURE

_REFUSALS = {
    Cause.PRICE_DIVERGENCE: ReasonCode.PRICE_DIVERGENCE,
    Cause.OUT_OF_STOCK: ReasonCode.OUT_OF_STOCK,
    Cause.SLA_UNAVAILABLE: ReasonCode.SLA_UNAVAILABLE,
    Cause.ALREADY_CANCELED: ReasonCode.CANCELED_BY_SELLER,
}

_TROUBLES = {
    Verdict.CREDENTIALS: ReasonCode.SELLER_CREDENTIALS,
    Verdict.MISCONFIGURED: ReasonCode.SELLER_MISCONFIGURED,
}


def type_of(error: FailureError) -> str | None:
    """The type of the error that an activity raised; None where it raised none of its own."""
    # A failed local activity raises a bare ApplicationError, a regular one wraps it.
    cause = error.cause if isinstance(error, ActivityError) else error
    return cause.type if isinstance(cause, ApplicationError) else None


def failure_of(error: FailureError) -> SellerFailure:
    """Read the facts of a Seller call out of the failure that Temporal carried.

    A call that ended without facts (worker lost, time-out) may have worked: its outcome is unknown.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, exceptions.TimeoutError) or type_of(error) == CUT_OFF:
        text = f"no answer to the call: {cause}"
        return SellerFailure(verdict=Verdict.UNKNOWN_OUTCOME, message=text, retry_after=NO_ANSWER_WAIT, wait_out=True)
    if isinstance(cause, ApplicationError) and cause.type == SELLER_FAILURE and cause.details:
        return SellerFailure.model_validate(cause.details[0])
    return SellerFailure(verdict=Verdict.UNKNOWN_OUTCOME, message=f"no answer to the call: {cause or error}")


def refusal_reason(failure: SellerFailure) -> Reason:
    """Why an order is rejected."""
    code = _REFUSALS.get(failure.cause, ReasonCode.SELLER_REFUSED)
    return Reason(code=code, message=f"the Seller refused: {failure}")


def parking_reason(step: Step, failure: SellerFailure) -> Reason:
    """Why an order is parked."""
    if failure.cause is Cause.MISMATCH:
        code = ReasonCode.SELLER_ORDER_MISMATCH
    elif failure.verdict is Verdict.REFUSED and step is Step.AUTHORIZE_DISPATCH:
        code = ReasonCode.DISPATCH_REFUSED
    else:
        code = _TROUBLES.get(failure.verdict, ReasonCode.SELLER_UNAVAILABLE)
    return Reason(code=code, message=f"{step}: {failure}")


def refused(failure: SellerFailure) -> bool:
    """The Seller said no to this order. An unknown route or another order under our id is not about the order."""
    return failure.verdict is Verdict.REFUSED and failure.cause not in {Cause.NOT_FOUND, Cause.MISMATCH}


def canceled_there(failure: SellerFailure) -> bool:
    """The Seller refuses because it has canceled the order."""
    return failure.cause is Cause.ALREADY_CANCELED


def not_there(failure: SellerFailure) -> bool:
    """The Seller has no such order. A 404 without a code is a page of the edge, and no word of the Seller."""
    return failure.cause is Cause.NOT_FOUND and failure.code is not None
