"""What an order is: the storefront's request, the order that is answered, and the Seller's reports about it.

Field names are VTEX's, in camelCase on the wire and snake_case here. Money is in cents, times are UTC.
Nothing in this module does I/O.
"""

import hashlib
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from marketplace.money import Cents

MAX_ITEMS = 500

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")]
"""At most 128 characters of A-Z a-z 0-9 . _ - that may stand in a URL: never only dots."""


def _error(kind: str, message: str, **context: Any) -> PydanticCustomError:
    return PydanticCustomError(kind, message, context or None)


def _without_nul(text: str) -> str:
    # No document or database of the Seller holds one; it can only be a mistake or a trick.
    if "\0" in text:
        raise _error("nul", "remove the NUL character")
    return text


_Clean = AfterValidator(_without_nul)
_DOCUMENTED = Field(json_schema_extra={"pattern": r"^[^\u0000]*$"})
Text = Annotated[str, StringConstraints(max_length=1000), _Clean, _DOCUMENTED]
Name = Annotated[str, StringConstraints(min_length=1, max_length=250), _Clean, _DOCUMENTED]
Note = Annotated[str, StringConstraints(max_length=500), _Clean, _DOCUMENTED]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Duration = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(bd|d|h|m)$")]
"""VTEX's duration: a number with d days, bd business days, h hours or m minutes."""
Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Index = Annotated[int, Field(strict=True, ge=0, lt=MAX_ITEMS)]


class OrderStatus(StrEnum):
    """Where an order stands. Listed in the order in which it moves; the last five end it."""

    SIMULATING = "simulating"
    PLACING = "placing"
    PAYMENT_PENDING = "payment-pending"
    PAYMENT_APPROVED = "payment-approved"
    AUTHORIZING_FULFILLMENT = "authorizing-fulfillment"
    HANDLING = "handling"
    INVOICED = "invoiced"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLATION_REQUESTED = "cancellation-requested"
    REJECTED = "rejected"
    PAYMENT_DENIED = "payment-denied"
    EXPIRED = "expired"
    CANCELED = "canceled"
    RETURNED = "returned"


class ReasonCode(StrEnum):
    """Stable words for why an order ended or needs somebody."""

    PRICE_DIVERGENCE = "price-divergence"
    OUT_OF_STOCK = "out-of-stock"
    SLA_UNAVAILABLE = "sla-unavailable"
    SELLER_REFUSED = "seller-refused"
    PAYMENT_DENIED = "payment-denied"
    PAYMENT_TIMEOUT = "payment-timeout"
    CANCELED_BY_CUSTOMER = "canceled-by-customer"
    CANCELED_BY_SELLER = "canceled-by-seller"
    CANCELED_BY_OPERATOR = "canceled-by-operator"
    DUPLICATE_ORDER_ID = "duplicate-order-id"
    SELLER_UNAVAILABLE = "seller-unavailable"
    SELLER_CREDENTIALS = "seller-credentials"
    SELLER_MISCONFIGURED = "seller-misconfigured"
    SELLER_ORDER_MISMATCH = "seller-order-mismatch"
    DISPATCH_REFUSED = "dispatch-refused"
    CANCELLATION_REFUSED = "cancellation-refused"
    INVOICED_ABOVE_VALUE = "invoiced-above-value"
    INVOICE_CONFLICT = "invoice-conflict"
    INVOICED_AFTER_END = "invoiced-after-end"
    TOO_MANY_REPORTS = "too-many-reports"
    CANCELED_AFTER_INVOICE = "canceled-after-invoice"


class Action(StrEnum):
    """What an operator may do with a parked order."""

    RETRY = "retry"
    ABORT = "abort"


class Model(BaseModel):
    """Base of the models we own: camelCase on the wire, immutable, a misspelt field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
        # Temporal's SDK logs why it could not read a message, and would repeat what the customer has written in it.
        hide_input_in_errors=True,
    )


# --- the storefront's request ---


class CartItem(Model):
    """One line of a cart: SKU id at the Seller and how many units."""

    id: Identifier
    quantity: Quantity


class CartRequest(Model):
    """A cart to simulate. Without `postal_code` no shipping options are offered."""

    seller: Identifier
    items: Annotated[list[CartItem], Field(min_length=1, max_length=MAX_ITEMS)]
    postal_code: Name | None = None
    country: Country | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        # The Seller computes shipping from the pair; with one alone it silently answers without any.
        if (self.postal_code is None) != (self.country is None):
            missing = "country" if self.country is None else "postalCode"
            raise _error("pair", "send postalCode and country together, or neither", field=missing)
        return self


class OrderItem(CartItem):
    """A line of an order with its unit price in cents, discounts already applied."""

    price: Cents


class ClientProfile(Model):
    """Who bought, as VTEX's `clientProfileData`. Personal data: goes to the Seller, never to logs or the record."""

    email: Name
    first_name: Name
    last_name: Name
    document_type: Name
    document: Name
    phone: Text | None = None
    corporate_name: Text | None = None
    trade_name: Text | None = None
    corporate_document: Text | None = None
    state_inscription: Text | None = None
    corporate_phone: Text | None = None
    is_corporate: bool = False

    @model_validator(mode="after")
    def _companies_are_named(self) -> Self:
        if self.is_corporate and not (self.corporate_name and self.corporate_document):
            missing = "corporateDocument" if self.corporate_name else "corporateName"
            raise _error("corporate", "isCorporate needs corporateName and corporateDocument", field=missing)
        return self


class Address(Model):
    """Where to deliver, as VTEX's `address`. `geo_coordinates` are [longitude, latitude]."""

    address_type: Name
    receiver_name: Name
    postal_code: Name
    city: Name
    state: Name
    country: Country
    street: Name
    number: Name
    neighborhood: Text | None = None
    complement: Text | None = None
    reference: Text | None = None
    address_id: Text | None = None
    geo_coordinates: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=2)] = []


class DeliveryWindow(Model):
    """A scheduled delivery's window, as the simulation offered it; its price is part of the line's shipping price."""

    start_date_utc: AwareDatetime
    end_date_utc: AwareDatetime
    price: Cents = 0
    lis_price: Cents | None = None
    list_price: Cents | None = None
    tax: Cents | None = None


class LogisticsInfo(Model):
    """The shipping chosen for one item. `price` is that line's shipping in cents.

    `lock_ttl` and `shipping_estimate` are filled from the checkout's own simulation when left out.
    """

    item_index: Index
    selected_sla: Name
    price: Cents
    lock_ttl: Annotated[Duration | None, Field(alias="lockTTL")] = None
    shipping_estimate: Duration | None = None
    selected_delivery_channel: Literal["delivery", "pickup-in-point"] | None = None
    delivery_window: DeliveryWindow | None = None


class ShippingData(Model):
    address: Address
    logistics_info: Annotated[list[LogisticsInfo], Field(min_length=1, max_length=MAX_ITEMS)]


class PaymentStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


class InitialPayment(Model):
    """How the payment stands when the order is posted."""

    status: Literal[PaymentStatus.PENDING, PaymentStatus.APPROVED] = PaymentStatus.PENDING
    transaction_id: Identifier | None = None


class OrderRequest(Model):
    """An order as the storefront posts it. The engine places exactly this or rejects it, never something else."""

    marketplace_order_id: Identifier
    seller: Identifier
    items: Annotated[list[OrderItem], Field(min_length=1, max_length=MAX_ITEMS)]
    client_profile_data: ClientProfile
    shipping_data: ShippingData
    marketplace_payment_value: Cents
    payment: InitialPayment = InitialPayment()
    marketplace_order_group: Identifier | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        indexes = sorted(info.item_index for info in self.shipping_data.logistics_info)
        if indexes != list(range(len(self.items))):
            message = "send exactly one entry for each item, its itemIndex the item's place in items, from 0"
            raise _error("logistics", message, field="shippingData/logisticsInfo")
        total = self.items_value + self.shipping_value
        if total != self.marketplace_payment_value:
            message = "items and shipping sum to {total}: correct the prices, or this value"
            raise _error("total", message, total=total, field="marketplacePaymentValue")
        return self

    @property
    def items_value(self) -> int:
        """Sum of the lines in cents."""
        return sum(item.price * item.quantity for item in self.items)

    @property
    def shipping_value(self) -> int:
        """Sum of the shipping prices in cents."""
        return sum(info.price for info in self.shipping_data.logistics_info)

    def digest(self) -> str:
        """Fingerprint of the content: equal for requests that mean the same, however they were spelt."""
        return hashlib.sha256(self.model_dump_json(exclude_none=True).encode()).hexdigest()


class PaymentReport(Model):
    """The marketplace's word about the customer's money. Final: it is not taken back by another report."""

    status: Literal[PaymentStatus.APPROVED, PaymentStatus.DENIED]
    transaction_id: Identifier


class CancelRequest(Model):
    """A wish to cancel, of the customer (`requested_by_user`) or of the marketplace."""

    reason: Annotated[Note, StringConstraints(min_length=1)]
    requested_by_user: Annotated[bool, Field(strict=True)]


class ResumeRequest(Model):
    """An operator's decision about a parked order."""

    action: Action
    note: Note = ""


# --- the Seller's reports ---

_FRACTION = re.compile(r"(\.\d{6})\d+")


def parse_seller_date(value: Any) -> Any:
    """Read every date form VTEX documents: 0 to 7 fractional digits, `Z`, offset or nothing, a blank for the T.

    A date without offset is taken as UTC. What is not such a date is returned as it is, for the model to refuse.
    Source: contract section 0, "Conventions".
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        try:
            value = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        except ValueError:
            return value
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            return None
    return value


SellerDate = Annotated[AwareDatetime | None, BeforeValidator(parse_seller_date)]


class InvoiceType(StrEnum):
    OUTPUT = "Output"
    """A sale."""
    INPUT = "Input"
    """A return."""


class InvoiceItem(Model):
    id: str
    quantity: int
    price: int


class Invoice(Model):
    """An invoice of the Seller. `invoice_value` is in cents; None when the Seller left it out."""

    type: InvoiceType
    invoice_number: str
    invoice_value: int | None = None
    issuance_date: SellerDate = None
    items: list[InvoiceItem] = []
    invoice_url: str | None = None
    invoice_key: str | None = None


class Tracking(Model):
    """How a package travels. Empty means that the Seller did not say."""

    courier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    dispatched_date: SellerDate = None


class TrackingEvent(Model):
    city: str | None = None
    state: str | None = None
    description: str | None = None
    date: SellerDate = None


class SellerOrderPhase(StrEnum):
    """VTEX's many order states, brought to what the engine needs to know."""

    PLACED = "placed"
    """The Seller has it and waits for our dispatch authorization."""
    HELD = "held"
    """The Seller's person must approve a price divergence first."""
    AUTHORIZED = "authorized"
    """Dispatch is authorized; anything from there up to, not including, invoiced."""
    INVOICED = "invoiced"
    CANCELING = "canceling"
    """A cancellation was asked for and is not decided, or is under way."""
    CANCELED = "canceled"
    UNKNOWN = "unknown"


# --- the order as it is answered ---


class Reason(Model):
    code: ReasonCode
    message: str


class HistoryEntry(Model):
    at: AwareDatetime
    status: OrderStatus
    detail: str


class Package(Tracking):
    """One package: each sale invoice is one."""

    invoice_number: str
    is_delivered: bool = False
    events: list[TrackingEvent] = []


class Order(Model):
    """The order as every route and query answers it. Holds no personal data of the customer."""

    marketplace_order_id: str
    seller: str
    order_id: str | None = None
    """The Seller's id of the order, as it returned it; opaque."""
    status: OrderStatus
    reason: Reason | None = None
    needs_attention: bool = False
    allowed_actions: list[Action] = []
    expires_at: AwareDatetime | None = None
    """When an unpaid order expires."""
    items: list[OrderItem]
    marketplace_payment_value: int
    invoiced_value: int = 0
    """Sum of the sale invoices in cents."""
    invoices: list[Invoice] = []
    packages: list[Package] = []
    history: list[HistoryEntry]
