"""Changes of the catalog: of one SKU and its product, of many at random, and of the living catalog."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.base import Model
from sandbox.catalog import PRODUCT_FIELDS, Catalog, Dimension, Sku, SkuChange
from sandbox.catalog_data import product_name
from sandbox.config import Settings
from sandbox.notice_bodies import Flags, flags_of
from sandbox.notices import Notices
from sandbox.slas import AnySla, Cents

ChangeKind = Literal["price", "stock", "data", "active"]

_LOWEST, _HIGHEST = 500, 500_000
_MOST_QUEUED = 10_000
_SHORTEST_STEP, _LONGEST_STEP = 0.01, 0.5
_LOOKS = ("blue", "sand", "grey", "moss", "rust", "white")


class SkuUpdate(Model):
    """What to change about a SKU; the rest stays. A new SKU needs `name` and `price`.

    Null is as if never given where the SKU may do without, such as `listPrice`; catalog data is made up then.
    """

    name: str | None = None
    price: Cents | None = None
    list_price: Cents | None = None
    stock: Annotated[int, Field(ge=0)] | None = None
    active: bool | None = None
    slas: list[AnySla] | None = None
    measurement_unit: str | None = None
    unit_multiplier: float | None = None
    availability: str | None = None
    sales_channels: list[int] | None = None
    images: list[str] | None = None
    specifications: dict[str, list[str]] | None = None
    dimension: Dimension | None = None
    ean: str | None = None
    ref_id: str | None = None
    is_kit: bool | None = None
    product_id: int | None = None
    product_active: bool | None = None
    product_name: str | None = None
    product_specifications: dict[str, list[str]] | None = None
    description: str | None = None
    brand_id: int | None = None
    brand_name: str | None = None
    categories: dict[str, str] | None = None


class Changes:
    """Changes SKUs and has the marketplace told."""

    def __init__(self, catalog: Catalog, notices: Notices, settings: Callable[[], Settings]) -> None:
        self._catalog = catalog
        self._notices = notices
        self._settings = settings
        self._life: asyncio.Task[None] | None = None

    def apply(self, sku_id: str, update: SkuUpdate) -> list[SkuChange]:
        """Change a SKU or add it; what is its product's is changed for all the product's SKUs.

        Answers the changes, the SKU's own first. Raises pydantic's ValidationError.
        """
        known = self._catalog.get(sku_id)
        fields = {key: getattr(update, key) for key in update.model_fields_set}
        before: dict[str, Any] = known.model_dump(by_alias=False) if known else {"id": sku_id}
        sku = Sku.model_validate(before | fields)
        siblings = [one for one in self._catalog.of_product(sku.product) if one.id != sku_id]
        if siblings:
            # The product is what its other SKUs say it is, also for a SKU that joins it or gets another name.
            own = {key: getattr(siblings[0], key) for key in PRODUCT_FIELDS - fields.keys()}
            own["product_name"] = fields.get("product_name") or product_name(siblings[0])
            sku = sku.model_copy(update=own)
        shared = {key: getattr(sku, key) for key in PRODUCT_FIELDS & fields.keys()}
        changes = [self._catalog.put(sku)]
        return changes + [self._catalog.edit(sibling.id, **shared) for sibling in siblings if shared]

    def withdraw(self, sku_id: str) -> SkuChange:
        """Take a known SKU out of the integration's trade policy, which is how it leaves the affiliate."""
        sku = self._catalog.get(sku_id)
        assert sku is not None
        channels = [one for one in self._catalog.channels_of(sku) if one != self._catalog.channel]
        return self._catalog.edit(sku_id, sales_channels=channels)

    def change_random(self, count: int, kinds: list[ChangeKind], seed: int | None) -> list[SkuChange]:
        """Change so many different SKUs of the trade policy, each in one of these ways."""
        chance = random.Random(seed)  # noqa: S311 - no secret is made of it
        ids = self._catalog.listed(self._catalog.channel)
        chosen = chance.sample(ids, min(count, len(ids)))
        return [self._change(str(sku_id), chance.choice(kinds), chance) for sku_id in chosen]

    def told_of(self, changes: list[SkuChange]) -> list[tuple[Sku, Flags]]:
        """The SKUs that the marketplace is to be told of, and what to say."""
        channel = self._catalog.channel
        return [(change.after, flags) for change in changes if (flags := flags_of(change, channel)) is not None]

    def announce(self, changes: list[SkuChange]) -> int:
        """Queue the notices of these changes; answers how many there are."""
        told = self.told_of(changes)
        for sku, flags in told:
            self._notices.announce(sku, flags)
        return len(told)

    # --- the living catalog ---

    def resume(self) -> None:
        """Follow the switch of the living catalog."""
        if self._settings().living_catalog and (self._life is None or self._life.done()):
            self._life = asyncio.create_task(self._live())

    async def stop(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)

    async def _live(self) -> None:
        chance = random.Random()  # noqa: S311 - no secret is made of it
        due, since = 0.0, time.monotonic()
        while (settings := self._settings()).living_catalog:
            # In short steps, so that another rate is noticed soon.
            await asyncio.sleep(min(_LONGEST_STEP, max(_SHORTEST_STEP, 1 / settings.living_rate)))
            at = time.monotonic()
            due += (at - since) * settings.living_rate
            since = at
            while due >= 1:
                due -= 1
                # A marketplace that does not answer must not fill the memory with notices.
                if self._catalog.ids() and self._notices.summary().queued < _MOST_QUEUED:
                    sku_id = chance.choice(self._catalog.ids())
                    if sku_id not in settings.living_except:
                        self.announce([self._change(sku_id, _kind(chance, settings), chance)])

    def _change(self, sku_id: str, kind: ChangeKind, chance: random.Random) -> SkuChange:
        sku = self._catalog.get(sku_id)
        assert sku is not None
        if kind == "active" or not sku.active:
            return self._catalog.edit(sku_id, active=not sku.active)
        if kind == "data":
            look = chance.choice([one for one in _LOOKS if not sku.name.endswith(one)])
            return self._catalog.edit(sku_id, name=f"{sku.name.rpartition(', ')[0] or sku.name}, {look}")
        if kind == "stock":
            return self._catalog.edit(sku_id, stock=_other(chance, 0, 200, sku.stock))
        price = min(_HIGHEST, max(_LOWEST, round(sku.price * chance.uniform(0.9, 1.1))))
        price = price if price != sku.price else _other(chance, _LOWEST, _LOWEST * 2, price)
        return self._catalog.edit(sku_id, price=price, list_price=max(price, sku.list_price or 0))


def _kind(chance: random.Random, settings: Settings) -> ChangeKind:
    drawn = chance.uniform(0, 100)
    if drawn < settings.living_active_percent:
        return "active"
    if drawn < settings.living_active_percent + settings.living_data_percent:
        return "data"
    return chance.choice(("price", "stock"))


def _other(chance: random.Random, low: int, high: int, than: int) -> int:
    """A number between the bounds, both included, that is another one."""
    drawn = chance.randint(low, high)
    return drawn if drawn != than else drawn + (1 if drawn < high else -1)
