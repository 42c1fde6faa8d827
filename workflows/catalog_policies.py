"""Names, timeouts and retries of the catalog's workflows, each with its reason."""

from datetime import timedelta

from temporalio.common import SearchAttributeKey

from workflows.catalog_messages import Source

SKU_WORKFLOW = "SkuSyncWorkflow"
IMPORT_WORKFLOW = "CatalogImportWorkflow"
RETENTION_WORKFLOW = "JournalRetentionWorkflow"

SYNC_SKU = "sync_sku"
DECIDE_SKU = "decide_sku"
LOOK_UP_STATUS = "look_up_status"
COUNT_SKUS = "count_skus"
IMPORT_PAGE = "import_page"
PURGE_JOURNAL = "purge_journal"

SKU_ID = SearchAttributeKey.for_keyword("SkuId")

GIVEN_UP = "GivenUp"
"""Type of the ApplicationError whose first detail is the `marketplace.catalog.Problem` that ended a sync."""


def catalog_queue(task_queue: str) -> str:
    """The task queue of the catalog: a Seller's re-index must not stand before anybody's order."""
    return f"{task_queue}-catalog"


def sku_workflow_id(seller: str, sku_id: str) -> str:
    """The id under which an operator finds a SKU's sync in the Temporal UI."""
    return f"sku/{seller}/{sku_id}"


def import_workflow_id(seller: str, source: Source) -> str:
    """The id of a Seller's import, refresh or re-drive: one of each at a time."""
    names = {Source.ASSORTMENT: "import", Source.SOLD: "refresh", Source.FAILED: "redrive"}
    return f"catalog-{names[source]}/{seller}"


def retention_id(task_queue: str) -> str:
    """The id of the schedule, and of its runs, that removes an engine's old journal entries."""
    return f"journal-retention/{task_queue}"


PURGE_EVERY = timedelta(hours=1)

# Four calls to the Seller at most (both product routes), each within the client's own 20 s, and one more to see
# whether the Seller answers at all.
SYNC_TIMEOUT = timedelta(seconds=110)
INTERRUPTED_PAUSE = 10.0
"""Seconds after a try that no worker finished, or that the database did not let finish: nothing is given up by it."""
# A Seller that was away for hours is caught up with within this time, without anybody doing anything.
LONGEST_PAUSE = timedelta(minutes=10)

# A page is as long as its Seller is slow; its heartbeat tells whether it lives.
PAGE_TIMEOUT = timedelta(hours=2)
PAGES_A_RUN = 200
"""After so many pages an import goes on as a new run, to keep its history short."""
STARTED_TOGETHER = 50
"""Workflows of single SKUs that an import starts at once."""
FAILED_SHOWN = 100
"""Failed SKUs named in an import's progress; all are found in the catalog by their status."""
