"""The sandbox Seller as a whole: its parts, its start and stop, and its answers to the marketplace's five questions."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from sandbox import answers
from sandbox.answers import Answer
from sandbox.autopilot import Autopilot
from sandbox.base import Model, now
from sandbox.callbacks import Callbacks
from sandbox.catalog import Catalog
from sandbox.config import SandboxConfig, Settings
from sandbox.faults import FaultQueue
from sandbox.ledger import Ledger, Order, Status
from sandbox.protocol import (
    Identity,
    ProtocolError,
    read_cancellation,
    read_cart,
    read_marketplace_order_id,
    read_placement,
)
from sandbox.reports import CancelReport, InvoiceReport
from sandbox.simulation import simulate
from sandbox.state import StateFile

_KEPT_REQUESTS = 20_000


class RequestEntry(Model):
    """One request of the marketplace. `status` is None while it runs and when it got no answer."""

    at: datetime
    method: str
    path: str
    query: str
    route: str | None = None
    marketplace_order_id: str | None = None
    status: int | None = None
    code: str | None = None
    """VTEX's error code, when the answer was a refusal."""
    fault: str | None = None
    """The kind of the fault that hit it."""
    seconds: float | None = None


class Seller:
    """One Seller account. All its methods but `start` and `stop` are for the event loop it was started in."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.settings = config.first_settings()
        self.identity = Identity(
            affiliate_id=config.affiliate_id,
            sales_channel=config.sales_channel,
            app_key=config.app_key.get_secret_value(),
            app_token=config.app_token.get_secret_value(),
        )
        self.state = StateFile(config.state_file)
        self.catalog = Catalog(config.skus, self.state.sku_changed)
        self.ledger = Ledger(self.catalog, on_change=self.state.order_changed)
        self.faults = FaultQueue()
        self.requests: deque[RequestEntry] = deque(maxlen=_KEPT_REQUESTS)
        self.callbacks = Callbacks(self.ledger, self._current_settings)
        self.autopilot = Autopilot(self.ledger, self.callbacks, self._current_settings)
        self.closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the state, take up unfinished work. Raises StateFileError for an unreadable state file."""
        self.closing.clear()
        if (kept := self.state.load()) is not None:
            orders, skus = kept
            self.catalog.reset(skus)
            self.ledger.reset(orders)
            for order in orders:
                self.ledger.changed(order)
        await self.callbacks.open()
        if self.config.state_file is not None:
            self._keeper = asyncio.create_task(self.state.keep(self.ledger, self.catalog))
        for order in self.ledger.all():
            if order.status is Status.CANCEL:
                self.spawn(self._confirm_cancellation(order))
        self.autopilot.resume()

    async def stop(self) -> None:
        """Stop all work and write the state."""
        self.closing.set()
        await self._stop_work()
        if self._keeper is not None:
            self.state.close()
            await self._keeper
            self._keeper = None
        await self.callbacks.close()

    async def reset(self) -> None:
        """Return to the start: no orders, faults and requests, the first SKUs and settings."""
        await self._stop_work()
        self.settings = self.config.first_settings()
        self.state.forget()
        self.ledger.reset()
        self.catalog.reset(self.config.skus)
        self.faults.clear()
        self.requests.clear()

    def change_settings(self, settings: Settings) -> None:
        self.settings = settings
        self.autopilot.resume()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something beside the requests, until it ends or the sandbox does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the five questions; each raises ProtocolError ---

    def simulate(self, body: object) -> Answer:
        cart = read_cart(body, self.settings.max_items)
        return answers.json_answer(simulate(cart, self.catalog, self.settings))

    def place(self, body: object, affiliate_id: str) -> Answer:
        placement = read_placement(body, affiliate_id, self.settings.max_items)
        order = self.ledger.place(placement, self.settings)
        return answers.placed(order, self.catalog, self.settings, self.config.account)

    def dispatch(self, order_id: str, body: object) -> Answer:
        order = self._order(order_id)
        read_marketplace_order_id(body, order.marketplace_order_id)
        receipt = self.ledger.authorize(order, self.settings)
        self.autopilot.lead(order)
        return answers.authorized(order, receipt, self.settings)

    def cancel(self, order_id: str, body: object) -> Answer:
        """The fulfilment route: the answer itself confirms, says nothing yet, or refuses."""
        order = self._order(order_id)
        read_marketplace_order_id(body, order.marketplace_order_id)
        done = order.cancellation
        if order.status is Status.CANCELED and done and self.settings.cancel_repeat == "confirm":
            return answers.cancellation(order, done.receipt, self.settings, done=True)
        reason = body.get("reason") if isinstance(body, dict) else None
        by_user = isinstance(body, dict) and body.get("requestedByUser") is True
        if self._grants(order, reason if isinstance(reason, str) else None, by_user=by_user):
            receipt = self.ledger.cancel(order)
            if self.settings.cancel_callback:
                self.spawn(self._confirm_cancellation(order))
            return answers.cancellation(order, receipt, self.settings, done=True)
        if self.settings.cancel_late == "incomplete":
            return answers.cancellation(order, None, self.settings, done=False)
        return answers.still_deciding(self.settings)

    def cancel_through_oms(self, order_id: str, body: object) -> Answer:
        """The Orders API's route: the answer only takes note, the cancel callback decides (contract section B4)."""
        order = self._order(order_id, "OMS007")
        reason, by_user = read_cancellation(body)
        if order.status in {Status.CANCEL, Status.CANCELED} and self.settings.cancel_repeat == "confirm":
            return answers.cancellation_noted(order)
        if self._grants(order, reason, by_user=by_user):
            self.ledger.move(order, Status.CANCEL)
            self.spawn(self._confirm_cancellation(order))
        return answers.cancellation_noted(order)

    def read(self, order_id: str) -> Answer:
        order = self._order(order_id, "OMS007")
        if (now() - order.placed_at).total_seconds() < self.settings.read_lag_seconds:
            raise ProtocolError("OMS007", "Order not found", 404)
        return answers.order_document(order, self.ledger, self.config.sales_channel)

    # --- inside ---

    def _current_settings(self) -> Settings:
        return self.settings

    def _order(self, order_id: str, code: str = "CHK0201") -> Order:
        order = self.ledger.by_order_id(order_id)
        if order is None:
            raise ProtocolError(code, "Order not found", 404)
        return order

    def _grants(self, order: Order, reason: str | None, *, by_user: bool) -> bool:
        """Whether the order is to be canceled now. If not, it is left as the setting `cancelLate` says."""
        late = self.settings.cancel_late
        if self.ledger.ask_cancellation(order, reason, by_user=by_user) or late == "agree":
            return True
        if late == "refuse":
            order.cancellation = None
            raise ProtocolError("CHK0202", f"Order {order.order_id} cannot be canceled in status {order.status}")
        if order.status is not Status.CANCELLATION_REQUESTED:
            self.ledger.move(order, Status.CANCELLATION_REQUESTED)
            if late == "invoice":
                self.spawn(self._refuse_by_invoice(order))
        return False

    async def _refuse_by_invoice(self, order: Order) -> None:
        await asyncio.sleep(self.settings.cancel_invoice_seconds)
        if order.status is Status.CANCELLATION_REQUESTED:
            await self.callbacks.invoice(order, InvoiceReport(retry=True))

    async def _confirm_cancellation(self, order: Order) -> None:
        reason = (order.cancellation.reason if order.cancellation else None) or "Canceled"
        await self.callbacks.cancel(order, CancelReport(reason=reason, retry=True), by="marketplace")

    async def _stop_work(self) -> None:
        await self.autopilot.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
