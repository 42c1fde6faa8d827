"""Keeps the order record and the search attributes up with the workflow's state: late by moments, never lost.

Only the workflow writes the record, so no row is there without its order, nor an order without its row. Writes are
coalesced: while one runs, changes gather, and the next one holds them all. A write is idempotent, since the store
lets only a higher version of the same order through.
"""

from collections.abc import Callable
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from workflows.messages import SaveCall
from workflows.order_state import OrderState, to_order
from workflows.policies import (
    NEEDS_ATTENTION,
    ORDER_ID_TAKEN,
    ORDER_STATUS,
    PASSING,
    RECORD_FIRST_TRY,
    RECORD_TIMEOUT,
    RECORD_UNTIL_DONE,
    SAVE_ORDER,
)


class OrderRecorder:
    """Writes what `state` returns, whenever its version has grown."""

    def __init__(self, state: Callable[[], OrderState], digest: str, started_at: datetime) -> None:
        self._state = state
        self._digest = digest
        self._started_at = started_at
        self._saved = 0
        self._shown: tuple[str, bool] = (state().status, False)
        self._behind = False
        self.id_taken = False
        """Another Seller's order has this marketplaceOrderId: this order must not be placed."""

    async def run(self) -> None:
        """Write for as long as the workflow lives."""
        while not self.id_taken:
            await workflow.wait_condition(lambda: self._saved < self._state().version)
            self._show()
            await self._write()

    @property
    def claimed(self) -> bool:
        """Whether the record is known to be this order's, or another's: before that nothing may be placed."""
        return self._saved > 0 or self.id_taken

    @property
    def current(self) -> bool:
        """Whether the record tells the present state."""
        return self.id_taken or self._saved >= self._state().version

    async def caught_up(self) -> None:
        """Wait until a reader of the record sees the present state, unless the database makes that a long wait."""
        version = self._state().version
        await workflow.wait_condition(lambda: self._saved >= version or self._behind or self.id_taken)

    def _show(self) -> None:
        state = self._state()
        shown = (state.status, state.needs_attention)
        if shown == self._shown or (state.status in PASSING and not state.needs_attention and not self._shown[1]):
            return
        self._shown = shown
        workflow.upsert_search_attributes(
            [ORDER_STATUS.value_set(state.status), NEEDS_ATTENTION.value_set(state.needs_attention)]
        )

    async def _write(self) -> None:
        state = self._state()
        call = SaveCall(
            order=to_order(state),
            digest=self._digest,
            version=state.version,
            payment=state.payment,
            event_ids=state.event_ids,
            created_at=self._started_at,
            updated_at=workflow.now(),
        )
        try:
            try:
                await workflow.execute_local_activity(
                    SAVE_ORDER,
                    call,
                    start_to_close_timeout=RECORD_TIMEOUT,
                    schedule_to_close_timeout=2 * RECORD_TIMEOUT,
                    retry_policy=RECORD_FIRST_TRY,
                )
            except FailureError as error:
                if _type_of(error) == ORDER_ID_TAKEN:
                    raise
                self._behind = True
                await workflow.execute_activity(
                    SAVE_ORDER,
                    call,
                    start_to_close_timeout=5 * RECORD_TIMEOUT,
                    retry_policy=RECORD_UNTIL_DONE,
                    summary=f"order record, version {state.version}",
                )
        except FailureError as error:
            if _type_of(error) != ORDER_ID_TAKEN:
                raise
            self.id_taken = True
            return
        self._behind = False
        self._saved = state.version


def _type_of(error: FailureError) -> str | None:
    # A failed local activity raises a bare ApplicationError, a regular one wraps it.
    cause = error.cause if isinstance(error, ActivityError) else error
    return cause.type if isinstance(cause, ApplicationError) else None
