"""Many SKUs of one Seller at once: read side by side, saved some at a time, one that fails never stopping the rest."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from activities.away import pause_of
from activities.sku_reader import Shop, problem_of
from marketplace.catalog import ChangeNotice, Offer, OfferStatus
from marketplace.catalog_log import entries
from marketplace.errors import SellerError, Verdict
from marketplace.readings import Failure, Reading
from marketplace.store.base import OfferStore
from workflows.catalog_messages import FailedSku

READERS = 32
"""SKUs that are read at the same time."""
SAVED_TOGETHER = 8
"""Readings in one transaction."""
AT_RISK = 48
"""SKUs that are being read or wait to be saved: what a crash costs, since they are read again. 1 % of 5,000."""
TRIES = 3
"""Tries of one SKU before the rest goes on without it."""
FIRST_PAUSE = 0.2
"""Seconds before the second try; it doubles."""


class SellerAway(Exception):  # noqa: N818 - it names what is the matter
    """The Seller cannot be asked now. Nothing of what was read is lost; go on after `retry_after` seconds."""

    def __init__(self, error: SellerError, retry_after: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class PageReader:
    """Reads some SKUs of a shop and saves what they are."""

    def __init__(self, shop: Shop, offers: OfferStore, notice: ChangeNotice) -> None:
        self._shop = shop
        self._offers = offers
        self._notice = notice
        self._places = asyncio.Semaphore(AT_RISK)
        self._unsaved: list[Reading | Failure] = []
        self._away: SellerAway | None = None
        self.done = 0
        self.failed: list[FailedSku] = []
        self.pending: list[str] = []
        self.left_over: list[str] = []

    async def read(self, sku_ids: Iterable[str], known: dict[str, Offer]) -> None:
        """Read them all. Raises SellerAway when the Seller cannot be asked; what was read by then is saved."""
        waiting = iter(sku_ids)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(READERS):
                    group.create_task(self._reader(waiting, known))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        await self._save()
        if self._away is not None:
            raise self._away

    async def _reader(self, waiting: Iterator[str], known: dict[str, Offer]) -> None:
        for sku_id in waiting:
            await self._places.acquire()
            try:
                outcome = None if self._away else await self._read_one(sku_id, known.get(sku_id))
            except SellerAway as away:
                self._away, outcome = away, None
            if outcome is None:
                # Those who wait for a place must see it too.
                self._places.release()
                return
            self._unsaved.append(outcome)
            if len(self._unsaved) >= SAVED_TOGETHER:
                await self._save()

    async def _read_one(self, sku_id: str, known: Offer | None) -> Reading | Failure:
        tries = 0
        while True:
            try:
                return await self._shop.read(sku_id, known, self._notice)
            except SellerError as error:
                if error.failure.verdict is Verdict.RATE_LIMITED and not error.failure.paused:
                    continue  # its next call waits as long as the Seller wants, or fails at once as paused
                pause = pause_of(error)
                if pause is not None:
                    raise SellerAway(error, pause) from None
                tries += 1
                if tries >= TRIES or not error.failure.verdict.may_pass:
                    return await self._left(sku_id, known, error, tries)
            await asyncio.sleep(FIRST_PAUSE * 2 ** (tries - 1))

    async def _left(self, sku_id: str, known: Offer | None, error: SellerError, tries: int) -> Failure:
        """Leave a SKU to its own workflow, unless there is no hope, or it was given up before."""
        hopeless = not error.failure.verdict.may_pass
        if not hopeless and (wait := await self._shop.away_for()) is not None:
            raise SellerAway(error, wait)
        return Failure(
            seller=self._shop.seller,
            id=sku_id,
            at=datetime.now(UTC),
            problem=problem_of(error),
            tries=tries,
            final=hopeless or (known is not None and known.failed),
        )

    async def _save(self) -> None:
        outcomes, self._unsaved = {one.id: one for one in self._unsaved}, []
        if not outcomes:
            return
        now = datetime.now(UTC)
        changed = await self._offers.change(
            self._shop.seller,
            outcomes,
            lambda sku_id, known: self._shop.after(known, outcomes[sku_id]),
            lambda before, after: entries(before, after, now),
        )
        for outcome in outcomes.values():
            self._places.release()
            if isinstance(outcome, Failure):
                self.failed.append(FailedSku(id=outcome.id, problem=outcome.problem))
                self.left_over += [] if outcome.final else [outcome.id]
            else:
                self.done += 1
        self.pending += [offer.id for offer in changed if offer.status is OfferStatus.PENDING]
