"""What the sandbox Seller sells: SKUs with price, stock, SLAs and catalog data, and the reservations on their stock."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from sandbox.base import Model
from sandbox.slas import EXPRESS, PICKUP, SCHEDULED, STANDARD, STANDARD_SLAS, AnySla, Cents, Sla

_SKUS_A_PRODUCT = 3
_NOUNS = ("Bowl", "Plate", "Jug", "Tray", "Vase", "Mug", "Lamp", "Throw")
_LOOKS = ("blue", "sand", "grey")


class Dimension(Model):
    """Size and weight of a SKU; the units are the Seller's affair, VTEX does not state them."""

    cubicweight: float = 0.0
    height: float = 0.0
    length: float = 0.0
    weight: float = 0.0
    width: float = 0.0


class Sku(Model):
    """A SKU. Prices in cents; `stock` counts units on the shelf, `reserved` those that placed orders hold.

    Never changed in place: `Catalog.put` takes another. Whatever catalog data is None is made up from the ids by
    `sandbox.catalog_data`. `product…`, `description`, `brand…` and `categories` are the product's: the same for all
    its SKUs.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")]
    name: str
    price: Cents
    list_price: Cents | None = None
    stock: Annotated[int, Field(ge=0)] = 0
    reserved: Annotated[int, Field(ge=0)] = 0
    active: bool = True
    slas: list[AnySla] = Field(default_factory=lambda: [STANDARD, EXPRESS])
    measurement_unit: str = "un"
    unit_multiplier: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    availability: str | None = None
    """What simulations say about it instead of `available`, such as `withoutPrice`."""
    sales_channels: list[int] | None = None
    """Trade policies it is assigned to; None is the integration's own."""
    images: list[str] | None = None
    """URLs, the main one first."""
    specifications: dict[str, list[str]] | None = None
    dimension: Dimension | None = None
    ean: str | None = None
    ref_id: str | None = None
    is_kit: bool = False
    product_id: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """None: a product of its own, with the SKU's number."""
    product_active: bool = True
    product_name: str | None = None
    product_specifications: dict[str, list[str]] | None = None
    description: str | None = None
    """HTML."""
    brand_id: int | None = None
    brand_name: str | None = None
    categories: dict[str, str] | None = None
    """Ids and names from the department down."""

    @property
    def available(self) -> int:
        """Units that can still be sold."""
        return max(0, self.stock - self.reserved)

    @property
    def product(self) -> int:
        """Id of its product."""
        return int(self.id) if self.product_id is None else self.product_id

    def sla(self, sla_id: str) -> Sla | None:
        return next((sla for sla in self.slas if sla.id == sla_id), None)

    def assigned(self, channel: int) -> bool:
        """Whether it is in the integration's trade policy."""
        return self.sales_channels is None or channel in self.sales_channels


PRODUCT_FIELDS = frozenset(
    {
        "product_active",
        "product_name",
        "product_specifications",
        "description",
        "brand_id",
        "brand_name",
        "categories",
    },
)
"""Fields of a SKU that are its product's."""


@dataclass(frozen=True)
class SkuChange:
    """A SKU before (None: it is new) and after a change, and the names of the fields that differ."""

    before: Sku | None
    after: Sku
    fields: frozenset[str]


class Catalog:
    """The SKUs by id, as the affiliate of one sales channel sees them. `on_change` is told every change."""

    def __init__(
        self, skus: Iterable[Sku], channel: int = 1, on_change: Callable[[SkuChange], None] = lambda _: None
    ) -> None:
        self.channel = channel
        self._skus: dict[str, Sku] = {}
        self._on_change = on_change
        self._listed: dict[int | None, list[int]] = {}
        self._products: dict[int, list[str]] = {}
        self._ids: list[str] = []
        self.reset(skus)

    def reset(self, skus: Iterable[Sku]) -> None:
        """Sell these SKUs and no others. Tells nobody."""
        self._skus = {sku.id: sku for sku in skus}
        self._forget_lists()

    def all(self) -> list[Sku]:
        return list(self._skus.values())

    def get(self, sku_id: str) -> Sku | None:
        return self._skus.get(sku_id)

    def sellable(self, sku_id: str) -> Sku | None:
        """The SKU, if it is known, active with its product, and assigned to the sales channel."""
        sku = self._skus.get(sku_id)
        if sku is None or not (sku.active and sku.product_active and sku.assigned(self.channel)):
            return None
        return sku

    def knows_sla(self, sla_id: str) -> bool:
        """Whether any SKU of the account is offered with this SLA."""
        return sla_id in STANDARD_SLAS or any(sku.sla(sla_id) for sku in self._skus.values())

    def ids(self) -> list[str]:
        """The ids of all SKUs; not to be changed."""
        if not self._ids:
            self._ids = list(self._skus)
        return self._ids

    def listed(self, channel: int | None) -> list[int]:
        """The ids of the SKUs that are assigned to a sales channel, of all SKUs for None; not to be changed."""
        if channel not in self._listed:
            self._listed[channel] = [
                int(sku.id) for sku in self._skus.values() if channel is None or channel in self.channels_of(sku)
            ]
        return self._listed[channel]

    def channels_of(self, sku: Sku) -> list[int]:
        """The sales channels a SKU is assigned to."""
        return [self.channel] if sku.sales_channels is None else sku.sales_channels

    def of_product(self, product_id: int) -> list[Sku]:
        """The SKUs of a product, none for an unknown one."""
        if not self._products:
            for sku in self._skus.values():
                self._products.setdefault(sku.product, []).append(sku.id)
        return [self._skus[sku_id] for sku_id in self._products.get(product_id, [])]

    def put(self, sku: Sku) -> SkuChange:
        """Add a SKU, or replace the one with its id."""
        before = self._skus.get(sku.id)
        self._skus[sku.id] = sku
        known: dict[str, Any] = {} if before is None else before.__dict__
        differing = frozenset(key for key, value in sku.__dict__.items() if key not in known or known[key] != value)
        if differing & {"id", "sales_channels", "product_id"}:
            self._forget_lists()
        change = SkuChange(before, sku, differing)
        if differing:
            self._on_change(change)
        return change

    def edit(self, sku_id: str, **fields: Any) -> SkuChange:
        """Set fields of a known SKU; the values are not validated."""
        return self.put(self._skus[sku_id].model_copy(update=fields))

    def short_of(self, units: dict[str, int]) -> str | None:
        """The id of the first SKU that has too few units to reserve, None when there are enough of all."""
        return next((sku_id for sku_id, quantity in units.items() if self._skus[sku_id].available < quantity), None)

    def reserve(self, units: dict[str, int]) -> None:
        """Reserve units that are there."""
        for sku_id, quantity in units.items():
            self.edit(sku_id, reserved=self._skus[sku_id].reserved + quantity)

    def release(self, units: dict[str, int]) -> None:
        """Give reserved units back."""
        for sku_id, quantity in units.items():
            if sku := self._skus.get(sku_id):
                self.edit(sku_id, reserved=max(0, sku.reserved - quantity))

    def take(self, units: dict[str, int]) -> None:
        """Let reserved units leave the shelf."""
        for sku_id, quantity in units.items():
            if sku := self._skus.get(sku_id):
                left = {"reserved": max(0, sku.reserved - quantity), "stock": max(0, sku.stock - quantity)}
                self.edit(sku_id, **left)

    def _forget_lists(self) -> None:
        self._listed, self._products, self._ids = {}, {}, []


def seed_skus() -> list[Sku]:
    """The dozen SKUs a sandbox starts with when it is told no others."""
    both, dated, picked = [STANDARD, EXPRESS], [STANDARD, SCHEDULED], [STANDARD, EXPRESS, PICKUP]
    rows: list[tuple[str, str, int, int, int, list[Sla]]] = [
        ("2001", "Ceramic mug, blue", 3990, 4990, 120, both),
        ("2002", "Linen table runner, sand", 12990, 15990, 37, dated),
        ("2003", "Cotton napkins, set of four", 4550, 4550, 80, both),
        ("2004", "Oak serving board", 8990, 9990, 25, picked),
        ("2005", "Cast iron pan, 26 cm", 21900, 24900, 14, both),
        ("2006", "Glass jug, 1.5 l", 6490, 6490, 40, picked),
        ("2007", "Wool throw, grey", 18900, 22900, 9, dated),
        ("2008", "Bread knife", 7990, 7990, 60, both),
        ("2009", "Dining chair, ash", 49900, 59900, 6, [SCHEDULED]),
        ("2010", "Tea towel", 1990, 1990, 300, both),
        ("2011", "Copper lamp, the last two", 32900, 39900, 2, both),
        ("2012", "Stoneware bowl, sold out", 5490, 5490, 0, both),
    ]
    return [
        Sku(id=sku_id, name=name, price=price, list_price=list_price, stock=stock, slas=slas)
        for sku_id, name, price, list_price, stock, slas in rows
    ]


def numbered_skus(count: int, *, first_id: int = 100_001, stock: int = 1_000_000) -> list[Sku]:
    """As many SKUs as a load test needs, three a product, with prices from 10.00 to 109.90."""
    skus = []
    for n in range(count):
        number, look = divmod(n, _SKUS_A_PRODUCT)
        price = 1000 + 90 * (n % 112)
        sku = Sku(
            id=str(first_id + n),
            name=f"{_NOUNS[number % len(_NOUNS)]} {number + 1}, {_LOOKS[look]}",
            price=price,
            list_price=price + 500 * look,
            stock=stock,
            product_id=first_id + number * _SKUS_A_PRODUCT,
        )
        skus.append(sku)
    return skus
