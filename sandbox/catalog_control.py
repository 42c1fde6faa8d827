"""The control API about the catalog: SKUs, change notices, what was read, and what the account has to bear."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Response
from pydantic import Field, ValidationError

from sandbox.base import Model
from sandbox.catalog import Sku, SkuChange
from sandbox.changes import ChangeKind, SkuUpdate
from sandbox.notice_bodies import Flags, NoticeReport
from sandbox.notices import NoticeRecord, NoticeSummary
from sandbox.reads import SkuReads
from sandbox.seller import Seller
from sandbox.traffic import Outage, TrafficSummary

Limit = Annotated[int, Query(ge=1, le=1_000_000)]


class SkuPatch(SkuUpdate):
    """What to change about a known SKU, and whether to tell the marketplace."""

    notify: bool = True
    background: bool = False
    """Answer at once and send the notices meanwhile."""


class Withdrawal(Model):
    notify: bool = True
    background: bool = False


class SkuChanged(Model):
    """The SKU afterwards, and the notices sent: one for each SKU of the product when that was changed."""

    sku: Sku
    changed: list[str]
    """Names of the SKU's fields that differ now, in snake case."""
    notices: list[NoticeRecord]


class RandomChanges(Model):
    """Change so many different SKUs at once, each in one of these ways."""

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    kinds: Annotated[list[ChangeKind], Field(min_length=1)] = ["price", "stock"]
    notify: bool = True
    background: bool = True
    seed: int | None = None
    """The same seed chooses the same SKUs and values."""


class RandomlyChanged(Model):
    sku_ids: list[str]
    queued: int
    """Notices that were queued, none when they were awaited."""


class Reindex(Model):
    """Send a notice about every SKU of the trade policy, or about the first ones."""

    count: Annotated[int, Field(ge=1)] | None = None
    stock_modified: bool = True
    price_modified: bool = True
    has_stock_keeping_unit_modified: bool = True
    background: bool = True


class Reindexed(Model):
    notices: int


_SKUS: Any = {
    "price": {"summary": "Another price", "value": {"price": 4190}},
    "soldOut": {"summary": "Sold out", "value": {"stock": 0}},
    "gone": {"summary": "No longer sold", "value": {"active": False}},
    "new": {
        "summary": "A new SKU",
        "value": {"name": "Tray", "price": 5990, "stock": 10, "slas": ["Standard", "Express"]},
    },
}
_PATCHES: Any = {
    "price": {"summary": "Another price", "value": {"price": 4190, "listPrice": 4990}},
    "data": {"summary": "Another name and image", "value": {"name": "Mug, red", "images": ["https://i.example/1.jpg"]}},
    "product": {"summary": "The product is deactivated", "value": {"productActive": False}},
    "silent": {"summary": "A change nobody is told of", "value": {"stock": 3, "notify": False}},
}
_NOTICES: Any = {
    "price": {"summary": "A price has changed", "value": {"skuId": "2001", "priceModified": True}},
    "camel": {"summary": "In camel case", "value": {"skuId": "2001", "form": "camel", "isActive": False}},
    "burst": {"summary": "The same ten times at once", "value": {"skuId": "2001", "times": 10, "together": True}},
    "foreign": {"summary": "Of another account", "value": {"skuId": "2001", "fields": {"An": "acme.myvtex"}}},
}


def catalog_router(seller: Seller) -> APIRouter:
    """The routes under /sandbox that are about the catalog of one Seller."""
    router = APIRouter(prefix="/sandbox")
    _add_skus(router, seller)
    _add_bulk(router, seller)
    _add_notices(router, seller)
    _add_reads(router, seller)
    _add_traffic(router, seller)
    return router


def _known(seller: Seller, sku_id: str) -> Sku:
    sku = seller.catalog.get(sku_id)
    if sku is None:
        raise HTTPException(404, f"no SKU {sku_id} is sold here")
    return sku


def _apply(seller: Seller, sku_id: str, update: SkuUpdate) -> list[SkuChange]:
    try:
        return seller.changes.apply(sku_id, update)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_context=False)) from error


async def _notified(seller: Seller, changes: list[SkuChange], *, notify: bool, background: bool) -> SkuChanged:
    sent: list[NoticeRecord] = []
    if notify and background:
        seller.changes.announce(changes)
    elif notify:
        sent = await seller.notices.tell(seller.changes.told_of(changes))
    return SkuChanged(sku=changes[0].after, changed=sorted(changes[0].fields), notices=sent)


def _add_skus(router: APIRouter, seller: Seller) -> None:
    @router.get("/skus", tags=["catalog"])
    async def list_skus(limit: Limit = 1_000_000, offset: Annotated[int, Query(ge=0)] = 0) -> list[Sku]:
        """The SKUs. Catalog data that is null is made up from the ids when it is read."""
        return seller.catalog.all()[offset : offset + limit]

    @router.get("/skus/{sku_id}", tags=["catalog"])
    async def show_sku(sku_id: str) -> Sku:
        """One SKU."""
        return _known(seller, sku_id)

    @router.put("/skus/{sku_id}", tags=["catalog"])
    async def put_sku(sku_id: str, change: Annotated[SkuUpdate, Body(openapi_examples=_SKUS)]) -> Sku:
        """Change a SKU or add one, and tell nobody. An SLA is an object, or the name of a standard one."""
        if seller.catalog.get(sku_id) is None and (change.name is None or change.price is None):
            raise HTTPException(422, "a new SKU needs a name and a price")
        return _apply(seller, sku_id, change)[0].after

    @router.patch("/skus/{sku_id}", tags=["catalog"])
    async def patch_sku(sku_id: str, change: Annotated[SkuPatch, Body(openapi_examples=_PATCHES)]) -> SkuChanged:
        """Change a SKU and send the notice that VTEX would send, if anything has changed."""
        _known(seller, sku_id)
        fields = change.model_dump(exclude_unset=True, exclude={"notify", "background"}, by_alias=False)
        changes = _apply(seller, sku_id, SkuUpdate.model_validate(fields))
        return await _notified(seller, changes, notify=change.notify, background=change.background)

    @router.post("/skus/{sku_id}/withdraw", tags=["catalog"])
    async def withdraw_sku(sku_id: str, how: Withdrawal | None = None) -> SkuChanged:
        """Take a SKU out of the trade policy: it leaves the affiliate. Set `salesChannels` to null to bring it back."""
        _known(seller, sku_id)
        how = how or Withdrawal()
        change = seller.changes.withdraw(sku_id)
        return await _notified(seller, [change], notify=how.notify, background=how.background)


def _add_bulk(router: APIRouter, seller: Seller) -> None:
    @router.post("/catalog/changes", tags=["catalog"])
    async def change_at_random(wanted: RandomChanges) -> RandomlyChanged:
        """Change random SKUs of the trade policy."""
        changes = seller.changes.change_random(wanted.count, wanted.kinds, wanted.seed)
        queued = 0
        if wanted.notify and wanted.background:
            queued = seller.changes.announce(changes)
        elif wanted.notify:
            await seller.notices.tell(seller.changes.told_of(changes))
        return RandomlyChanged(sku_ids=[change.after.id for change in changes], queued=queued)

    @router.post("/catalog/reindex", tags=["catalog"])
    async def reindex(how: Reindex | None = None) -> Reindexed:
        """Send a notice about every SKU, as a re-index at the Seller does."""
        how = how or Reindex()
        ids = seller.catalog.listed(seller.catalog.channel)[: how.count]
        told = [
            (
                sku,
                Flags(sku.product_active, how.stock_modified, how.price_modified, how.has_stock_keeping_unit_modified),
            )
            for sku_id in ids
            if (sku := seller.catalog.get(str(sku_id)))
        ]
        if how.background:
            for sku, flags in told:
                seller.notices.announce(sku, flags)
        else:
            await seller.notices.tell(told)
        return Reindexed(notices=len(told))


def _add_notices(router: APIRouter, seller: Seller) -> None:
    @router.post("/notices", tags=["notices"])
    async def send_notice(
        report: Annotated[NoticeReport, Body(openapi_examples=_NOTICES)], response: Response
    ) -> list[NoticeRecord]:
        """Send a notice with any flags and spelling, about any SKU id, without changing anything."""
        if report.endpoint is None and seller.settings.notification_endpoint is None:
            raise HTTPException(409, "set notificationEndpoint in the settings first, or name an endpoint")
        sku = seller.catalog.get(report.sku_id)
        if report.background:
            seller.notices.announce_by_hand(report, sku)
            response.status_code = 202
            return []
        return await seller.notices.tell_by_hand(report, sku)

    @router.get("/notices", tags=["notices"])
    async def list_notices(
        sku_id: Annotated[str | None, Query(alias="skuId")] = None, limit: Limit = 100
    ) -> list[NoticeRecord]:
        """The last notices that were sent, in the order in which they ended."""
        found = [record for record in seller.notices.records() if sku_id in {None, record.sku_id}]
        return found[-limit:]

    @router.get("/notices/summary", tags=["notices"])
    async def summarize_notices() -> NoticeSummary:
        """How many notices wait, are under way, were sent, and what they were answered."""
        return seller.notices.summary()

    @router.delete("/notices", tags=["notices"], status_code=204)
    async def clear_notices() -> None:
        """Forget what was sent."""
        seller.notices.clear()


def _add_reads(router: APIRouter, seller: Seller) -> None:
    @router.get("/reads", tags=["reads"])
    async def list_reads(
        *, stale: Annotated[bool, Query(description="Only those not up to date.")] = False, limit: Limit = 1_000_000
    ) -> list[SkuReads]:
        """The reads of every SKU that was asked for, with the values told last."""
        found = (seller.reads.show(sku_id) for sku_id in seller.reads.ids())
        return [reads for reads in found if not (stale and reads.up_to_date)][:limit]

    @router.get("/reads/{sku_id}", tags=["reads"])
    async def show_reads(sku_id: str) -> SkuReads:
        """The reads of one SKU."""
        return seller.reads.show(sku_id)

    @router.delete("/reads", tags=["reads"], status_code=204)
    async def clear_reads() -> None:
        """Forget all calls and reads; versions go on."""
        seller.reads.clear()


def _add_traffic(router: APIRouter, seller: Seller) -> None:
    @router.get("/traffic", tags=["traffic"])
    async def show_traffic() -> TrafficSummary:
        """Counts of all requests of the marketplace, and how many arrived in each of the last seconds."""
        return seller.traffic.summary()

    @router.delete("/traffic", tags=["traffic"], status_code=204)
    async def clear_traffic() -> None:
        """Forget the counts and the log of requests, not the outages."""
        seller.traffic.clear()

    @router.get("/outages", tags=["traffic"])
    async def list_outages() -> list[Outage]:
        """Each time of being down, with the requests that arrived meanwhile."""
        return seller.traffic.outages
