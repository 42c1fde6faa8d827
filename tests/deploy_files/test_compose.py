"""docker-compose.yml: what Docker Compose itself says of it, and the rules that we gave ourselves."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from cli.local import temporal_command
from marketplace.settings import PREFIX, load_sellers, load_settings, parse_duration
from sandbox.server import SandboxServer
from tests.deploy_files.files import ROOT, Json, load, run, unknown_settings
from tests.support.engine import TEMPORAL
from tests.support.http_server import free_port
from tests.support.temporal import development_server
from worker import GRACE

COMPOSE: Json = load("docker-compose.yml")
SERVICES: Json = COMPOSE["services"]
LASTING = {name: service for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
ENGINE = ("worker", "api")
OWN_FILES = {"./sellers.toml"}
"""Files that whoever deploys writes."""
PROMPTED = re.compile(r"\$\{(\w+):\?")
OPTIONAL = re.compile(r"\$\{(\w+):-\}")
USED = re.compile(r"\$\{(\w+)")


def each(services: Json = SERVICES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("service", services.values(), ids=services.keys())


def example() -> dict[str, str]:
    """The variables of .env.example, with what a person is to fill in."""
    lines = [line.partition("=") for line in (ROOT / ".env.example").read_text().splitlines() if line[:1].isalpha()]
    return {name: value for name, _, value in lines}


SECRETS = sorted(set(PROMPTED.findall((ROOT / "docker-compose.yml").read_text())))


# --- Docker Compose ---


def config(directory: Path, variables: dict[str, str], *arguments: str) -> Any:
    """What `docker compose config` says of the file in a directory where an operator has done as they were told."""
    for name in ("docker-compose.yml", "deploy"):
        link = directory / name
        if not link.exists():
            link.symlink_to(ROOT / name)
    (directory / ".env").write_text("\n".join(f"{name}={value}" for name, value in variables.items()))
    (directory / "sellers.env").write_text("ACME_APP_KEY=k\n")
    place = ("--project-directory", directory, "--file", directory / "docker-compose.yml")
    return run("docker-compose", *place, *arguments, env={"PATH": os.environ["PATH"], "HOME": str(directory)})


def filled() -> dict[str, str]:
    return {name: value or "filled-in" for name, value in example().items()}


def test_docker_compose_finds_the_file_right_with_every_profile(tmp_path: Path) -> None:
    """It validates against the specification's schema first, and then what the schema cannot say."""
    ran = config(tmp_path, filled(), "--profile", "*", "config", "--services")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert set(ran.stdout.split()) == set(SERVICES)


def test_docker_compose_refuses_what_the_specification_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text("services:\n  api:\n    image: x\n    reed_only: true\n")
    ran = config(tmp_path, filled(), "config", "--quiet")
    assert ran.returncode != 0
    assert "reed_only" in ran.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_starts_without_a_secret(tmp_path: Path, name: str) -> None:
    for left in ({}, {name: ""}):
        variables = {key: value for key, value in filled().items() if key != name} | left
        ran = config(tmp_path, variables, "config", "--quiet")
        assert ran.returncode != 0
        assert f"{name} is missing a value: set it in .env" in ran.stderr


# --- secrets and settings ---


def test_the_example_has_every_variable_and_no_secret() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(USED.findall(text)) == set(example())
    optional = set(OPTIONAL.findall(text))
    assert {name for name, value in example().items() if not value} == {*SECRETS, *optional}


@pytest.mark.parametrize("name", [*ENGINE, "codec", "sandbox"])
def test_every_variable_of_the_engine_is_one_that_it_reads(name: str) -> None:
    assert unknown_settings(set(SERVICES[name].get("environment", {}))) == set()


def test_worker_and_api_agree_on_what_they_must_agree_on() -> None:
    worker, api = (SERVICES[name]["environment"] for name in ENGINE)
    assert worker.items() <= api.items()
    assert set(api) - set(worker) == {
        f"{PREFIX}{name}" for name in ("HOST", "PORT", "STOREFRONT_KEYS", "OPERATOR_KEYS")
    }


def test_the_ui_has_payloads_decoded_by_the_codec_for_whoever_has_signed_in_there() -> None:
    ui, codec = (SERVICES[name]["environment"] for name in ("temporal-ui", "codec"))
    assert ui["TEMPORAL_CODEC_INCLUDE_CREDENTIALS"] == "true"
    assert ui["TEMPORAL_CODEC_ENDPOINT"] == "${CODEC_URL:-http://127.0.0.1:8234}"
    assert ui["TEMPORAL_CORS_ORIGINS"] == codec[f"{PREFIX}UI_ORIGINS"]
    assert set(codec) == {
        f"{PREFIX}{name}" for name in ("ENCRYPTION_KEYS", "OPERATOR_KEYS", "UI_ORIGINS", "LOG_FORMAT")
    }
    assert SERVICES["codec"]["networks"] == ["outside"]


@pytest.mark.parametrize("path", ["deploy/sandbox/sellers.toml", "deploy/kubernetes/sellers.toml"])
def test_the_sellers_files_can_be_read(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv(f"{PREFIX}SELLERS", str(ROOT / path))
    assert set(load_sellers(load_settings(), require_secrets=False)) == {"acme"}


# --- hardening ---


@each()
def test_every_image_is_pinned_to_one_release(service: Json) -> None:
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"])


@each()
def test_no_service_is_root_or_may_become_it(service: Json) -> None:
    user, _, group = service["user"].partition(":")
    assert (int(user) > 0, int(group) > 0) == (True, True)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"} & set(service)


@each()
def test_every_root_file_system_is_read_only_and_so_is_what_is_bound_into_it(service: Json) -> None:
    assert service["read_only"] is True
    for volume in service.get("volumes", []):
        if isinstance(volume, dict):
            assert volume["read_only"] is True
        elif volume.startswith((".", "$")):
            assert volume.endswith(":ro")
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@each()
def test_every_command_is_in_the_exec_form(service: Json) -> None:
    """A shell in between would keep SIGTERM to itself."""
    for name in ("command", "entrypoint"):
        assert isinstance(service.get(name, []), list)
    assert service.get("healthcheck", {"test": ["CMD"]})["test"][0] == "CMD"


@each(LASTING)
def test_every_lasting_service_is_asked_how_it_is(service: Json) -> None:
    check = service["healthcheck"]
    assert set(check) == {"test", "interval", "timeout", "start_period", "retries"}
    assert parse_duration(check["timeout"]) <= parse_duration(check["interval"])


def asked(name: str) -> str:
    """The address that a service's health check asks."""
    [url] = re.findall(r"http://127\.0\.0\.1:\d+/[\w./-]+", " ".join(SERVICES[name]["healthcheck"]["test"]))
    return str(url)


@pytest.mark.parametrize("name", ["temporal-ui", "api", "codec", "sandbox", "prometheus", "grafana"])
def test_a_service_is_asked_at_the_port_that_it_serves(name: str) -> None:
    [port] = SERVICES[name]["ports"]
    assert urlsplit(asked(name)).port == int(port.rpartition(":")[2])


async def test_the_sandbox_answers_what_its_health_check_asks(seller: SandboxServer) -> None:
    python, *arguments = SERVICES["sandbox"]["healthcheck"]["test"][1:]
    assert python == "python"
    for path, healthy in (("settings", True), ("nothing", False)):
        url = f"{seller.url}/sandbox/{path}"
        command = [sys.executable, *(word.replace(asked("sandbox"), url) for word in arguments)]
        ran = await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True)
        assert (ran.returncode == 0) is healthy, ran.stderr
    assert urlsplit(asked("sandbox")).path == "/sandbox/settings"


async def test_temporals_ui_answers_what_its_health_check_asks() -> None:
    """The development server brings the UI of the release that the file names."""
    told = await asyncio.to_thread(subprocess.check_output, [TEMPORAL, "--version"], text=True)
    assert f"UI {SERVICES['temporal-ui']['image'].rpartition(':')[2]})" in told
    port = free_port()
    async with await development_server([], ui=True, ui_port=port), httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(asked("temporal-ui").replace(":8080", f":{port}"))
    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})


@each()
def test_ports_are_open_to_this_machine_alone(service: Json) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", []))


@each()
def test_every_service_has_its_limits(service: Json) -> None:
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_databases_and_temporal_are_out_of_reach_from_outside() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "temporal-schema", "temporal", "temporal-namespace"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]


# --- order of start and end ---


def test_everything_starts_after_what_it_needs() -> None:
    conditions = {
        name: {other: need["condition"] for other, need in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    healthy, completed = "service_healthy", "service_completed_successfully"
    assert conditions["temporal-schema"] == {"postgres": healthy}
    assert conditions["temporal"] == {"temporal-schema": completed}
    assert conditions["temporal-namespace"] == {"temporal": healthy}
    for name in ENGINE:
        assert conditions[name] == {"postgres": healthy, "temporal-namespace": completed}
    waited_for = {other for needs in conditions.values() for other, need in needs.items() if need == healthy}
    assert all("healthcheck" in SERVICES[name] for name in waited_for)


def test_the_stop_leaves_worker_and_api_the_time_that_they_take() -> None:
    assert parse_duration(SERVICES["worker"]["stop_grace_period"]) > GRACE + timedelta(seconds=5)
    assert parse_duration(SERVICES["api"]["stop_grace_period"]) >= timedelta(seconds=10)


def test_the_worker_can_be_scaled() -> None:
    assert not {"container_name", "ports", "hostname"} & set(SERVICES["worker"])
    assert SERVICES["worker"]["deploy"]["replicas"] == "${WORKERS:-2}"


# --- files ---


@each()
def test_every_file_that_is_bound_exists(service: Json) -> None:
    for volume in service.get("volumes", []):
        source = volume["source"] if isinstance(volume, dict) else volume.split(":", 1)[0]
        source = re.sub(r"\$\{\w+:-(.*)\}", r"\1", source)
        if source.startswith(".") and source not in OWN_FILES:
            assert (ROOT / source).exists(), source
        elif not source.startswith("."):
            assert source in COMPOSE["volumes"]
    for word in service.get("entrypoint", []):
        if word.startswith("/deploy/"):
            assert (ROOT / "deploy/temporal" / word.removeprefix("/deploy/")).exists()


def test_what_an_operator_writes_is_kept_out_of_version_control_and_images() -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {".env", "sellers.env", "sellers.toml"} <= {name.lstrip("/") for name in ignored}


def test_temporals_dynamic_configuration_is_that_of_the_development_server() -> None:
    command = temporal_command(1, 2, None)
    wanted = {name: value for name, _, value in (word.partition("=") for word in command) if value and "." in name}
    known = load("deploy/temporal/dynamicconfig.yaml")
    assert {name: str(entries[0]["value"]).lower() for name, entries in known.items()} == wanted


def test_one_command_starts_it_wherever_it_is_named() -> None:
    pages = [ROOT / "docker-compose.yml", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    told = {command for page in pages for command in re.findall(r"docker compose up[ \w-]*\w", page.read_text())}
    assert told == {"docker compose up --detach --build --wait"}
