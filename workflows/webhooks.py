"""Tells the storefront what happened to one order: event after event, each until it is taken or its time is over.

What there is to tell lies in the delivery log, written with the order record; a signal says that there is something.
The workflow ends when nothing is left, and the next signal starts it anew.
"""

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from workflows.policies import RECORD_FIRST_TRY, RECORD_TIMEOUT, RECORD_UNTIL_DONE
from workflows.webhook_messages import DeliverCall, Delivered, PendingCall, PendingEvent, PendingEvents, TellInput
from workflows.webhook_policies import (
    AROUND_A_CALL,
    DELIVER_EVENT,
    GIVE_UP_EVENT,
    PENDING_EVENTS,
    WEBHOOK_WORKFLOW,
    delivery_retry,
)


@workflow.defn(name=WEBHOOK_WORKFLOW)
class WebhookWorkflow:
    """The events of one order, in their order."""

    @workflow.init
    def __init__(self, order: TellInput) -> None:
        self._order = order
        self._told = True

    @workflow.run
    async def run(self, order: TellInput) -> None:
        """Deliver what is pending, as long as somebody says that there is something."""
        while self._told:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(order)
            self._told = False
            pending = await self.look()
            for event in pending.events:
                await self.deliver(event)
            self._told = self._told or pending.more

    @workflow.signal(description="The delivery log holds something that the storefront has not been told")
    def tell(self) -> None:
        self._told = True

    async def look(self) -> PendingEvents:
        """What is to be told, first things first."""
        call = PendingCall(marketplace_order_id=self._order.marketplace_order_id)
        pending: PendingEvents
        try:
            pending = await workflow.execute_local_activity(
                PENDING_EVENTS,
                call,
                result_type=PendingEvents,
                start_to_close_timeout=RECORD_TIMEOUT,
                schedule_to_close_timeout=2 * RECORD_TIMEOUT,
                retry_policy=RECORD_FIRST_TRY,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            pending = await workflow.execute_activity(
                PENDING_EVENTS,
                call,
                result_type=PendingEvents,
                start_to_close_timeout=5 * RECORD_TIMEOUT,
                retry_policy=RECORD_UNTIL_DONE,
                summary="look what is to be told",
            )
        return pending

    async def deliver(self, event: PendingEvent) -> None:
        """Send one event until it is taken. The later ones of the order wait: they are told in their order."""
        one_try = self._order.timeout + AROUND_A_CALL
        left = event.give_up_at - workflow.now()
        # What has waited too long already, behind others or for a worker, is still tried once.
        in_time = left > one_try
        try:
            await workflow.execute_activity(
                DELIVER_EVENT,
                DeliverCall(id=event.id),
                result_type=Delivered,
                start_to_close_timeout=one_try,
                schedule_to_close_timeout=left if in_time else None,
                retry_policy=delivery_retry(self._order.backoff) if in_time else RetryPolicy(maximum_attempts=1),
                summary=f"{event.sequence}: {event.type} ({event.status})",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self.give_up(event)

    async def give_up(self, event: PendingEvent) -> None:
        """Leave an event to the operators, who can send it again."""
        await workflow.execute_activity(
            GIVE_UP_EVENT,
            DeliverCall(id=event.id),
            result_type=Delivered,
            start_to_close_timeout=5 * RECORD_TIMEOUT,
            retry_policy=RECORD_UNTIL_DONE,
            summary=f"{event.sequence}: given up",
        )
