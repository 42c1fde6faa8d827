"""Catalog data of a SKU: what it was given, and for the rest something plausible that its ids alone decide.

Nothing is made up before it is asked for, so that a hundred thousand SKUs cost little.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sandbox.catalog import Dimension, Sku

_BRANDS = ((31, "Harbor"), (32, "Norte"), (35, "Casa Alba"), (38, "Vidal"), (44, "Folk & Field"))
_CATEGORIES = (
    {"5": "Home", "52": "Table linen"},
    {"5": "Home", "54": "Kitchen", "541": "Pans"},
    {"5": "Home", "54": "Kitchen", "542": "Boards"},
    {"7": "Furniture", "71": "Chairs"},
    {"9": "Lighting"},
)
_MATERIALS = ("Linen", "Stoneware", "Oak", "Glass", "Wool")
_FIRST_RELEASE = datetime(2024, 1, 15, tzinfo=UTC)
_PLACES = 12


class Specification(NamedTuple):
    field_id: int
    name: str
    value_ids: list[int]
    values: list[str]


def product_name(sku: Sku) -> str:
    """The product's name: what stands before the last comma of the SKU's."""
    return sku.product_name or sku.name.rpartition(", ")[0] or sku.name


def sku_name(sku: Sku) -> str:
    """The name that tells a SKU from the others of its product."""
    return sku.name.rpartition(", ")[2]


def description(sku: Sku) -> str:
    """HTML."""
    if sku.description is not None:
        return sku.description
    return (
        f"<p>{product_name(sku)} by <b>{brand(sku)[1]}</b>.</p><ul><li>{material(sku)}</li><li>Made to last</li></ul>"
    )


def material(sku: Sku) -> str:
    return _MATERIALS[sku.product % len(_MATERIALS)]


def brand(sku: Sku) -> tuple[int, str]:
    """Id and name."""
    made_up = _BRANDS[sku.product % len(_BRANDS)]
    return sku.brand_id or made_up[0], made_up[1] if sku.brand_name is None else sku.brand_name


def categories(sku: Sku) -> dict[str, str]:
    """Ids and names from the department down."""
    return _CATEGORIES[sku.product % len(_CATEGORIES)] if sku.categories is None else sku.categories


def category_path(sku: Sku) -> str:
    """Such as `/5/52/`."""
    return "".join(f"/{category}" for category in categories(sku)) + "/"


def images(sku: Sku, account: str) -> list[tuple[int, str, str]]:
    """File id, name and URL of each image, the main one first."""
    first = int(sku.id) * 10
    names = ("front", "detail") if sku.images is None else [f"image-{n + 1}" for n in range(len(sku.images))]
    urls = sku.images or [f"https://{account}.vteximg.example/arquivos/ids/{first + n}" for n in range(len(names))]
    return [(first + n, name, url) for n, (name, url) in enumerate(zip(names, urls, strict=True))]


def specifications(sku: Sku) -> list[Specification]:
    """What tells a SKU from the others of its product."""
    given = {"Color": [sku_name(sku)]} if sku.specifications is None else sku.specifications
    return _numbered(given, 12)


def product_specifications(sku: Sku) -> list[Specification]:
    given = {"Material": [material(sku)], "Care": ["Hand wash", "Dry in shade"]}
    return _numbered(given if sku.product_specifications is None else sku.product_specifications, 40)


def dimension(sku: Sku) -> Dimension:
    if sku.dimension is not None:
        return sku.dimension
    size = float(int(sku.id) % 40 + 4)
    return Dimension(cubicweight=round(size / 25, 2), height=size, length=size * 2, weight=size * 55, width=size * 1.5)


def ean(sku: Sku) -> str:
    """A number of thirteen digits whose last one checks the others."""
    if sku.ean is not None:
        return sku.ean
    digits = f"789{int(sku.id):09d}"[:_PLACES]
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def ref_id(sku: Sku) -> str:
    return f"{product_ref_id(sku)}-{sku.id}" if sku.ref_id is None else sku.ref_id


def product_ref_id(sku: Sku) -> str:
    return f"P{sku.product}"


def link_id(sku: Sku) -> str:
    """The product's name as it stands in its page's address."""
    return re.sub(r"[^a-z0-9]+", "-", product_name(sku).lower()).strip("-")


def released(sku: Sku) -> datetime:
    return _FIRST_RELEASE + timedelta(days=sku.product % 600)


def _numbered(given: dict[str, list[str]], first: int) -> list[Specification]:
    return [
        Specification(first + n, name, [100 * (first + n) + place for place in range(len(values))], values)
        for n, (name, values) in enumerate(given.items())
    ]
