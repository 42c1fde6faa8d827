"""The catalog desk: what may be done with offers, between HTTP or a terminal and Temporal with the catalog store."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from api.temporal_calls import Closed, SellerUnknown, temporal
from marketplace import readings
from marketplace.catalog import ChangeNotice, Offer, OfferStatus
from marketplace.catalog_log import entries
from marketplace.errors import EngineError
from marketplace.orders import Model
from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings
from marketplace.store.base import OfferPage, OfferStore
from workflows.catalog_import import MEMO
from workflows.catalog_messages import (
    READ_ANEW,
    FailedSku,
    ImportInput,
    ImportProgress,
    SkuInput,
    SkuPolicy,
    Source,
)
from workflows.catalog_policies import (
    IMPORT_WORKFLOW,
    SKU_ID,
    SKU_WORKFLOW,
    catalog_queue,
    import_workflow_id,
    sku_workflow_id,
)
from workflows.policies import SELLER, share_of

RPC_TIMEOUT = timedelta(seconds=5)


class OfferUnknown(EngineError):  # noqa: N818 - these name what is the matter
    """No SKU of this id has been heard of."""


class ImportRuns(EngineError):  # noqa: N818
    """One import of this kind runs already for this Seller."""


class ImportUnknown(EngineError):  # noqa: N818
    """No import of this kind has been started for this Seller."""


class ImportReport(Model):
    """How far an import is. `state` is Temporal's word for the run, in lower case: running, completed, failed, ...

    `last_problem` is why the page that is being read did not succeed at once, such as a Seller that is down.
    """

    import_id: str
    state: str
    source: Source
    total: int | None
    done: int
    failed: int
    failed_skus: list[FailedSku] = []
    started_at: datetime
    ended_at: datetime | None = None
    last_problem: str | None = None
    rate_per_second: float


class CatalogDesk:
    """Everything that Sellers, storefronts and operators may do with offers.

    Every method may raise SellerUnknown, `api.temporal_calls.TemporalAway` and
    `marketplace.store.base.StoreUnavailable`.
    """

    def __init__(
        self,
        client: Client,
        offers: OfferStore,
        settings: Settings,
        sellers: Mapping[str, SellerConfig],
    ) -> None:
        self._client = client
        self._offers = offers
        self._settings = settings
        self._sellers = sellers
        self._policy = SkuPolicy.of(settings)
        self._signals: dict[str, _Signals] = {}

    # --- notices ---

    async def take_notice(self, seller: str, sku_id: str, notice: ChangeNotice) -> None:
        """Make a notice durable. Returns when it is.

        Notices of one SKU that arrive while another one is on its way to Temporal travel together in the next signal.
        """
        key = f"{seller}/{sku_id}"
        signals = self._signals.get(key)
        if signals is None:
            signals = self._signals[key] = _Signals(
                partial(self._signal, seller, sku_id), when_idle=partial(self._signals.pop, key)
            )
        await signals.send(notice)

    async def _signal(self, seller: str, sku_id: str, notice: ChangeNotice) -> None:
        settings = self._settings
        async with temporal(self._client):
            await self._client.start_workflow(
                SKU_WORKFLOW,
                SkuInput(seller=seller, sku_id=sku_id, policy=self._policy),
                id=sku_workflow_id(seller, sku_id),
                task_queue=catalog_queue(settings.task_queue),
                start_signal="notify",
                start_signal_args=[notice],
                # Running: the signal goes to it. Closed: a new run begins with it. Never is it lost between the two.
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                search_attributes=_attributes(seller, SearchAttributePair(SKU_ID, sku_id)),
                priority=share_of(seller),
                static_summary=f"SKU {sku_id} of {seller}",
                rpc_timeout=RPC_TIMEOUT,
            )

    # --- offers ---

    async def find(self, seller: str, sku_id: str) -> Offer:
        """The offer. Raises OfferUnknown."""
        self._check(seller)
        offer = await self._offers.get(seller, sku_id)
        if offer is None:
            raise OfferUnknown(f"no SKU {sku_id} of {seller} has been heard of")
        return offer

    async def page(self, seller: str, status: OfferStatus | None, limit: int, cursor: str | None) -> OfferPage:
        """A page of a Seller's offers, by SKU id. Raises `marketplace.store.base.BadCursor`."""
        self._check(seller)
        return await self._offers.page(seller, status, limit, cursor)

    async def decide(self, seller: str, sku_id: str, *, include: bool) -> Offer:
        """Decide whether a SKU is sold here; it stands until somebody decides otherwise. Raises OfferUnknown.

        The decision is in the catalog when this returns; a SKU that is included is read anew by then or soon after.
        """
        found = await self.find(seller, sku_id)
        now = datetime.now(UTC)
        [offer] = await self._offers.change(
            seller,
            [sku_id],
            lambda _, known: readings.decide(known or found, include=include),
            lambda before, after: entries(before, after, now),
        )
        await self.take_notice(seller, sku_id, READ_ANEW)
        return offer

    # --- imports ---

    async def start_import(self, seller: str, source: Source = Source.ASSORTMENT) -> str:
        """Start a run over many SKUs; its id. Raises ImportRuns while one of the same kind runs."""
        self._check(seller)
        workflow_id = import_workflow_id(seller, source)
        try:
            async with temporal(self._client):
                await self._client.start_workflow(
                    IMPORT_WORKFLOW,
                    ImportInput(seller=seller, source=source, policy=self._policy),
                    id=workflow_id,
                    task_queue=catalog_queue(self._settings.task_queue),
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    search_attributes=_attributes(seller),
                    priority=share_of(seller),
                    static_summary=f"{source} of {seller}",
                    rpc_timeout=RPC_TIMEOUT,
                )
        except Closed:
            raise ImportRuns(f"{workflow_id} runs already: wait until it has ended") from None
        return workflow_id

    async def import_report(self, seller: str, source: Source = Source.ASSORTMENT) -> ImportReport:
        """How far the newest run is; answered without a worker. Raises ImportUnknown."""
        self._check(seller)
        workflow_id = import_workflow_id(seller, source)
        ids = [workflow_id, *await self._scheduled(workflow_id)] if source is Source.SOLD else [workflow_id]
        runs = [run for one in ids if (run := await self._described(one)) is not None]
        if not runs:
            raise ImportUnknown(f"{workflow_id} was never started")
        run = max(runs, key=lambda run: run.start_time)
        memo = await run.memo_value(MEMO, None, type_hint=ImportProgress)
        progress = memo or ImportProgress(source=source, started_at=run.start_time)
        running = run.status is WorkflowExecutionStatus.RUNNING
        ended = progress.ended_at or run.close_time
        seconds = ((ended if ended and not running else datetime.now(UTC)) - progress.started_at).total_seconds()
        return ImportReport(
            import_id=run.id,
            state=run.status.name.lower() if run.status else "unknown",
            rate_per_second=round((progress.done + progress.failed) / max(seconds, 0.001), 1),
            ended_at=None if running else ended,
            last_problem=await self._last_problem(run) if running else None,
            **progress.model_dump(exclude={"ended_at"}, by_alias=False),
        )

    async def _described(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(workflow_id)
        try:
            async with temporal(self._client):
                return await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except Closed:
            return None

    async def _scheduled(self, schedule_id: str) -> list[str]:
        """The id of the newest run that a schedule has started: its own with a time behind it."""
        try:
            async with temporal(self._client):
                found = await self._client.get_schedule_handle(schedule_id).describe(rpc_timeout=RPC_TIMEOUT)
        except Closed:
            return []
        newest = [one.action for one in found.info.recent_actions[-1:]]
        return [one.workflow_id for one in newest if isinstance(one, ScheduleActionExecutionStartWorkflow)]

    async def _last_problem(self, run: WorkflowExecutionDescription) -> str | None:
        for activity in run.raw_description.pending_activities:
            if activity.HasField("last_failure"):
                return str(await self._client.data_converter.decode_failure(activity.last_failure))
        return None

    def _check(self, seller: str) -> None:
        if seller not in self._sellers:
            raise SellerUnknown(f"seller {seller} is not configured; configured: {', '.join(sorted(self._sellers))}")


class _Signals:
    """The notices of one SKU: at most one signal on its way, and one that gathers what comes meanwhile."""

    def __init__(
        self, signal: Callable[[ChangeNotice], Coroutine[Any, Any, None]], when_idle: Callable[[], object]
    ) -> None:
        self._signal = signal
        self._when_idle = when_idle
        self._turn = asyncio.Lock()
        self._gathered: ChangeNotice | None = None
        self._next: asyncio.Task[None] | None = None

    async def send(self, notice: ChangeNotice) -> None:
        """Return once a signal that carries the notice is durable; raise what that signal raised."""
        self._gathered = self._gathered.merged(notice) if self._gathered is not None else notice
        if self._next is None:
            self._next = asyncio.create_task(self._send_gathered())
            # Should all callers have hung up by then, its error is nobody's.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        # A caller that hangs up must not take the others' signal with it.
        await asyncio.shield(self._next)

    async def _send_gathered(self) -> None:
        async with self._turn:
            gathered, self._gathered, self._next = self._gathered, None, None
            assert gathered is not None
            try:
                await self._signal(gathered)
            finally:
                if self._next is None:
                    self._when_idle()


def _attributes(seller: str, *more: SearchAttributePair[Any]) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(SELLER, seller), *more])
