"""What an order's history tells the Seller's people, in VTEX's log vocabulary. Pure. Source: contract section D."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from marketplace.journal import Direction, JournalEntry, JournalStatus, Operation
from marketplace.orders import HistoryEntry, Order, OrderStatus

_Kind = tuple[Operation, Direction, JournalStatus]

_DONE: _Kind = (Operation.ORDER_STATUS, Direction.TO_SELLER, JournalStatus.SUCCESS)
_REFUSED: _Kind = (Operation.ORDER_STATUS, Direction.TO_SELLER, JournalStatus.ERROR)
_UNDECIDED: _Kind = (Operation.ORDER_STATUS, Direction.TO_SELLER, JournalStatus.PENDING)
_HEARD: _Kind = (Operation.ORDER_STATUS, Direction.FROM_SELLER, JournalStatus.SUCCESS)
_ASTONISHING: _Kind = (Operation.ORDER_STATUS, Direction.FROM_SELLER, JournalStatus.WARNING)
_INVOICE: _Kind = (Operation.INVOICE, Direction.FROM_SELLER, JournalStatus.SUCCESS)
_TRACKING: _Kind = (Operation.TRACKING, Direction.FROM_SELLER, JournalStatus.SUCCESS)

# How the lines begin that tell of an exchange with the Seller. The others are between marketplace and engine.
_BEGINNINGS: dict[str, _Kind] = {
    "the Seller's simulation agrees": _DONE,
    "placed at the Seller": _DONE,
    "not placed: ": _REFUSED,
    "dispatch authorized": _DONE,
    "needs attention: ": _REFUSED,
    "canceled at the Seller": _DONE,
    "the Seller is deciding": _UNDECIDED,
    "the Seller is waited for": _UNDECIDED,
    "the Seller refuses to cancel": _REFUSED,
    "the Seller does not have the order": _DONE,
    "the Seller goes on with the order": _ASTONISHING,
    "the Seller canceled": _ASTONISHING,
    "the Seller dispatches": _HEARD,
    "found canceled at the Seller": _HEARD,
    "canceled by the Seller": _HEARD,
    "invoice ": _INVOICE,
    "return invoice ": _INVOICE,
    "tracking of invoice ": _TRACKING,
    "package of invoice ": _TRACKING,
}


def order_entries(order: Order, after: int = 0) -> Iterator[JournalEntry]:
    """The entries of an order's history from the line with this index on; the same line always gives the same entry."""
    for index, line in enumerate(order.history[after:], start=after):
        kind = _kind(line)
        if kind is not None:
            operation, direction, status = kind
            yield JournalEntry(
                id=_entry_id(order, index),
                at=line.at + timedelta(microseconds=index),  # lines of one moment are read in their order
                seller=order.seller,
                operation=operation,
                direction=direction,
                subject=order.marketplace_order_id,
                status=status,
                business_message=line.detail,
                content_translated=line.status,
            )


def _kind(line: HistoryEntry) -> _Kind | None:
    known = next((kind for text, kind in _BEGINNINGS.items() if line.detail.startswith(text)), None)
    return _REFUSED if known is None and line.status is OrderStatus.REJECTED else known


def _entry_id(order: Order, index: int) -> str:
    line = order.history[index]
    text = f"{order.seller} {order.marketplace_order_id} {index} {line.status} {line.detail}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
