"""What a reading of a SKU tells the Seller's people, in VTEX's log vocabulary. Pure. Source: contract section D."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from pydantic import AwareDatetime

from marketplace.catalog import ChangeNotice, Decision, Offer, Problem, ProblemCode
from marketplace.journal import Direction, JournalEntry, JournalStatus, MessageCode, Operation
from marketplace.money import as_text

_CODES = {
    ProblemCode.NOT_IN_SIMULATION: MessageCode.SKU_MISSING,
    ProblemCode.SKU_INACTIVE: MessageCode.SKU_INACTIVE,
    ProblemCode.PRODUCT_INACTIVE: MessageCode.SKU_INACTIVE,
    ProblemCode.OUTSIDE_SALES_CHANNEL: MessageCode.SKU_INACTIVE,
    ProblemCode.REMOVED_FROM_AFFILIATE: MessageCode.SKU_INACTIVE,
    ProblemCode.SKU_UNKNOWN: MessageCode.SKU_INACTIVE,
    ProblemCode.CATEGORY_NOT_ALLOWED: MessageCode.CATEGORY_UNMAPPED,
    ProblemCode.SELLER_UNAVAILABLE: MessageCode.TARGET_UNAVAILABLE,
    ProblemCode.SELLER_CREDENTIALS: MessageCode.TARGET_UNAVAILABLE,
    ProblemCode.INTERRUPTED: MessageCode.TARGET_UNAVAILABLE,
    ProblemCode.SELLER_NONSENSE: MessageCode.DATA_REJECTED,
    ProblemCode.SELLER_REFUSED: MessageCode.DATA_REJECTED_BY_TARGET,
}


def entries(
    before: Offer | None, after: Offer, at: AwareDatetime, notice: ChangeNotice | None = None
) -> list[JournalEntry]:
    """The entries of one reading: what changed, what stands against the offer, or that nothing changed.

    A reading that nobody asked for and that changed nothing gives none: a refresh would fill the journal with them.
    """
    found = list(_told(before, after))
    if not found and notice is not None:
        found = [(Operation.CATALOG_CHANGE, JournalStatus.SUCCESS, None, "read; nothing has changed")]
    said = notice.model_dump_json(exclude_none=True, exclude={"noticed_at"}) if notice is not None else None
    return [
        JournalEntry(
            id=_entry_id(after, operation),
            at=at + timedelta(microseconds=place),  # so that they are read in the order in which they are told
            seller=after.seller,
            operation=operation,
            direction=Direction.FROM_SELLER,
            subject=after.id,
            status=status,
            code=code,
            business_message=message,
            content_source=said,
            content_translated=_terms(after),
            content_destination=after.status,
        )
        for place, (operation, status, code, message) in enumerate(found)
    ]


_Told = tuple[Operation, JournalStatus, MessageCode | None, str]


def _told(before: Offer | None, after: Offer) -> Iterator[_Told]:
    known = before or Offer(seller=after.seller, id=after.id)
    if after.last_error is not None and (after.last_error, after.attempts) != (known.last_error, known.attempts):
        yield Operation.CATALOG_CHANGE, JournalStatus.ERROR, *_problem(after.last_error)
        return
    created = after.sold and not known.sold
    if created:
        yield Operation.OFFER_CREATION, JournalStatus.SUCCESS, MessageCode.CREATED, "the offer is sold here now"
    if after.objections and after.objections != known.objections:
        yield Operation.OFFER_CREATION, JournalStatus.ERROR, *_problems(after.objections)
    elif after.decision is Decision.PENDING and known.decision is not Decision.PENDING:
        yield Operation.OFFER_CREATION, JournalStatus.PENDING, None, "waits for the marketplace's decision"
    if after.blocks and after.blocks != known.blocks:
        yield Operation.CATALOG_CHANGE, JournalStatus.WARNING, *_problems(after.blocks)
    elif known.data is not None and after.data != known.data and not created:
        yield Operation.CATALOG_CHANGE, JournalStatus.SUCCESS, None, "name, category, images or other data changed"
    if not created and before is not None:
        if (after.price, after.list_price) != (known.price, known.list_price):
            text = f"price {_amount(known.price)} is now {_amount(after.price)}"
            yield Operation.PRICE_UPDATE, JournalStatus.SUCCESS, None, text
        if (after.stock, after.availability) != (known.stock, known.availability):
            text = f"stock {_units(known.stock)} is now {_units(after.stock)} ({after.availability or 'not read'})"
            yield Operation.STOCK_UPDATE, JournalStatus.SUCCESS, None, text


def _problem(problem: Problem) -> tuple[MessageCode | None, str]:
    return _CODES.get(problem.code), problem.message


def _problems(problems: list[Problem]) -> tuple[MessageCode | None, str]:
    code = next((_CODES[problem.code] for problem in problems if problem.code in _CODES), MessageCode.DATA_REJECTED)
    return code, "; ".join(problem.message for problem in problems)


def _terms(offer: Offer) -> str:
    return f"price {_amount(offer.price)}, list price {_amount(offer.list_price)}, stock {_units(offer.stock)}"


def _amount(cents: int | None) -> str:
    return "unknown" if cents is None else as_text(cents)


def _units(stock: int | None) -> str:
    return "not told" if stock is None else str(stock)


def _entry_id(offer: Offer, operation: Operation) -> str:
    # The same for a repeat of the same write, since the offer's version is part of it.
    text = f"{offer.seller} {offer.id} {offer.version} {operation}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
