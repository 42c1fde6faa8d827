"""What every activity does when it is not its own fault: say so in one line, and be tried again."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from marketplace import metrics
from marketplace.store.base import StoreUnavailable
from marketplace.telemetry import get_logger
from workflows.policies import CUT_OFF

_log = get_logger("worker")


class Trouble(Interceptor):
    """Turns a database that is away, and a call that was cut off, into errors that Temporal tries again.

    The SDK would log both with a traceback.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - its name there
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - its name there
        try:
            return await super().execute_activity(input)
        except StoreUnavailable as error:
            metrics.DATABASE_AWAY.inc()
            raise _told("the database is away", str(error), "StoreUnavailable") from None
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or details.cancel_requested or details.paused or details.reset:
                raise  # somebody wants it so, and the SDK knows how to say that
            raise _told("a call was cut off", "the worker had to stop, or its time was up", CUT_OFF) from None


def _told(what: str, why: str, kind: str) -> ApplicationError:
    _log.warning(what, reason=why)
    return ApplicationError(why, type=kind, category=ApplicationErrorCategory.BENIGN)
