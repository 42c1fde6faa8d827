"""What others say to an order: signals of its Seller, updates of the marketplace and of operators, the query.

`OrderWorkflow` inherits this; here is only how a message becomes an event, or is refused. A signal is durable without
a worker but cannot answer; an update answers but needs one. So whatever must be answered is an update, and has a
signal beside it for the time when no worker is there; both together change nothing twice.
"""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from marketplace.orders import Action, CancelRequest, Order, PaymentReport
from marketplace.rules import cancel_conflict, payment_conflict, seller_cancel_conflict
from workflows.display import details
from workflows.messages import (
    CancelAnswer,
    CancelOutcome,
    DeliveryReport,
    InvoiceReport,
    OperatorNote,
    OrderAnswer,
    OrderInput,
    SellerCancelReport,
    Submission,
    TrackingReport,
)
from workflows.order_events import (
    CancelCause,
    CancelRequested,
    CancelState,
    Event,
    Noted,
    PaymentReported,
    Resumed,
    SellerCanceled,
    SellerReported,
)
from workflows.order_state import OrderState, apply, new_order, to_order
from workflows.policies import CONFLICT
from workflows.record import OrderRecorder
from workflows.renewal import RENEWED, unpack


class OrderConversation:
    """An order's state, and everything that may be said to it."""

    def __init__(self, order: OrderInput) -> None:
        # Not now(): it is another time when the first workflow task is worked out anew.
        now, carried = workflow.info().workflow_start_time, order.carried
        self._submission_id = order.submission_id
        if carried is None:
            self._state = new_order(order.request, now)
            self._recorder = OrderRecorder(
                lambda: self._state, order.request.digest(), now, self._renewal_is_due, self._is_moving
            )
            return
        self._state = unpack(carried.state)
        self._recorder = OrderRecorder(
            lambda: self._state,
            carried.digest,
            carried.started_at,
            self._renewal_is_due,
            self._is_moving,
            saved=carried.saved,
            runs=carried.runs,
            shown=carried.shown,
        )

    def _is_moving(self) -> bool:
        """Whether the order has left a step and not come to the next one."""
        raise NotImplementedError

    def _renewal_is_due(self) -> bool:
        """Whether the order should go on in a new run: Temporal suggests it, and nobody waits for an answer."""
        return (
            workflow.info().is_continue_as_new_suggested()
            and self._recorder.may_be_left
            and workflow.all_handlers_finished()
            and workflow.patched(RENEWED)
        )

    def _apply(self, event: Event) -> None:
        self._state = apply(self._state, event, workflow.now())
        self._show()

    def _show(self, until: datetime | None = None) -> None:
        workflow.set_current_details(details(self._state, until))

    def _cancel_conflict(self) -> str | None:
        state = self._state
        return cancel_conflict(state.status, has_open_invoice=state.fulfillment.has_open_invoice)

    # --- what the Seller reports ---

    @workflow.signal(description="The Seller's sale or return invoice, perhaps with tracking")
    def invoice(self, report: InvoiceReport) -> None:
        self._apply(SellerReported(report=report))

    @workflow.signal(description="How the package of an invoice travels")
    def tracking(self, report: TrackingReport) -> None:
        self._apply(SellerReported(report=report))

    @workflow.signal(description="The courier's events, and whether the package arrived")
    def delivery(self, report: DeliveryReport) -> None:
        self._apply(SellerReported(report=report))

    @workflow.signal(description="The Seller's cancellation, sent while no worker could answer")
    def seller_cancel_reported(self, report: SellerCancelReport) -> None:
        self._apply(SellerCanceled(report=report))

    @workflow.update(description="The Seller's cancellation; refused while an invoice stands")
    async def seller_cancel(self, report: SellerCancelReport) -> OrderAnswer:
        self._recorder.is_asked()
        self._apply(SellerCanceled(report=report))
        return await self._answer()

    @seller_cancel.validator
    def _seller_may_cancel(self, report: SellerCancelReport) -> None:  # noqa: ARG002
        state = self._state
        _refuse(seller_cancel_conflict(state.status, has_open_invoice=state.fulfillment.has_open_invoice))

    # --- what the marketplace says ---

    @workflow.update(description="Wait until the order is placed or rejected")
    async def await_placement(self) -> Submission:
        await workflow.wait_condition(lambda: self._state.placed or self._state.ended)
        await self._recorder.caught_up()
        return Submission(order=self._untold(), digest=self._recorder.digest, submission_id=self._submission_id)

    @workflow.update(description="The customer's payment was approved or denied")
    async def payment(self, report: PaymentReport) -> OrderAnswer:
        self._recorder.is_asked(patient=True)
        self._apply(PaymentReported(report=report))
        return await self._answer()

    @payment.validator
    def _payment_fits(self, report: PaymentReport) -> None:
        _refuse(payment_conflict(self._state.status, self._state.payment, report))

    @workflow.signal(description="A payment report sent while no worker could answer")
    def payment_reported(self, report: PaymentReport) -> None:
        conflict = payment_conflict(self._state.status, self._state.payment, report)
        self._apply(Noted(detail=f"payment report ignored: {conflict}") if conflict else PaymentReported(report=report))

    @workflow.update(description="Cancel the order for the customer or the marketplace")
    async def cancel(self, request: CancelRequest) -> CancelAnswer:
        self._recorder.is_asked()
        self._request_cancel(request)
        await workflow.wait_condition(self._cancel_is_answered)
        cancellation = self._state.cancellation
        if cancellation is None or (cancellation.state is CancelState.REFUSED and not cancellation.ends_order):
            await self._recorder.caught_up()
            _refuse((cancellation and cancellation.refusal) or self._state.history[-1].detail)
        answer = await self._answer()
        outcome = CancelOutcome.CANCELED if self._state.canceled else CancelOutcome.PENDING
        return CancelAnswer(order=answer.order, version=answer.version, outcome=outcome)

    @cancel.validator
    def _may_be_canceled(self, request: CancelRequest) -> None:  # noqa: ARG002
        _refuse(self._cancel_conflict())

    @workflow.signal(description="A cancellation asked for while no worker could answer")
    def cancel_requested(self, request: CancelRequest) -> None:
        if conflict := self._cancel_conflict():
            self._apply(Noted(detail=f"cancellation not possible: {conflict}"))
        else:
            self._request_cancel(request)

    def _request_cancel(self, request: CancelRequest) -> None:
        self._apply(
            CancelRequested(
                cause=CancelCause.CUSTOMER,
                reason=request.reason,
                requested_by_user=request.requested_by_user,
            )
        )

    def _cancel_is_answered(self) -> bool:
        cancellation = self._state.cancellation
        return self._state.parked is not None or cancellation is None or cancellation.state is not CancelState.OWED

    # --- what operators say and ask ---

    @workflow.update(description="Parked order: try the failed step again (or accept what was flagged)")
    async def retry(self, note: OperatorNote = OperatorNote()) -> OrderAnswer:  # noqa: B008 - immutable
        self._recorder.is_asked()
        self._apply(Resumed(action=Action.RETRY, note=note.note))
        return await self._answer()

    @retry.validator
    def _may_retry(self, note: OperatorNote = OperatorNote()) -> None:  # noqa: ARG002, B008
        self._allow(Action.RETRY)

    @workflow.update(description="Parked order: end it; unless that was what failed, the Seller is asked to cancel it")
    async def abort(self, note: OperatorNote = OperatorNote()) -> OrderAnswer:  # noqa: B008
        self._recorder.is_asked()
        self._apply(Resumed(action=Action.ABORT, note=note.note))
        return await self._answer()

    @abort.validator
    def _may_abort(self, note: OperatorNote = OperatorNote()) -> None:  # noqa: ARG002, B008
        self._allow(Action.ABORT)

    def _allow(self, action: Action) -> None:
        if action not in self._state.allowed_actions:
            allowed = " or ".join(self._state.allowed_actions) or "nothing: the order is not parked"
            _refuse(f"{action} is not possible now; allowed is {allowed}")

    @workflow.query(description="Everything known of the order but the customer's data")
    def state(self) -> OrderState:
        return self._state

    @workflow.signal(description="Somebody waits for the order record, which is written with the next workflow task")
    def record_wanted(self) -> None:
        pass

    async def _answer(self) -> OrderAnswer:
        """Once the record tells the order too, or will in a moment: who reads after this must not see less."""
        recorder = self._recorder
        await recorder.caught_up()
        if recorder.tells:
            return OrderAnswer(order=None, version=recorder.told)
        return OrderAnswer(order=None if recorder.deferred else to_order(self._state), version=recorder.version)

    def _untold(self) -> Order | None:
        return None if self._recorder.tells else to_order(self._state)


def _refuse(conflict: str | None) -> None:
    if conflict:
        raise ApplicationError(conflict, type=CONFLICT, non_retryable=True)
