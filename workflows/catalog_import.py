"""Many SKUs at once: the initial load of a Seller's sales channel, the refresh of what is sold, the re-drive.

The three differ in where the SKUs come from and in what is read of each. What was read is in the catalog, with the
time of its reading: so a page that starts anew after a crash reads only what is missing.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import WorkflowAlreadyStartedError

from marketplace.catalog import ChangeNotice, OfferStatus
from workflows.catalog_messages import CountCall, Counted, ImportInput, ImportProgress, PageCall, PageResult, SkuInput
from workflows.catalog_policies import (
    COUNT_SKUS,
    FAILED_SHOWN,
    IMPORT_PAGE,
    IMPORT_WORKFLOW,
    LONGEST_PAUSE,
    PAGE_TIMEOUT,
    PAGES_A_RUN,
    SKU_ID,
    SKU_WORKFLOW,
    STARTED_TOGETHER,
    sku_workflow_id,
)
from workflows.policies import HEARTBEAT_TIMEOUT, SELLER

Item = TypeVar("Item")

# While the Seller is down a page waits and tries again, as long as it takes; operators see its last failure.
_PAGE_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=LONGEST_PAUSE)
MEMO = "progress"


@workflow.defn(name=IMPORT_WORKFLOW)
class CatalogImportWorkflow:
    """One run over many SKUs of a Seller."""

    @workflow.init
    def __init__(self, run: ImportInput) -> None:
        self._run = run
        self._cursor = run.cursor
        self._progress = run.progress or ImportProgress(source=run.source, started_at=workflow.now())

    @workflow.run
    async def run(self, run: ImportInput) -> ImportProgress:
        """Count, then read page after page."""
        if self._progress.total is None:
            await self.count_skus()
        for _ in range(PAGES_A_RUN):
            page = await self.read_page()
            self.add_up(page)
            await self.hand_over(page)
            self._cursor = page.next_cursor
            if self._cursor is None:
                break
        else:
            workflow.continue_as_new(run.model_copy(update={"progress": self._progress, "cursor": self._cursor}))
        self._end()
        return self._progress

    async def count_skus(self) -> None:
        """Learn how many there are, for those who watch."""
        counted: Counted = await workflow.execute_activity(
            COUNT_SKUS,
            CountCall(seller=self._run.seller, source=self._run.source),
            result_type=Counted,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_PAGE_RETRY,
            summary=f"count the SKUs ({self._run.seller})",
        )
        self._progress = self._progress.model_copy(update={"total": counted.total})
        self._show()

    async def read_page(self) -> PageResult:
        """Read some SKUs, decide about each, save them all."""
        page: PageResult = await workflow.execute_activity(
            IMPORT_PAGE,
            PageCall(
                seller=self._run.seller,
                source=self._run.source,
                started_at=self._progress.started_at,
                cursor=self._cursor,
                page_size=self._run.page_size,
            ),
            result_type=PageResult,
            start_to_close_timeout=PAGE_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_PAGE_RETRY,
            summary=f"{self._progress.done} done, the next {self._run.page_size}",
        )
        return page

    async def hand_over(self, page: PageResult) -> None:
        """Leave to their own workflows what waits for a decision, and what could not be read and is tried on."""
        policy, seller = self._run.policy, self._run.seller
        waiting = [
            SkuInput(seller=seller, sku_id=one, policy=policy, status=OfferStatus.PENDING) for one in page.pending
        ]
        failing = [SkuInput(seller=seller, sku_id=one, policy=policy, notice=ChangeNotice()) for one in page.left_over]
        for some in _chunks([*waiting, *failing], STARTED_TOGETHER):
            await asyncio.gather(*(self._start(sku) for sku in some))

    async def _start(self, sku: SkuInput) -> None:
        # One that runs already reads the SKU itself, and waits when it finds it pending.
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                SKU_WORKFLOW,
                sku,
                id=sku_workflow_id(sku.seller, sku.sku_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(SELLER, sku.seller), SearchAttributePair(SKU_ID, sku.sku_id)]
                ),
                static_summary=f"SKU {sku.sku_id} of {sku.seller}",
            )

    def add_up(self, page: PageResult) -> None:
        """Count a page's SKUs to the whole."""
        progress = self._progress
        shown = [*progress.failed_skus, *page.failed_skus][:FAILED_SHOWN]
        done, failed = progress.done + page.done, progress.failed + page.failed
        self._progress = progress.model_copy(
            update={
                "done": done,
                "failed": failed,
                "failed_skus": shown,
                # The Seller's list may have grown since it was counted.
                "total": max(progress.total or 0, done + failed),
            }
        )
        self._show()

    @workflow.query(description="How far the import is")
    def progress(self) -> ImportProgress:
        return self._progress

    def _end(self) -> None:
        progress = self._progress
        total = progress.done + progress.failed
        self._progress = progress.model_copy(update={"ended_at": workflow.now(), "total": total})
        self._show()

    def _show(self) -> None:
        """Tell the progress where it can be read without a worker, and where operators look."""
        progress = self._progress
        workflow.upsert_memo({MEMO: progress})
        lines = [f"**{progress.done}** of {progress.total} done, {progress.failed} failed"]
        if progress.failed_skus:
            lines += ["", "| SKU | Problem |", "|---|---|"]
            lines += [f"| {sku.id} | `{sku.problem.code}` {sku.problem.message} |" for sku in progress.failed_skus]
        workflow.set_current_details("\n".join(lines))


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
