"""Dockerfile and .dockerignore; an image cannot be built here."""

import re
import tomllib
from fnmatch import fnmatch

import pytest

from marketplace.settings import PREFIX
from tests.deploy_files.files import ROOT, run, unknown_settings

DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = re.sub(r"\\\n", "", DOCKERFILE).splitlines()
LAST_STAGE = INSTRUCTIONS[max(number for number, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")) :]
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def instruction(name: str) -> str:
    [line] = [line for line in LAST_STAGE if line.startswith(f"{name} ")]
    return line.removeprefix(f"{name} ")


def is_sent(path: str) -> bool:
    """Whether a file or folder of the top level is sent to the builder: the last pattern that fits decides."""
    sent = True
    for pattern in IGNORED:
        if fnmatch(path, pattern.removeprefix("!")):
            sent = pattern.startswith("!")
    return sent


def test_hadolint_has_nothing_to_say() -> None:
    ran = run("hadolint", "--no-color", ROOT / "Dockerfile")
    assert (ran.returncode, ran.stdout) == (0, "")


def test_both_stages_are_built_on_one_pinned_release_of_python() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    [image] = set(images)
    assert len(images) == 2
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", image)


def test_the_process_is_nobody_and_gets_its_signals() -> None:
    assert instruction("USER") == "10001:10001"
    assert instruction("ENTRYPOINT") == '["order-engine"]'
    assert instruction("CMD").startswith("[")


def test_the_image_has_no_secret_and_only_settings_that_are_read() -> None:
    names = set(re.findall(rf"({PREFIX}\w+)=", DOCKERFILE))
    assert unknown_settings(names) == set()
    assert not [name for name in names if "KEY" in name or "URL" in name]


def test_dependencies_are_installed_by_their_hashes() -> None:
    assert "--require-hashes --requirement requirements/run.txt" in DOCKERFILE


def test_the_builder_gets_all_that_is_packed_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = {path.strip("/") for path in project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]}
    sent = {path.name for path in ROOT.iterdir() if is_sent(path.name)}
    assert sent == packed | {"pyproject.toml", "requirements", project["project"]["readme"]}


@pytest.mark.parametrize("name", [".env", "sellers.env", "sellers.toml", ".git", ".order-engine", ".venv", "tests"])
def test_secrets_and_state_never_reach_the_builder(name: str) -> None:
    assert not is_sent(name)
