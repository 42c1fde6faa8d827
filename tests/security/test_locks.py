"""What is installed is what was locked: every version by its hashes, and every dependency in a lock file."""

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==(?P<version>[^ ;]+)(?: ; [^\\]+)?"
    r"(?P<hashes>(?: \\\n    --hash=\S+)*)"
)
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def entries(lock: Path) -> dict[str, list[str]]:
    """Each package of a lock file, with its hashes."""
    text = "".join(line for line in lock.read_text().splitlines(keepends=True) if not line.startswith("#"))
    found: dict[str, list[str]] = {}
    # Two versions of a package may stand there, for different platforms.
    for entry in re.split(r"\n(?! )", text.strip()):
        match = ENTRY.fullmatch(entry)
        assert match is not None, f"{lock.name}: {entry.splitlines()[0]}"
        found.setdefault(match["name"], []).extend(re.findall(r"--hash=(\S+)", match["hashes"]))
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", text)[0]).lower() for text in requirements}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_entry_of_a_lock_file_has_one_version_and_its_hashes(lock: Path) -> None:
    for name, hashes in entries(lock).items():
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), name
    # Where packages come from is the matter of who installs them.
    assert not re.search(r"index-url|find-links|https?:|file:|git\+|trusted-host|-e ", lock.read_text())


def test_a_package_that_another_needs_with_an_extra_is_locked_with_it() -> None:
    """Older pips take the newest version of `name[extra]`, not the locked one of `name`, and then miss its hash."""
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    locked = {
        name: set(extras.split(",")) for name, extras in re.findall(r"^([a-z0-9-]+)\[(.+?)\]==", lock, re.MULTILINE)
    }
    needs = [
        need
        for name in entries(ROOT / "requirements" / "dev.txt")
        if any(importlib.metadata.distributions(name=name))
        for need in map(Requirement, importlib.metadata.requires(name) or [])
        if need.extras and (need.marker is None or need.marker.evaluate({"extra": ""}))
    ]
    assert needs, "pytest-cov needs coverage[toml]"
    assert [str(need) for need in needs if not need.extras <= locked.get(need.name, set())] == []


def test_every_dependency_is_locked() -> None:
    run, dev = (set(entries(ROOT / "requirements" / f"{name}.txt")) for name in ("run", "dev"))
    extras = PROJECT["optional-dependencies"]
    assert names(PROJECT["dependencies"]) <= run
    assert run <= dev
    assert names([text for extra in extras.values() for text in extra]) <= dev
    # A server for development, and tools for tests, have no place in an image.
    assert not names(extras["local"] + extras["test"]) & run


def test_what_runs_and_what_is_tested_is_the_same() -> None:
    run, dev = (entries(ROOT / "requirements" / f"{name}.txt") for name in ("run", "dev"))
    assert {name: hashes for name, hashes in dev.items() if name in run} == run


def test_everything_is_installed_by_hash() -> None:
    for path in ("Makefile", "Dockerfile", ".ci/run"):
        text = (ROOT / path).read_text().replace("\\\n", " ")
        installs = [line for line in text.splitlines() if re.search(r"pip\S* install", line)]
        assert installs, path
        # Our own package comes from here, without what it depends on.
        assert [line for line in installs if not re.search(r"--require-hashes|--no-deps", line)] == []


def test_the_audit_asks_about_what_runs() -> None:
    """It needs a service of vulnerabilities, so it is run by people and not here."""
    makefile = (ROOT / "Makefile").read_text()
    [recipe] = re.findall(r"^audit:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    [asked] = re.findall(r"pip-audit (.+)", recipe)
    assert "--require-hashes" in asked
    assert "--requirement $(AUDITED)" in asked
    assert "\nAUDITED ?= requirements/run.txt\n" in makefile
