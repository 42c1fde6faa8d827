"""The order desk: what may be done with orders, between HTTP or a terminal and Temporal with the order record.

An order that lives is asked through Temporal, so that its workflow decides. One that has closed, perhaps beyond
Temporal's retention, is answered from the record, by the same rules (`marketplace.rules`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateStage

from api.erasure import erase_order
from api.order_start import DIGEST, OrderStart, order_start
from api.temporal_calls import (
    RPC_TIMEOUT,
    Closed,
    NoWorker,
    OrderConflict,
    OrderUnknown,
    SellerUnknown,
    quiet,
    temporal,
)
from marketplace.errors import EngineError
from marketplace.orders import (
    Action,
    CancelRequest,
    Invoice,
    Model,
    Order,
    OrderRequest,
    OrderStatus,
    PaymentReport,
    ReasonCode,
)
from marketplace.rules import ENDS, cancel_conflict, has_open_invoice, payment_conflict, seller_cancel_conflict
from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings
from marketplace.store.base import OrderPage, OrderRecord, OrderStore
from workflows.messages import (
    CancelAnswer,
    CancelOutcome,
    InvoiceReport,
    OperatorNote,
    OrderAnswer,
    OrderInput,
    SellerCancelReport,
    SellerReport,
    Submission,
)
from workflows.order_state import OrderState, new_order, to_order
from workflows.policies import (
    ORDER_WORKFLOW,
    order_workflow_id,
)

Result = TypeVar("Result")

WORKER_WAIT = 5.0
"""Seconds given to a worker to take an update before it is left as a signal."""
_RECORD_PAUSES = tuple(min(0.02 * 1.5**number, 0.5) for number in range(18))
"""Seconds between looks at a record that is about to be written: 6 s in all."""
_PATIENT_LOOKS = 8
"""After so many, one second in all, the record is asked for."""
_REMEMBERED = 10_000
_UNSETTLED = {OrderStatus.SIMULATING, OrderStatus.PLACING}


class Outcome(StrEnum):
    """How far a request has come."""

    CREATED = "created"
    DONE = "done"
    ACCEPTED = "accepted"
    """Durable, not decided: the Seller or a worker has not answered yet."""


@dataclass(frozen=True)
class Answer:
    order: Order
    outcome: Outcome


class OrderDesk:
    """Everything that storefronts, Sellers and operators may do with orders.

    Every method may raise TemporalAway, and `marketplace.store.base.StoreUnavailable`.
    """

    def __init__(
        self, client: Client, store: OrderStore, settings: Settings, sellers: Mapping[str, SellerConfig]
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._sellers = sellers
        self._seller_order_ids: OrderedDict[str, str] = OrderedDict()

    # --- the storefront ---

    async def submit(self, request: OrderRequest, wait: float) -> Answer:
        """Take an order once: CREATED for the post that started it, DONE for repeats, ACCEPTED after `wait` seconds.

        Raises SellerUnknown, and OrderConflict when the id belongs to an order with other content.
        """
        seller = self._sellers.get(request.seller)
        if seller is None:
            known = ", ".join(sorted(self._sellers))
            raise SellerUnknown(f"seller {request.seller} is not configured; configured: {known}")
        start = order_start(request, seller, self._settings)
        digest = start.digest
        record = await self._store.get(request.marketplace_order_id)
        if record is not None:
            _check_same(record.digest == digest and record.order.seller == request.seller)
            if record.order.status not in _UNSETTLED:
                return Answer(record.order, Outcome.DONE)
        operation = start.operation()
        try:
            async with quiet(operation), asyncio.timeout(wait), temporal(self._client, None):
                submission: Submission = await self._client.execute_update_with_start_workflow(
                    "await_placement",
                    start_workflow_operation=operation,
                    id="placement",
                    result_type=Submission,
                    rpc_timeout=timedelta(seconds=max(wait, 1.0)),
                )
        except (TimeoutError, NoWorker):
            return await self._accepted(request, start)
        except Closed:
            return await self._ended_meanwhile(request, digest)
        _check_same(submission.digest == digest)
        order = submission.order or await self._as_it_is(request.seller, request.marketplace_order_id)
        if order.reason is not None and order.reason.code is ReasonCode.DUPLICATE_ORDER_ID:
            raise OrderConflict(order.reason.message)
        first = submission.submission_id == start.submission_id
        return Answer(order, Outcome.CREATED if first else Outcome.DONE)

    async def find(self, marketplace_order_id: str) -> Order:
        """The order, from its record; of one that no worker has touched yet, from what started it.

        Raises OrderUnknown.
        """
        record = await self._store.get(marketplace_order_id)
        if record is not None:
            return record.order
        for seller in self._sellers:
            order = await self._just_started(seller, marketplace_order_id)
            if order is not None:
                return order
        raise OrderUnknown(f"no order has the id {marketplace_order_id}")

    async def page(
        self,
        status: OrderStatus | None = None,
        seller: str | None = None,
        needs_attention: bool | None = None,  # noqa: FBT001 - a filter like the others
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        """A page of orders, newest first. Raises BadCursor."""
        return await self._store.list(status, seller, needs_attention, limit, cursor)

    async def report_payment(self, marketplace_order_id: str, report: PaymentReport) -> Answer:
        """Tell an order how its payment ended. Raises OrderUnknown and OrderConflict."""
        handle = await self._handle(marketplace_order_id)
        try:
            # The same report has the same update id: Temporal answers a repeat without asking the workflow.
            update_id = f"payment-{report.status}-{report.transaction_id}"
            answer = await self._tell(handle, "payment", "payment_reported", report, OrderAnswer, update_id)
        except Closed:
            record = await self._record(marketplace_order_id)
            _check(payment_conflict(record.order.status, record.payment, report))
            if record.payment != report:
                _check_ended(record.order)
            return Answer(record.order, Outcome.DONE)
        return await self._answered(handle, marketplace_order_id, answer, Outcome.DONE)

    async def cancel(self, marketplace_order_id: str, request: CancelRequest) -> Answer:
        """Ask to cancel: DONE when canceled, ACCEPTED while the Seller decides or no worker is there.

        Raises OrderUnknown, and OrderConflict when it is not possible any more.
        """
        handle = await self._handle(marketplace_order_id)
        try:
            answer = await self._tell(handle, "cancel", "cancel_requested", request, CancelAnswer)
        except Closed:
            record = await self._record(marketplace_order_id)
            _check(cancel_conflict(record.order.status, has_open_invoice=has_open_invoice(record.order.invoices)))
            _check_ended(record.order)
            return Answer(record.order, Outcome.DONE)
        done = answer is not None and answer.outcome is CancelOutcome.CANCELED
        return await self._answered(handle, marketplace_order_id, answer, Outcome.DONE if done else Outcome.ACCEPTED)

    # --- operators ---

    async def resume(self, marketplace_order_id: str, action: Action, note: str) -> Order:
        """Say retry or abort to a parked order. Raises OrderUnknown, OrderConflict and NoWorker."""
        handle = await self._handle(marketplace_order_id)
        try:
            answer = await self._update(handle, str(action), OperatorNote(note=note), OrderAnswer)
        except _Late:
            return await self.find(marketplace_order_id)
        except Closed:
            record = await self._record(marketplace_order_id)
            _check_ended(record.order)
            raise OrderConflict(f"the order has ended as {record.order.status}; nothing is left to {action}") from None
        return (await self._answered(handle, marketplace_order_id, answer, Outcome.DONE)).order

    async def erase(self, marketplace_order_id: str) -> Order:
        """Erase the customer's data of an order that has ended; see `api.erasure`. May be repeated.

        Raises OrderUnknown, and OrderConflict while the order is still followed.
        """
        return await erase_order(self._client, self._store, await self.find(marketplace_order_id))

    # --- Sellers ---

    async def seller_order_id(self, marketplace_order_id: str) -> str | None:
        """The Seller's id of an order, None before it is known. It never changes: a record, which may be large, is
        not read for each callback.
        """
        known = self._seller_order_ids.get(marketplace_order_id)
        if known is None:
            record = await self._store.get(marketplace_order_id)
            if record is None or (known := record.order.order_id) is None:
                return None
            self._seller_order_ids[marketplace_order_id] = known
            if len(self._seller_order_ids) > _REMEMBERED:
                self._seller_order_ids.popitem(last=False)
        self._seller_order_ids.move_to_end(marketplace_order_id)
        return known

    async def take_report(self, seller: str, marketplace_order_id: str, signal: str, report: SellerReport) -> None:
        """Make a Seller's report durable. Returns when it is, or was before.

        Raises OrderUnknown, and OrderConflict when the order has ended and takes no more of it.
        """
        handle = self._workflow(seller, marketplace_order_id)
        try:
            if isinstance(report, SellerCancelReport):
                # Not answered in time: taken by the workflow, and only the record is behind.
                await self._tell(handle, "seller_cancel", "seller_cancel_reported", report, OrderAnswer)
            else:
                await self._signal(handle, signal, report)
        except Closed:
            record = await self._record(marketplace_order_id)
            self._check_closed(record, report)

    @staticmethod
    def _check_closed(record: OrderRecord, report: SellerReport) -> None:
        if report.event_id in record.event_ids:
            return
        order = record.order
        if isinstance(report, SellerCancelReport):
            _check(seller_cancel_conflict(order.status, has_open_invoice=has_open_invoice(order.invoices)))
            _check_ended(order)
        elif not (isinstance(report, InvoiceReport) and any(_same(report.invoice, one) for one in order.invoices)):
            raise OrderConflict(f"the order has ended as {order.status} and takes no more reports")

    # --- how Temporal is asked ---

    async def _accepted(self, request: OrderRequest, start: OrderStart) -> Answer:
        """Nobody has answered in time: make sure the order is durable, and that it is this order."""
        try:
            # One patience for all of it: who asked has waited already, and must not give up before it is answered.
            async with temporal(self._client):
                await self._client.service_client.check_health(timeout=RPC_TIMEOUT)
                handle = await self._client.start_workflow(
                    ORDER_WORKFLOW, start.order, **start.options(), rpc_timeout=RPC_TIMEOUT
                )
                memo = await (await handle.describe(rpc_timeout=RPC_TIMEOUT)).memo()
                _check_same(memo.get(DIGEST) == start.digest)
                return Answer(await self.find(request.marketplace_order_id), Outcome.ACCEPTED)
        except Closed:
            return await self._ended_meanwhile(request, start.digest)

    async def _ended_meanwhile(self, request: OrderRequest, digest: str) -> Answer:
        """The order ended after its record was read, and before it was asked."""
        record = await self._record(request.marketplace_order_id)
        _check_same(record.digest == digest)
        return Answer(record.order, Outcome.DONE)

    async def _as_it_is(self, seller: str, marketplace_order_id: str) -> Order:
        """The order as its record tells it, or where the record is lost, as its workflow does."""
        record = await self._store.get(marketplace_order_id)
        if record is not None:
            return record.order
        handle = self._workflow(seller, marketplace_order_id)
        async with temporal(self._client):
            return to_order(await handle.query("state", result_type=OrderState, rpc_timeout=RPC_TIMEOUT))

    async def _just_started(self, seller: str, marketplace_order_id: str) -> Order | None:
        handle = self._workflow(seller, marketplace_order_id)
        try:
            async with temporal(self._client):
                async for event in handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT):
                    payloads = event.workflow_execution_started_event_attributes.input.payloads
                    [order] = await self._client.data_converter.decode(payloads, [OrderInput])
                    return to_order(new_order(order.request, event.event_time.ToDatetime(tzinfo=UTC)))
        except Closed:
            pass
        return None

    def _workflow(self, seller: str, marketplace_order_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(order_workflow_id(seller, marketplace_order_id))

    async def _handle(self, marketplace_order_id: str) -> WorkflowHandle[Any, Any]:
        order = await self.find(marketplace_order_id)
        return self._workflow(order.seller, marketplace_order_id)

    async def _record(self, marketplace_order_id: str) -> OrderRecord:
        record = await self._store.get(marketplace_order_id)
        if record is None:
            raise OrderUnknown(f"no order has the id {marketplace_order_id}")
        return record

    async def _answered(
        self, handle: WorkflowHandle[Any, Any], marketplace_order_id: str, answer: OrderAnswer | None, outcome: Outcome
    ) -> Answer:
        """The order after an update, as its record tells it: by then whoever reads sees no less.

        With `outcome`; ACCEPTED without an answer, or with a record that is late. A repeated update id is answered
        what was true at first, so the record is asked even when the answer holds the order.
        """
        if answer is None:
            return Answer(await self.find(marketplace_order_id), Outcome.ACCEPTED)
        for looks, pause in enumerate(_RECORD_PAUSES):
            record = await self._store.get(marketplace_order_id)
            if record is not None and record.version >= answer.version:
                return Answer(record.order, outcome)
            if answer.order is not None:
                return Answer(answer.order, outcome)
            if looks == _PATIENT_LOOKS:
                # It is written with the next workflow task, and the Seller's answer does not bring one soon.
                with suppress(Closed):
                    await self._signal(handle, "record_wanted")
            await asyncio.sleep(pause)
        return Answer(await self.find(marketplace_order_id), Outcome.ACCEPTED)

    async def _tell(
        self,
        handle: WorkflowHandle[Any, Any],
        update: str,
        signal: str,
        argument: Model,
        result: type[Result],
        update_id: str | None = None,
    ) -> Result | None:
        """Ask a workflow, or where no worker answers leave it a signal that says the same: durable, but None.

        None too when a worker took it and is late. Raises Closed, whenever it is noticed.
        """
        try:
            return await self._update(handle, update, argument, result, update_id)
        except NoWorker:
            await self._signal(handle, signal, argument)
        except _Late:
            pass
        return None

    async def _update(
        self,
        handle: WorkflowHandle[Any, Any],
        name: str,
        argument: Model,
        result: type[Result],
        update_id: str | None = None,
    ) -> Result:
        """Ask a workflow. Raises NoWorker when none took it, _Late when one took it and has not answered."""
        accepted = False
        try:
            async with asyncio.timeout(WORKER_WAIT), temporal(self._client, None):
                update = await handle.start_update(
                    name,
                    argument,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    id=update_id,
                    result_type=result,
                    rpc_timeout=timedelta(seconds=WORKER_WAIT),
                )
                accepted = True
                answer: Result = await update.result()
        except (TimeoutError, NoWorker):
            if accepted:
                raise _Late from None
            await self._check_temporal()
            raise NoWorker("no worker has answered; it will be done when one is back") from None
        return answer

    async def _check_temporal(self) -> None:
        """Tell a server that is away from a worker that is: the client tries calls again for longer than we wait."""
        async with temporal(self._client):
            await self._client.service_client.check_health(timeout=RPC_TIMEOUT)

    async def _signal(self, handle: WorkflowHandle[Any, Any], name: str, *report: Model) -> None:
        async with temporal(self._client):
            await handle.signal(name, args=report, rpc_timeout=RPC_TIMEOUT)


class _Late(EngineError):  # noqa: N818
    """A worker has taken the update but not finished it in time."""


def _same(invoice: Invoice, known: Invoice) -> bool:
    """Whether an invoice is one that is known, sent again: some Sellers date it anew with each try."""
    number = (invoice.type, invoice.invoice_number) == (known.type, known.invoice_number)
    return number and invoice.invoice_value in {known.invoice_value, None}


def _check(conflict: str | None) -> None:
    if conflict:
        raise OrderConflict(conflict)


def _check_ended(order: Order) -> None:
    """Refuse to say yes for an order whose workflow is gone before its end: nobody would act on it."""
    if order.status not in ENDS:
        raise OrderConflict(
            f"the order was stopped by force while {order.status} and is not followed any more: "
            "settle it with the Seller by hand"
        )


def _check_same(same: bool) -> None:  # noqa: FBT001
    if not same:
        raise OrderConflict("an order with this marketplaceOrderId and other content exists; use a new id")
