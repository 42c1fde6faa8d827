"""The Seller's callback bodies in every documented spelling, brought to one form. Source: contract B5 and G1.

Unknown fields are ignored, null and "" mean "not said", numbers may come as digits in a string. What cannot be
understood is refused: the Seller's user sees the 400 and can mend it, while a guess would become money.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from marketplace.orders import Invoice, InvoiceItem, InvoiceType, SellerDate, Tracking, TrackingEvent, parse_seller_date
from workflows.messages import DeliveryReport, InvoiceReport, SellerCancelReport, SellerReport, TrackingReport

MAX_CENTS = 10**13
_MOST = 2000
_OR_NULL: JsonDict = {"type": ["array", "null"]}

_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]*")

Report = TypeVar("Report", bound=SellerReport)


def _text(value: Any) -> Any:
    """Numbers are texts too where ids are meant; blank means nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return (value.strip() or None) if isinstance(value, str) else value


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() and len(text) < 20 else text or None  # noqa: PLR2004
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


NOT_BLANK = r"[^\s\u001c-\u001f\u0085]"
"""For the document: something is left without white space, which is more to Python than to JSON Schema."""

# The document tells what is read, not what it is read as.
_BLANK: dict[str, Any] = {"type": ["string", "null"], "pattern": r"^\s*$"}


def _number_schema(least: int, most: int, digits: str, *others: dict[str, Any]) -> WithJsonSchema:
    integer = {"type": "integer", "minimum": least, "maximum": most}
    return WithJsonSchema({"anyOf": [integer, {"type": "string", "pattern": rf"^\s*{digits}\s*$"}, *others]})


def _dated(value: Any) -> Any:
    # A number would be taken for seconds or, when it is large, for milliseconds: no date that VTEX documents is one.
    read = parse_seller_date(value)
    if isinstance(read, int | float) or (isinstance(read, str) and _NUMBER.fullmatch(read.strip())):
        raise PydanticCustomError("date", "send a date such as 2026-03-10T12:28:00Z")
    return read


def _at_most(length: int) -> BeforeValidator:
    # As it was sent, blanks around it included: that is what the document tells.
    def short(value: Any) -> Any:
        if isinstance(value, str) and len(value) > length:
            raise PydanticCustomError("too_long", "at most {length} characters", {"length": length})
        return value

    return BeforeValidator(short)


Words = Annotated[
    Annotated[str, Field(max_length=2000)] | None,
    BeforeValidator(_text),
    _at_most(2000),
    WithJsonSchema({"type": ["string", "integer", "null"], "maxLength": 2000}),
]
Number = Annotated[
    str,
    Field(min_length=1, max_length=128),
    BeforeValidator(_text),
    _at_most(128),
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "maxLength": 128, "pattern": NOT_BLANK}),
]
Cents = Annotated[
    int,
    Field(strict=True, ge=0, le=MAX_CENTS),
    BeforeValidator(_whole),
    _number_schema(0, MAX_CENTS, "[0-9]{1,13}"),
]
MaybeCents = Annotated[Cents | None, BeforeValidator(_whole), _number_schema(0, MAX_CENTS, "[0-9]{1,13}", _BLANK)]
Units = Annotated[
    int,
    Field(strict=True, ge=1, le=1_000_000),
    BeforeValidator(_whole),
    _number_schema(1, 1_000_000, "[1-9][0-9]{0,5}"),
]
Moment = Annotated[
    SellerDate,
    BeforeValidator(_dated),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, _BLANK]}),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class _Carried(_Body):
    courier: Words = Field(default=None, validation_alias=AliasChoices("courier", "carrier"))
    tracking_number: Words = Field(default=None, validation_alias="trackingNumber")
    tracking_url: Words = Field(default=None, validation_alias="trackingUrl")
    dispatched_date: Moment = Field(default=None, validation_alias="dispatchedDate")

    @model_validator(mode="before")
    @classmethod
    def _courier_is_carrier(cls, data: Any) -> Any:
        # Both may be sent, one of them empty: the one that says something counts.
        if isinstance(data, dict) and not data.get("courier") and data.get("carrier"):
            return {**data, "courier": data["carrier"]}
        return data

    def tracking(self) -> Tracking:
        said = {
            name: value
            for name in ("courier", "tracking_number", "tracking_url", "dispatched_date")
            if (value := getattr(self, name))
        }
        return Tracking(**said)


class _Line(_Body):
    id: Number
    quantity: Units
    price: Cents


class InvoiceBody(_Carried):
    """`POST …/invoice`: a sale (Output) or return (Input) invoice; on the older route with tracking."""

    type: InvoiceType
    invoice_number: Number = Field(validation_alias="invoiceNumber")
    invoice_value: MaybeCents = Field(default=None, validation_alias="invoiceValue")
    issuance_date: Moment = Field(default=None, validation_alias="issuanceDate")
    items: list[_Line] = Field(default=[], max_length=_MOST, json_schema_extra=_OR_NULL)
    invoice_url: Words = Field(default=None, validation_alias="invoiceUrl")
    invoice_key: Words = Field(default=None, validation_alias="invoiceKey")

    @field_validator("type", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.strip().capitalize() if isinstance(value, str) else value

    @field_validator("items", mode="before")
    @classmethod
    def _no_items(cls, value: Any) -> Any:
        return [] if value is None else value

    @model_validator(mode="after")
    def _says_how_much(self) -> "InvoiceBody":
        if self.invoice_value is None and not self.items:
            message = "send invoiceValue in cents, or items: the invoice must say how much it is over"
            raise PydanticCustomError("amount", message, {"field": "invoiceValue"})
        return self

    def report(self) -> InvoiceReport:
        invoice = Invoice(
            type=self.type,
            invoice_number=self.invoice_number,
            invoice_value=self.invoice_value,
            issuance_date=self.issuance_date,
            items=[InvoiceItem(id=line.id, quantity=line.quantity, price=line.price) for line in self.items],
            invoice_url=self.invoice_url,
            invoice_key=self.invoice_key,
        )
        return _identified(InvoiceReport, invoice=invoice, tracking=self.tracking())


class TrackingBody(_Carried):
    """`POST|PATCH …/invoice/{invoiceNumber}`: how the package travels."""

    @model_validator(mode="after")
    def _says_something(self) -> "TrackingBody":
        said = {"courier", "tracking_number", "tracking_url"} & self.model_fields_set
        if not said:
            message = "send courier, trackingNumber and trackingUrl"
            raise PydanticCustomError("tracking", message, {"field": "trackingNumber"})
        return self

    def report(self, invoice_number: str) -> TrackingReport:
        return _identified(TrackingReport, invoice_number=invoice_number, tracking=self.tracking())


class _Event(_Body):
    city: Words = None
    state: Words = None
    description: Words = None
    date: Moment = None


class DeliveryBody(_Body):
    """`POST|PUT …/invoice/{invoiceNumber}/tracking`: the courier's events."""

    is_delivered: bool = Field(validation_alias="isDelivered", strict=True)
    events: list[_Event] = Field(default=[], max_length=_MOST, json_schema_extra=_OR_NULL)

    @field_validator("events", mode="before")
    @classmethod
    def _no_events(cls, value: Any) -> Any:
        return [] if value is None else value

    def report(self, invoice_number: str) -> DeliveryReport:
        events = [TrackingEvent(**event.model_dump()) for event in self.events]
        return _identified(DeliveryReport, invoice_number=invoice_number, is_delivered=self.is_delivered, events=events)


class CancelBody(_Body):
    """`POST …/cancel`: the Seller canceled; the body may be empty."""

    reason: Words = None

    def report(self) -> SellerCancelReport:
        return _identified(SellerCancelReport, reason=self.reason or "")


def _identified(kind: type[Report], **content: Any) -> Report:
    """Give a report its id: a fingerprint of what it says, so that a repeat is known however it is spelt."""
    report = kind(event_id="", received_at=datetime.now(UTC), **content)
    said = report.model_dump_json(exclude={"event_id", "received_at"}, exclude_none=True)
    event_id = hashlib.sha256(f"{kind.__name__}{said}".encode()).hexdigest()[:24]
    return report.model_copy(update={"event_id": event_id})
