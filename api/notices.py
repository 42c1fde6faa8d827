"""A Seller's change notice in every documented spelling, brought to one form. Source: contract A1 and G1 row 24."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from marketplace.catalog import ChangeNotice, SkuId


def _digits(value: Any) -> Any:
    """Ids come as numbers and as texts; blank and 0 mean not said."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    return text if text.strip("0") else None


def _flag(value: Any) -> Any:
    """Flags come as booleans, and from some senders as the words for them; blank means not said."""
    if isinstance(value, str):
        return {"true": True, "false": False, "": None}.get(value.strip().lower(), value)
    return value


# The document tells what is read, not what it is read as.
_ID: list[dict[str, Any]] = [
    {"type": "string", "pattern": r"^\s*[1-9][0-9]{0,9}\s*$"},
    {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
]
_NOTHING: dict[str, Any] = {"enum": [None, "", "0", 0]}
Id = Annotated[SkuId, BeforeValidator(_digits), WithJsonSchema({"anyOf": _ID})]
MaybeId = Annotated[SkuId | None, BeforeValidator(_digits), WithJsonSchema({"anyOf": [*_ID, _NOTHING]})]
Flag = Annotated[
    Annotated[bool, Field(strict=True)] | None,
    BeforeValidator(_flag),
    WithJsonSchema({"enum": [True, False, None, "true", "false", ""]}),
]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]


class NoticeBody(BaseModel):
    """A notice. VTEX's pages spell its fields in three ways, so they are read without regard to case."""

    model_config = ConfigDict(extra="ignore")

    sku_id: Id = Field(alias="IdSku")
    account: Word = Field(alias="An")
    affiliate: Word = Field(alias="IdAffiliate")
    product_id: MaybeId = Field(None, alias="ProductId")
    is_active: Flag = Field(None, alias="IsActive")
    stock_changed: Flag = Field(None, alias="StockModified")
    price_changed: Flag = Field(None, alias="PriceModified")
    data_changed: Flag = Field(None, alias="HasStockKeepingUnitModified")
    removed: Flag = Field(None, alias="HasStockKeepingUnitRemovedFromAffiliate")

    @model_validator(mode="before")
    @classmethod
    def _any_case(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        names = {str(field.alias).lower(): field.alias for field in cls.model_fields.values()}
        read: dict[Any, Any] = {}
        for name, value in data.items():
            spelt = names.get(str(name).lower())
            # Of two spellings of one field the one that says something counts.
            if spelt is not None and read.get(spelt) in (None, ""):
                read[spelt] = value
        return read

    @property
    def account_name(self) -> str:
        """The account alone: some senders write it with its domain."""
        return self.account.split(".")[0]

    def notice(self) -> ChangeNotice:
        return ChangeNotice(
            data_changed=self.data_changed,
            price_changed=self.price_changed,
            stock_changed=self.stock_changed,
            is_active=self.is_active,
            removed=self.removed,
            product_id=self.product_id,
            noticed_at=datetime.now(UTC),
        )
