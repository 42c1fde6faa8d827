"""How a process of the engine ends."""

import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:  # pragma: no cover - it ends the process, its coverage too
    """End a process that used Temporal's SDK.

    While an interpreter shuts down the SDK's native threads can crash it (sdk-python issue 300), after all work was
    right; so everything is flushed and the rest of the shutdown skipped.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
