"""Names, timeouts and retries of the catalog's workflows, each with its reason."""

from datetime import timedelta

from temporalio.common import SearchAttributeKey

from workflows.catalog_messages import Source

SKU_WORKFLOW = "SkuSyncWorkflow"
IMPORT_WORKFLOW = "CatalogImportWorkflow"

SYNC_SKU = "sync_sku"
DECIDE_SKU = "decide_sku"
COUNT_SKUS = "count_skus"
IMPORT_PAGE = "import_page"

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


# Three calls to the Seller, each within the client's own 20 s.
SYNC_TIMEOUT = timedelta(seconds=75)
# A Seller that was away for hours is caught up with within this time, without anybody doing anything.
LONGEST_PAUSE = timedelta(minutes=10)

# A page is as long as its Seller is slow; its heartbeat tells whether it lives.
PAGE_TIMEOUT = timedelta(hours=2)
PAGES_A_RUN = 200
"""After so many pages an import goes on as a new run, to keep its history short."""
FAILED_SHOWN = 100
"""Failed SKUs named in an import's progress; all are found in the catalog by their status."""
