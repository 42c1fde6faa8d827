"""What can happen to an order, and the words its state is told in. `order_state.apply` says what each event does."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from marketplace.orders import Action, Model, OrderStatus, PaymentReport, Reason, ReasonCode
from workflows.fulfillment import Report
from workflows.messages import SellerCancelReport


class Step(StrEnum):
    """The engine's own steps, in their order; also what a parked order is parked in."""

    SIMULATE = "simulate"
    PLACE = "place"
    AWAIT_PAYMENT = "await payment"
    AUTHORIZE_DISPATCH = "authorize dispatch"
    FOLLOW_FULFILLMENT = "follow fulfillment"
    CANCEL = "cancel at the Seller"


class CancelCause(StrEnum):
    CUSTOMER = "customer"
    OPERATOR = "operator"
    SELLER = "seller"
    PAYMENT_DENIED = "payment denied"
    PAYMENT_TIMEOUT = "payment timeout"


REASON_CODES = {
    CancelCause.CUSTOMER: ReasonCode.CANCELED_BY_CUSTOMER,
    CancelCause.OPERATOR: ReasonCode.CANCELED_BY_OPERATOR,
    CancelCause.SELLER: ReasonCode.CANCELED_BY_SELLER,
    CancelCause.PAYMENT_DENIED: ReasonCode.PAYMENT_DENIED,
    CancelCause.PAYMENT_TIMEOUT: ReasonCode.PAYMENT_TIMEOUT,
}

# Causes that leave nothing to go on with: the order has ended for the customer, only the Seller must still confirm.
ENDINGS = {
    CancelCause.PAYMENT_DENIED: OrderStatus.PAYMENT_DENIED,
    CancelCause.PAYMENT_TIMEOUT: OrderStatus.EXPIRED,
}


class CancelState(StrEnum):
    OWED = "owed"
    """The Seller has not been asked yet."""
    DECIDING = "deciding"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class Cancellation(Model):
    cause: CancelCause
    state: CancelState
    reason: str = ""
    requested_by_user: bool = False
    refusal: str = Field(default="", exclude_if=lambda value: not value)
    """In which words the Seller has refused it."""

    @property
    def ends_order(self) -> bool:
        """Whether the order has ended by it whatever the Seller says: unpaid orders never go on."""
        return self.cause in ENDINGS

    @property
    def open(self) -> bool:
        return self.state in {CancelState.OWED, CancelState.DECIDING}


class Parked(Model):
    """The engine has stopped trying `step` by itself."""

    step: Step
    reason: Reason
    actions: list[Action] = [Action.RETRY, Action.ABORT]


# --- events ---


class Simulated(Model):
    """The checkout's own simulation agrees with the order."""


class PlacementStarted(Model):
    pass


class Rejected(Model):
    reason: Reason


class Placed(Model):
    order_id: str
    expires_at: datetime
    notes: list[str] = []


class PaymentReported(Model):
    report: PaymentReport


class PaymentDeadlineMissed(Model):
    pass


class DispatchStarted(Model):
    pass


class DispatchAuthorized(Model):
    pass


class SellerReported(Model):
    report: Report


class SellerCanceled(Model):
    report: SellerCancelReport


class CancelRequested(Model):
    cause: CancelCause
    reason: str = ""
    requested_by_user: bool = False


class CancelUndecided(Model):
    pass


class CancelConfirmed(Model):
    detail: str = "canceled at the Seller"


class CancelDenied(Model):
    detail: str


class StepParked(Model):
    parked: Parked


class Resumed(Model):
    action: Action
    note: str = ""


class ReturnWindowClosed(Model):
    pass


class Noted(Model):
    """Something was said that changes nothing, but must not go unseen."""

    detail: str


Event = (
    Simulated
    | PlacementStarted
    | Rejected
    | Placed
    | PaymentReported
    | PaymentDeadlineMissed
    | DispatchStarted
    | DispatchAuthorized
    | SellerReported
    | SellerCanceled
    | CancelRequested
    | CancelUndecided
    | CancelConfirmed
    | CancelDenied
    | StepParked
    | Resumed
    | ReturnWindowClosed
    | Noted
)
