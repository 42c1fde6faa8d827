"""What a Seller on VTEX answers, as tolerant models.

Unknown fields are ignored, null stands for absent, and every documented variant is read (contract section G1). What
matters and makes no sense raises pydantic's ValidationError; what is only said beside it (`Aside`) becomes None then.
Money is in cents. Nothing here does I/O.
"""

import re
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from marketplace.orders import parse_seller_date

T = TypeVar("T")

_LARGEST = 10**13
_BOM = b"\xef\xbb\xbf"
_DIGITS = re.compile(r"-?[0-9]{1,15}", re.ASCII)


def read_json(body: bytes) -> Any:
    """Read JSON, unwrapping an array of one: None for an empty body. Raises ValueError for what is not JSON.

    Source: contract G1 rows 6 to 8 (arrays, bare objects).
    """
    text = body.removeprefix(_BOM).strip()
    if not text:
        return None
    # pydantic's reader instead of json.loads: it bounds the depth and refuses half surrogates and NaN.
    value = from_json(text, allow_inf_nan=False)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def read_whole(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    return value


def _stock(value: Any) -> Any:
    # VTEX's balance is what is on hand less what is reserved: oversold stock is below zero.
    number = read_whole(value)
    return max(number, 0) if isinstance(number, int) and not isinstance(number, bool) else number


def _no_null(value: Any) -> Any:
    return [] if value is None else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else _no_null(value)


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


_Number = Annotated[int, Field(strict=True, ge=0, le=_LARGEST)]
Whole = Annotated[_Number | None, BeforeValidator(read_whole)]
"""Cents, a count or a position: an integer, a float without fraction or a string of digits; never negative."""
Stock = Annotated[_Number | None, BeforeValidator(_stock)]
"""Units in stock; an oversold balance is 0."""
Array = Annotated[list[T], BeforeValidator(_no_null)]
"""An array; null is an empty one."""
OneOrMore = Annotated[list[T], BeforeValidator(_as_list)]
"""An array, or its one element without the brackets."""
Aside = Annotated[T | None, WrapValidator(_or_none)]
"""A detail that never spoils the answer that carries it: None when it makes no sense."""
OrderId = Annotated[str, StringConstraints(strip_whitespace=True, max_length=250, pattern=r"[0-9A-Za-z]")]
"""VTEX's order id. Opaque, but it has to have something to name an order by."""
_Moment = Annotated[AwareDatetime, BeforeValidator(parse_seller_date)]


class Wire(BaseModel):
    """Base of what comes from VTEX: camelCase, unknown fields ignored, ids as numbers read as strings."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        # An answer holds the customer's data; an error about it must not.
        hide_input_in_errors=True,
    )


# --- errors ---


class ErrorDetail(Wire):
    code: Aside[str] = None
    message: Aside[str] = None
    operation_id: Aside[str] = None


class ErrorBody(Wire):
    """An error body in its old and newer form. `error` as a bare string occurs before VTEX's own code runs.

    Source: contract section 0, "Error bodies".
    """

    error: Aside[ErrorDetail | str] = None
    message: Aside[str] = Field(default=None, validation_alias=AliasChoices("message", "Message"))
    operation_id: Aside[str] = None

    @property
    def detail(self) -> ErrorDetail:
        """Code, message and operation id, wherever they stood."""
        inner = self.error if isinstance(self.error, ErrorDetail) else ErrorDetail(message=self.error)
        return ErrorDetail(
            code=inner.code,
            message=inner.message or self.message,
            operationId=self.operation_id or inner.operation_id,
        )


def error_of(value: Any) -> ErrorDetail | None:
    """Read a parsed body as an error body; None for what is not a JSON object."""
    return ErrorBody.model_validate(value).detail if isinstance(value, dict) else None


def is_error(value: Any) -> bool:
    """Whether a body of a successful HTTP status is an error envelope after all."""
    return isinstance(value, dict) and isinstance(value.get("error"), dict)


# --- simulation ---


class DeliveryWindow(Wire):
    start_date_utc: Aside[_Moment] = None
    end_date_utc: Aside[_Moment] = None
    price: Whole = None
    list_price: Whole = Field(default=None, validation_alias=AliasChoices("listPrice", "listprice", "lisPrice"))


class Sla(Wire):
    id: str | None = None
    name: str | None = None
    delivery_channel: str | None = None
    shipping_estimate: str | None = None
    price: Whole = None
    lock_ttl: str | None = Field(default=None, validation_alias=AliasChoices("lockTTL", "lockTtl"))
    available_delivery_windows: OneOrMore[DeliveryWindow] = []


class Logistics(Wire):
    """One entry of `logisticsInfo`. `stock_balance` is not in the current reference: G1 row 3."""

    item_index: Whole = None
    quantity: Whole = None
    stock_balance: Stock = Field(
        default=None, validation_alias=AliasChoices("stockBalance", "StockBalance", "logisticsStockBalance")
    )
    slas: Array[Sla] = []


class SellingPrice(Wire):
    value: Whole = None
    quantity: Whole = None


class PriceDefinition(Wire):
    calculated_selling_price: Whole = None
    total: Whole = None
    selling_prices: Array[SellingPrice] = []


class SimulatedItem(Wire):
    id: str
    request_index: Whole = None
    quantity: Whole = None
    availability: str | None = None
    price: Whole = None
    list_price: Whole = Field(default=None, validation_alias=AliasChoices("listPrice", "listprice", "lisPrice"))
    selling_price: Whole = None
    price_definition: PriceDefinition | None = None


class Message(Wire):
    """A message in either of VTEX's two forms."""

    code: str | None = None
    text: str | None = None
    status: str | None = None
    message_id: str | None = None
    message_text: str | None = None
    message_type: str | None = None


class Simulation(Wire):
    """A simulated cart. `items` has to be there: an answer without it is not one. Source: contract B1."""

    items: Array[SimulatedItem]
    logistics_info: Array[Logistics] = []
    messages: Array[Aside[Message]] = []


# --- order ---


class PlacedItem(Wire):
    id: str
    quantity: Aside[Whole] = None
    price: Aside[Whole] = None


class PlacedLogistics(Wire):
    item_index: Whole = None
    price: Aside[Whole] = None
    shipping_estimate: Aside[str] = None


class PlacedShipping(Wire):
    logistics_info: Array[PlacedLogistics] = []


class _Enveloped(Wire):
    """An answer that comes bare, or with part of itself one level deeper: G1 rows 7 and 8."""

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        outer = {key: part for key, part in value.items() if part is not None}
        inner = [part for key in ("orderData", "details") if isinstance(part := outer.get(key), dict)]
        return {**(inner[0] if inner else {}), **outer}


class PlacedOrder(_Enveloped):
    """The answer to place order. Source: contract B2."""

    order_id: OrderId
    marketplace_order_id: str | None = None
    items: Aside[Array[PlacedItem]] = None
    shipping_data: Aside[PlacedShipping] = None


class Dispatched(_Enveloped):
    """The answer to authorize dispatch, receipt or envelope. Source: contract B3."""

    order_id: OrderId
    marketplace_order_id: str | None = None
    receipt: Aside[str] = None


class Canceled(Wire):
    """The answer to a cancel request; all absent while the Seller is deciding. Source: contract B4."""

    order_id: str | None = None
    marketplace_order_id: str | None = None
    receipt: str | None = None
    is_cancelled: bool | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the order is canceled now: ids or a receipt, and no word to the contrary."""
        named = self.order_id or self.marketplace_order_id or self.receipt
        return self.is_cancelled is not False and bool(named or self.is_cancelled)


class Order(Wire):
    """An order as the Orders API has it. Source: contract section E."""

    order_id: OrderId
    marketplace_order_id: Aside[str] = None
    status: str | None = None
    value: Aside[Whole] = None
    creation_date: Aside[_Moment] = None
