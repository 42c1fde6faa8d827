"""What the marketplace sells: offers, what a Seller says about a SKU, and what follows from it.

Nothing in this module does I/O. An offer is one SKU of one Seller; its status is computed from facts that are kept
apart: what was decided about it, what blocks it, and whether the engine gave up reading it.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, computed_field, model_validator

from marketplace.checkout import Sla
from marketplace.orders import Model

# Leading zeros are dropped, or one SKU would have two offers.
SkuId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$"), AfterValidator(lambda text: str(int(text)))]
"""A SKU's id at its Seller: digits, up to 2,147,483,647. Source: contract section 0, "Conventions"."""


class OfferStatus(StrEnum):
    """Where an offer stands."""

    LISTED = "listed"
    """Sold here; its stock may be 0 all the same."""
    PENDING = "pending"
    """Read, and waiting for somebody's decision."""
    EXCLUDED = "excluded"
    """Not sold here, by rule or by decision."""
    BLOCKED = "blocked"
    """Cannot be sold now, by what the Seller says; its stock counts as 0."""
    FAILED = "failed"
    """The engine gave up reading it; an operator may drive it anew."""


class Decision(StrEnum):
    """Whether a SKU is to be sold here."""

    INCLUDED = "included"
    PENDING = "pending"
    EXCLUDED = "excluded"


class DecidedBy(StrEnum):
    POLICY = "policy"
    OPERATOR = "operator"
    """Stands until an operator decides otherwise."""


class ProblemCode(StrEnum):
    """Stable words for why an offer is blocked, excluded or failed."""

    SKU_UNKNOWN = "sku-unknown"
    SKU_INACTIVE = "sku-inactive"
    PRODUCT_INACTIVE = "product-inactive"
    OUTSIDE_SALES_CHANNEL = "outside-sales-channel"
    REMOVED_FROM_AFFILIATE = "removed-from-affiliate"
    NOT_IN_SIMULATION = "not-in-simulation"
    FOREIGN_SELLER = "foreign-seller"
    CATEGORY_NOT_ALLOWED = "category-not-allowed"
    BRAND_NOT_ALLOWED = "brand-not-allowed"
    STOCK_TOO_LOW = "stock-too-low"
    PRICE_OUT_OF_RANGE = "price-out-of-range"
    NO_PRICE = "no-price"
    DECIDED_BY_OPERATOR = "decided-by-operator"
    SELLER_UNAVAILABLE = "seller-unavailable"
    SELLER_REFUSED = "seller-refused"
    SELLER_CREDENTIALS = "seller-credentials"
    SELLER_NONSENSE = "seller-nonsense"
    INTERRUPTED = "interrupted"


class Problem(Model):
    """One thing that stands against an offer, in words for the Seller's people."""

    code: ProblemCode
    message: str


class Category(Model):
    id: str
    name: str = ""


class Brand(Model):
    id: str
    name: str = ""


class Image(Model):
    url: str
    name: str | None = None


class Specification(Model):
    name: str
    values: list[str] = []


class Dimensions(Model):
    """As the Seller has them. VTEX states no units."""

    height: float | None = None
    length: float | None = None
    width: float | None = None
    weight: float | None = None
    cubic_weight: float | None = None


class SkuData(Model):
    """What a Seller's catalog says about a SKU. Source: contract A2 and A3.

    `categories` go from the department down. `main_seller` is False for goods of the Seller's own third parties.
    """

    id: str
    product_id: str
    name: str
    product_name: str = ""
    description: str = ""
    is_active: bool
    is_product_active: bool = True
    sales_channels: list[int] = []
    main_seller: bool = True
    brand: Brand | None = None
    categories: list[Category] = []
    images: list[Image] = []
    specifications: list[Specification] = []
    dimensions: Dimensions = Dimensions()
    ean: str | None = None
    ref_id: str | None = None
    measurement_unit: str | None = None
    unit_multiplier: float | None = None
    is_kit: bool = False
    link_id: str | None = None
    keywords: str | None = None

    @property
    def needs_product(self) -> bool:
        """Whether the SKU read did not say if the product is active: only a product read tells. Source: contract A3."""
        return "is_product_active" not in self.model_fields_set


class ProductData(Model):
    """What a Seller's catalog says about a product. Source: contract A3."""

    id: str
    name: str = ""
    is_active: bool
    title: str | None = None
    description: str = ""
    keywords: str | None = None
    link_id: str | None = None
    ref_id: str | None = None
    """The product's own; a SKU has another."""


class Terms(Model):
    """What a Seller's simulation of one unit says. Prices in cents; None where the Seller gave none.

    `stock` is None when the Seller sells the SKU but did not say how many it has. Source: contract A5.
    """

    listed: bool = True
    """Whether the simulation knew the SKU at all."""
    availability: str
    price: int | None = None
    list_price: int | None = None
    stock: int | None = None
    slas: list[Sla] = []


class Offer(Model):
    """One SKU of one Seller as the marketplace knows it. `version` counts changes."""

    seller: str
    id: SkuId
    product_id: str | None = None
    decision: Decision | None = None
    """None while nothing was decided: the SKU has been blocked or failing since it was first heard of."""
    decided_by: DecidedBy | None = None
    blocks: list[Problem] = []
    objections: list[Problem] = []
    """Why the policy excluded it: all of it at once."""
    failed: bool = False
    data: SkuData | None = None
    price: int | None = None
    list_price: int | None = None
    stock: int | None = 0
    availability: str | None = None
    slas: list[Sla] = []
    last_synced_at: AwareDatetime | None = None
    """When the Seller was last read successfully."""
    last_error: Problem | None = None
    attempts: Annotated[int, Field(ge=0)] = 0
    """Failed tries since the last success."""
    changed_at: AwareDatetime | None = None
    """When a reading last differed from the one before."""
    version: int = 0

    @model_validator(mode="before")
    @classmethod
    def _computes_its_status(cls, value: Any) -> Any:
        # An offer is written with its status, and must be readable where it arrives.
        return {key: one for key, one in value.items() if key != "status"} if isinstance(value, dict) else value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> OfferStatus:
        if self.decision is Decision.EXCLUDED and self.decided_by is DecidedBy.OPERATOR:
            return OfferStatus.EXCLUDED  # whether it can be read matters to nobody then
        if self.failed:
            return OfferStatus.FAILED
        if self.decision is Decision.EXCLUDED:
            return OfferStatus.EXCLUDED
        if self.blocks or self.decision is None:
            return OfferStatus.BLOCKED
        return OfferStatus.PENDING if self.decision is Decision.PENDING else OfferStatus.LISTED

    @property
    def sold(self) -> bool:
        """Whether the marketplace sells this SKU, blocked at the moment or not."""
        return self.decision is Decision.INCLUDED


class ChangeNotice(Model):
    """A Seller's word that something about a SKU changed: a hint to read it again. Source: contract A1.

    Flags are None where the notice did not say. `noticed_at` is when the API took the oldest of what was merged; None
    where nobody waits for it to be read.
    """

    data_changed: bool | None = None
    price_changed: bool | None = None
    stock_changed: bool | None = None
    is_active: bool | None = None
    removed: bool | None = None
    product_id: str | None = None
    # Left out when not set, so that a worker which does not know it can still read a notice of the engine's own.
    noticed_at: Annotated[AwareDatetime | None, Field(exclude_if=lambda value: value is None)] = None

    @property
    def terms_only(self) -> bool:
        """Whether price or stock is all that is said to have changed."""
        told = bool(self.price_changed or self.stock_changed)
        return told and not self.data_changed and self.is_active is not False and not self.removed

    def merged(self, other: "ChangeNotice") -> "ChangeNotice":
        """Both notices in one: whatever either asks to read."""
        return ChangeNotice(
            data_changed=self.data_changed or other.data_changed or not (self.terms_only and other.terms_only),
            price_changed=self.price_changed or other.price_changed,
            stock_changed=self.stock_changed or other.stock_changed,
            is_active=other.is_active if other.is_active is not None else self.is_active,
            removed=other.removed if other.removed is not None else self.removed,
            product_id=other.product_id or self.product_id,
            noticed_at=min(filter(None, (self.noticed_at, other.noticed_at)), default=None),
        )


def with_product(sku: SkuData, product: ProductData) -> SkuData:
    """A SKU with what its product says: whether that is active, its link, and texts that the SKU read left out."""
    return sku.model_copy(
        update={
            "is_product_active": product.is_active,
            "product_name": sku.product_name or product.name,
            "description": sku.description or product.description,
            "link_id": product.link_id or sku.link_id,
            "keywords": sku.keywords or product.keywords,
        }
    )


def blocks_of(data: SkuData, sales_channel: int, notice: ChangeNotice | None = None) -> list[Problem]:
    """Everything in a Seller's catalog that forbids to sell a SKU. `notice` words the cause, the data decides."""
    found = []
    if not data.is_active:
        found.append(Problem(code=ProblemCode.SKU_INACTIVE, message="the SKU is inactive at the Seller: activate it"))
    if not data.is_product_active:
        text = "the product is inactive at the Seller: activate it"
        found.append(Problem(code=ProblemCode.PRODUCT_INACTIVE, message=text))
    if sales_channel not in data.sales_channels:
        code, text = ProblemCode.OUTSIDE_SALES_CHANNEL, f"the SKU is not in trade policy {sales_channel}: assign it"
        if notice is not None and notice.removed:
            code, text = ProblemCode.REMOVED_FROM_AFFILIATE, f"the SKU was taken out of trade policy {sales_channel}"
        found.append(Problem(code=code, message=text))
    if not data.main_seller:
        text = "the SKU belongs to a third party of the Seller: only its own goods are sold here"
        found.append(Problem(code=ProblemCode.FOREIGN_SELLER, message=text))
    return found
