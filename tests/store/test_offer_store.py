"""How offers are read and changed in their store, on both databases."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.catalog import Offer, Problem, ProblemCode
from marketplace.store.database import Database
from marketplace.store.offers import SqlOfferStore
from marketplace.store.tables import offers as table

from .samples import offer, one_more, put


async def test_an_offer_comes_back_as_it_was_written(offers: SqlOfferStore) -> None:
    full = offer(
        7,
        blocks=[Problem(code=ProblemCode.NOT_IN_SIMULATION, message="fehlt – 日本")],
        stock=None,
        last_error=Problem(code=ProblemCode.SELLER_UNAVAILABLE, message="HTTP 503"),
        attempts=3,
        version=9,
    )
    bare = Offer(seller="acme", id="2147483647")
    await put(offers, full, bare)

    assert await offers.get("acme", "7") == full
    assert await offers.get("acme", "2147483647") == bare
    assert await offers.get("acme", "8") is None
    assert await offers.get("other", "7") is None
    assert await offers.get_many("acme", ["8", "2147483647", "7"]) == {"7": full, "2147483647": bare}


async def test_a_change_is_given_what_is_known_and_answers_in_the_order_of_the_ids(offers: SqlOfferStore) -> None:
    await put(offers, offer(2), offer(10))
    given: list[tuple[str, Offer | None]] = []

    def change(sku_id: str, known: Offer | None) -> Offer:
        given.append((sku_id, known))
        return one_more(sku_id, known)

    changed = await offers.change("acme", ["10", "3", "2", "10"], change)

    assert given == [("10", offer(10)), ("3", None), ("2", offer(2))]
    assert [(one.id, one.stock) for one in changed] == [("10", 6), ("3", 1), ("2", 6)]
    assert [await offers.get("acme", one.id) for one in changed] == changed


async def test_an_offer_that_is_returned_as_given_is_not_written(offers: SqlOfferStore, migrated_url: str) -> None:
    await put(offers, offer(1), offer(2))
    engine = create_async_engine(migrated_url)
    async with engine.begin() as connection:
        await connection.execute(table.update().values(version=99))

    def change(_: str, known: Offer | None) -> Offer:
        assert known is not None
        return known if known.id == "1" else known.model_copy(update={"stock": 1})

    await offers.change("acme", ["1", "2"], change)

    async with engine.begin() as connection:
        versions = (await connection.execute(table.select().order_by(table.c.sku_id))).all()
    await engine.dispose()
    assert [row.version for row in versions] == [99, 0]


async def test_a_change_that_fails_changes_nothing(offers: SqlOfferStore) -> None:
    def change(sku_id: str, known: Offer | None) -> Offer:
        if sku_id == "3":
            raise ZeroDivisionError
        return one_more(sku_id, known)

    with pytest.raises(ZeroDivisionError):
        await offers.change("acme", ["1", "2", "3"], change)
    assert (await offers.page("acme")).offers == []
    await offers.change("acme", ["1"], one_more)
    assert [one.id for one in (await offers.page("acme")).offers] == ["1"]


@pytest.mark.parametrize("wrong", [offer(8), offer(7, seller="other")])
async def test_a_change_may_not_turn_an_offer_into_another(offers: SqlOfferStore, wrong: Offer) -> None:
    with pytest.raises(ValueError, match="another Seller or id"):
        await offers.change("acme", ["7"], lambda _, __: wrong)


async def test_nothing_is_changed_where_nothing_is_asked_for(offers: SqlOfferStore) -> None:
    assert await offers.change("acme", [], one_more) == []


async def test_sellers_may_have_the_same_ids(offers: SqlOfferStore) -> None:
    await put(offers, offer(7), offer(7, seller="other", stock=1))
    await offers.change("other", ["7"], one_more)

    mine, other = await offers.get("acme", "7"), await offers.get("other", "7")
    assert mine is not None
    assert other is not None
    assert (mine.stock, other.stock) == (5, 2)


@pytest.mark.parametrize("known", [0, 6])
async def test_of_changes_at_once_in_several_processes_none_is_lost(
    offers: SqlOfferStore, migrated_url: str, known: int
) -> None:
    await put(offers, *(offer(number, stock=0, version=0) for number in range(known)))
    database = Database(migrated_url)
    other = SqlOfferStore(database)
    # All ids overlap, each time in another order: whoever locks them carelessly waits for ever.
    orders = [[str(number) for number in (0, 1, 2, 3, 4, 5)], ["5", "4", "3", "2", "1"], ["3", "0", "5"]]
    changes = [(offers, other)[n % 2].change("acme", orders[n % 3], one_more) for n in range(18)]
    await asyncio.gather(*changes)
    await database.aclose()

    found = (await offers.page("acme")).offers
    assert {one.id: one.stock for one in found} == {"0": 12, "1": 12, "2": 12, "3": 18, "4": 12, "5": 18}
    assert all(one.version == one.stock for one in found)


async def test_a_change_builds_on_what_another_one_has_written_meanwhile(
    offers: SqlOfferStore, migrated_url: str
) -> None:
    await put(offers, offer(1), offer(3))
    engine = create_async_engine(migrated_url)
    async with engine.begin() as connection:
        # As another process, in the midst of its own change: it has written, and not committed.
        old = offer(1).model_dump_json()
        await connection.execute(
            table.update().where(table.c.sku_id == 1).values(offer=old.replace('"stock":5', '"stock":50'))
        )
        await connection.execute(
            table.insert(),
            {
                "seller": "acme",
                "sku_id": 2,
                "status": "listed",
                "sold": True,
                "version": 1,
                "last_synced_at": 0,
                "changed_at": 0,
                "offer": offer(2, stock=70).model_dump_json(),
            },
        )
        waiting = [asyncio.create_task(offers.change("acme", ids, one_more)) for ids in (["3", "1"], ["2"])]
        done, _ = await asyncio.wait(waiting, timeout=0.3)
        assert not done
        # The change that waits for 1 must not hold 3 already: each would wait for the other.
        await connection.execute(table.update().where(table.c.sku_id == 3).values(version=1))
    await engine.dispose()

    assert [[one.stock for one in await task] for task in waiting] == [[6, 51], [71]]
