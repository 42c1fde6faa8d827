"""How the sandbox Seller is set up (`SandboxConfig`) and how it behaves (`Settings`, changeable while it runs)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from sandbox.base import Model
from sandbox.catalog import Sku, seed_skus
from sandbox.catalog_settings import CatalogSettings, Percent, Seconds


class Settings(CatalogSettings):
    """Every switch. The defaults are the form VTEX documents best; the others are what VTEX documents elsewhere.

    Sources: contract sections B and G1. Seconds and percent are plain numbers. The catalog's are inherited.
    """

    # Simulation
    stock_balance: Literal["stockBalance", "StockBalance", "absent"] = "stockBalance"
    """How `logisticsInfo[].stockBalance` is spelt, or that it is left out (G1 row 3)."""
    delivery_windows: Literal["array", "object"] = "array"
    """`availableDeliveryWindows` as a list, or the first window alone (G1 row 4)."""
    logistics_index: Literal["answer", "request"] = "answer"
    """Whether `logisticsInfo[].itemIndex` counts the answered or the requested items; differs once one is missing."""
    messages: Literal["code", "messageId"] = "code"
    """`{code,text,status,fields}` or `{messageId,messageText,messageType}`."""
    price_definition: bool = True
    null_heavy: bool = False
    """Answer null for whatever may be null."""
    undeliverable_postal_codes: list[str] = []
    """Beginnings of postal codes that no SLA reaches: `cannotBeDelivered`."""
    max_items: Annotated[int, Field(ge=1)] = 500
    """Items a simulation or an order may have; above, FMT0104."""

    # Place
    place_answer: Literal["array", "object", "envelope"] = "array"
    """Form of the answer to a placed order (G1 row 7)."""
    answered_prices: Literal["sent", "seller"] = "sent"
    """Whether the answer's `items[].price` are the ones received or the Seller's own."""
    place_repeat: Literal["refuse", "validate-first"] = "refuse"
    """What a repeated placement gets: 400 FMT009 at once, or only when SLA, price and stock would do for a new order.
    The first one's reservation counts as taken. Not documented by VTEX."""
    divergence_authorized_percent: Percent = 0.0
    """Orders created async whose prices differ by at most this are taken."""
    divergence_held_percent: Percent = 0.0
    """Above the former and up to this they are held for a person; beyond, refused with FMT006 or FMT007."""

    # Dispatch
    dispatch_answer: Literal["receipt", "envelope"] = "receipt"
    """200 with the receipt, or 201 with the envelope, whose orderId lacks the affiliate (G1 row 8)."""
    dispatch_repeat: Literal["refuse", "receipt"] = "refuse"
    """What a repeated dispatch gets: 400 FMT0055, or the first receipt again. Not documented by VTEX."""

    # Cancel
    cancel_window_seconds: Seconds = 1800.0
    """For so long after the dispatch a cancellation is automatic, unless handling has started."""
    cancel_late: Literal["agree", "incomplete", "silent", "invoice", "refuse"] = "agree"
    """After that: agreed; taken note of with `isCancelled: false`; empty answer; empty answer and then the invoice,
    which refuses; or refused with 400."""
    cancel_invoice_seconds: Seconds = 0.3
    """How long after the empty answer the refusing invoice is sent."""
    cancel_repeat: Literal["refuse", "confirm"] = "refuse"
    """What canceling a canceled order gets: 400 CHK0202, or 200 with the first receipt."""
    cancel_receipt: bool = True
    """False: the confirmation's `receipt` is null."""
    cancel_callback: bool = False
    """After the fulfilment route has confirmed, send the cancel callback too, as the OMS route does."""
    empty_answer: Literal["empty", "object"] = "empty"
    """Form of the empty answer: no body at all, or `{}`."""

    # Reading and errors
    read_lag_seconds: Seconds = 0.0
    """For so long after it was placed an order is unknown to the read route, as in a store that lags behind."""
    error_code_in: Literal["both", "header", "body"] = "both"
    """Where the real code is. In `header` the body says "1"; in `body` the headers are left out."""

    # Callbacks
    callback_prefix: Literal["pvt", "pub"] = "pvt"
    callback_id: Literal["marketplaceOrderId", "orderId"] = "marketplaceOrderId"
    callback_doubled_slash: bool = False
    callback_attempts: Annotated[int, Field(ge=1, le=1000)] = 20
    callback_backoff_seconds: Seconds = 0.5
    """Pause after the first failed attempt; it doubles up to `callback_backoff_max_seconds`."""
    callback_backoff_max_seconds: Seconds = 30.0
    callback_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    courier_field: Literal["courier", "carrier"] = "courier"
    invoice_value: Literal["integer", "string"] = "integer"
    invoice_type: Literal["capitalized", "lower"] = "capitalized"
    tracking_route: Literal["invoice", "number"] = "invoice"
    """Tracking as a second call of `/invoice` (older), or at `/invoice/{invoiceNumber}` (newer)."""
    cancel_body: Literal["reason", "empty"] = "reason"

    # Autopilot
    autopilot: bool = False
    """Lead every dispatched order to its delivery by itself."""
    pace: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Factor on the autopilot's five delays: 0.1 is ten times as fast, 0 is at once."""
    handling_seconds: Seconds = 5.0
    invoice_seconds: Seconds = 5.0
    tracking_seconds: Seconds = 3.0
    events_seconds: Seconds = 3.0
    delivered_seconds: Seconds = 3.0
    partial_invoices: bool = False
    """Invoice in two parts."""


class SandboxConfig(Model):
    """What a sandbox Seller is from its start on.

    `autopilot` and `pace`, when given, override the same fields of `settings`. With `state_file` its orders and SKUs
    outlive the process; that file and the ledger hold customers' data as received, so feed the sandbox invented ones.
    """

    account: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")] = "acme"
    affiliate_id: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "MKP"
    sales_channel: int = 1
    app_key: SecretStr = SecretStr("sandbox-key")
    app_token: SecretStr = SecretStr("sandbox-token")
    settings: Settings = Settings()
    autopilot: bool | None = None
    pace: float | None = None
    skus: list[Sku] = Field(default_factory=seed_skus)
    state_file: Path | None = None

    def first_settings(self) -> Settings:
        """A fresh copy of the settings the sandbox starts with, and returns to on a reset."""
        given = {"autopilot": self.autopilot, "pace": self.pace}
        changed = self.settings.model_dump() | {key: value for key, value in given.items() if value is not None}
        return Settings.model_validate(changed)
