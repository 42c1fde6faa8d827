"""What the catalog of a Seller on VTEX answers, as tolerant models. Source: contract A2 to A4, and G1.

Ids, `IsActive` and `SalesChannels` decide and have to make sense; everything else is None when it does not.
"""

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator
from pydantic.alias_generators import to_pascal

from marketplace.seller.wire import Array, Aside, Wire, read_whole

T = TypeVar("T")


def _as_id(value: Any) -> Any:
    number = read_whole(value)
    return str(number) if isinstance(number, int) else value


CatalogId = Annotated[str, BeforeValidator(_as_id), StringConstraints(pattern=r"^[0-9]{1,10}$")]
"""An id of the catalog: an integer, or a string of digits."""
_Channel = Annotated[int, BeforeValidator(read_whole), Field(strict=True, ge=0)]
Some = Aside[list[Aside[T]]]
"""An array, None where an element makes no sense."""


class CatalogWire(Wire):
    """Base of what the catalog answers: names with a capital at their beginning."""

    model_config = ConfigDict(alias_generator=to_pascal)


class Image(CatalogWire):
    image_url: Aside[str] = None
    image_name: Aside[str] = None


class Specification(CatalogWire):
    field_name: Aside[str] = None
    field_values: Some[str] = None


class Dimension(Wire):
    """Numbers without a unit, their names in lower case."""

    cubic_weight: Aside[FiniteFloat] = Field(default=None, validation_alias="cubicweight")
    height: Aside[FiniteFloat] = None
    length: Aside[FiniteFloat] = None
    weight: Aside[FiniteFloat] = None
    width: Aside[FiniteFloat] = None


class AlternateIds(CatalogWire):
    ean: Aside[str] = None
    ref_id: Aside[str] = None


class SkuSeller(CatalogWire):
    seller_id: Aside[str] = None


class Sku(CatalogWire):
    """A SKU and its context. Source: contract A2."""

    id: CatalogId
    product_id: CatalogId
    is_active: bool
    sales_channels: Array[_Channel]
    is_product_active: Aside[bool] = None
    sku_name: Aside[str] = None
    name_complete: Aside[str] = None
    product_name: Aside[str] = None
    product_description: Aside[str] = None
    brand_id: Aside[str] = None
    brand_name: Aside[str] = None
    product_category_ids: Aside[str] = None
    product_categories: Aside[dict[str, str | None]] = None
    image_url: Aside[str] = None
    images: Some[Image] = None
    sku_specifications: Some[Specification] = None
    product_specifications: Some[Specification] = None
    dimension: Aside[Dimension] = None
    alternate_ids: Aside[AlternateIds] = None
    sku_sellers: Some[SkuSeller] = None
    measurement_unit: Aside[str] = None
    unit_multiplier: Aside[FiniteFloat] = None
    is_kit: Aside[bool] = None
    key_words: Aside[str] = None


class Product(CatalogWire):
    """A product by either of its routes. Source: contract A3."""

    id: CatalogId
    is_active: bool
    name: Aside[str] = None
    title: Aside[str] = None
    description: Aside[str] = None
    key_words: Aside[str] = None
    link_id: Aside[str] = None
    ref_id: Aside[str] = None


class SkuIds(Wire):
    """A page of SKU ids: a bare array, of which one with a single id arrives here unwrapped. Source: contract A4."""

    ids: list[CatalogId]

    @model_validator(mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        return {"ids": value if isinstance(value, list) else [value]}
