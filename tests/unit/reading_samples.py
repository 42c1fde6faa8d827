"""Readings and failures, as the tests of what follows from them need them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from marketplace.assortment import IncludeAll, InclusionPolicy
from marketplace.catalog import Offer, Problem, ProblemCode, SkuData, Terms
from marketplace.checkout import Sla
from marketplace.readings import Failure, Reading, fail, read

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
INACTIVE = Problem(code=ProblemCode.SKU_INACTIVE, message="inactive")
AWAY = Problem(code=ProblemCode.SELLER_UNAVAILABLE, message="HTTP 503")
SLA = Sla(id="Standard", name="Standard", price=1490)
ALL = IncludeAll()


def at(minute: int) -> datetime:
    return AT + timedelta(minutes=minute)


def data(name: str = "Mug", **changes: Any) -> SkuData:
    return SkuData(**{"id": "7", "product_id": "1", "name": name, "is_active": True, **changes})


def terms(**changes: Any) -> Terms:
    return Terms(**{"availability": "available", "price": 9990, "stock": 5, "slas": [SLA], **changes})


def reading(minute: int = 0, **changes: Any) -> Reading:
    """A reading of data and terms, unless said otherwise."""
    told = {"data": data(), "terms": terms(), **changes}
    return Reading(seller="acme", id="7", began_at=at(minute), **told)


def blocked(minute: int) -> Reading:
    return reading(minute, data=data(is_active=False), terms=None, blocks=[INACTIVE])


def failure(minute: int = 0, *, final: bool = False) -> Failure:
    return Failure(seller="acme", id="7", at=at(minute), problem=AWAY, final=final)


def after(*events: Reading | Failure, offer: Offer | None = None, policy: InclusionPolicy = ALL) -> Offer:
    """An offer after all of these, in this order."""
    for event in events:
        offer = read(offer, event, policy) if isinstance(event, Reading) else fail(offer, event)
    assert offer is not None
    return offer
