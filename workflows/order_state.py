"""What an order is at a moment, and how each event changes it: a pure reducer without clock, I/O or Temporal.

    state = apply(state, event, at)

The status is computed from facts (how far the engine's own steps came, what the Seller reported, whether a
cancellation runs), and facts are only added: that is why a late, early or repeated event cannot move it back.
Two rules settle what could otherwise be luck:

- invoice and cancellation: whichever is recorded first decides. After an invoice no cancellation is accepted until
  it is returned; an invoice that meets a cancellation still being decided refuses it, and the order goes on; an
  invoice for an order already ended is kept and flagged for an operator.
- money that does not add up (more invoiced than ordered, one invoice number with two contents) is flagged, never
  dropped: the order stays open until an operator has seen it.
"""

from datetime import datetime

from pydantic import computed_field

from marketplace.money import as_text
from marketplace.orders import (
    Action,
    HistoryEntry,
    InvoiceType,
    Model,
    Order,
    OrderItem,
    OrderRequest,
    OrderStatus,
    PaymentReport,
    PaymentStatus,
    Reason,
    ReasonCode,
)
from marketplace.rules import payment_conflict, seller_cancel_conflict
from workflows.fulfillment import MAX_REPORT_BYTES, MAX_REPORTS, Fulfillment, Report, add_report, fold_again
from workflows.messages import DeliveryReport, InvoiceReport, SellerCancelReport, TrackingReport
from workflows.order_events import (
    ENDINGS,
    REASON_CODES,
    CancelCause,
    CancelConfirmed,
    CancelDenied,
    Cancellation,
    CancelRequested,
    CancelState,
    CancelUndecided,
    DispatchAuthorized,
    DispatchStarted,
    Event,
    Noted,
    Parked,
    PaymentDeadlineMissed,
    PaymentReported,
    Placed,
    PlacementStarted,
    Rejected,
    Resumed,
    ReturnWindowClosed,
    SellerCanceled,
    SellerReported,
    Simulated,
    Step,
    StepParked,
)


class OrderState(Model, extra="ignore"):  # its own JSON has the computed status, and must be readable again
    """Everything known of an order but the customer's data. Changed by `apply` alone; `version` counts changes."""

    marketplace_order_id: str
    seller: str
    items: list[OrderItem]
    value: int
    version: int = 0
    stage: OrderStatus = OrderStatus.SIMULATING
    """How far the engine's own steps came: up to handling."""
    order_id: str | None = None
    expires_at: datetime | None = None
    payment: PaymentReport | None = None
    rejection: Reason | None = None
    cancellation: Cancellation | None = None
    reports: list[Report] = []
    report_bytes: int = 0
    overfull: bool = False
    """More was reported than an order holds; what came last was not kept."""
    fulfillment: Fulfillment = Fulfillment()
    early_cancel: SellerCancelReport | None = None
    """The Seller's cancellation of an order whose placement has not answered yet."""
    cancel_reports: list[str] = []
    delivered_at: datetime | None = None
    window_closed: bool = False
    parked: Parked | None = None
    flags: list[Reason] = []
    """What an operator must see before the order may close."""
    acknowledged: list[str] = []
    """Messages of the flags that an operator has seen."""
    history: list[HistoryEntry] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> OrderStatus:
        if self.rejection is not None:
            return OrderStatus.REJECTED
        if (cancellation := self.cancellation) is not None:
            if cancellation.cause in ENDINGS:
                return ENDINGS[cancellation.cause]
            if cancellation.state is CancelState.CONFIRMED:
                return OrderStatus.CANCELED
            if cancellation.open:
                return OrderStatus.CANCELLATION_REQUESTED
        return self.progress if self.stage is OrderStatus.HANDLING else self.stage

    @property
    def progress(self) -> OrderStatus:
        """How far the Seller's reports came: from handling on. More reports never take it back."""
        return self.fulfillment.progress

    @property
    def placed(self) -> bool:
        return self.order_id is not None

    @property
    def canceled(self) -> bool:
        return self.cancellation is not None and self.cancellation.state is CancelState.CONFIRMED

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done or awaited."""
        return (
            self.rejection is not None
            or self.canceled
            or self.window_closed
            or (self.status is OrderStatus.RETURNED and self.progress is OrderStatus.RETURNED)
        )

    @property
    def needs_attention(self) -> bool:
        return self.parked is not None or bool(self.flags)

    @property
    def allowed_actions(self) -> list[Action]:
        if self.parked is not None:
            return list(self.parked.actions)
        return [Action.RETRY] if self.flags else []

    @property
    def reason(self) -> Reason | None:
        """Why the order ended or waits for somebody: what an operator must act on comes first."""
        if self.parked is not None:
            return self.parked.reason
        if self.flags:
            return self.flags[0]
        if self.rejection is not None:
            return self.rejection
        cancellation = self.cancellation
        if cancellation is not None and (cancellation.state is not CancelState.REFUSED or cancellation.ends_order):
            return Reason(code=REASON_CODES[cancellation.cause], message=cancellation.reason or cancellation.cause)
        return None

    @property
    def event_ids(self) -> list[str]:
        """Ids of all Seller reports taken in."""
        return [report.event_id for report in self.reports] + self.cancel_reports


def new_order(request: OrderRequest, at: datetime) -> OrderState:
    """The state of an order just received; a payment approved beforehand is part of it."""
    state = OrderState(
        marketplace_order_id=request.marketplace_order_id,
        seller=request.seller,
        items=request.items,
        value=request.marketplace_payment_value,
    )
    if request.payment.status is PaymentStatus.APPROVED:
        state = _with(
            state,
            payment=PaymentReport(
                status=PaymentStatus.APPROVED,
                # A storefront may approve in one go without naming a transaction: the order's id stands for it.
                transaction_id=request.payment.transaction_id or request.marketplace_order_id,
            ),
        )
    return _told(state, state, at, "received from the storefront")


def apply(state: OrderState, event: Event, at: datetime) -> OrderState:  # noqa: C901, PLR0911, PLR0912 - one line a case
    """Change the state by one event. An event that says nothing new returns the very same object."""
    match event:
        case Simulated():
            return _told(state, state, at, "the Seller's simulation agrees")
        case PlacementStarted():
            return _moved(state, OrderStatus.PLACING, at, "placing with the Seller")
        case Rejected(reason=reason):
            return _rejected(state, reason, at)
        case Placed():
            return _placed(state, event, at)
        case PaymentReported(report=report):
            return _paid(state, report, at)
        case PaymentDeadlineMissed():
            return _cancel(state, CancelRequested(cause=CancelCause.PAYMENT_TIMEOUT, reason="no payment in time"), at)
        case DispatchStarted():
            return _moved(state, OrderStatus.AUTHORIZING_FULFILLMENT, at, "authorizing dispatch")
        case DispatchAuthorized():
            return _moved(state, OrderStatus.HANDLING, at, "dispatch authorized")
        case SellerReported(report=report):
            return _reported(state, report, at)
        case SellerCanceled(report=report):
            return _seller_canceled(state, report, at)
        case CancelRequested():
            return _cancel(state, event, at)
        case CancelUndecided():
            return _cancel_settled(state, CancelState.DECIDING, at, "the Seller is deciding about the cancellation")
        case CancelConfirmed(detail=detail):
            return _cancel_settled(state, CancelState.CONFIRMED, at, detail)
        case CancelDenied(detail=detail):
            return _cancel_settled(state, CancelState.REFUSED, at, detail)
        case StepParked(parked=parked):
            return _parked(state, parked, at)
        case Resumed():
            return _resumed(state, event, at)
        case ReturnWindowClosed():
            return state if state.window_closed else _told(state, _with(state, window_closed=True), at, _CLOSED)
        case Noted(detail=detail):
            return _told(state, state, at, detail)


_CLOSED = "return window over"
_OVERFULL = "the Seller reported more than an order can hold: what came last was not kept"
_CANCELED_AFTER_INVOICE = "the Seller canceled after it had invoiced; a return invoice is needed"


def _with(state: OrderState, **changes: object) -> OrderState:
    return state.model_copy(update=changes)


def _told(before: OrderState, after: OrderState, at: datetime, detail: str) -> OrderState:
    """Finish a change: the next version, with a line of history that carries the status it led to."""
    entry = HistoryEntry(at=at, status=after.status, detail=detail)
    return _with(after, version=before.version + 1, flags=_flags(after), history=[*after.history, entry])


_STAGES = (
    OrderStatus.SIMULATING,
    OrderStatus.PLACING,
    OrderStatus.PAYMENT_PENDING,
    OrderStatus.PAYMENT_APPROVED,
    OrderStatus.AUTHORIZING_FULFILLMENT,
    OrderStatus.HANDLING,
)


def _moved(state: OrderState, stage: OrderStatus, at: datetime, detail: str) -> OrderState:
    if _STAGES.index(stage) <= _STAGES.index(state.stage):
        return state
    after = _with(state, stage=stage)
    if stage is OrderStatus.HANDLING and after.progress is OrderStatus.DELIVERED:
        after = _with(after, delivered_at=at)
    return _told(state, after, at, detail)


def _rejected(state: OrderState, reason: Reason, at: datetime) -> OrderState:
    if state.rejection is not None or state.canceled:
        return state
    detail = f"not placed: {reason.message}"
    if (known := state.cancellation) is not None and (known.open or known.ends_order):
        # Canceled or denied on the way: that is fulfilled, since the Seller never took the order.
        return _cancel_settled(state, CancelState.CONFIRMED, at, detail)
    if state.early_cancel is not None:
        return _canceled_by_seller(state, state.early_cancel, at)
    return _told(state, _with(state, rejection=reason, parked=None), at, reason.message)


def _placed(state: OrderState, event: Placed, at: datetime) -> OrderState:
    if state.placed:
        return state
    detail = "; ".join([f"placed at the Seller as {event.order_id}", *event.notes])
    after = _with(
        state,
        order_id=event.order_id,
        stage=OrderStatus.PAYMENT_PENDING,
        expires_at=event.expires_at,
        parked=None,
    )
    after = _told(state, after, at, detail)
    if after.early_cancel is not None and not after.canceled:
        # It was recorded when nothing stood against it: an invoice that came since is one after the end.
        return _canceled_by_seller(_with(after, early_cancel=None), after.early_cancel, at)
    return _approved(after, at)


def _paid(state: OrderState, report: PaymentReport, at: datetime) -> OrderState:
    if state.payment is not None or payment_conflict(state.status, None, report):
        return state
    if report.status is PaymentStatus.DENIED:
        after = _with(state, payment=report)
        if state.status in {OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}:
            return _told(state, after, at, f"payment denied (transaction {report.transaction_id})")
        denial = CancelRequested(
            cause=CancelCause.PAYMENT_DENIED, reason=f"payment denied (transaction {report.transaction_id})"
        )
        return _cancel(after, denial, at)
    after = _with(state, payment=report)
    if not state.placed:
        return _told(state, after, at, f"payment approved (transaction {report.transaction_id}), kept until placed")
    return _approved(after, at)


def _approved(state: OrderState, at: datetime) -> OrderState:
    """Move on from waiting for the payment when it is there."""
    if state.payment is None or state.payment.status is not PaymentStatus.APPROVED:
        return state
    detail = f"payment approved (transaction {state.payment.transaction_id})"
    return _moved(state, OrderStatus.PAYMENT_APPROVED, at, detail)


def _cancel(state: OrderState, event: CancelRequested, at: datetime) -> OrderState:
    known = state.cancellation
    if known is not None and (known.ends_order or known.state is CancelState.CONFIRMED):
        return state
    if known is not None and known.open:
        if event.cause not in ENDINGS:
            return state
        # The customer's wish is with the Seller already; from now on there is no going back for the money either.
        cancellation = known.model_copy(update={"cause": event.cause, "reason": event.reason})
    else:
        cancellation = Cancellation(
            cause=event.cause,
            state=CancelState.OWED,
            reason=event.reason,
            requested_by_user=event.requested_by_user,
        )
    after = _with(state, cancellation=cancellation, parked=None)
    return _told(state, after, at, event.reason or f"cancellation asked for by the {event.cause}")


def _cancel_settled(state: OrderState, outcome: CancelState, at: datetime, detail: str) -> OrderState:
    known = state.cancellation
    if known is None or known.state is outcome:
        return state
    if known.state is CancelState.REFUSED and outcome is CancelState.CONFIRMED and not known.ends_order:
        # The Seller invoiced and confirmed the cancellation: it says two things, so a person must ask.
        after = _canceled_after_invoice(state)
        return state if after is state else _told(state, after, at, _CANCELED_AFTER_INVOICE)
    # An order that ends anyway is ended by the Seller's late word too, though an invoice had refused it before.
    if not known.open and not (known.ends_order and outcome is CancelState.CONFIRMED):
        return state
    settled = {"state": outcome, "refusal": detail if outcome is CancelState.REFUSED else ""}
    return _told(state, _with(state, cancellation=known.model_copy(update=settled), parked=None), at, detail)


def _seller_canceled(state: OrderState, report: SellerCancelReport, at: datetime) -> OrderState:
    repeated = report.event_id in state.cancel_reports
    after = state if repeated else _with(state, cancel_reports=[*state.cancel_reports, report.event_id])
    if state.rejection is not None or state.canceled or state.status is OrderStatus.RETURNED:
        return state if repeated else _told(state, after, at, "the Seller canceled an order that had ended")
    if seller_cancel_conflict(state.status, has_open_invoice=state.fulfillment.has_open_invoice):
        return state if repeated else _told(state, _canceled_after_invoice(after), at, _CANCELED_AFTER_INVOICE)
    # From here on a repeat counts where the first did not: an invoice stood against it then, and is returned now.
    # Before the placement is on its way there is nothing that its answer could tell, and nothing must be placed.
    if not state.placed and state.stage is not OrderStatus.SIMULATING:
        kept = _with(after, early_cancel=report, parked=None)
        told = "the Seller canceled before it answered the placement: kept until then"
        return state if repeated and state.early_cancel is not None else _told(state, kept, at, told)
    return _canceled_by_seller(after, report, at)


def _canceled_by_seller(state: OrderState, report: SellerCancelReport, at: datetime) -> OrderState:
    known = state.cancellation
    if known is not None and (known.open or known.ends_order):
        settled = known.model_copy(update={"state": CancelState.CONFIRMED})
    else:
        settled = Cancellation(cause=CancelCause.SELLER, state=CancelState.CONFIRMED, reason=report.reason)
    after = _with(state, cancellation=settled, parked=None)
    return _told(state, after, at, "; ".join(part for part in ("canceled by the Seller", report.reason) if part))


def _canceled_after_invoice(state: OrderState) -> OrderState:
    flag = Reason(code=ReasonCode.CANCELED_AFTER_INVOICE, message=_CANCELED_AFTER_INVOICE)
    if flag in state.flags or flag.message in state.acknowledged:
        return state
    return _with(state, flags=[*state.flags, flag])


def _reported(state: OrderState, report: Report, at: datetime) -> OrderState:
    reports = add_report(state.reports, report)
    if reports is state.reports:
        return state
    size = state.report_bytes
    if len(reports) > len(state.reports):
        size += len(report.model_dump_json(exclude={"received_at"}))
        if len(reports) > MAX_REPORTS or size > MAX_REPORT_BYTES:
            return state if state.overfull else _told(state, _with(state, overfull=True), at, _OVERFULL)
    amounts = fold_again(state.fulfillment, reports, report, state.items, state.value)
    after = _with(state, reports=reports, report_bytes=size, fulfillment=amounts)
    if len(reports) == len(state.reports) and amounts == state.fulfillment:
        return _with(after, version=state.version + 1)
    if amounts.has_open_invoice and _is_sale(report) and (known := after.cancellation) is not None and known.open:
        # The invoice is the Seller's refusal (contract B4). What must not go on is left to an operator by the workflow.
        refused = {"state": CancelState.REFUSED, "refusal": _describe(report)}
        after = _with(after, cancellation=known.model_copy(update=refused), parked=None)
    if after.progress is OrderStatus.DELIVERED and state.delivered_at is None and state.stage is OrderStatus.HANDLING:
        after = _with(after, delivered_at=at)
    after = _told(state, after, at, _describe(report))
    return after if after.parked is None else _parked(after, after.parked, at)


def _parked(state: OrderState, parked: Parked, at: datetime) -> OrderState:
    if parked.step is Step.AUTHORIZE_DISPATCH and state.fulfillment.has_open_invoice:
        # What the Seller invoices it does not wait to dispatch: somebody has released the order there.
        if state.stage is OrderStatus.HANDLING:
            return state
        return _moved(_with(state, parked=None), OrderStatus.HANDLING, at, "the Seller dispatches: it has invoiced")
    if state.parked is parked:
        return state
    return _told(state, _with(state, parked=parked), at, f"needs attention: {parked.reason.message}")


def _is_sale(report: Report) -> bool:
    return isinstance(report, InvoiceReport) and report.invoice.type is InvoiceType.OUTPUT


def _flags(state: OrderState) -> list[Reason]:
    """What an operator must see and has not: computed from the facts, so that it hangs on none of their orders."""
    canceled = [flag for flag in state.flags if flag.code is ReasonCode.CANCELED_AFTER_INVOICE]
    return [flag for flag in (*_money_flags(state), *canceled) if flag.message not in state.acknowledged]


def _money_flags(state: OrderState) -> list[Reason]:
    amounts, flags = state.fulfillment, []
    if amounts.invoiced_value > state.value:
        text = f"{as_text(amounts.invoiced_value)} invoiced for an order of {as_text(state.value)}"
        flags.append(Reason(code=ReasonCode.INVOICED_ABOVE_VALUE, message=text))
    if amounts.conflicts:
        numbers = ", ".join(amounts.conflicts)
        text = f"came again with other amounts, the first ones count: invoice {numbers}"
        flags.append(Reason(code=ReasonCode.INVOICE_CONFLICT, message=text))
    if state.overfull:
        flags.append(Reason(code=ReasonCode.TOO_MANY_REPORTS, message=_OVERFULL))
    if amounts.has_open_invoice and (state.canceled or state.rejection is not None):
        text = f"the Seller invoiced an order that ended as {state.status}"
        flags.append(Reason(code=ReasonCode.INVOICED_AFTER_END, message=text))
    return flags


def _describe(report: Report) -> str:
    match report:
        case InvoiceReport(invoice=invoice):
            value = "" if invoice.invoice_value is None else f" over {as_text(invoice.invoice_value)}"
            kind = "invoice" if invoice.type is InvoiceType.OUTPUT else "return invoice"
            return f"{kind} {invoice.invoice_number}{value}"
        case TrackingReport(invoice_number=number):
            return f"tracking of invoice {number}"
        case DeliveryReport(invoice_number=number, is_delivered=is_delivered):
            return f"package of invoice {number} {'delivered' if is_delivered else 'on its way'}"


def _resumed(state: OrderState, event: Resumed, at: datetime) -> OrderState:
    if event.action not in state.allowed_actions:
        return state
    parked = state.parked
    after = _with(
        state,
        parked=None,
        flags=[],
        acknowledged=[*state.acknowledged, *(flag.message for flag in state.flags)],
    )
    detail = ": ".join(part for part in (f"operator says {event.action}", event.note) if part)
    after = _told(state, after, at, detail)
    known = after.cancellation
    if parked is None or (event.action is Action.RETRY and parked.step is not Step.CANCEL):
        return after
    if known is not None and event.action is Action.RETRY:
        return _with(after, cancellation=known.model_copy(update={"state": CancelState.OWED}))
    if known is not None and parked.step is Step.CANCEL:
        settled = known.model_copy(update={"state": CancelState.CONFIRMED})
        closed = _told(after, _with(after, cancellation=settled), at, "closed by an operator without the Seller's word")
        return _with(closed, flags=[], acknowledged=[*closed.acknowledged, *(flag.message for flag in closed.flags)])
    abort = CancelRequested(cause=CancelCause.OPERATOR, reason=event.note or "aborted by an operator")
    return _cancel(after, abort, at)


def to_order(state: OrderState) -> Order:
    """The order as the API answers it."""
    return Order(
        marketplace_order_id=state.marketplace_order_id,
        seller=state.seller,
        order_id=state.order_id,
        status=state.status,
        reason=state.reason,
        needs_attention=state.needs_attention,
        allowed_actions=state.allowed_actions,
        expires_at=state.expires_at if state.status is OrderStatus.PAYMENT_PENDING else None,
        items=state.items,
        marketplace_payment_value=state.value,
        invoiced_value=state.fulfillment.invoiced_value,
        invoices=state.fulfillment.invoices,
        packages=state.fulfillment.packages,
        history=state.history,
    )
