"""Runs the tests: `python -m tests [pytest arguments]`. What `make test` calls.

Leaves by `os._exit`, because a process that used Temporal's SDK may crash while its interpreter shuts down.
"""

import sys

import pytest

from marketplace.process import leave

if __name__ == "__main__":
    arguments = sys.argv[1:] or ["--quiet", "--cov", "--cov-report=term"]
    leave(int(pytest.main(arguments)))
