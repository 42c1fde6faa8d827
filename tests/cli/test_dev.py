"""`order-engine dev`: the whole engine on one machine, as processes."""

import asyncio
import json
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import PATIENCE, as_options, environment, free_ports, gone, kill, running, until_delivered

RUNS = "Ctrl-C stops everything"


def _command_after(text: str, purpose: str) -> str:
    """The command line that is shown below its purpose, to be pasted."""
    lines = text.splitlines()
    return next(lines[number + 1] for number, line in enumerate(lines) if line.startswith(purpose))


async def _paste(command: str, env: dict[str, str], cwd: Path) -> str:
    ran = await asyncio.to_thread(
        subprocess.run, ["/bin/sh", "-c", command], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def _until_the_catalog_lives(api: str, sandbox: str) -> None:
    """Wait until all that the Seller sells is there, and until changes of price and stock arrive."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as http:
        while len((await http.get(f"{api}/catalog/acme/skus")).json()["offers"]) < 12:
            await asyncio.sleep(0.05)
        # As it is, one would wait for seconds.
        (await http.put(f"{sandbox}/settings", json={"livingRate": 50})).raise_for_status()
        seen: set[str] = set()
        while not seen >= {"Price update", "Inventory update"}:
            messages = (await http.get(f"{api}/logs?seller=acme&limit=500")).json()["Messages"]
            seen |= {message["Operation"] for message in messages}
            await asyncio.sleep(0.05)
        first = (await http.get(f"{sandbox}/skus/2001")).json()
        assert first["price"] == 3990, "the first order's price is written down"


@pytest.mark.slow
async def test_dev_takes_an_order_keeps_it_for_the_next_time_and_names_a_part_that_dies(tmp_path: Path) -> None:
    data = tmp_path / "a directory"
    # What the shell was set up for elsewhere must not be reached from here.
    elsewhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "ORDER_ENGINE_DATABASE_URL": "postgresql://nowhere.invalid/orders"}
    env = environment(data, ORDER_ENGINE_SELLERS="none.toml", **elsewhere)
    ports = free_ports()
    api = f"http://127.0.0.1:{ports['--port']}"
    arguments = ["dev", "--pace", "0", *as_options(ports)]

    async with running(*arguments, env=env, cwd=tmp_path) as dev:
        await dev.until_says(RUNS)
        for address in (
            f"{api}/docs",
            f"http://127.0.0.1:{ports['--ui-port']}",
            f"{ports['--sandbox-port']}/sandbox/docs",
        ):
            assert address in dev.out
        post = _command_after(dev.out, "Post a first order")
        if shutil.which("curl"):
            posted = json.loads(await _paste(post, env, tmp_path))
            assert posted["marketplaceOrderId"] == "FIRST-1"
        else:
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(f"{api}/orders", content=(data / "first-order.json").read_bytes())
                assert answer.status_code == 201
        await until_delivered(api, "FIRST-1")
        await _until_the_catalog_lives(api, f"http://127.0.0.1:{ports['--sandbox-port']}/sandbox")

        async with running(*arguments, env=env, cwd=tmp_path) as second:
            assert await second.ends() == 1
        cure = "stop it, or set ORDER_ENGINE_DATA_DIR to another"
        assert second.err == f"order-engine: `order-engine dev` runs already with {data}: {cure}\n"
        children = dev.children
        assert await dev.stops() == 0
        assert await gone(children, 0)
    assert dev.err == ""

    async with running(*arguments, env=env, cwd=tmp_path) as again:
        await again.until_says(RUNS)
        shown = await _paste(_command_after(again.out, "See what became of it"), env, tmp_path)
        assert "delivered" in shown
        catalog = _command_after(again.out, "See there how")
        told = await _paste(f". {shlex.quote(str(data / 'operator.env'))} && {catalog}", env, tmp_path)
        assert "Price update" in told
        async with httpx.AsyncClient(trust_env=False) as http:
            same = await http.post(f"{api}/orders", content=(data / "first-order.json").read_bytes())
            assert (same.status_code, same.json()["status"]) == (200, "delivered")
            switches = (await http.get(f"http://127.0.0.1:{ports['--sandbox-port']}/sandbox/settings")).json()
            assert switches["livingCatalog"]
            assert switches["notificationEndpoint"].startswith(f"{api}/affiliates/acme/")
            sold = await http.get(f"http://127.0.0.1:{ports['--sandbox-port']}/sandbox/orders/FIRST-1")
            assert sold.json()["status"] == "invoiced"
        children = again.children
        again.child("sandbox").terminate()
        assert await again.ends() == 1
        assert await gone(children, 0)
    first, second_line, *tail = again.err.splitlines()
    assert first == "order-engine: sandbox ended with exit code 0: everything was stopped."
    assert second_line == f"The end of {data}/logs/sandbox.log:"
    assert "sandbox Seller acme" in tail[0]


@pytest.mark.slow
async def test_a_killed_dev_leaves_no_child(tmp_path: Path) -> None:
    async with running("dev", *as_options(free_ports()), env=environment(tmp_path), cwd=tmp_path) as dev:
        async with asyncio.timeout(PATIENCE):
            while len(dev.children) < 5:  # the four parts and their guard
                await asyncio.sleep(0.02)
        children = dev.children
        dev.process.kill()
        try:
            assert await gone(children)
        finally:
            kill(children)


@pytest.mark.slow
async def test_busy_ports_are_named_in_one_line(tmp_path: Path) -> None:
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports["--port"])), socket.create_server(("127.0.0.1", ports["--ui-port"])):
        async with running("dev", *as_options(ports), env=environment(tmp_path), cwd=tmp_path) as dev:
            assert await dev.ends() == 1
    assert dev.err == (
        f"order-engine: busy: port {ports['--port']} for the API (--port or ORDER_ENGINE_PORT),"
        f" {ports['--ui-port']} for Temporal's UI (--ui-port)."
        " Stop what listens there, choose another by the option named, or add --free-ports\n"
    )


async def test_data_that_temporal_cannot_read_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "temporal.sqlite3").write_text("of another program")
    async with running("dev", *as_options(free_ports()), env=environment(tmp_path), cwd=tmp_path) as dev:
        assert await dev.ends() == 1
    lines = dev.err.splitlines()
    assert lines[0] == "order-engine: temporal ended with exit code 1: everything was stopped."
    assert "file is not a database" in lines[2]
    assert lines[-1] == f"If it cannot read its data, delete {tmp_path}/temporal.sqlite3*: open orders are lost."


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ORDER_ENGINE_PORT", "http", "ORDER_ENGINE_PORT: "),
        (
            "ORDER_ENGINE_PAYMENT_DEADLINE",
            "soon",
            "ORDER_ENGINE_PAYMENT_DEADLINE: must be a number with ms, s, m, h or d",
        ),
        ("ORDER_ENGINE_HOST", "0.0.0.0", "ORDER_ENGINE_STOREFRONT_KEYS is not set"),
        ("ORDER_ENGINE_DATA_DIR", "/dev/null/data", "ORDER_ENGINE_DATA_DIR: cannot write to /dev/null/data"),
    ],
)
async def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path, name: str, value: str, problem: str) -> None:
    env = {**environment(tmp_path), name: value}
    async with running("dev", "--free-ports", env=env, cwd=tmp_path) as dev:
        assert await dev.ends() == 1
    [line] = dev.err.splitlines()
    assert line.startswith(f"order-engine: {problem}")
    assert dev.out == ""
