"""deploy/temporal/schema.sh with a stand-in for Temporal's tool: what it is told, in which order, and when it fails."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.deploy_files.files import ROOT, load

STUB = """\
#!/bin/sh
echo "$*" >>"$TOLD"
[ "$(wc -l <"$TOLD")" -ne "${FAILS_AT:-0}" ]
"""
"""Writes down its arguments, a line for each call, and fails at the one that FAILS_AT counts to."""

SCHEMAS = "/etc/temporal/schema/postgresql/v12"
"""Where the admin tools' image has them."""
COMMANDS = [
    "--database temporal setup-schema --version 0.0",
    f"--database temporal update-schema --schema-dir {SCHEMAS}/temporal/versioned",
    "--database temporal_visibility setup-schema --version 0.0",
    f"--database temporal_visibility update-schema --schema-dir {SCHEMAS}/visibility/versioned",
]


def schema(directory: Path, fails_at: int = 0) -> tuple[int, list[str]]:
    """Run the script as the job does, with the stand-in on its PATH: the exit code, and what the tool was told."""
    tools, told = directory / "bin", directory / "told"
    tools.mkdir(exist_ok=True)
    stub = tools / "temporal-sql-tool"
    stub.write_text(STUB)
    stub.chmod(0o755)
    told.write_text("")
    shell, script = load("docker-compose.yml")["services"]["temporal-schema"]["entrypoint"]
    ran = subprocess.run(
        [shell, str(ROOT / "deploy/temporal" / Path(script).name)],
        env={"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TOLD": str(told), "FAILS_AT": str(fails_at)},
        cwd=directory,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.stderr == ""
    return ran.returncode, told.read_text().splitlines()


def test_each_database_gets_its_table_of_versions_and_then_its_own_schema(tmp_path: Path) -> None:
    assert schema(tmp_path) == (0, COMMANDS)
    # At every start again.
    assert schema(tmp_path) == (0, COMMANDS)


def test_the_databases_are_those_that_postgresql_makes_for_temporal() -> None:
    made = re.findall(r"CREATE DATABASE (\w+) OWNER temporal;", (ROOT / "deploy/postgres/roles.sh").read_text())
    assert list(dict.fromkeys(shlex.split(command)[1] for command in COMMANDS)) == made


@pytest.mark.parametrize("call", range(1, len(COMMANDS) + 1))
def test_a_tool_that_fails_ends_the_job_at_once_and_keeps_temporal_from_starting(tmp_path: Path, call: int) -> None:
    code, told = schema(tmp_path, fails_at=call)
    assert code != 0
    assert told == COMMANDS[:call]
    needs = load("docker-compose.yml")["services"]["temporal"]["depends_on"]
    assert needs == {"temporal-schema": {"condition": "service_completed_successfully"}}
