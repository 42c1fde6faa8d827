"""The catalog's activities: read one SKU after a notice, read a page of many, keep a decision."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.away import pause_of
from activities.catalog_page import PageReader, SellerAway
from activities.heartbeat import heartbeats
from activities.sku_reader import Shop, problem_of
from marketplace import metrics, readings
from marketplace.catalog import ChangeNotice, Offer, OfferStatus
from marketplace.catalog_log import entries
from marketplace.errors import SellerError
from marketplace.readings import Failure, Reading
from marketplace.store.base import OfferStore
from marketplace.telemetry import get_logger
from workflows.catalog_messages import (
    CountCall,
    Counted,
    DecideCall,
    PageCall,
    PageResult,
    SkuCall,
    Source,
    SyncCall,
    SyncResult,
)
from workflows.catalog_policies import (
    COUNT_SKUS,
    DECIDE_SKU,
    FAILED_SHOWN,
    GIVEN_UP,
    IMPORT_PAGE,
    LOOK_UP_STATUS,
    SYNC_SKU,
)
from workflows.policies import CONFLICT

_log = get_logger("catalog")
_LIST_PAGE = 1000
_GIVEN_UP = "failed:"
"""Begins the cursors of a refresh's second part: what is not sold, and was given up."""
# Nothing in particular: SKU and terms, and the product where the SKU's own answer leaves it open (contract A3).
_EVERYTHING = ChangeNotice()
_TERMS = ChangeNotice(price_changed=True, stock_changed=True)
_NOTICES = {Source.ASSORTMENT: _EVERYTHING, Source.SOLD: _TERMS, Source.FAILED: _EVERYTHING}


class CatalogActivities:
    """Read Sellers' catalogs into the offer store, and tell the journal. `shops` by account name."""

    def __init__(self, shops: Mapping[str, Shop], offers: OfferStore) -> None:
        self._shops = shops
        self._offers = offers

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.sync_sku, self.look_up_status, self.decide_sku, self.count_skus, self.import_page]

    @activity.defn(name=SYNC_SKU)
    async def sync_sku(self, call: SyncCall) -> SyncResult:
        """Read a SKU, decide, save. Retried by policy; the last try, or one that cannot help, gives the SKU up."""
        shop = self._shop(call.seller)
        known = await self._offers.get(call.seller, call.sku_id)
        try:
            async with heartbeats():
                reading = await shop.read(call.sku_id, known, call.notice)
        except SellerError as error:
            return await self._failed(shop, call, error)
        offer = await self._save(shop, reading, call.notice)
        if call.notice.noticed_at is not None:
            lag = (datetime.now(UTC) - call.notice.noticed_at).total_seconds()
            metrics.NOTICE_LAG.labels(call.seller).observe(max(lag, 0.0))
        return SyncResult(status=offer.status)

    @activity.defn(name=LOOK_UP_STATUS)
    async def look_up_status(self, call: SkuCall) -> OfferStatus | None:
        """An offer's status as the catalog has it."""
        offer = await self._offers.get(call.seller, call.sku_id)
        return offer.status if offer is not None else None

    @activity.defn(name=DECIDE_SKU)
    async def decide_sku(self, call: DecideCall) -> OfferStatus:
        """Keep an operator's decision."""

        def change(known: Offer | None) -> Offer:
            if known is None:
                text = f"SKU {call.sku_id} has not been read yet: decide when it has"
                raise ApplicationError(text, type=CONFLICT, non_retryable=True)
            return readings.decide(known, include=call.include)

        return (await self._change(call.seller, call.sku_id, change)).status

    @activity.defn(name=COUNT_SKUS)
    async def count_skus(self, call: CountCall) -> Counted:
        """Count what an import will read, for those who watch it."""
        if call.source is not Source.ASSORTMENT:
            counts = await self._offers.counts(call.seller)
            # What is sold and blocked at the moment is read too, and comes on top.
            listed = counts[OfferStatus.LISTED] if call.source is Source.SOLD else 0
            return Counted(total=listed + counts[OfferStatus.FAILED])
        total, page = 0, 1
        async with heartbeats():
            # Until a page is empty: a short one may be the Seller's own limit (contract A4).
            while ids := await self._listed(call.seller, page, _LIST_PAGE):
                total, page = total + len(ids), page + 1
        return Counted(total=total)

    @activity.defn(name=IMPORT_PAGE)
    async def import_page(self, call: PageCall) -> PageResult:
        """Read a page of SKUs. A repeat after a crash reads only what the import has not saved yet."""
        async with heartbeats():
            sku_ids, next_cursor, known = await self._page_of(call)
            saved = {sku_id for sku_id, offer in known.items() if _read_since(offer, call.started_at)}
            missing = [sku_id for sku_id in sku_ids if sku_id not in saved]
            reader = PageReader(self._shop(call.seller), self._offers, _NOTICES[call.source])
            try:
                await reader.read(missing, known)
            except SellerAway as away:
                raise _retried(away.error, away.retry_after) from None
            finally:
                metrics.IMPORTED_SKUS.labels(call.seller, call.source, "read").inc(reader.done)
                metrics.IMPORTED_SKUS.labels(call.seller, call.source, "failed").inc(len(reader.failed))
        return PageResult(
            done=reader.done + len(saved),
            failed=len(reader.failed),
            failed_skus=reader.failed[:FAILED_SHOWN],
            left_over=reader.left_over,
            pending=reader.pending + [sku_id for sku_id in saved if known[sku_id].status is OfferStatus.PENDING],
            next_cursor=next_cursor,
        )

    def _shop(self, seller: str) -> Shop:
        shop = self._shops.get(seller)
        if shop is None:
            # It may be back when the sellers file is: a worker of another one must not give its SKUs up.
            raise ApplicationError(f"seller {seller} is not in this worker's sellers file", type="UnknownSeller")
        return shop

    async def _page_of(self, call: PageCall) -> tuple[list[str], str | None, dict[str, Offer]]:
        """The SKUs of a page, the next page's cursor, and what is known of the SKUs."""
        if call.source is Source.ASSORTMENT:
            number = int(call.cursor or 1)
            listed = await self._listed(call.seller, number, call.page_size)
            # The list is no snapshot: the same SKU may stand on two pages (contract A4), and is read once.
            ids = list(dict.fromkeys(listed))
            return ids, str(number + 1) if listed else None, await self._offers.get_many(call.seller, ids)
        cursor, is_refresh = call.cursor, call.source is Source.SOLD
        if is_refresh and (cursor is None or not cursor.startswith(_GIVEN_UP)):
            due = await self._offers.due(call.seller, call.started_at, call.page_size, cursor)
            known = await self._offers.get_many(call.seller, due.sku_ids)
            return due.sku_ids, due.next_cursor or _GIVEN_UP, known
        # VTEX wants what was given up tried again without limit (contract D): each refresh does.
        after = cursor.removeprefix(_GIVEN_UP) or None if cursor is not None else None
        page = await self._offers.page(call.seller, OfferStatus.FAILED, call.page_size, after)
        failed = {offer.id: offer for offer in page.offers if not (is_refresh and offer.sold)}
        onward = f"{_GIVEN_UP}{page.next_cursor}" if is_refresh and page.next_cursor else page.next_cursor
        return list(failed), onward, failed

    async def _listed(self, seller: str, page: int, page_size: int) -> list[str]:
        try:
            return await self._shop(seller).catalog.list_sku_ids(page, page_size)
        except SellerError as error:
            raise _retried(error, pause_of(error)) from None

    async def _save(self, shop: Shop, outcome: Reading | Failure, notice: ChangeNotice) -> Offer:
        return await self._change(shop.seller, outcome.id, lambda known: shop.after(known, outcome), notice)

    async def _change(
        self, seller: str, sku_id: str, how: Callable[[Offer | None], Offer], notice: ChangeNotice | None = None
    ) -> Offer:
        now = datetime.now(UTC)
        [offer] = await self._offers.change(
            seller,
            [sku_id],
            lambda _, known: how(known),
            lambda before, after: entries(before, after, now, notice),
        )
        return offer

    async def _failed(self, shop: Shop, call: SyncCall, error: SellerError) -> SyncResult:
        problem, pause = problem_of(error), pause_of(error)
        hopeless = not error.failure.verdict.may_pass
        final = hopeless or activity.info().attempt >= call.attempts
        if final and pause is None and not hopeless:
            pause = await shop.away_for()
        failure = Failure(seller=call.seller, id=call.sku_id, at=datetime.now(UTC), problem=problem, final=final)
        if pause is not None:
            if not error.failure.paused:
                # Operators see at the offer what it waits for; only a try that was made is worth telling.
                await self._save(shop, failure.model_copy(update={"tries": 0, "final": False}), call.notice)
            return SyncResult(retry_after=pause, problem=problem)
        await self._save(shop, failure, call.notice)
        if final:
            metrics.SKUS_GIVEN_UP.labels(call.seller).inc()
            _log.warning("a SKU is given up", problem=problem.message)
        # Expected, and told at the offer: without this category the SDK logs it with a traceback.
        benign = ApplicationErrorCategory.BENIGN
        raise ApplicationError(str(error), problem, type=GIVEN_UP, non_retryable=final, category=benign) from None


def _read_since(offer: Offer, started_at: datetime) -> bool:
    return offer.last_synced_at is not None and offer.last_synced_at >= started_at


def _retried(error: SellerError, retry_after: float | None) -> ApplicationError:
    """Have Temporal try again, as long as it takes: an import is never given up because its Seller is away."""
    delay = timedelta(seconds=retry_after) if retry_after else None
    return ApplicationError(
        str(error),
        problem_of(error),
        type="SellerAway",
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,  # as often as it takes, and no news in a log
    )
