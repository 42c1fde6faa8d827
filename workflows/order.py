"""The life of one order: simulate, place, wait for the payment, authorize dispatch, follow it to the customer.

`run` takes one step after another until the order has ended; `_next_step` is the story. Each step asks the Seller or
waits, and tells the reducer in `order_state.py` what came of it. A Seller call that stays refused or exhausted parks
the order until an operator says retry or abort; whatever else happens meanwhile may overtake the parked step.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from marketplace.errors import SellerFailure
from marketplace.orders import OrderStatus, Reason, ReasonCode, SellerOrderPhase
from workflows.conversation import OrderConversation
from workflows.messages import (
    Carried,
    CartCheck,
    Ended,
    FoundOrder,
    OrderInput,
    PlaceCall,
    SellerCancelReport,
    SellerOrderCall,
)
from workflows.order_events import (
    CancelCause,
    CancelConfirmed,
    CancelDenied,
    CancelRequested,
    CancelState,
    CancelUndecided,
    DispatchAuthorized,
    DispatchStarted,
    Noted,
    Parked,
    PaymentDeadlineMissed,
    Placed,
    PlacementStarted,
    Rejected,
    ReturnWindowClosed,
    SellerCanceled,
    Simulated,
    Step,
    StepParked,
)
from workflows.parking import canceled_there, failure_of, not_there, parking_reason, refusal_reason, refused, type_of
from workflows.pauses import growing_pause
from workflows.policies import (
    AT_ONCE,
    AUTHORIZE_DISPATCH,
    CANCEL_ORDER,
    CHECK_CART,
    FULFILLMENT_CHECK,
    HEARTBEAT_TIMEOUT,
    LONGEST_WAIT,
    LOOK_RETRY,
    ONE_TRY,
    ORDER_WORKFLOW,
    PLACE_ORDER,
    PLACEMENT_LAG,
    READ_ORDER,
    SELLER_CALL_TIMEOUT,
    UNCLAIMED,
    SellerActivity,
    seller_retry,
)
from workflows.renewal import pack

Argument = TypeVar("Argument")
Result = TypeVar("Result")
StepMethod = Callable[[], Coroutine[Any, Any, None]]


class SellerSaidNo(Exception):  # noqa: N818
    """The Seller's refusal is the result of this step."""

    def __init__(self, failure: SellerFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class NotBegun(Exception):  # noqa: N818
    """The placement was not begun: the order record could not be written before it."""


class Overtaken(Exception):  # noqa: N818
    """While a step was parked something happened that makes another step the next one."""


@workflow.defn(name=ORDER_WORKFLOW)
class OrderWorkflow(OrderConversation):
    """One order of the marketplace at one Seller."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)
        self._policy = order.policy
        self._request = order.request
        self._simulated = order.carried is not None and order.carried.simulated
        self._step: StepMethod | None = None
        self._missed = False
        """The Seller did not know of the placement when it was looked for."""

    @workflow.run
    async def run(self, order: OrderInput) -> Ended:  # noqa: ARG002 - __init__ has taken it
        """Take the order's next step until it has ended and everybody has been answered."""
        recording = asyncio.create_task(self._recorder.run())
        while (step := self._next_step()) is not None:
            if recording.done() and not self._recorder.id_taken:
                recording.result()  # a bug there must fail the workflow task, not stop the record unseen
            self._step = step
            try:
                await step()
            except Overtaken:
                continue
            except asyncio.CancelledError:
                self._stop_from_temporal()
        recording.cancel()
        return Ended(status=self._state.status)

    def _is_moving(self) -> bool:
        stays = self._recorder.asking is not None or self._state.parked is not None
        return not stays and self._next_step() != self._step

    def _next_step(self) -> StepMethod | None:
        """What is to be done now; None when the order may close."""
        if self._renewal_is_due():
            return self.renew
        state = self._state
        if state.ended:
            if state.needs_attention:
                return self.await_operator
            return None if self._recorder.current and workflow.all_handlers_finished() else self.close
        if state.parked is not None:
            return self.stay_parked
        if (cancellation := state.cancellation) is not None and self._is_to_be_canceled:
            return {
                CancelState.OWED: self.cancel_at_seller,
                CancelState.DECIDING: self.await_cancellation,
            }.get(cancellation.state, self.park_refused_cancellation)
        return self._step_forward()

    @property
    def _is_to_be_canceled(self) -> bool:
        cancellation = self._state.cancellation
        return cancellation is not None and (cancellation.open or cancellation.ends_order)

    def _step_forward(self) -> StepMethod:
        """The order's story when nothing comes between."""
        delivered = self._state.progress is OrderStatus.DELIVERED
        return {
            OrderStatus.SIMULATING: self.place_with_seller if self._simulated else self.simulate_cart,
            OrderStatus.PLACING: self.place_with_seller,
            OrderStatus.PAYMENT_PENDING: self.await_payment,
            OrderStatus.PAYMENT_APPROVED: self.authorize_dispatch,
            OrderStatus.AUTHORIZING_FULFILLMENT: self.authorize_dispatch,
            OrderStatus.HANDLING: self.wait_out_return_window if delivered else self.follow_fulfillment,
        }[self._state.stage]

    # --- the steps ---

    async def simulate_cart(self) -> None:
        """Checkout's own simulation: what was sold must still be there, at that price, with that shipping."""
        request = self._request
        call = CartCheck(
            seller=request.seller,
            items=request.items,
            shipping=request.shipping_data.logistics_info,
            postal_code=request.shipping_data.address.postal_code,
            country=request.shipping_data.address.country,
            price_tolerance=self._policy.price_tolerance,
        )
        try:
            checked = await self._ask(
                CHECK_CART, call, Step.SIMULATE, self.simulate_cart, settled_by=refused, at_once=True
            )
        except SellerSaidNo as refusal:
            self._apply(Rejected(reason=refusal_reason(refusal.failure)))
            return
        if checked.problem is not None:
            self._apply(Rejected(reason=checked.problem))
            return
        shipping = request.shipping_data.model_copy(update={"logistics_info": checked.shipping})
        self._request = request.model_copy(update={"shipping_data": shipping})
        self._simulated = True
        self._apply(Simulated())

    async def place_with_seller(self) -> None:
        """Place the order exactly as it was asked for, once its id is surely this order's."""
        self._apply(PlacementStarted())
        claim = self._recorder.claim(self._request)
        if claim is None:
            await workflow.wait_condition(lambda: self._recorder.claimed)
            if self._next_step() != self.place_with_seller:
                return  # canceled while the database was away
        if self._recorder.id_taken:
            text = "another Seller's order has this marketplaceOrderId: use one id for each order and Seller"
            self._apply(Rejected(reason=Reason(code=ReasonCode.DUPLICATE_ORDER_ID, message=text)))
            return
        call = PlaceCall(request=self._request, prices_may_diverge=self._policy.price_tolerance > 0, claim=claim)
        try:
            with self._recorder.left_to(claim):
                placed = await self._ask(PLACE_ORDER, call, Step.PLACE, self.place_with_seller, settled_by=refused)
        except NotBegun:
            await workflow.wait_condition(lambda: self._recorder.claimed)
        except SellerSaidNo as refusal:
            self._apply(Rejected(reason=refusal_reason(refusal.failure)))
        else:
            self._apply(Placed(order_id=placed.order_id, expires_at=self._payment_deadline(), notes=placed.notes))

    async def await_payment(self) -> None:
        """Wait for the marketplace's word about the money, until the payment deadline."""
        if await self._nothing_until(self._state.expires_at, self.await_payment, "payment deadline"):
            self._apply(PaymentDeadlineMissed())

    async def authorize_dispatch(self) -> None:
        """The marketplace has the money: tell the Seller to dispatch."""
        self._apply(DispatchStarted())
        try:
            await self._ask(
                AUTHORIZE_DISPATCH,
                self._seller_order(),
                Step.AUTHORIZE_DISPATCH,
                self.authorize_dispatch,
                settled_by=canceled_there,
            )
        except SellerSaidNo as refusal:
            self._seller_has_canceled(str(refusal.failure))
        else:
            self._apply(DispatchAuthorized())

    async def follow_fulfillment(self) -> None:
        """Wait for invoices, tracking and deliveries; from time to time look whether a cancellation went unheard."""
        next_look = workflow.now() + FULFILLMENT_CHECK
        if await self._nothing_until(next_look, self.follow_fulfillment, "look at the Seller's order", shown=False):
            found = await self._look()
            if found is not None and found.phase is SellerOrderPhase.CANCELED:
                self._seller_has_canceled("found canceled at the Seller")

    async def wait_out_return_window(self) -> None:
        """Delivered: the customer may still return it."""
        closes = (self._state.delivered_at or workflow.now()) + self._policy.return_window
        if await self._nothing_until(closes, self.wait_out_return_window, "return window"):
            self._apply(ReturnWindowClosed())

    async def cancel_at_seller(self) -> None:
        """Undo at the Seller what was done there; of an unanswered placement first learn what came of it."""
        if not self._state.placed and self._state.stage is OrderStatus.SIMULATING:
            self._apply(CancelConfirmed(detail="canceled before it was placed"))
            return
        call = self._seller_order()
        if not self._state.placed:
            try:
                found = await self._ask(READ_ORDER, call, Step.CANCEL, self.cancel_at_seller, settled_by=not_there)
            except SellerSaidNo:
                if not self._missed:
                    # The placement may be on its way still, or the Seller's store behind: one look settles nothing.
                    self._missed = True
                    again = workflow.now() + PLACEMENT_LAG * self._policy.seller_backoff
                    await self._nothing_until(again, self.cancel_at_seller, "second look for the placement")
                    return
                self._apply(CancelConfirmed(detail="the Seller does not have the order"))
            else:
                self._apply(Placed(order_id=found.order_id, expires_at=self._payment_deadline()))
            return
        try:
            answer = await self._ask(CANCEL_ORDER, call, Step.CANCEL, self.cancel_at_seller, settled_by=refused)
        except SellerSaidNo as refusal:
            self._apply(CancelDenied(detail=f"the Seller refuses to cancel: {refusal.failure}"))
        else:
            self._apply(CancelConfirmed() if answer.confirmed else CancelUndecided())

    async def await_cancellation(self) -> None:
        """The Seller is deciding: its cancel callback agrees, its invoice refuses; sometimes neither arrives."""
        next_look = workflow.now() + self._policy.cancel_check
        if not await self._nothing_until(next_look, self.await_cancellation, "look at the Seller's order"):
            return
        found = await self._look()
        if found is None or found.phase in {SellerOrderPhase.CANCELING, SellerOrderPhase.UNKNOWN}:
            return
        if found.phase is SellerOrderPhase.CANCELED:
            self._apply(CancelConfirmed(detail="found canceled at the Seller"))
        else:
            self._apply(CancelDenied(detail=f"the Seller goes on with the order ({found.status})"))

    async def park_refused_cancellation(self) -> None:
        """An unpaid order that the Seller will not cancel: only a person can settle that."""
        cancellation = self._state.cancellation
        why = (cancellation and cancellation.refusal) or self._state.history[-1].detail
        reason = Reason(code=ReasonCode.CANCELLATION_REFUSED, message=why)
        await self._park(Parked(step=Step.CANCEL, reason=reason), self.park_refused_cancellation)

    async def await_operator(self) -> None:
        """Ended, but something must be seen by an operator first."""
        await workflow.wait_condition(lambda: self._next_step() != self.await_operator)

    async def close(self) -> None:
        """Leave only when the record tells the end and every update has been answered."""
        await workflow.wait_condition(lambda: self._next_step() != self.close)

    async def stay_parked(self) -> None:
        """Parked by the run before this one; after the operator's word the parked step is taken from its start."""
        await workflow.wait_condition(lambda: self._next_step() != self.stay_parked)

    async def renew(self) -> None:
        """Go on in a new run of this workflow: the history of this one has grown long."""
        carried = Carried(
            digest=self._recorder.digest,
            started_at=self._recorder.started_at,
            saved=self._recorder.saved,
            runs=self._recorder.runs + 1,
            shown=self._recorder.shown,
            simulated=self._simulated,
            state=pack(self._state),
        )
        workflow.continue_as_new(
            OrderInput(request=self._request, policy=self._policy, submission_id=self._submission_id, carried=carried)
        )

    # --- how steps ask and wait ---

    async def _ask(
        self,
        activity: SellerActivity[Argument, Result],
        call: Argument,
        step: Step,
        here: StepMethod,
        *,
        settled_by: Callable[[SellerFailure], bool],
        at_once: bool = False,
    ) -> Result:
        """Ask the Seller, again by policy, then park; raise SellerSaidNo when a failure is this step's result.

        A Seller that is away is waited for, as long as the policy is patient. `at_once`: what changes nothing there is
        first tried within this workflow task.
        """
        began, waits = workflow.now(), 0
        while True:
            try:
                return await (self._call_at_once if at_once else self._call)(activity, call, step)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise Overtaken from error
                if type_of(error) == UNCLAIMED:
                    raise NotBegun from error
                failure = failure_of(error)
            tried_at_once, at_once = at_once, False
            if settled_by(failure):
                raise SellerSaidNo(failure)
            if tried_at_once and not failure.verdict.needs_people:
                continue
            if failure.wait_out and workflow.now() - began < self._policy.seller_patience:
                await self._wait_out(failure, waits, here)
                waits += 1
            else:
                await self._park(Parked(step=step, reason=parking_reason(step, failure)), here)
                began, waits = workflow.now(), 0

    async def _call(self, activity: SellerActivity[Argument, Result], call: Argument, step: Step) -> Result:
        calling: ActivityHandle[Result] = workflow.start_activity(
            activity.name,
            call,
            result_type=activity.result,
            start_to_close_timeout=SELLER_CALL_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=seller_retry(self._policy),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{step} ({self._state.seller})",
        )
        self._recorder.asking = calling.done
        try:
            if step is Step.AUTHORIZE_DISPATCH:
                return await self._ended(calling, lambda: self._is_to_be_canceled)
            return await self._ended(calling)
        finally:
            self._recorder.asking = None

    async def _call_at_once(self, activity: SellerActivity[Argument, Result], call: Argument, step: Step) -> Result:
        """Most Sellers answer in time, which spares Temporal an activity and a workflow task."""
        self._recorder.held = True
        try:
            calling: ActivityHandle[Result] = workflow.start_local_activity(
                activity.name,
                call,
                result_type=activity.result,
                schedule_to_close_timeout=AT_ONCE,
                retry_policy=ONE_TRY,
                summary=f"{step} ({self._state.seller})",
            )
            answer = await self._ended(calling)
            self._recorder.has_learned()
        finally:
            self._recorder.held = False
        return answer

    async def _ended(self, calling: ActivityHandle[Result], stops: Callable[[], bool] = bool) -> Result:
        """What comes of a Seller's call. Nothing that happens meanwhile leaves its outcome unheard.

        Once it `stops` no further try is begun; one that is under way comes to its end.
        """
        while not calling.done():
            try:
                await workflow.wait_condition(lambda: calling.done() or stops())
                break
            except asyncio.CancelledError:
                self._stop_from_temporal()
        if not calling.done():
            calling.cancel()
        return await calling

    async def _wait_out(self, failure: SellerFailure, waits: int, here: StepMethod) -> None:
        """Look again later. Returns when it is time, raises Overtaken when another step is next."""
        if not waits:
            self._apply(Noted(detail=f"the Seller is waited for: {failure}"))
        until = workflow.now() + growing_pause(failure.retry_after or 1.0, waits, LONGEST_WAIT)
        if not await self._nothing_until(until, here, "Seller away"):
            raise Overtaken

    async def _park(self, parked: Parked, here: StepMethod) -> None:
        """Stop trying until an operator says so. Returns on retry, raises Overtaken when another step is next."""
        if self._next_step() != here:
            raise Overtaken
        self._apply(StepParked(parked=parked))
        await workflow.wait_condition(lambda: self._state.parked is None or self._renewal_is_due())
        if self._next_step() != here:
            raise Overtaken

    async def _nothing_until(
        self, until: datetime | None, here: StepMethod, summary: str, *, shown: bool = True
    ) -> bool:
        """Wait while `here` is the step to be in; True when the time ran out first."""
        left = max((until or workflow.now()) - workflow.now(), timedelta(0))
        self._show(until if shown else None)
        ran_out = False
        try:
            await workflow.wait_condition(lambda: self._next_step() != here, timeout=left, timeout_summary=summary)
        except TimeoutError:
            ran_out = True
        # Not in a finally: a run that is dropped from the worker's cache ends here too, and may show nothing any more.
        self._show()
        # What came with the timer in one workflow task, such as a payment with its deadline, goes before it.
        return ran_out and self._next_step() == here

    async def _look(self) -> FoundOrder | None:
        """Read the order at the Seller; None when it does not answer, since the next look comes anyway."""
        try:
            looking: ActivityHandle[FoundOrder] = workflow.start_activity(
                READ_ORDER.name,
                self._seller_order(),
                result_type=READ_ORDER.result,
                start_to_close_timeout=SELLER_CALL_TIMEOUT,
                retry_policy=LOOK_RETRY,
                summary="look at the Seller's order",
            )
            return await self._ended(looking)
        except FailureError as error:
            workflow.logger.warning("order cannot be read at the Seller: %s", failure_of(error))
            return None

    def _stop_from_temporal(self) -> None:
        """Somebody pressed Cancel in Temporal's UI: what the Seller has must be undone, as with abort."""
        if conflict := self._cancel_conflict():
            self._apply(Noted(detail=f"cancellation from Temporal not possible: {conflict}"))
        else:
            self._apply(CancelRequested(cause=CancelCause.OPERATOR, reason="canceled in Temporal"))

    def _seller_order(self) -> SellerOrderCall:
        cancellation = self._state.cancellation
        return SellerOrderCall(
            seller=self._state.seller,
            marketplace_order_id=self._state.marketplace_order_id,
            order_id=self._state.order_id,
            value=self._state.value,
            reason=(cancellation.reason or cancellation.cause) if cancellation else "",
            requested_by_user=cancellation.requested_by_user if cancellation else False,
        )

    def _seller_has_canceled(self, how: str) -> None:
        """Learned by asking what the Seller's callback should have told, unless it has meanwhile."""
        if self._state.canceled:
            return
        report = SellerCancelReport(event_id="found-canceled", received_at=workflow.now(), reason=how)
        self._apply(SellerCanceled(report=report))

    def _payment_deadline(self) -> datetime:
        return workflow.now() + self._policy.payment_deadline
