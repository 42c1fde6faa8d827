"""The command line for tests: the environment of an engine's worker, and commands run in it."""

import asyncio
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from tests.support.engine import Engine

COLOURS = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """The one line told on standard error by a command that failed and printed nothing else."""
        assert (self.code, self.out) == (1, ""), self
        [line] = self.err.splitlines()
        return line


def enter(monkeypatch: pytest.MonkeyPatch, engine: Engine, directory: Path, **changes: str) -> None:
    """Set the environment that the engine's worker would have; keyword arguments replace variables or Seller fields."""
    for name in os.environ:
        if name.startswith(("TEMPORAL_", "ORDER_ENGINE_")) or name in COLOURS:
            monkeypatch.delenv(name)
    settings = engine.settings
    seller = engine.sellers["acme"]
    table = {
        "affiliate_id": f'"{seller.affiliate_id}"',
        "sales_channel": str(seller.sales_channel),
        "base_url": f'"{seller.base_url}"',
        "app_key_env": '"ACME_APP_KEY"',
        "app_token_env": '"ACME_APP_TOKEN"',
    }
    fields = {**table, **{name: changes.pop(name) for name in list(changes) if name.islower()}}
    sellers = directory / "sellers.toml"
    sellers.write_text("\n".join(["[sellers.acme]", *(f"{name} = {value}" for name, value in fields.items())]))
    variables = {
        "TEMPORAL_ADDRESS": engine.client.service_client.config.target_host,
        "TEMPORAL_CONFIG_FILE": str(directory / "none.toml"),
        "ORDER_ENGINE_SELLERS": str(sellers),
        "ORDER_ENGINE_DATA_DIR": str(settings.data_dir),
        "ORDER_ENGINE_DATABASE_URL": settings.database_url.get_secret_value(),
        "ORDER_ENGINE_PUBLIC_URL": settings.public_url,
        "ORDER_ENGINE_TASK_QUEUE": settings.task_queue,
        "ORDER_ENGINE_SECRET_KEY": settings.secret_key[0].get_secret_value(),
        "ACME_APP_KEY": seller.app_key.get_secret_value(),
        "ACME_APP_TOKEN": seller.app_token.get_secret_value(),
    }
    for name, value in {**variables, **changes}.items():
        monkeypatch.setenv(name, value)


async def order_engine(*arguments: Any) -> Ran:
    """Run a command in this process, beside the loop that the engine runs in. One at a time: it takes the streams."""
    return await asyncio.to_thread(_run, [str(argument) for argument in arguments])


def _run(arguments: list[str]) -> Ran:
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
    return Ran(code, _text(out), _text(err))


def _text(stream: TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


async def process(*arguments: str) -> Ran:
    """Run a command as a process of its own, its output in pipes."""
    command = [sys.executable, "-m", "cli.main", *arguments]
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await running.communicate()
    assert running.returncode is not None
    return Ran(running.returncode, out.decode(), err.decode())
