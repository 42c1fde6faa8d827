"""How Temporal is called from the API and the command line: its errors, told by what a caller must do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from marketplace.errors import EngineError
from marketplace.temporal import TemporalUnreachable, reaching
from workflows.policies import CONFLICT

RPC_TIMEOUT = timedelta(seconds=5)


class OrderUnknown(EngineError):  # noqa: N818 - these name what is the matter
    """No order has this id."""


class SellerUnknown(EngineError):  # noqa: N818
    """No Seller of this name is configured."""


class OrderConflict(EngineError):  # noqa: N818
    """The order does not allow this, or not any more; the text says why and what to do."""


class TemporalAway(EngineError):  # noqa: N818
    """Temporal cannot be reached, or not in time: nothing was promised, though what was asked may be durable."""


class NoWorker(EngineError):  # noqa: N818
    """Temporal is there, but no worker has answered in time."""


class Closed(Exception):  # noqa: N818
    """The workflow has closed, or is not known to Temporal (any more)."""


@asynccontextmanager
async def temporal(client: Client, patience: timedelta | None = RPC_TIMEOUT) -> AsyncIterator[None]:
    """Tell Temporal's errors by what a caller must do. A server that is away is told after `patience`.

    The client alone would try twice as long, whatever a call's own timeout is.
    """
    try:
        with reaching(client):
            async with asyncio.timeout(patience.total_seconds() if patience else None):
                yield
    except TimeoutError:
        raise TemporalAway("Temporal cannot be reached (no answer in time)") from None
    except TemporalUnreachable as error:
        raise TemporalAway(str(error)) from None
    except WorkflowAlreadyStartedError:
        raise Closed from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise NoWorker("no worker has answered") from None
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == CONFLICT:
            raise OrderConflict(cause.message) from None
        raise
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            if _names_namespace(error):
                raise TemporalAway(f"Temporal has no namespace {client.namespace}: set TEMPORAL_NAMESPACE") from None
            raise Closed from None
        raise _away(error.status) from None


def _away(status: RPCStatusCode) -> TemporalAway:
    if status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return TemporalAway("Temporal takes no more at the moment")
    return TemporalAway(f"Temporal cannot be reached ({status.name})")


def _names_namespace(error: RPCError) -> bool:
    """Whether it is the namespace that was not found. Else every order would look closed."""
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)


@asynccontextmanager
async def quiet(operation: WithStartWorkflowOperation[Any, Any]) -> AsyncIterator[None]:
    """Fetch the handle that nobody needs.

    Temporal's client leaves the error of a failed start there too; unfetched, each order that is not answered in time
    would be logged as an error.
    """
    fetching = asyncio.ensure_future(operation.workflow_handle())
    try:
        yield
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
