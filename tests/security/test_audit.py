"""CI's audit of what is locked: known vulnerabilities end it, and so does whatever is no service that is away."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
VULNERABLE = "Found 1 known vulnerability in 1 package"
UNKNOWN = "ERROR:pip_audit._cli:{0}: Dependency not found on PyPI and could not be audited: {0} (1.0)"
REFUSED = "Failed to establish a new connection: [Errno 111] Connection refused"
RETRIED = f"WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError({REFUSED})': /simple/a/"
NO_VERSION = "ERROR: Could not find a version that satisfies the requirement pip-audit==2.10.1 (from versions: {})"
CLIENT = "Traceback (most recent call last):\n    raise ConnectionError(e, request=request)\nrequests.exceptions."
POOL = "HTTPSConnectionPool(host='pypi.org', port=443)"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def audit(directory: Path, said: str, end: str, own: tuple[str, str] = ("", "exit 0")) -> tuple[int, str]:
    """Exit code and words of the audit when `make audit` says this, and ends so; `own`: about pip-audit's packages."""
    make = directory / "make"
    make.write_text(
        f"#!/bin/sh\n"
        f"if [ \"$*\" = 'audit AUDITED=requirements/audit.txt' ]; then\ncat >&2 <<'END'\n{own[0]}\nEND\n{own[1]}\n"
        f"elif [ \"$*\" = 'audit AUDITED=requirements/run.txt' ]; then\ncat >&2 <<'END'\n{said}\nEND\n{end}\n"
        f"fi\necho not such a call; exit 9\n"
    )
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "AUDIT_SECONDS": "1"}
    ran = subprocess.run([AUDIT], env=environment, capture_output=True, text=True, check=False, timeout=20)
    return ran.returncode, ran.stdout


def test_nothing_found_is_a_pass(tmp_path: Path) -> None:
    told = (0, "No known vulnerability in what is locked\n")
    assert audit(tmp_path, "No known vulnerabilities found", "exit 0") == told


@pytest.mark.parametrize(
    "more",
    ["", f"{CLIENT}ConnectionError: {REFUSED}", UNKNOWN.format("aiosqlite")],
    ids=["alone", "and the service is away afterwards", "and a package is unknown"],
)
def test_a_known_vulnerability_ends_it_and_is_told(tmp_path: Path, more: str) -> None:
    code, told = audit(tmp_path, f"{VULNERABLE}\n{more}", "exit 2", (UNKNOWN.format("boolean-py"), "exit 2"))
    assert (code, VULNERABLE in told) == (1, True)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed",
        f"{CLIENT}ConnectionError: {POOL}: Max retries exceeded with url: /pypi/a/1.0/json (Caused by {REFUSED})",
        f"{CLIENT}ProxyError: {POOL}: Max retries exceeded (Caused by ProxyError('Unable to connect to proxy'))",
        f"{CLIENT}ReadTimeout: {POOL}: Read timed out. (read timeout=15)",
        f"{CLIENT}HTTPError: 403 Client Error: Forbidden for url: https://pypi.org/pypi/a/1.0/json\n...ServiceError",
        f"{CLIENT}HTTPError: 503 Server Error: Service Unavailable for url: https://pypi.org/pypi/a/1.0/json",
        f"{RETRIED}\n{NO_VERSION.format('none')}\nERROR: No matching distribution found for pip-audit==2.10.1",
        "ERROR: HTTP error 403 while getting https://files.example/pip_audit-2.10.1-py3-none-any.whl",
        f"ERROR: Could not install packages due to an OSError: {POOL}: Max retries exceeded with url: /packages/a",
    ],
)
def test_a_service_that_is_away_or_refuses_is_told_and_does_not_end_it(tmp_path: Path, said: str) -> None:
    code, told = audit(tmp_path, said, "exit 2")
    assert (code, "was not audited" in told) == (0, True)


def test_nor_does_one_that_never_answers(tmp_path: Path) -> None:
    code, told = audit(tmp_path, "", "sleep 3")
    assert (code, "was not audited" in told) == (0, True)


@pytest.mark.parametrize(
    ("own", "passes"),
    [
        ((UNKNOWN.format("boolean-py"), "exit 2"), True),
        ((f"{CLIENT}ReadTimeout: {POOL}: Read timed out.", "exit 2"), True),
        (("", "sleep 3"), True),
        (("No known vulnerabilities found", "exit 0"), False),
        ((VULNERABLE, "exit 2"), False),
        (("pip-audit: error: unrecognized arguments", "exit 2"), False),
    ],
    ids=["knows none", "goes away", "falls silent", "knows others", "knows others' trouble", "is broken"],
)
def test_a_package_that_is_unknown_ends_it_unless_the_service_knows_no_other(
    tmp_path: Path, own: tuple[str, str], passes: bool
) -> None:
    said = UNKNOWN.format("aiosqlite")
    code, told = audit(tmp_path, said, "exit 2", own)
    assert (code, "was not audited" in told, said in told) == ((0, True, False) if passes else (1, False, True))


@pytest.mark.parametrize(
    "said",
    [
        "pip-audit: error: unrecognized arguments",
        "make: *** No rule to make target 'audit'",
        "bash: .venv/audit/bin/pip-audit: Permission denied",
        f"{RETRIED}\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
        f"{NO_VERSION.format('2.9.0, 2.10.0')}\nERROR: No matching distribution found for pip-audit==2.10.1",
        f"{CLIENT}JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        f"{CLIENT}SSLError: {POOL}: certificate verify failed",
        "ModuleNotFoundError: No module named 'CacheControl.Connection'",
        "",
    ],
)
def test_an_audit_that_is_broken_ends_it(tmp_path: Path, said: str) -> None:
    code, told = audit(tmp_path, said, "exit 2")
    assert (code, told.strip()) == (1, said)
