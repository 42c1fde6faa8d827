"""Temporal's development server for tests."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.testing import WorkflowEnvironment

from marketplace.temporal import PLAIN
from tests.support.engine import TEMPORAL

_PATIENCE = timedelta(seconds=15)
_TRIES = 3


async def development_server(flags: list[str], **options: Any) -> WorkflowEnvironment:
    """Start a server; again when its port, free a moment ago, was taken by another one in that moment."""
    for _ in range(_TRIES - 1):
        with suppress(RuntimeError):
            return await _start(flags, options)
    return await _start(flags, options)


async def _start(flags: list[str], options: dict[str, Any]) -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=TEMPORAL,
        dev_server_extra_args=flags,
        dev_server_startup_timeout=_PATIENCE,
        data_converter=PLAIN,
        **options,
    )
