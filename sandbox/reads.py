"""What the marketplace has read of each SKU, and whether that is what the SKU looks like now.

A SKU has two versions: of its data, which the SKU read tells, and of its offer, which the simulation tells. A read
counts once its answer has been sent whole; a call counts when it arrives, whatever becomes of it, unless the account
is down or its rate limit is reached.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sandbox.base import Model, now
from sandbox.catalog import Sku, SkuChange

ReadRoute = Literal["sku", "simulate"]

OFFER_FIELDS = frozenset({"price", "list_price", "stock", "reserved", "slas", "availability"})
"""Fields that only a simulation shows; all others are data."""
_BOTH = frozenset({"id", "active", "product_active", "sales_channels", "measurement_unit", "unit_multiplier"})


class LastRead(Model):
    """The last whole answer of a route: its time, the version and the values that it told."""

    at: datetime
    version: int
    values: dict[str, Any]


class SkuReads(Model):
    """The reads of one SKU.

    `upToDate`: what was read last, of the routes that were read at all, is what the SKU looks like now.
    """

    sku_id: str
    calls: dict[str, int]
    reads: dict[str, int]
    data_version: int
    offer_version: int
    data: LastRead | None
    offer: LastRead | None
    up_to_date: bool


@dataclass(frozen=True)
class Reading:
    """What an answer tells of one SKU."""

    route: ReadRoute
    sku: Sku
    version: int


@dataclass
class _Row:
    count: int = 0
    at: datetime | None = None
    last: Reading | None = None


class ReadBook:
    """Counts calls and reads by SKU."""

    def __init__(self) -> None:
        self._versions: dict[tuple[ReadRoute, str], int] = {}
        self._rows: dict[tuple[ReadRoute, str], _Row] = {}
        self._calls: dict[str, Counter[str]] = {}

    def reset(self) -> None:
        """Forget all calls and reads, and count versions from 1."""
        self.clear()
        self._versions.clear()

    def clear(self) -> None:
        """Forget all calls and reads."""
        self._rows.clear()
        self._calls.clear()

    def changed(self, change: SkuChange) -> None:
        """Raise the versions that a change touches."""
        if change.fields & _BOTH or change.fields - OFFER_FIELDS:
            self._raise("sku", change.after.id)
        if change.fields & (_BOTH | OFFER_FIELDS):
            self._raise("simulate", change.after.id)

    def called(self, route: str, sku_ids: Iterable[str]) -> None:
        """Count a call that names these SKUs."""
        for sku_id in sku_ids:
            self._calls.setdefault(sku_id, Counter())[route] += 1

    def reading(self, route: ReadRoute, sku: Sku) -> Reading:
        """What an answer made now tells."""
        return Reading(route, sku, self._versions.get((route, sku.id), 1))

    def record(self, readings: Iterable[Reading]) -> None:
        """Count reads whose answer has been sent."""
        for reading in readings:
            row = self._rows.setdefault((reading.route, reading.sku.id), _Row())
            row.count += 1
            row.at, row.last = now(), reading

    def ids(self) -> list[str]:
        """The SKUs that were asked for, in the order of their first call."""
        return list(self._calls)

    def show(self, sku_id: str) -> SkuReads:
        """The reads of a SKU; none for one that was never asked for."""
        data, offer = self._last("sku", sku_id), self._last("simulate", sku_id)
        versions = self._versions.get(("sku", sku_id), 1), self._versions.get(("simulate", sku_id), 1)
        counts = {route: row.count for route in ("sku", "simulate") if (row := self._rows.get((route, sku_id)))}
        return SkuReads(
            sku_id=sku_id,
            calls=dict(self._calls.get(sku_id, {})),
            reads={str(route): count for route, count in counts.items()},
            data_version=versions[0],
            offer_version=versions[1],
            data=data,
            offer=offer,
            up_to_date=(data or offer) is not None
            and all(
                last is None or last.version == version for last, version in zip((data, offer), versions, strict=True)
            ),
        )

    def _raise(self, route: ReadRoute, sku_id: str) -> None:
        self._versions[route, sku_id] = self._versions.get((route, sku_id), 1) + 1

    def _last(self, route: ReadRoute, sku_id: str) -> LastRead | None:
        row = self._rows.get((route, sku_id))
        if row is None or row.last is None or row.at is None:
            return None
        sku = row.last.sku
        values: dict[str, Any] = {"active": sku.active, "productActive": sku.product_active}
        if route == "sku":
            values |= {"name": sku.name, "salesChannels": sku.sales_channels}
        else:
            list_price = sku.price if sku.list_price is None else sku.list_price
            values |= {"price": sku.price, "listPrice": list_price, "stock": sku.available}
        return LastRead(at=row.at, version=row.last.version, values=values)
