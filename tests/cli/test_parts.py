"""Each part alone, the ports they share out, and what every command has in common."""

import asyncio
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cli.local import PortBusy, Ports, settle_ports
from cli.main import COMMANDS, run
from tests.cli.processes import PATIENCE, environment, free_ports, running
from tests.support.http_server import free_port

ROOT = Path(__file__).parents[2]
SELLERS = '[sellers.acme]\naffiliate_id = "MKP"\nsales_channel = 1\nbase_url = "http://127.0.0.1:9"\n'


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"] if command else ["--help"]) == 0
    shown = capsys.readouterr().out
    assert f"order-engine {command}".strip() in shown
    assert command or all(name in shown for name in COMMANDS)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("order-engine ")


@pytest.mark.parametrize("arguments", [["nonsense"], ["dev", "--nonsense"], ["dev", "--port", "0"]])
def test_a_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Usage" in capsys.readouterr().err


async def test_the_api_stops_in_order_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "sellers.toml").write_text(SELLERS)
    port = str(free_port())
    env = environment(tmp_path, TEMPORAL_ADDRESS="127.0.0.1:1")
    async with running("api", "--port", port, env=env, cwd=tmp_path) as api:
        async with asyncio.timeout(PATIENCE):
            while "Uvicorn running" not in api.err:
                await asyncio.sleep(0.05)
        async with running("api", "--port", port, env=env, cwd=tmp_path) as second:
            assert await second.ends() == 1
        assert await api.stops(signal.SIGTERM) == 0
    cure = "stop what listens there, or choose another with --port or ORDER_ENGINE_PORT"
    assert second.err == f"order-engine: port {port} is busy: {cure}\n"


async def test_temporal_and_the_sandbox_run_alone_and_stop(tmp_path: Path) -> None:
    ports = free_ports()
    env = environment(tmp_path)
    temporal_options = ["--port", str(ports["--temporal-port"]), "--ui-port", str(ports["--ui-port"]), "--in-memory"]
    sandbox_options = ["--port", str(ports["--sandbox-port"]), "--state-file", str(tmp_path / "state.json")]
    async with (
        running("temporal", *temporal_options, env=env, cwd=tmp_path) as temporal,
        running("sandbox", *sandbox_options, env=env, cwd=tmp_path) as sandbox,
    ):
        await temporal.until_says("Temporal UI:")
        await sandbox.until_says(f"sandbox Seller acme: http://127.0.0.1:{ports['--sandbox-port']}/sandbox/docs")
        assert await sandbox.stops() == 0
        assert await temporal.stops() == 0
    assert (tmp_path / "state.json").exists()


async def test_a_state_of_another_sandbox_is_told_in_one_line(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"version": 0}')
    arguments = ["sandbox", "--port", str(free_port()), "--state-file", str(state)]
    async with running(*arguments, env=environment(tmp_path), cwd=tmp_path) as sandbox:
        assert await sandbox.ends() == 1
    [line] = sandbox.err.splitlines()
    assert line.startswith(f"order-engine: sandbox: {state}: ")
    assert line.endswith("; remove it")


async def test_a_worker_without_temporal_names_the_address(tmp_path: Path) -> None:
    (tmp_path / "sellers.toml").write_text(SELLERS)
    env = environment(tmp_path, TEMPORAL_ADDRESS="127.0.0.1:1")
    async with running("worker", env=env, cwd=tmp_path) as worker:
        assert await worker.ends() == 1
    assert "Temporal does not answer at 127.0.0.1:1" in worker.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("part", "key", "said"),
    [
        (
            "api",
            "",
            "ORDER_ENGINE_STOREFRONT_KEYS is not set, and ORDER_ENGINE_PUBLIC_URL leads beyond this machine: set",
        ),
        ("worker", "", "ORDER_ENGINE_SECRET_KEY is not set: set it to the same random text in every process"),
        (
            "worker",
            "change-me-before-production",
            "ORDER_ENGINE_SECRET_KEY has a key that does not look random: make one",
        ),
    ],
)
async def test_behind_a_proxy_of_this_machine_neither_starts_without_good_keys(
    tmp_path: Path, part: str, key: str, said: str
) -> None:
    (tmp_path / "sellers.toml").write_text(SELLERS)
    places = {"ORDER_ENGINE_HOST": "127.0.0.1", "ORDER_ENGINE_PUBLIC_URL": "https://orders.example.com"}
    secrets = {"ORDER_ENGINE_SECRET_KEY": key, "ORDER_ENGINE_ENCRYPTION_KEYS": f"k1:{'A' * 43}="}
    env = environment(tmp_path, TEMPORAL_ADDRESS="127.0.0.1:1", **places, **secrets)
    async with running(part, env=env, cwd=tmp_path) as process:
        assert await process.ends() == 1
    [line] = process.err.splitlines()
    assert said in line
    assert not (tmp_path / "secret.key").exists()


def test_a_missing_temporal_server_is_named_with_the_cure(tmp_path: Path) -> None:
    # The same interpreter at a place where nothing else is installed.
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    env = environment(tmp_path, PATH=str(tmp_path), PYTHONPATH=f"{sysconfig.get_path('purelib')}:{ROOT}")
    command = [str(python), "-P", "-m", "cli.main", "temporal"]
    command += [f"--port={free_port()}", f"--ui-port={free_port()}"]
    ran = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("order-engine: the Temporal development server is not installed: run `make install`")


def test_free_ports_take_the_place_of_busy_ones_alone() -> None:
    api, temporal, ui = (free_port() for _ in range(3))
    with socket.create_server(("127.0.0.1", temporal)):
        wanted = Ports(api=api, temporal=temporal, ui=ui, sandbox=0)
        settled = settle_ports(wanted, any_free=True)
        with pytest.raises(PortBusy, match=rf"^busy: port {temporal} for Temporal \(--temporal-port\)\."):
            settle_ports(wanted, any_free=False)
    assert (settled.api, settled.ui) == (api, ui)
    assert len({temporal, *vars(settled).values()}) == 6
    assert settled.sandbox
