"""Runs the tests: `python -m tests [pytest arguments]`. What `make test` calls.

Leaves by `os._exit`, because a process that used Temporal's SDK may crash while its interpreter shuts down.
"""

import sys

import pytest

from marketplace.process import leave

EVERYTHING = ["--quiet", "--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal", "--cov", "--cov-report=term"]

if __name__ == "__main__":
    leave(int(pytest.main(sys.argv[1:] or EVERYTHING)))
