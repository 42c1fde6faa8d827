"""The manual's commands of Temporal's own command line, run against an order that is parked, with and without keys."""

import asyncio
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from api.codec import create_codec_app
from marketplace.security import EncryptionKey
from marketplace.settings import Settings
from marketplace.temporal import data_converter
from sandbox.server import SandboxServer
from tests.orders.parking import REFUSED, parked
from tests.support.engine import TEMPORAL, Engine
from tests.support.http_server import free_port, http_server

MANUAL = Path(__file__).parents[2] / "docs" / "operations.md"
PARKED = MANUAL.read_text(encoding="utf-8").split("\n## Parked orders\n")[1].split("\n## ")[0]
KEY = EncryptionKey("k1", b"1" * 32)
OPERATOR = "operator-key-of-the-manual-1"


def commands() -> list[list[str]]:
    """Each command of the manual's block, and the lines that it shows."""
    [block] = [part for part in PARKED.split("```")[1::2] if part.startswith("\n$ temporal")]
    return [part.splitlines() for part in block.strip().removeprefix("$ ").split("\n\n$ ")]


def _about(order_id: str, lines: list[str]) -> list[str]:
    return [line.replace("1001", order_id) for line in lines]


async def ran(command: str, address: str, *options: str) -> str:
    """What a command prints, its words one space apart."""
    program, *arguments = shlex.split(command)
    assert program == "temporal"
    process = await asyncio.create_subprocess_exec(
        *(TEMPORAL, *arguments, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TEMPORAL_ADDRESS": address, "TEMPORAL_CONFIG_FILE": os.devnull},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return " ".join(out.decode().split())


def missing(shown: list[str], told: str) -> list[str]:
    """The manual's lines of which a part between two `...` was not told in its place."""
    patterns = {line: ".*".join(re.escape(part.strip()) for part in line.split("...")) for line in shown}
    return [line for line, pattern in patterns.items() if not re.search(pattern, told)]


@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["plain", "encrypted"])
async def test_temporals_commands_find_a_parked_order_and_bring_it_on(
    temporal: Client, fresh_seller: SandboxServer, tmp_path: Path, keys: tuple[EncryptionKey, ...]
) -> None:
    config = temporal.config()
    config["data_converter"] = data_converter(Settings(encryption_keys=keys))
    client, address = Client(**config), temporal.service_client.config.target_host
    settings: dict[str, Any] = {"encryption_keys": (KEY,), "operator_keys": [OPERATOR], "data_dir": tmp_path}
    codec = create_codec_app(Settings(**settings))
    async with (
        Engine(client, fresh_seller.url, tmp_path, encryption_keys=keys) as engine,
        http_server(codec, free_port()) as url,
    ):
        options = ["--codec-endpoint", url, "--codec-auth", f"Bearer {OPERATOR}"] if keys else []
        order = await parked(engine, "dispatch", REFUSED)
        for command, *shown in (_about(order["marketplaceOrderId"], one) for one in commands()):
            told = await ran(command, address, *options)
            async with asyncio.timeout(20):
                # What the server indexes or is told of the order is a moment behind.
                while " update " not in command and missing(shown, told):
                    told = await ran(command, address, *options)
            assert missing(shown, told) == [], told
        shown_by_us = await engine.until(order, status="handling", needsAttention=False)
        assert "operator says retry: keys renewed" in [entry["detail"] for entry in shown_by_us["history"]]
        assert (await engine.ledger(order))["status"] == "window-to-cancel"


def test_the_manual_shows_the_search_the_look_and_the_word_of_the_operator() -> None:
    words = [" ".join(shlex.split(command)[1:3]) for command, *_ in commands()]
    once = ["workflow list", "workflow describe", "workflow metadata", "workflow update"]
    assert words == [*once, "workflow describe"]
