"""Tells the marketplace that a SKU has changed: the queue of notices, and the record of what was answered.

Source: contract section A1; how often and how fast VTEX sends is not documented.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sandbox.base import Model, now
from sandbox.catalog import Sku
from sandbox.config import SandboxConfig, Settings
from sandbox.notice_bodies import Flags, NoticeReport, notice_body
from sandbox.sending import Sender, insert_path

_KEPT_RECORDS = 20_000


class NoticeRecord(Model):
    """A notice that was sent: the last try's status, or why no answer came."""

    at: datetime
    sku_id: str
    url: str
    body: Any
    status: int | None = None
    error: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    acknowledged: bool = False


class NoticeSummary(Model):
    """Counts since the start or the last reset. `answers` by status of the last try, `none` without an answer."""

    queued: int
    under_way: int
    sent: int
    failed: int
    answers: dict[str, int]


@dataclass
class _Notice:
    report: NoticeReport
    flags: Flags
    product_id: int | None
    at: datetime
    retried: bool = True
    done: asyncio.Future[NoticeRecord | None] | None = field(default=None, repr=False)


class Notices:
    """The queue of notices, with so many under way at once as the settings allow."""

    def __init__(self, config: SandboxConfig, sender: Sender, settings: Callable[[], Settings]) -> None:
        self._config = config
        self._sender = sender
        self._settings = settings
        self._queue: deque[_Notice] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._records: deque[NoticeRecord] = deque(maxlen=_KEPT_RECORDS)
        self._answers: Counter[str] = Counter()
        self._sent = 0
        self._failed = 0

    def announce(self, sku: Sku, flags: Flags) -> None:
        """Queue a notice. Without an endpoint there is nobody to tell."""
        if self._settings().notification_endpoint is not None:
            self._add(_Notice(NoticeReport(sku_id=sku.id), flags, sku.product, now()))

    async def tell(self, skus: Iterable[tuple[Sku, Flags]]) -> list[NoticeRecord]:
        """Send notices and wait for what the marketplace answers."""
        if self._settings().notification_endpoint is None:
            return []
        told = [_Notice(NoticeReport(sku_id=sku.id), flags, sku.product, now()) for sku, flags in skus]
        return await self._awaited(told)

    def announce_by_hand(self, report: NoticeReport, sku: Sku | None) -> None:
        """Queue what a person asks for, with the retries of the settings."""
        for notice in self._by_hand(report, sku):
            self._add(notice)

    async def tell_by_hand(self, report: NoticeReport, sku: Sku | None) -> list[NoticeRecord]:
        """Send what a person asks for, one after the other or all at once."""
        notices = self._by_hand(report, sku)
        if report.together:
            return await self._awaited(notices)
        return [record for notice in notices for record in await self._awaited([notice])]

    def records(self) -> list[NoticeRecord]:
        """The last notices, in the order in which they ended."""
        return list(self._records)

    def summary(self) -> NoticeSummary:
        return NoticeSummary(
            queued=len(self._queue),
            under_way=len(self._workers),
            sent=self._sent,
            failed=self._failed,
            answers=dict(self._answers),
        )

    def clear(self) -> None:
        """Forget what was sent."""
        self._records.clear()
        self._answers.clear()
        self._sent = self._failed = 0

    async def stop(self) -> None:
        """Give up all notices that have not been sent."""
        given_up, self._queue = list(self._queue), deque()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        # A worker that was canceled before its first step never came to take itself out.
        self._workers.difference_update(workers)
        for notice in given_up:
            _answer(notice, None)

    def _by_hand(self, report: NoticeReport, sku: Sku | None) -> list[_Notice]:
        flags = Flags(
            sku is None or sku.product_active if report.is_active is None else report.is_active,
            report.stock_modified,
            report.price_modified,
            report.has_stock_keeping_unit_modified,
            report.has_stock_keeping_unit_removed_from_affiliate,
        )
        product = report.product_id or (sku.product if sku else None)
        # Whoever sends by hand wants to see that one answer, unless they say otherwise.
        notice = _Notice(report, flags, product, now(), retried=report.retry or report.background)
        return [replace(notice) for _ in range(report.times)]

    async def _awaited(self, notices: list[_Notice]) -> list[NoticeRecord]:
        loop = asyncio.get_running_loop()
        futures = []
        for notice in notices:
            notice.done = loop.create_future()
            futures.append(notice.done)
            self._add(notice)
        return [record for record in await asyncio.gather(*futures) if record is not None]

    def _add(self, notice: _Notice) -> None:
        self._queue.append(notice)
        if len(self._workers) < self._settings().notice_concurrency:
            self._workers.add(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        try:
            while self._queue and len(self._workers) <= self._settings().notice_concurrency:
                await self._settle(self._queue.popleft())
        finally:
            # At once and not by a callback: those that end together must not all think that they are too many.
            self._workers.discard(worker)

    async def _settle(self, notice: _Notice) -> None:
        record: NoticeRecord | None = None
        try:
            record = await self._send(notice)
        finally:
            _answer(notice, record)

    async def _send(self, notice: _Notice) -> NoticeRecord:
        settings, report = self._settings(), notice.report
        endpoint = report.endpoint or settings.notification_endpoint or ""
        path = settings.notice_path if report.path is None else report.path
        body: Any = notice_body(report, notice.flags, notice.product_id, notice.at, self._config, settings)
        if report.raw_body is not None or "body" in report.model_fields_set:
            body = report.body if report.raw_body is None else report.raw_body
        record = NoticeRecord(at=now(), sku_id=report.sku_id, url=insert_path(endpoint, path), body=body)
        allowed = settings.notice_attempts if notice.retried else 1
        pause = settings.notice_backoff_seconds
        async for attempt in self._sender.tries(report.method, record.url, body, allowed=allowed, pause=pause):
            record.attempts += 1
            record.status, record.error, record.acknowledged = attempt.status, attempt.error, attempt.acknowledged
            record.seconds = round(record.seconds + attempt.seconds, 4)
        self._records.append(record)
        self._answers[str(record.status or "none")] += 1
        self._sent += 1
        self._failed += not record.acknowledged
        return record


def _answer(notice: _Notice, record: NoticeRecord | None) -> None:
    if notice.done is not None and not notice.done.done():
        notice.done.set_result(record)
