"""Keeps the exchange log and the delivery log from growing for ever: run by a Temporal Schedule."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from marketplace.orders import Model
from workflows.catalog_policies import PURGE_JOURNAL, RETENTION_WORKFLOW
from workflows.policies import HEARTBEAT_TIMEOUT


class Purged(Model):
    """How many entries of the journal and of the delivery log were removed."""

    entries: int
    webhooks: int = 0


@workflow.defn(name=RETENTION_WORKFLOW)
class JournalRetentionWorkflow:
    """Remove what is older than the retention."""

    @workflow.run
    async def run(self) -> Purged:
        purged: Purged = await workflow.execute_activity(
            PURGE_JOURNAL,
            result_type=Purged,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            # What is not removed now is removed by the next run.
            retry_policy=RetryPolicy(maximum_attempts=5),
            summary="remove old entries of the exchange log",
        )
        return purged
