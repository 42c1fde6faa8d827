"""One SKU of one Seller: gather the notices about it, read it, decide, save.

Notices say that something changed, never what; so any number of them is worth one reading after the last. `run`
works until nothing is left to read; a notice that arrives at the closing moment makes it go on.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from marketplace.catalog import ChangeNotice, OfferStatus, Problem, ProblemCode
from workflows.catalog_messages import (
    READ_ANEW,
    DecideCall,
    SkuCall,
    SkuDecision,
    SkuInput,
    SkuState,
    SyncCall,
    SyncResult,
)
from workflows.catalog_policies import (
    DECIDE_SKU,
    GIVEN_UP,
    INTERRUPTED_PAUSE,
    LONGEST_PAUSE,
    LOOK_UP_STATUS,
    SKU_WORKFLOW,
    SYNC_SKU,
    SYNC_TIMEOUT,
)
from workflows.pauses import growing_pause
from workflows.policies import HEARTBEAT_TIMEOUT, LONGEST_BACKOFF

_STORE_TIMEOUT = timedelta(seconds=10)
# The catalog is waited for as long as it takes.
_STORE_RETRY = RetryPolicy(maximum_interval=timedelta(seconds=10))


@workflow.defn(name=SKU_WORKFLOW)
class SkuSyncWorkflow:
    """Bring the marketplace's offer of one SKU to what its Seller says now."""

    @workflow.init
    def __init__(self, sku: SkuInput) -> None:
        self._sku = sku
        self._notice = sku.notice
        self._status = sku.status
        self._pauses = 0
        self._problem: Problem | None = None
        self._waits_for = "notices to settle"

    @workflow.run
    async def run(self, sku: SkuInput) -> OfferStatus | None:  # noqa: ARG002 - __init__ has taken it
        """Read the SKU as long as somebody says that it changed, and wait for a decision if one is due."""
        if self._status is OfferStatus.PENDING:
            await self.look_up_status()
        while self._told() or self._status is OfferStatus.PENDING or not workflow.all_handlers_finished():
            if workflow.info().is_continue_as_new_suggested():
                await self.go_on_anew()
            elif self._told():
                await self.gather_notices()
                await self.read_and_save()
            elif self._status is OfferStatus.PENDING:
                await self.await_decision()
            else:
                await workflow.wait_condition(lambda: self._told() or workflow.all_handlers_finished())
        return self._status

    # --- the steps ---

    async def look_up_status(self) -> None:
        """Somebody else found it pending; it may have been decided since."""
        self._status = await workflow.execute_activity(
            LOOK_UP_STATUS,
            SkuCall(seller=self._sku.seller, sku_id=self._sku.sku_id),
            result_type=OfferStatus,
            start_to_close_timeout=_STORE_TIMEOUT,
            retry_policy=_STORE_RETRY,
        )

    async def gather_notices(self) -> None:
        """Let a burst pass: what arrives now is read with the first notice. After a pause it has passed already."""
        if not self._pauses:
            self._show("notices to settle")
            await workflow.sleep(self._sku.policy.notice_debounce, summary="notices settle")

    async def read_and_save(self) -> None:
        """Read what the notices ask for. While the Seller is down or refuses our keys, wait; nothing counts then."""
        notice = self._taken()
        result = await self._sync(notice)
        self._problem = result.problem
        if result.retry_after is None:
            self._status, self._pauses = result.status, 0
            return
        self._notice = notice.merged(self._taken()) if self._told() else notice
        await self._pause(result.retry_after)

    async def await_decision(self) -> None:
        """Pending: stay where an operator finds it and can decide, until decided or told that the SKU changed."""
        self._show("a decision: send the update decide")
        await workflow.wait_condition(lambda: self._status is not OfferStatus.PENDING or self._told())

    async def go_on_anew(self) -> None:
        """Leave a long history behind, and nothing of what was said."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._sku.model_copy(update={"notice": self._notice, "status": self._status}))

    def _told(self) -> bool:
        """Whether somebody said that the SKU changed since it was last read."""
        return self._notice is not None

    def _taken(self) -> ChangeNotice:
        notice, self._notice = self._notice or ChangeNotice(), None
        return notice

    # --- how it is asked ---

    async def _sync(self, notice: ChangeNotice) -> SyncResult:
        policy = self._sku.policy
        self._show("the Seller's answer")
        call = SyncCall(
            seller=self._sku.seller, sku_id=self._sku.sku_id, notice=notice, attempts=policy.seller_attempts
        )
        try:
            result: SyncResult = await workflow.execute_activity(
                SYNC_SKU,
                call,
                result_type=SyncResult,
                start_to_close_timeout=SYNC_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RetryPolicy(
                    initial_interval=policy.seller_backoff,
                    maximum_interval=max(LONGEST_BACKOFF, policy.seller_backoff),
                    maximum_attempts=policy.seller_attempts,
                ),
                summary=f"read {self._sku.sku_id} ({self._sku.seller})",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == GIVEN_UP and cause.details:
                return SyncResult(status=OfferStatus.FAILED, problem=Problem.model_validate(cause.details[0]))
            # A worker died with the last try, or the database was away: that says nothing about the SKU.
            problem = Problem(code=ProblemCode.INTERRUPTED, message=f"not read: {cause or error}")
            return SyncResult(retry_after=INTERRUPTED_PAUSE, problem=problem)
        return result

    async def _pause(self, retry_after: float) -> None:
        pause = growing_pause(retry_after, self._pauses, LONGEST_PAUSE)
        self._pauses += 1
        self._show(f"the Seller, until {workflow.now() + pause:%Y-%m-%d %H:%M:%S} UTC")
        await workflow.sleep(pause, summary="Seller paused")

    # --- what others say and ask ---

    @workflow.signal(description="The Seller says that the SKU changed, or somebody wants it read anew")
    def notify(self, notice: ChangeNotice) -> None:
        self._notice = self._notice.merged(notice) if self._notice is not None else notice

    @workflow.update(description="Whether this SKU is sold here")
    async def decide(self, decision: SkuDecision) -> SkuState:
        call = DecideCall(seller=self._sku.seller, sku_id=self._sku.sku_id, include=decision.include)
        try:
            self._status = await workflow.execute_activity(
                DECIDE_SKU,
                call,
                result_type=OfferStatus,
                start_to_close_timeout=_STORE_TIMEOUT,
                retry_policy=_STORE_RETRY,
                summary="include" if decision.include else "exclude",
            )
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError):
                raise error.cause from None
            raise
        # What was read while this was decided may be older; and what waited for weeks is sold as it is now.
        self.notify(READ_ANEW)
        return self.state()

    @workflow.query(description="Where the SKU's sync stands")
    def state(self) -> SkuState:
        return SkuState(
            seller=self._sku.seller,
            sku_id=self._sku.sku_id,
            status=self._status,
            waits_for=self._waits_for,
            problem=self._problem,
        )

    def _show(self, waits_for: str) -> None:
        self._waits_for = waits_for
        problem = f"\n\nLast problem: `{self._problem.code}` {self._problem.message}" if self._problem else ""
        status = f"**{self._status}**\n\n" if self._status else ""
        workflow.set_current_details(f"{status}Waits for {waits_for}.{problem}")
