"""Whether the marketplace includes a SKU that it does not sell yet: one small class a policy.

A policy is asked with what was read, answers with a decision, and names every objection at once, so that nobody has
to mend, wait and mend again. A new policy is one more class and its name in `policy_of`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from marketplace.catalog import Decision, Problem, ProblemCode, SkuData, Terms
from marketplace.errors import EngineError
from marketplace.money import as_text


class RulesInvalid(EngineError):  # noqa: N818 - it names what is the matter
    """A rule file cannot be read. The text is one line with the file, the field and the cure."""


class Verdict(BaseModel):
    """A policy's answer; `objections` say why a SKU is excluded, all of them."""

    model_config = ConfigDict(frozen=True)

    decision: Decision
    objections: list[Problem] = []


class InclusionPolicy(Protocol):
    """Decides about a SKU that can be sold: nothing at the Seller blocks it."""

    def decide(self, data: SkuData, terms: Terms) -> Verdict:
        """Say whether to include a SKU, by its data and what the Seller asks for it."""


class IncludeAll:
    """`all`: whatever the Seller offers is sold."""

    def decide(self, data: SkuData, terms: Terms) -> Verdict:  # noqa: ARG002
        return Verdict(decision=Decision.INCLUDED)


class Approval:
    """`approval`: new SKUs wait until somebody decides."""

    def decide(self, data: SkuData, terms: Terms) -> Verdict:  # noqa: ARG002
        return Verdict(decision=Decision.PENDING)


class Rules(BaseModel):
    """A rule file (TOML). Every field may be left out; what is left out allows everything. Prices in cents.

    `allowed_categories` and `denied_categories` hold category ids, and count for all categories below them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed_categories: list[str] = []
    denied_categories: list[str] = []
    allowed_brands: list[str] = []
    denied_brands: list[str] = []
    """Brand ids or names; names without regard to case."""
    minimum_stock: Annotated[int, Field(strict=True, ge=0)] = 0
    minimum_price: Annotated[int, Field(strict=True, ge=0)] = 0
    maximum_price: Annotated[int | None, Field(strict=True, ge=0)] = None
    otherwise: Literal["include", "approval"] = "include"
    """What becomes of a SKU to which nothing objects."""

    @model_validator(mode="after")
    def _is_a_range(self) -> "Rules":
        if self.maximum_price is not None and self.maximum_price < self.minimum_price:
            raise ValueError("maximum_price is below minimum_price")
        return self

    def decide(self, data: SkuData, terms: Terms) -> Verdict:
        """Check every rule, and name all that object."""
        objections = [
            problem
            for problem in (self._categories(data), self._brands(data), self._stock(terms), self._price(terms))
            if problem is not None
        ]
        if objections:
            return Verdict(decision=Decision.EXCLUDED, objections=objections)
        return Verdict(decision=Decision.INCLUDED if self.otherwise == "include" else Decision.PENDING)

    def _categories(self, data: SkuData) -> Problem | None:
        path = {category.id for category in data.categories}
        if path & set(self.denied_categories) or (self.allowed_categories and not path & set(self.allowed_categories)):
            told = " > ".join(category.name or category.id for category in data.categories) or "none"
            return Problem(code=ProblemCode.CATEGORY_NOT_ALLOWED, message=f"category not sold here: {told}")
        return None

    def _brands(self, data: SkuData) -> Problem | None:
        brand = {data.brand.id.lower(), data.brand.name.lower()} if data.brand else set[str]()
        denied = {name.lower() for name in self.denied_brands}
        allowed = {name.lower() for name in self.allowed_brands}
        if brand & denied or (allowed and not brand & allowed):
            told = (data.brand.name or data.brand.id) if data.brand else "none"
            return Problem(code=ProblemCode.BRAND_NOT_ALLOWED, message=f"brand not sold here: {told}")
        return None

    def _stock(self, terms: Terms) -> Problem | None:
        # A Seller that sells without telling its stock has at least the unit that was asked for.
        stock = 1 if terms.stock is None and terms.price is not None else terms.stock or 0
        if stock >= self.minimum_stock:
            return None
        text = f"stock of {stock} is below the minimum of {self.minimum_stock}"
        return Problem(code=ProblemCode.STOCK_TOO_LOW, message=text)

    def _price(self, terms: Terms) -> Problem | None:
        if terms.price is None:
            return Problem(code=ProblemCode.NO_PRICE, message="the Seller gave no price")
        if terms.price < self.minimum_price:
            text = f"price of {as_text(terms.price)} is below the minimum of {as_text(self.minimum_price)}"
        elif self.maximum_price is not None and terms.price > self.maximum_price:
            text = f"price of {as_text(terms.price)} is above the maximum of {as_text(self.maximum_price)}"
        else:
            return None
        return Problem(code=ProblemCode.PRICE_OUT_OF_RANGE, message=text)


def load_rules(path: Path) -> Rules:
    """Read a rule file. Raises RulesInvalid, in one line."""
    try:
        return Rules.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'rules'}: {one['msg']}" for one in error.errors())
        raise RulesInvalid(f"{path}: {found}") from None
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RulesInvalid(f"{path}: {' '.join(text.split())}") from None


def policy_of(assortment: str, rules: Path | None = None) -> InclusionPolicy:
    """The policy that a Seller's settings name: `all`, `approval`, or `rules` with a rule file. Raises RulesInvalid."""
    if assortment == "approval":
        return Approval()
    if assortment == "all":
        return IncludeAll()
    if rules is None:
        raise RulesInvalid('assortment = "rules" needs assortment_rules, the path of a rule file')
    return load_rules(rules)
