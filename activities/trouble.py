"""What every activity does when the database is away: say so in one line, and be tried again."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from marketplace.store.base import StoreUnavailable
from marketplace.telemetry import get_logger

_log = get_logger("store")


class StoreTrouble(Interceptor):
    """Turns StoreUnavailable into an error that Temporal tries again, and that the SDK logs without a traceback."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - its name there
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - its name there
        try:
            return await super().execute_activity(input)
        except StoreUnavailable as error:
            call = activity.info()
            _log.warning(
                "the database is away",
                call=call.activity_type,
                workflow_id=call.workflow_id,
                attempt=call.attempt,
                error=str(error),
            )
            raise ApplicationError(
                str(error), type="StoreUnavailable", category=ApplicationErrorCategory.BENIGN
            ) from None
