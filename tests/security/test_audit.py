"""CI's audit of what is locked: known vulnerabilities end it, and so does whatever is no service that is away."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
VULNERABLE = "Found 1 known vulnerability in 1 package"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def audit(directory: Path, said: str, code: int, seconds: float = 0) -> tuple[int, str]:
    """Exit code and words of the audit when `make audit` says this, and ends so."""
    make = directory / "make"
    make.write_text(f"#!/bin/sh\nsleep {seconds}\ncat >&2 <<'END'\n{said}\nEND\nexit {code}\n")
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "AUDIT_SECONDS": "1"}
    ran = subprocess.run([AUDIT], env=environment, capture_output=True, text=True, check=False, timeout=20)
    return ran.returncode, ran.stdout


def test_nothing_found_is_a_pass(tmp_path: Path) -> None:
    assert audit(tmp_path, "No known vulnerabilities found", 0) == (0, "No known vulnerability in what is locked\n")


@pytest.mark.parametrize("more", ["", "\nConnection refused"], ids=["alone", "and another service is away"])
def test_a_known_vulnerability_ends_it_and_is_told(tmp_path: Path, more: str) -> None:
    code, told = audit(tmp_path, VULNERABLE + more, 1)
    assert (code, VULNERABLE in told) == (1, True)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR:pip_audit._cli:aiosqlite: Dependency not found on PyPI and could not be audited: aiosqlite (0.22.1)",
        "requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded",
        "WARNING: Retrying after connection broken by 'NewConnectionError: [Errno -2] Name or service not known'",
    ],
)
def test_a_service_that_is_away_is_told_and_does_not_end_it(tmp_path: Path, said: str) -> None:
    code, told = audit(tmp_path, said, 1)
    assert (code, "was not audited" in told) == (0, True)


def test_nor_does_one_that_never_answers(tmp_path: Path) -> None:
    code, told = audit(tmp_path, "", 0, seconds=3)
    assert (code, "was not audited" in told) == (0, True)


@pytest.mark.parametrize("said", ["pip-audit: error: unrecognized arguments", "make: *** No rule to make 'audit'", ""])
def test_an_audit_that_is_broken_ends_it(tmp_path: Path, said: str) -> None:
    code, told = audit(tmp_path, said, 2)
    assert (code, told.strip()) == (1, said)
