"""Runs the tests: `python -m tests [slow | coverage | pytest arguments]`. What `make test` and its sisters call.

Leaves by `os._exit`, because a process that used Temporal's SDK may crash while its interpreter shuts down.
"""

import os
import sys

import pytest

from marketplace.process import leave

# One more than there are cores: tests wait for servers and timers a third of their time.
_PROCESSES = min((os.cpu_count() or 1) + 1, 5)
SIDE_BY_SIDE = ["--quiet", f"--numprocesses={_PROCESSES}", "--dist=worksteal"]
EVERYTHING = [*SIDE_BY_SIDE, "-m", "not slow"]
GIVEN = {
    "slow": [*SIDE_BY_SIDE, "-m", "slow"],
    # Measuring takes a third of the time again, and the chaos is about processes that nobody measures.
    "coverage": [*EVERYTHING, "--cov", "--cov-report=term", "--deselect=tests/chaos/test_chaos.py"],
}

if __name__ == "__main__":
    given = sys.argv[1:]
    leave(int(pytest.main(GIVEN.get(" ".join(given), given) or EVERYTHING)))
