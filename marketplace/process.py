"""How a process of the engine runs and ends."""

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a process's coroutine to its end on uvloop, which needs less CPU than asyncio's own loop for the same."""
    if sys.platform == "win32":  # pragma: no cover
        return asyncio.run(main)
    import uvloop  # noqa: PLC0415 - not there on Windows

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def settle() -> None:
    """Tell the garbage collector that what is there now will stay. To be called once, when a process is about to work.

    A full collection looks at every object while the process stands still, and more than half of them are modules,
    schemas and routes.
    """
    gc.collect()
    gc.freeze()


def leave(code: int) -> NoReturn:  # pragma: no cover - it ends the process, its coverage too
    """End a process that used Temporal's SDK.

    While an interpreter shuts down the SDK's native threads can crash it (sdk-python issue 300), after all work was
    right; so everything is flushed and the rest of the shutdown skipped.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
