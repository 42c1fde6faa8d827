"""How an offer changes: by a reading of its Seller, by a failure to read it, by an operator's decision. Pure.

A reading carries the time at which it began. An older one never overwrites a newer one: the last word is what the
Seller says now, in whatever order notices and answers arrived.
"""

from pydantic import AwareDatetime

from marketplace.assortment import InclusionPolicy
from marketplace.catalog import DecidedBy, Decision, Offer, Problem, ProblemCode, SkuData, Terms
from marketplace.checkout import AVAILABLE
from marketplace.orders import Model


class Reading(Model):
    """What a Seller said about one SKU. `data` is None when only its terms were read, `terms` when it is blocked."""

    seller: str
    id: str
    began_at: AwareDatetime
    data: SkuData | None = None
    terms: Terms | None = None
    blocks: list[Problem] = []


class Failure(Model):
    """A SKU that could not be read, after so many `tries`: 0 when what failed says nothing about the SKU.

    `final`: it is given up, until a refresh or somebody drives it anew.
    """

    seller: str
    id: str
    at: AwareDatetime
    problem: Problem
    tries: int = 1
    final: bool = False


def read(offer: Offer | None, reading: Reading, policy: InclusionPolicy) -> Offer:
    """The offer after a reading; the very same object when the reading is older than what is known."""
    known = offer or Offer(seller=reading.seller, id=reading.id)
    if known.last_synced_at is not None and known.last_synced_at >= reading.began_at:
        return known
    data, terms, blocks = reading.data or known.data, reading.terms, _standing_blocks(known, reading)
    if terms is not None and not terms.listed:
        text = "the Seller's simulation does not know the SKU: check its price, stock and trade policy"
        blocks.append(Problem(code=ProblemCode.NOT_IN_SIMULATION, message=text))
    priced = terms is not None and terms.price is not None and terms.availability == AVAILABLE
    sellable = priced and data is not None and not blocks
    told: dict[str, object] = {
        "data": data,
        "product_id": data.product_id if data else known.product_id,
        "blocks": blocks,
        "availability": terms.availability if terms else None,
        "stock": terms.stock if terms and sellable else 0,
        # What it cost last is kept for people to see; nothing is sold by it, since the stock is 0.
        "price": terms.price if terms and terms.price is not None else known.price,
        "list_price": terms.list_price if terms and terms.list_price is not None else known.list_price,
        "slas": terms.slas if terms and sellable else [],
    }
    if not blocks and data is not None and terms is not None and _open(known):
        verdict = policy.decide(data, terms)
        told |= {
            "decision": verdict.decision,
            "decided_by": DecidedBy.POLICY,
            "objections": verdict.objections,
        }
    settled: dict[str, object] = {
        "failed": False,
        "last_synced_at": reading.began_at,
        "last_error": None,
        "attempts": 0,
        "version": known.version + 1,
    }
    if offer is None or any(getattr(known, name) != value for name, value in told.items()):
        settled["changed_at"] = reading.began_at
    return known.model_copy(update=told | settled)


def _standing_blocks(known: Offer, reading: Reading) -> list[Problem]:
    """What the reading found, and what it did not look at: price and stock alone lift nothing the data forbids."""
    terms_only = reading.data is None and reading.terms is not None
    kept = [
        block
        for block in known.blocks
        if terms_only and block.code is not ProblemCode.NOT_IN_SIMULATION and block not in reading.blocks
    ]
    return [*kept, *reading.blocks]


def _open(offer: Offer) -> bool:
    """Whether the policy has a say. What is sold stays sold, and an operator's word stands."""
    return offer.decided_by is not DecidedBy.OPERATOR and offer.decision is not Decision.INCLUDED


def fail(offer: Offer | None, failure: Failure) -> Offer:
    """The offer after a failed try; the very same object when it was read successfully since."""
    known = offer or Offer(seller=failure.seller, id=failure.id)
    if known.last_synced_at is not None and known.last_synced_at >= failure.at:
        return known
    return known.model_copy(
        update={
            "failed": known.failed or failure.final,
            "last_error": failure.problem,
            "attempts": known.attempts + failure.tries,
            "version": known.version + 1,
        }
    )


def decide(offer: Offer, *, include: bool) -> Offer:
    """The offer after an operator's decision; the very same object when it was decided so before."""
    decision = Decision.INCLUDED if include else Decision.EXCLUDED
    if (offer.decision, offer.decided_by) == (decision, DecidedBy.OPERATOR):
        return offer
    text = "an operator decided not to sell it"
    objections = [] if include else [Problem(code=ProblemCode.DECIDED_BY_OPERATOR, message=text)]
    return offer.model_copy(
        update={
            "decision": decision,
            "decided_by": DecidedBy.OPERATOR,
            "objections": objections,
            "version": offer.version + 1,
        }
    )
