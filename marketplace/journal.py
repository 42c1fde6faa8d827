"""What was exchanged with whom and what became of it, in VTEX's log vocabulary: for a Seller's people. Pure.

Source: contract section D, "Logs for the seller's users".
"""

import json
from datetime import UTC
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, computed_field
from pydantic_core import to_jsonable_python

from marketplace.masking import mask
from marketplace.orders import Identifier, Model

CONTENT_LIMIT: Final = 4000
"""Characters that are kept of a content: enough to see what it was, and a day's journal still fits on a disk."""
MESSAGE_LIMIT: Final = 1000


class Operation(StrEnum):
    """What was being done, in VTEX's words."""

    CATALOG_CHANGE = "Catalog change"
    OFFER_CREATION = "Offer creation"
    PRICE_UPDATE = "Price update"
    STOCK_UPDATE = "Inventory update"
    ORDER_STATUS = "Order status update"
    INVOICE = "Invoice sending"
    TRACKING = "Tracking code sending"


OF_ORDERS: Final = (Operation.ORDER_STATUS, Operation.INVOICE, Operation.TRACKING)
"""Operations whose subject is an order; of the others it is a SKU."""


class Direction(StrEnum):
    """From whom to whom."""

    FROM_SELLER = "VTEX to Marketplace"
    TO_SELLER = "Marketplace to VTEX"


class JournalStatus(StrEnum):
    """How it ended. VTEX also writes `alert` for a warning, and `sucess`: `JournalStatus(text)` reads these too."""

    SUCCESS = "success"
    ERROR = "error"
    WARNING = "warning"
    """It went on, and somebody should do something."""
    PENDING = "pending"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        text = str(value).strip().lower()
        known = {"sucess": "success", "alert": "warning"}.get(text, text)
        return next((status for status in cls if status.value == known), None)


class MessageCode(StrEnum):
    """VTEX's codes of catalog messages."""

    CREATED = "S1"
    SKU_MISSING = "A1"
    """The SKU is missing in the simulation."""
    SKU_INACTIVE = "A2"
    DEFAULT_USED = "A3"
    DATA_REJECTED = "E1"
    TARGET_UNAVAILABLE = "E2"
    DATA_REJECTED_BY_TARGET = "E3"
    """VTEX gives E1 and E3 the same meaning; here E1 is refused by the marketplace, E3 by the other side."""
    CATEGORY_UNMAPPED = "E4"
    MAPPER_UNAVAILABLE = "E5"


def content(value: Any) -> str | None:
    """A payload as the journal keeps it: JSON or text, masked, and cut to CONTENT_LIMIT characters.

    Takes whatever can be written as JSON, models too, and texts. Give it the whole: a cut JSON text is harder to mask.
    """
    if value is None:
        return None
    masked = mask(to_jsonable_python(value, by_alias=True, fallback=str))
    return _cut(masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False), CONTENT_LIMIT)


def _cut(text: str, limit: int) -> str:
    # No database takes a NUL in a text, and none half of a surrogate pair.
    clean = text.replace("\0", "").encode(errors="replace").decode()
    if len(clean) <= limit:
        return clean
    mark = f"… ({len(clean)} characters)"
    return clean[: limit - len(mark)] + mark


# Masked here once more: no way of making an entry leaves it out.
Content = Annotated[str | None, AfterValidator(content)]
Message = Annotated[str, AfterValidator(lambda text: _cut(str(mask(text)), MESSAGE_LIMIT))]


class JournalEntry(Model):
    """One exchange. Holds no personal data: contents and message are masked and cut when the entry is made."""

    id: Annotated[Identifier, Field(default_factory=lambda: uuid4().hex)]
    """Unique; an entry that may be written twice, as by a repeated activity, needs one that repeats with it."""
    at: AwareDatetime
    seller: Identifier
    operation: Operation
    direction: Direction
    subject: Identifier
    """SKU id or marketplaceOrderId."""
    status: JournalStatus
    code: MessageCode | None = None
    business_message: Message = ""
    """Cause and remedy, in words for people who sell."""
    content_source: Content = None
    """What the side sent that began the exchange; see `content`."""
    content_translated: Content = None
    """What the engine made of it."""
    content_destination: Content = None
    """What the other side answered."""


class LogMessage(BaseModel):
    """A journal entry with VTEX's spelling of keys; `Date`, `Subject` and `Code` are additions to it."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)

    id: str
    operation: Annotated[Operation, Field(alias="Operation")]
    direction: Annotated[Direction, Field(alias="Direction")]
    content_source: Annotated[str, Field(alias="ContentSource")]
    content_translated: Annotated[str, Field(alias="ContentTranslated")]
    content_destination: Annotated[str, Field(alias="ContentDestination")]
    business_message: Annotated[str, Field(alias="BusinessMessage")]
    status: Annotated[JournalStatus, Field(alias="Status")]
    date: Annotated[AwareDatetime, Field(alias="Date")]
    subject: Annotated[str, Field(alias="Subject")]
    code: Annotated[MessageCode | None, Field(alias="Code")]

    @computed_field(alias="ContentTransalted")  # type: ignore[prop-decorator]
    @property
    def misspelt_translated(self) -> str:
        """VTEX's sample answer spells the key so; a reader may have been made after it."""
        return self.content_translated

    @classmethod
    def of(cls, entry: JournalEntry) -> Self:
        """The entry as the API answers it. VTEX has texts throughout: what is not there is empty."""
        return cls(
            id=entry.id,
            operation=entry.operation,
            direction=entry.direction,
            content_source=entry.content_source or "",
            content_translated=entry.content_translated or "",
            content_destination=entry.content_destination or "",
            business_message=entry.business_message,
            status=entry.status,
            date=entry.at.astimezone(UTC),
            subject=entry.subject,
            code=entry.code,
        )


class LogMessages(BaseModel):
    """The answer of the log route. `next_cursor` leads to the next page; None on the last."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)

    messages: Annotated[list[LogMessage], Field(alias="Messages")]
    next_cursor: Annotated[str | None, Field(alias="nextCursor")] = None
