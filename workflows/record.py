"""Keeps the order record and the search attributes up with the workflow's state: late by moments, never lost.

Only the workflow writes the record, so no row is there without its order, nor an order without its row. Writes are
coalesced: while one runs, changes gather, and the next one holds them all. A write is idempotent, since the store
lets only a higher version of the same order through.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError

from marketplace.orders import OrderRequest, OrderStatus
from marketplace.rules import ENDS
from workflows.claim import being_placed
from workflows.messages import Claim, SaveCall
from workflows.order_state import OrderState, to_order
from workflows.parking import type_of
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

_UNDONE = ENDS - {OrderStatus.DELIVERED, OrderStatus.RETURNED}
"""Ends at which nothing was sold. One that was worked out in a workflow task that is lost may never have been: with the
next one a payment may come before the deadline, or the stock be back. So it is told only once it is durable.
"""


class OrderRecorder:
    """Writes what `state` returns, whenever its version has grown; not while `leaving` says that the run ends.

    `is_moving` tells whether the order has left a step and not come to the next one.
    """

    def __init__(
        self,
        state: Callable[[], OrderState],
        digest: str,
        started_at: datetime,
        leaving: Callable[[], bool],
        is_moving: Callable[[], bool],
        *,
        saved: int = 0,
        runs: int = 0,
        shown: tuple[str, bool] | None = None,
    ) -> None:
        self._state = state
        self._leaving = leaving
        self._is_moving = is_moving
        self._writing = False
        self._behind = False
        self._asked_at: int | None = None
        self._learned_at: int | None = None
        self._patient = False
        self._promised = 0
        self.runs = runs
        """How many runs of this workflow there were before."""
        self.digest = digest
        self.started_at = started_at
        self.saved = saved
        """Version of the state that the record tells."""
        self.shown = shown or (state().status, False)
        """Status and needs-attention as last set in the search attributes."""
        self.asking: Callable[[], bool] | None = None
        """Tells whether the Seller's answer is there that is awaited now; with it the next workflow task comes."""
        self.told = 0
        """Version of the record as last written; see `version`."""
        self.held = False
        """Set while what comes next will be known within this workflow task, so that both are one write."""
        self.id_taken = False
        """Another Seller's order has this marketplaceOrderId: this order must not be placed."""

    async def run(self) -> None:
        """Write for as long as the workflow lives."""
        while not self.id_taken:
            await workflow.wait_condition(
                lambda: (
                    not (self.held or self.deferred or self._is_undecided or self._is_unheard or self._leaving())
                    and max(self.saved, self._promised) < self._state().version
                )
            )
            self._show()
            self._writing = True
            await self._write()
            self._writing = False

    @property
    def version(self) -> int:
        """What orders the record's writes: grows with each of them, whatever becomes of the workflow task.

        A task can be lost after its local activities have written: its worker died, or a report came in that very
        moment. Then it is worked out anew, with what has come since, and perhaps to a state with fewer changes. Its
        history is longer by then; so what became durable wins, also against a worker that wakes up late. Stays below
        2**53, which is as far as JSON numbers are exact everywhere.
        """
        length = workflow.info().get_current_history_length()
        return self.runs << 37 | length << 20 | self._state().version

    def is_asked(self, *, patient: bool = False) -> None:
        """Take note that an update is about to change the state; `patient` when who asks can wait for the record.

        Nothing of an update is durable before the workflow task that accepts it: the record must not tell it earlier.
        """
        self._asked_at, self._patient = workflow.info().get_current_history_length(), patient

    @property
    def deferred(self) -> bool:
        """Whether the record waits for the next workflow task, when what it tells is durable, to be written quickly."""
        return self._patient and self._is_accepting and self.asking is not None and not self._is_moving()

    def has_learned(self) -> None:
        """Take note of an answer that is durable only with this workflow task: another may be worked out in its place.

        The record must not tell before what came of it.
        """
        self._learned_at = workflow.info().get_current_history_length()

    @property
    def _is_learning(self) -> bool:
        return self._learned_at == workflow.info().get_current_history_length()

    @property
    def _is_unheard(self) -> bool:
        """Whether the Seller has answered, and the order is about to take it in."""
        return self.asking is not None and self.asking()

    @property
    def _is_undecided(self) -> bool:
        """Whether the order is about to take its next step, which will ask the Seller or not."""
        return self._patient and self._is_accepting and self._is_moving()

    @property
    def _is_accepting(self) -> bool:
        return self._asked_at == workflow.info().get_current_history_length()

    @property
    def claimed(self) -> bool:
        """Whether the record is known to be this order's, or another's: before that nothing may be placed."""
        return self.saved > 0 or self.id_taken

    def claim(self, request: OrderRequest) -> Claim | None:
        """What lets the placement itself write the record first, which spares a write of its own.

        None where the record is written already, or would tell more than that the order is being placed.
        """
        placing_at = workflow.now()
        begun = self.claimed or self._writing or self._behind
        if begun or self._state() != being_placed(request, self.started_at, placing_at):
            return None
        return Claim(digest=self.digest, version=self.version, received_at=self.started_at, placing_at=placing_at)

    @contextmanager
    def left_to(self, claim: Claim | None) -> Iterator[None]:
        """Leave the record's first write to the placement that has the claim, unless there is more to tell meanwhile.

        Whatever else comes of the placement, the record is written as usual again.
        """
        version = self._promised = self._state().version if claim else 0
        try:
            yield
            if claim is not None and version > self.saved:
                self.saved, self.told = version, claim.version
        finally:
            self._promised = 0

    @property
    def may_be_left(self) -> bool:
        """Whether a new run may take over: none before the id is claimed, nor in the middle of a quick write."""
        return self.saved > 0 and not self.id_taken and (self._behind or not self._writing)

    @property
    def current(self) -> bool:
        """Whether the record tells the present state."""
        return self.id_taken or self.tells

    async def caught_up(self) -> None:
        """Wait until a reader of the record sees the present state, or will see it late; see `deferred` and `tells`."""
        version, self._promised = self._state().version, 0
        await workflow.wait_condition(lambda: self.saved >= version or self._behind or self.id_taken or self.deferred)

    @property
    def tells(self) -> bool:
        """Whether a reader of the record sees the present state. Not while the database is away, nor of a taken id."""
        return self.saved >= self._state().version and not self.id_taken

    def _show(self) -> None:
        state = self._state()
        shown = (state.status, state.needs_attention)
        if shown == self.shown or (state.status in PASSING and not state.needs_attention and not self.shown[1]):
            return
        self.shown = shown
        workflow.upsert_search_attributes(
            [ORDER_STATUS.value_set(state.status), NEEDS_ATTENTION.value_set(state.needs_attention)]
        )

    async def _write(self) -> None:
        state = self._state()
        call = SaveCall(
            order=to_order(state),
            digest=self.digest,
            version=self.version,
            payment=state.payment,
            event_ids=state.event_ids,
            created_at=self.started_at,
            updated_at=workflow.now(),
        )
        try:
            undone = self._is_accepting or self._is_learning or state.status in _UNDONE
            if undone or not await self._write_at_once(call):
                await workflow.execute_activity(
                    SAVE_ORDER,
                    call,
                    start_to_close_timeout=5 * RECORD_TIMEOUT,
                    retry_policy=RECORD_UNTIL_DONE,
                    summary=f"order record, version {state.version}",
                )
        except FailureError as error:
            if type_of(error) != ORDER_ID_TAKEN:
                raise
            self.id_taken = True
            return
        self._behind = False
        self.saved, self.told = state.version, call.version

    async def _write_at_once(self, call: SaveCall) -> bool:
        """Write within this workflow task; False when the database makes that a long wait."""
        try:
            await workflow.execute_local_activity(
                SAVE_ORDER,
                call,
                start_to_close_timeout=RECORD_TIMEOUT,
                schedule_to_close_timeout=2 * RECORD_TIMEOUT,
                retry_policy=RECORD_FIRST_TRY,
            )
        except FailureError as error:
            if type_of(error) == ORDER_ID_TAKEN:
                raise
            self._behind = True
        return not self._behind
