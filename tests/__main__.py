"""Runs the tests: `python -m tests [coverage | pytest arguments]`. What `make test` and `make coverage` call.

Leaves by `os._exit`, because a process that used Temporal's SDK may crash while its interpreter shuts down.
"""

import sys

import pytest

from marketplace.process import leave

EVERYTHING = ["--quiet", "--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal"]
# Measuring takes a third of the time again, and the chaos is about processes that nobody measures.
MEASURED = [*EVERYTHING, "--cov", "--cov-report=term", "--deselect=tests/chaos/test_chaos.py"]

if __name__ == "__main__":
    given = sys.argv[1:]
    leave(int(pytest.main(MEASURED if given == ["coverage"] else given or EVERYTHING)))
