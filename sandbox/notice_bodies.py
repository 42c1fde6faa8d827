"""What a change notice says: the flags that follow from a change, and the body in every documented spelling.

Source: contract sections A1 and G1 row 24. A notice holds no price, stock or content: it is a hint to read again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from sandbox.base import date_in
from sandbox.catalog import SkuChange
from sandbox.catalog_settings import Endpoint, NoticeForm, NoticeId, NoticePath
from sandbox.config import SandboxConfig, Settings
from sandbox.protocol import Json
from sandbox.reads import OFFER_FIELDS
from sandbox.reports import SendOptions

_PRICE_FIELDS = frozenset({"price", "list_price"})


@dataclass(frozen=True)
class Flags:
    """What a notice says about a SKU."""

    is_active: bool = True
    """Of the product, as the contract has it; a SKU that was switched off is `data`."""
    stock: bool = False
    price: bool = False
    data: bool = False
    removed: bool = False


class NoticeReport(SendOptions):
    """A notice by hand, about any SKU id. What is left out follows the settings, and `isActive` the product."""

    sku_id: str
    product_id: int | None = None
    is_active: bool | None = None
    stock_modified: bool = False
    price_modified: bool = False
    has_stock_keeping_unit_modified: bool = False
    has_stock_keeping_unit_removed_from_affiliate: bool = False
    form: NoticeForm | None = None
    sku_id_form: NoticeId | None = None
    path: NoticePath | None = None
    endpoint: Endpoint | None = None
    date_modified: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)
    """Set these fields at last, under these very names."""
    without: list[str] = Field(default_factory=list)
    """Leave these fields out."""


def flags_of(change: SkuChange, channel: int) -> Flags | None:
    """What VTEX would say about a change; None when it says nothing, as the SKU is not the affiliate's."""
    after, fields = change.after, change.fields
    was, stays = change.before is not None and change.before.assigned(channel), after.assigned(channel)
    if not fields or not (was or stays):
        return None
    if not was:
        return Flags(after.product_active, stock=True, price=True, data=True)
    return Flags(
        after.product_active,
        stock=bool(fields & (OFFER_FIELDS - _PRICE_FIELDS)),
        price=bool(fields & _PRICE_FIELDS),
        data=bool(fields - OFFER_FIELDS),
        removed=not stays,
    )


def notice_body(
    report: NoticeReport, flags: Flags, product_id: int | None, at: datetime, config: SandboxConfig, settings: Settings
) -> Json:
    """The body of a notice in the form that is asked for."""
    form = report.form or settings.notice_form
    camel = form == "camel"
    number = (report.sku_id_form or settings.notice_sku_id) == "integer" and report.sku_id.isdecimal()
    body: Json = {"idSKU" if camel else "IdSku": int(report.sku_id) if number else report.sku_id}
    short = form == "five"
    if not short and product_id is not None and settings.notice_product_id != "absent":
        product = str(product_id) if settings.notice_product_id == "string" else product_id
        body["productId" if camel else "ProductId"] = product
    body["an" if camel else "An"] = config.account
    body["idAffiliate" if camel else "IdAffiliate"] = config.affiliate_id
    if not short:
        if settings.notice_date == "given" or report.date_modified is not None:
            body["DateModified"] = report.date_modified or date_in(settings.catalog_dates, at)
        body["isActive" if camel else "IsActive"] = flags.is_active
    body |= {"StockModified": flags.stock, "PriceModified": flags.price}
    if not short:
        body["HasStockKeepingUnitModified"] = flags.data
        body["HasStockKeepingUnitRemovedFromAffiliate"] = flags.removed
    if form == "full":
        body["Version"] = "1.0"
    if settings.unknown_fields:
        body["FutureField"] = {"Nested": [1, None, "x"]}
    return {key: value for key, value in (body | report.fields).items() if key not in report.without}
