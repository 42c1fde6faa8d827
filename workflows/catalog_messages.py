"""Inputs, results and signals of the catalog's workflows."""

from datetime import timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from marketplace.catalog import ChangeNotice, OfferStatus, Problem
from marketplace.orders import Model

READ_ANEW = ChangeNotice(data_changed=True)
"""Asks to read everything about a SKU, whatever is known of it."""


class SkuPolicy(Model):
    """The manners of one sync, fixed when it starts. Named as the settings, from which it is read."""

    notice_debounce: timedelta
    """How long notices of one SKU are gathered before it is read."""
    seller_attempts: int
    """Tries before the SKU is given up; while its Seller is down or refuses our keys nothing counts."""
    seller_backoff: timedelta
    """Pause after the first failed try; it doubles."""

    @classmethod
    def of(cls, settings: object) -> "SkuPolicy":
        """The manners that some settings ask for."""
        return cls.model_validate(settings, from_attributes=True, by_name=True)


class SkuInput(Model):
    """What starts a SkuSyncWorkflow.

    `notice` is what is to be read first: gathered by a former run, or what an import could not read. `status` is the
    offer's as a former run or an import found it: a pending one waits for its decision.
    """

    seller: str
    sku_id: str
    policy: SkuPolicy
    notice: ChangeNotice | None = None
    status: OfferStatus | None = None


class SyncCall(Model):
    """One SKU to read, by what was said of it. After `attempts` tries it is given up."""

    seller: str
    sku_id: str
    notice: ChangeNotice
    attempts: int


class SyncResult(Model):
    """What came of a reading. `retry_after` is set when the Seller was not asked or our keys do not fit: in seconds."""

    status: OfferStatus | None = None
    retry_after: float | None = None
    problem: Problem | None = None


class SkuCall(Model):
    """Names a SKU."""

    seller: str
    sku_id: str


class SkuDecision(Model):
    """Somebody's decision about a SKU: whether it is sold here."""

    include: bool


class DecideCall(SkuCall):
    include: bool


class SkuState(Model):
    """Answer of the query `state`: where a SKU's sync stands."""

    seller: str
    sku_id: str
    status: OfferStatus | None
    waits_for: str
    problem: Problem | None = None


# --- many SKUs ---


class Source(StrEnum):
    """Where a catalog run takes its SKUs from."""

    ASSORTMENT = "assortment"
    """The Seller's sales channel: the initial load. Everything is read."""
    SOLD = "sold"
    """What is sold here, and what was given up: the independent refresh of price and stock."""
    FAILED = "failed"
    """What was given up: driven anew. Everything is read."""


class ImportInput(Model):
    """What starts a CatalogImportWorkflow; `progress` and `cursor` go on from a former run of the same import."""

    seller: str
    source: Source
    policy: SkuPolicy
    """For the SKUs that get a workflow of their own: to wait for a decision, or to be tried again."""
    page_size: int = 500
    progress: "ImportProgress | None" = None
    cursor: str | None = None


class FailedSku(Model):
    """A SKU that an import could not read."""

    id: str
    problem: Problem


class ImportProgress(Model):
    """How far an import is. `failed_skus` names the first ones that it could not read.

    They are tried on, each by its own workflow; one that was given up before is left to the next refresh or re-drive.
    """

    source: Source
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    total: int | None = None
    """None until the Seller's list is read."""
    done: int = 0
    failed: int = 0
    failed_skus: list[FailedSku] = []


class PageCall(Model):
    """One page of an import. `cursor` is None for the first."""

    seller: str
    source: Source
    started_at: AwareDatetime
    cursor: str | None
    page_size: int


class PageResult(Model):
    """What came of a page; `next_cursor` is None after the last."""

    done: int
    failed: int
    failed_skus: list[FailedSku] = []
    pending: list[str] = []
    """SKUs that wait for a decision since this page."""
    left_over: list[str] = []
    """SKUs that could not be read and are not given up yet."""
    next_cursor: str | None = None


class CountCall(Model):
    seller: str
    source: Source


class Counted(Model):
    total: int
