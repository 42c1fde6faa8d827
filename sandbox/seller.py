"""The sandbox Seller as a whole: its parts, its start and stop, and its answers to the marketplace's five questions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from sandbox import answers
from sandbox.answers import Answer
from sandbox.autopilot import Autopilot
from sandbox.base import now
from sandbox.callbacks import Callbacks
from sandbox.catalog import Catalog, SkuChange
from sandbox.catalog_routes import CatalogRoutes
from sandbox.changes import Changes
from sandbox.config import SandboxConfig, Settings
from sandbox.faults import FaultQueue
from sandbox.holds import HeldCalls
from sandbox.ledger import Ledger, Order, Status
from sandbox.notices import Notices
from sandbox.protocol import (
    Identity,
    ProtocolError,
    read_cancellation,
    read_cart,
    read_marketplace_order_id,
    read_placement,
)
from sandbox.reads import ReadBook
from sandbox.reports import CancelReport, InvoiceReport
from sandbox.sending import Sender
from sandbox.simulation import simulate
from sandbox.state import StateFile
from sandbox.traffic import Traffic


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
        self.catalog = Catalog(config.skus, config.sales_channel, self._sku_changed)
        self.reads = ReadBook()
        self.ledger = Ledger(self.catalog, on_change=self.state.order_changed)
        self.faults = FaultQueue()
        self.held = HeldCalls()
        self.traffic = Traffic(self.settings)
        self.catalog_routes = CatalogRoutes(self.catalog, self.reads, config.account)
        self._sender = Sender(self._current_settings)
        self.callbacks = Callbacks(self.ledger, self._sender, self._current_settings)
        self.notices = Notices(config, self._sender, self._current_settings)
        self.changes = Changes(self.catalog, self.notices, self._current_settings)
        self.autopilot = Autopilot(self.ledger, self.callbacks, self._current_settings)
        self.closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the state, take up unfinished work. Raises StateFileError for an unreadable state file."""
        self.closing.clear()
        if (kept := self.state.load()) is not None:
            orders, skus = kept
            # The last of two SKUs with one id is the one that is sold.
            self.catalog.reset([*self.config.skus, *skus])
            self.ledger.reset(orders)
        self._sender.open()
        if self.config.state_file is not None:
            self._keeper = asyncio.create_task(self.state.keep(self.ledger, self.catalog))
        for order in self.ledger.all():
            if order.status is Status.CANCEL:
                self.spawn(self._confirm_cancellation(order))
        self.autopilot.resume()
        self.changes.resume()

    async def stop(self) -> None:
        """Stop all work and write the state."""
        self.closing.set()
        self.held.drop_all()
        await self._stop_work()
        if self._keeper is not None:
            self.state.close()
            await self._keeper
            self._keeper = None
        await self._sender.close()

    async def reset(self) -> None:
        """Return to the start: no orders, faults, requests, notices and reads, the first SKUs and settings."""
        # Before their order is forgotten, or a held call would place it into the new ledger.
        self.held.drop_all()
        await self._stop_work()
        self.settings = self.config.first_settings()
        self.traffic.reset(self.settings)
        self.notices.clear()
        self.reads.reset()
        self.state.forget()
        self.ledger.reset()
        self.catalog.reset(self.config.skus)
        self.faults.clear()
        self.changes.resume()

    def change_settings(self, settings: Settings) -> None:
        self.traffic.switch(self.settings, settings)
        self.settings = settings
        self.autopilot.resume()
        self.changes.resume()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something beside the requests, until it ends or the sandbox does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the five questions; each raises ProtocolError ---

    def simulate(self, body: object) -> Answer:
        cart = read_cart(body, self.settings.max_items)
        document = simulate(cart, self.catalog, self.settings)
        asked = dict.fromkeys(line.sku_id for line in cart.lines)
        known = [sku for sku_id in asked if (sku := self.catalog.get(sku_id)) is not None]
        return answers.json_answer(document, tells=tuple(self.reads.reading("simulate", sku) for sku in known))

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

    def _sku_changed(self, change: SkuChange) -> None:
        self.state.sku_changed(change.after.id)
        self.reads.changed(change)
        if "reserved" in change.fields and self.settings.notice_reservations:
            self.changes.announce([change])

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
        await self.changes.stop()
        await self.notices.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
