"""One SKU of one Seller: gather the notices about it, read it, decide, save.

Notices say that something changed, never what; so any number of them is worth one reading after the last. `run`
works until nothing is left to read; a notice that arrives at the closing moment makes it go on.
"""

import asyncio
import itertools
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from marketplace.catalog import ChangeNotice, OfferStatus, Problem, ProblemCode
from workflows.catalog_messages import DecideCall, SkuDecision, SkuInput, SkuState, SyncCall, SyncResult
from workflows.catalog_policies import (
    DECIDE_SKU,
    GIVEN_UP,
    LONGEST_PAUSE,
    SKU_WORKFLOW,
    SYNC_SKU,
    SYNC_TIMEOUT,
)
from workflows.policies import HEARTBEAT_TIMEOUT, LONGEST_BACKOFF


@workflow.defn(name=SKU_WORKFLOW)
class SkuSyncWorkflow:
    """Bring the marketplace's offer of one SKU to what its Seller says now."""

    @workflow.init
    def __init__(self, sku: SkuInput) -> None:
        self._sku = sku
        self._notice = sku.notice
        self._status = sku.status
        self._problem: Problem | None = None
        self._waits_for = "notices to settle"

    @workflow.run
    async def run(self, sku: SkuInput) -> OfferStatus | None:  # noqa: ARG002 - __init__ has taken it
        """Read the SKU as long as somebody says that it changed, then wait for a decision if one is due."""
        while True:
            while self._told():
                await self.gather_notices()
                await self.read_and_save(self._taken())
            if self._status is OfferStatus.PENDING:
                await self.await_decision()
            await workflow.wait_condition(workflow.all_handlers_finished)
            if not self._told():
                return self._status
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._sku.model_copy(update={"notice": self._notice}))

    # --- the steps ---

    async def gather_notices(self) -> None:
        """Let a burst pass: what arrives now is read with the first notice."""
        self._show("notices to settle")
        await workflow.sleep(self._sku.policy.notice_debounce, summary="notices settle")

    async def read_and_save(self, notice: ChangeNotice) -> None:
        """Read what the notices ask for. While the Seller is down or refuses our keys, wait; nothing counts then."""
        for pauses in itertools.count():
            result = await self._sync(notice)
            self._problem = result.problem
            if result.retry_after is None:
                self._status = result.status
                return
            await self._pause(result.retry_after, pauses)
            if self._told():
                notice = notice.merged(self._taken())

    async def await_decision(self) -> None:
        """Pending: stay where an operator finds it and can decide, until decided or told that the SKU changed."""
        self._show("a decision: send the update decide")
        await workflow.wait_condition(lambda: self._status is not OfferStatus.PENDING or self._told())

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
        call = SyncCall(seller=self._sku.seller, sku_id=self._sku.sku_id, notice=notice, attempts=policy.seller_attempts)
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
                problem = Problem.model_validate(cause.details[0])
            else:
                # The worker died with the last try: the offer's own state says how often it was tried.
                problem = Problem(code=ProblemCode.SELLER_UNAVAILABLE, message=f"no answer: {cause or error}")
            return SyncResult(status=OfferStatus.FAILED, problem=problem)
        return result

    async def _pause(self, retry_after: float, pauses: int) -> None:
        # Thousands of SKUs may wait for the same Seller: each waits longer, and none at the same moment as the rest.
        wait = min(retry_after * 2 ** min(pauses, 10), LONGEST_PAUSE.total_seconds())
        pause = timedelta(seconds=wait * (1 + workflow.random().random() / 2))
        self._show(f"the Seller, until {workflow.now() + pause:%Y-%m-%d %H:%M:%S} UTC")
        await workflow.sleep(pause, summary="Seller paused")

    # --- what others say and ask ---

    @workflow.signal(description="The Seller says that the SKU changed, or somebody wants it read anew")
    def notify(self, notice: ChangeNotice) -> None:
        self._notice = self._notice.merged(notice) if self._notice is not None else notice

    @workflow.update(description="Whether this SKU is sold here")
    async def decide(self, decision: SkuDecision) -> SkuState:
        call = DecideCall(seller=self._sku.seller, sku_id=self._sku.sku_id, include=decision.include)
        self._status = await workflow.execute_activity(
            DECIDE_SKU,
            call,
            result_type=OfferStatus,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
            summary="include" if decision.include else "exclude",
        )
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
