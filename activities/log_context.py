"""Whatever an activity logs says what it is about: order or SKU, Seller, workflow and try."""

from typing import Any

from structlog.contextvars import bound_contextvars
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from marketplace.telemetry import subject_of


class LogContext(Interceptor):
    """Binds what an activity is about to every line that is logged while it runs, also by libraries."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - its name there
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - its name there
        call = activity.info()
        subject = subject_of(call.workflow_id or "")
        with bound_contextvars(**subject, call=call.activity_type, attempt=call.attempt):
            return await super().execute_activity(input)
