"""Erasing an order's record with all that is told of it, on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from marketplace.journal import JournalEntry, Operation
from marketplace.orders import HistoryEntry, Order, OrderStatus, PaymentReport, PaymentStatus
from marketplace.settings import Settings
from marketplace.store.base import ERASED_VERSION, OrderIdTaken
from marketplace.store.stores import Stores, open_stores
from marketplace.webhooks import Attempt, Delivery, EventType

from .samples import AT, entry, record

WORD = "Quinzinho"
LATER = AT + timedelta(days=40)


def of_order(id_: str, subject: str = "MKP-1", **changes: Any) -> JournalEntry:
    return entry(id_, subject=subject, operation=Operation.INVOICE, business_message=WORD, **changes)


def event(id_: str, sequence: int = 1, order_id: str = "MKP-1") -> Delivery:
    return Delivery(
        id=id_,
        marketplace_order_id=order_id,
        seller="acme",
        sequence=sequence,
        type=EventType.STATUS_CHANGED,
        status=OrderStatus.CANCELED,
        occurred_at=AT,
        queued_at=AT,
    )


async def told(stores: Stores) -> set[str]:
    entries = (await stores.journal.page("acme")).entries + (await stores.journal.page("other")).entries
    deliveries = (await stores.webhooks.page()).deliveries
    return {one.id for one in entries} | {one.id for one in deliveries}


async def test_all_that_is_told_of_the_order_goes_and_nothing_else(stores: Stores) -> None:
    payment = PaymentReport(status=PaymentStatus.APPROVED, transaction_id=WORD)
    await stores.orders.save(
        record(payment=payment, event_ids=["e-1"]),
        [of_order("gone"), entry("of-a-sku", subject="MKP-1")],
        lambda _, __: [event("delivered", 2), event("owed", 4)],
    )
    await stores.webhooks.tried("delivered", Attempt(status=204), AT)
    await stores.orders.save(record("MKP-2"), [of_order("of-another", "MKP-2")], lambda _, __: [event("x", 2, "MKP-2")])
    await stores.webhooks.tried("x", Attempt(status=204), AT)
    await stores.journal.append([of_order("of-another-seller", seller="other")])

    erased = await stores.orders.erase("MKP-1", LATER)

    assert erased == await stores.orders.get("MKP-1")
    assert erased is not None
    assert (erased.digest, erased.event_ids, erased.version) == ("erased", [], ERASED_VERSION)
    assert erased.payment == payment.model_copy(update={"transaction_id": "erased"})
    assert [line.detail for line in erased.order.history] == ["erased", "the customer's data was erased"]
    assert (erased.created_at, erased.updated_at) == (AT, LATER)
    assert await told(stores) == {"of-a-sku", "owed", "of-another", "x", "of-another-seller"}
    other = await stores.orders.get("MKP-2")
    assert other == record("MKP-2")


async def test_a_second_time_changes_nothing_but_takes_what_came_in_between(stores: Stores) -> None:
    await stores.orders.save(record())
    first = await stores.orders.erase("MKP-1", LATER)
    await stores.journal.append([of_order("late")])

    assert await stores.orders.erase("MKP-1", LATER + timedelta(days=1)) == first
    assert await told(stores) == set()


@pytest.mark.parametrize("version", [1, 2, 2**52])
async def test_no_late_write_brings_anything_back(stores: Stores, version: int) -> None:
    await stores.orders.save(record())
    erased = await stores.orders.erase("MKP-1", LATER)

    def tell(_before: Order | None, _after: Order) -> list[Delivery]:
        return [event("late-event")]

    assert not await stores.orders.save(record(version=version), [of_order("late")], tell)
    assert await stores.orders.get("MKP-1") == erased
    assert await told(stores) == set()


async def test_the_id_stays_taken(stores: Stores) -> None:
    await stores.orders.save(record())
    await stores.orders.erase("MKP-1", LATER)
    with pytest.raises(OrderIdTaken):
        await stores.orders.save(record(seller="other"))


async def test_an_unknown_order_is_none(stores: Stores) -> None:
    assert await stores.orders.erase("MKP-404", datetime.now(UTC)) is None


async def test_a_sqlite_file_forgets_what_stood_in_it(tmp_path: Path) -> None:
    stores = await open_stores(Settings(data_dir=tmp_path))
    for version in range(1, 9):
        one = record(version=version)
        # Long enough for pages of its own, which each write gives back.
        lines = [HistoryEntry(at=AT, status=OrderStatus.CANCELED, detail=f"{WORD} {version}") for _ in range(40)]
        order = one.order.model_copy(update={"history": lines})
        await stores.orders.save(one.model_copy(update={"order": order}), [of_order(f"e-{version}")])

    def found() -> int:
        return sum(file.read_bytes().count(WORD.encode()) for file in tmp_path.glob("orders.sqlite3*"))

    assert found() > 0
    await stores.orders.erase("MKP-1", LATER)
    assert found() == 0
    await stores.aclose()
