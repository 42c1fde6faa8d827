"""What is kept and what the journal tells of it are written together, or not at all."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from marketplace.catalog import Offer
from marketplace.journal import JournalEntry
from marketplace.store.base import OrderIdTaken, StoreUnavailable
from marketplace.store.database import Database
from marketplace.store.migrate import migrate
from marketplace.store.stores import Stores

from .samples import entry, offer, record


def dearer(_: str, known: Offer | None) -> Offer:
    return offer(7, price=(known.price or 0) + 100 if known else 100)


async def told(stores: Stores) -> list[str]:
    return [one.business_message or "" for one in (await stores.journal.page("acme")).entries]


async def test_an_order_is_told_with_its_record(stores: Stores) -> None:
    await stores.orders.save(record(), [entry("e-1", business_message="placed")])
    await stores.orders.save(record(), [entry("e-1", business_message="placed again")])
    assert await told(stores) == ["placed"]
    with pytest.raises(OrderIdTaken):
        await stores.orders.save(record(seller="other"), [entry("e-2", business_message="never")])
    assert await told(stores) == ["placed"]


async def test_a_change_tells_the_offer_before_and_after(stores: Stores) -> None:
    def tell(before: Offer | None, after: Offer) -> list[JournalEntry]:
        was = before.price if before else None
        return [entry(f"e-{after.price}", business_message=f"{was} is now {after.price}")]

    await stores.offers.change("acme", ["7"], dearer, tell)
    await stores.offers.change("acme", ["7"], dearer, tell)
    assert sorted(await told(stores)) == ["100 is now 200", "None is now 100"]


async def test_what_cannot_be_told_is_not_kept(database_url: str) -> None:
    await migrate(database_url)
    database = Database(database_url)
    stores = Stores(database)
    # Each database has its own word for a table that is not there.
    untold = (StoreUnavailable, ProgrammingError)
    async with database.transaction() as connection:
        await connection.execute(text("ALTER TABLE journal RENAME TO elsewhere"))
    with pytest.raises(untold):
        await stores.orders.save(record(), [entry("e-1")])
    with pytest.raises(untold):
        await stores.offers.change("acme", ["7"], dearer, lambda _, __: [entry("e-1")])
    assert await stores.orders.get("MKP-1") is None
    assert await stores.offers.get("acme", "7") is None
    await stores.aclose()
