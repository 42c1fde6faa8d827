"""`order-engine catalog`: what an operator sees and does from a terminal, against a running engine."""

import asyncio
import json
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from sandbox.server import SandboxServer
from tests.cli.processes import running
from tests.cli.terminal import enter, order_engine, process
from tests.conftest import MakeEngine
from tests.support.engine import Engine
from workflows.catalog_messages import Source
from workflows.catalog_policies import import_workflow_id

CLOSED = "127.0.0.1:1"
SOLD_OUT, INACTIVE, BROKEN = "2012", "2003", "2011"


async def refuse(engine: Engine, sku_id: str, times: int) -> None:
    """Have the Seller refuse some reads of one SKU: nobody tries again what is refused."""
    fault = {"route": "sku", "kind": "error", "code": "ORD005", "skuId": sku_id, "times": times}
    (await engine.sandbox.post("/faults", json=fault)).raise_for_status()


@pytest.fixture(scope="module")
async def stocked(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    """An engine that has imported the Seller's dozen: one could not be read, one is inactive."""
    async with httpx.AsyncClient() as http:
        (await http.post(f"{seller.url}/sandbox/reset")).raise_for_status()
    directory = tmp_path_factory.mktemp("catalog")
    async with Engine(temporal, seller.url, directory, catalog=True, notice_debounce="20ms") as engine:
        await engine.sku(INACTIVE, active=False)
        await refuse(engine, BROKEN, times=1)
        with pytest.MonkeyPatch.context() as patch:
            enter(patch, engine, directory)
            ran = await order_engine("catalog", "import", "acme", "--json")
        assert (json.loads(ran.out)["state"], ran.code) == ("completed", 0), ran
        yield engine


@pytest.fixture
def entered(stocked: Engine, fresh_seller: SandboxServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    enter(monkeypatch, stocked, tmp_path)
    return stocked


async def offer_of(engine: Engine, sku_id: str, **fields: Any) -> dict[str, Any]:
    """The offer, once these fields have these values."""
    async with asyncio.timeout(15):
        while True:
            found: dict[str, Any] = (await engine.http.get(f"/catalog/acme/skus/{sku_id}")).json()
            if all(found.get(name) == value for name, value in fields.items()):
                return found
            await asyncio.sleep(0.03)


async def end_import(engine: Engine) -> None:
    await engine.client.get_workflow_handle(import_workflow_id("acme", Source.ASSORTMENT)).terminate()


@pytest.fixture
async def idle(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine without a worker. An import that a test leaves behind would be in the way of the next."""
    async with make_engine(catalog=True, run_worker=False) as engine:
        enter(monkeypatch, engine, tmp_path)
        yield engine
        with suppress(RPCError):
            await end_import(engine)


# --- import ---


async def test_import_says_how_it_ended_and_the_command_it_prints_tries_the_failed_again(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with make_engine(catalog=True) as engine:
        enter(monkeypatch, engine, tmp_path)
        await refuse(engine, BROKEN, times=1)
        ran = await order_engine("catalog", "import", "acme")
        assert (ran.code, ran.err) == (0, ""), ran
        started, summary, *failed = ran.out.splitlines()
        assert started == "The import (assortment) of acme has started."
        assert summary.startswith("11 SKUs read, 1 failed in ")
        [line] = [line for line in failed if line.startswith(BROKEN)]
        assert line.split()[1] == "seller-refused"
        assert "ORD005" in line
        assert "\x1b" not in ran.out

        again = next(line for line in failed if line.startswith("Try them again: order-engine "))
        ran = await order_engine(*shlex.split(again.removeprefix("Try them again: order-engine")))
        assert ran.code == 0
        assert ran.out.splitlines()[1].startswith("1 SKUs read in ")
        listed = json.loads((await order_engine("catalog", "list", "acme", "--status", "listed", "--json")).out)
        assert BROKEN in {offer["id"] for offer in listed["offers"]}


async def test_import_joins_the_one_that_runs_and_fails_as_it_does(idle: Engine, tmp_path: Path) -> None:
    started = await order_engine("catalog", "import", "acme", "--no-wait")
    assert started.code == 0
    assert "`order-engine catalog import acme --source assortment` joins it" in started.out

    async with (
        running("catalog", "import", "acme", env=os.environ, cwd=tmp_path) as left,
        running("catalog", "import", "acme", env=os.environ, cwd=tmp_path) as joined,
    ):
        for command in (left, joined):
            await command.until_says("An import of this kind (assortment) runs already for acme: joined it.")
        assert await left.stops(signal.SIGINT) == 130
        assert left.err == "The import goes on. The same command joins it again.\n"
        same = json.loads((await order_engine("catalog", "import", "acme", "--no-wait", "--json")).out)
        assert same == {**same, "state": "running", "total": None, "done": 0, "failed": 0}

        await end_import(idle)
        assert await joined.ends() == 1
    assert joined.err.startswith("order-engine: the import has ended as terminated: see workflow catalog-import/")


async def test_a_terminal_shows_how_far_the_import_is(idle: Engine, tmp_path: Path) -> None:
    terminal = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "100", "TERM": "xterm"}
    async with running("catalog", "import", "acme", env=terminal, cwd=tmp_path) as watching:
        await watching.until_says("has started")
        await asyncio.sleep(1)  # for what is shown while nobody counts
        await idle.start_worker()
        assert await watching.ends() == 0
    assert "counting the SKUs" in watching.out
    assert "12 of 12" in watching.out
    assert "SKUs/s, 0.0 s left" in watching.out


# --- offers ---


async def test_list_shows_offers_by_id_with_why_and_leads_to_the_next_page(entered: Engine) -> None:
    ran = await order_engine("catalog", "list", "acme")
    heading, *lines = ran.out.splitlines()
    assert heading.split()[:4] == ["SKU", "STATUS", "PRICE", "STOCK"]
    assert [line.split()[0] for line in lines] == [str(number) for number in range(2001, 2013)]
    of = {line.split()[0]: line for line in lines}
    assert of["2001"].split()[1:4] == ["listed", "39.90", "120"]
    assert of["2001"].endswith("Ceramic mug blue")
    assert (of[INACTIVE].split()[1], of[INACTIVE].split()[-1]) == ("blocked", "sku-inactive")
    assert (of[BROKEN].split()[1], of[BROKEN].split()[-1]) == ("failed", "seller-refused")
    assert of[SOLD_OUT].split()[1:4] == ["listed", "54.90", "0"]
    assert not any(line.endswith(" ") or "\x1b" in line for line in ran.out.splitlines())

    page = await order_engine("catalog", "list", "acme", "--limit", "6", "--status", "listed")
    hint = page.out.splitlines()[-1]
    following = await order_engine(*shlex.split(hint.removeprefix("More: order-engine")))
    assert [line.split()[0] for line in following.out.splitlines()[1:]] == ["2008", "2009", "2010", SOLD_OUT]
    assert "No offers." in (await order_engine("catalog", "list", "acme", "--status", "pending")).out

    as_json = await process("catalog", "list", "acme", "--json", "--limit", "3")
    assert (as_json.code, as_json.err) == (0, "")
    assert as_json.out == (await entered.http.get("/catalog/acme/skus?limit=3")).text + "\n"


async def test_show_tells_the_whole_offer_and_json_is_the_apis_answer(entered: Engine) -> None:
    ran = await order_engine("catalog", "show", "acme", "02001")
    offer = await offer_of(entered, "2001")
    assert ran.code == 0, ran
    for part in ("sku/acme/2001", "39.90", "49.90", offer["data"]["ean"], offer["data"]["images"][0]["url"], "120"):
        assert part in ran.out
    as_json = await order_engine("catalog", "show", "acme", "2001", "--json")
    assert as_json.out == (await entered.http.get("/catalog/acme/skus/2001")).text + "\n"

    blocked = (await order_engine("catalog", "show", "acme", INACTIVE)).out
    assert "sku-inactive: the SKU is inactive at the Seller" in blocked
    failed = (await order_engine("catalog", "show", "acme", BROKEN)).out
    assert "seller-refused: " in failed
    assert "(after one try)" in failed
    assert "order-engine catalog import acme --source failed" in failed


async def test_the_command_lines_that_show_prints_do_what_they_say(entered: Engine) -> None:
    shown = (await order_engine("catalog", "show", "acme", "2005")).out
    [exclude] = [line.strip() for line in shown.splitlines() if line.startswith("  order-engine ")]
    ran = await order_engine(*shlex.split(exclude)[1:])
    assert (ran.code, ran.out) == (0, "SKU 2005 of acme is excluded\n"), ran

    shown = (await order_engine("catalog", "show", "acme", "2005")).out
    assert "decided-by-operator: " in shown
    assert "excluded, by operator" in shown
    [include] = [line.strip() for line in shown.splitlines() if line.startswith("  order-engine ")]
    ran = await order_engine(*shlex.split(include)[1:], "--json")
    assert (ran.code, json.loads(ran.out)["decision"]) == (0, "included"), ran
    await offer_of(entered, "2005", status="listed")

    ran = await order_engine("catalog", "decide", "acme", INACTIVE, "include")
    assert ran.out.startswith(f"SKU {INACTIVE} of acme is blocked; the SKU is inactive at the Seller")


async def test_what_a_seller_has_sent_reaches_no_terminal_as_a_command(entered: Engine) -> None:
    await entered.sku("2007", name="Wool \x1b[31mthrow\x9b")
    await order_engine("catalog", "decide", "acme", "2007", "include")
    async with asyncio.timeout(15):
        while (
            "throw" not in (shown := (await order_engine("catalog", "show", "acme", "2007")).out) or "[31m" not in shown
        ):
            await asyncio.sleep(0.05)
    listed = (await order_engine("catalog", "list", "acme")).out
    assert all(char.isprintable() or char == "\n" for char in shown + listed)


# --- the log ---


async def test_logs_are_a_table_by_day_and_status_and_json_is_the_apis_answer(entered: Engine) -> None:
    everything = (await order_engine("catalog", "logs", "acme")).out.splitlines()
    assert everything[0].split() == ["TIME", "(UTC)", "SUBJECT", "OPERATION", "STATUS", "CODE", "MESSAGE"]
    [failed] = [line for line in everything if f" {BROKEN} " in line]
    assert failed.split("Catalog change")[1].split()[:2] == ["error", "E3"]
    troubles = (await order_engine("catalog", "logs", "acme", "--status", "alert,error")).out.splitlines()[1:]
    assert {line.split()[2] for line in troubles} >= {INACTIVE, BROKEN}
    assert all(re.search("  (warning|error)  ", line) for line in troubles), troubles
    assert (await order_engine("catalog", "logs", "acme", "--date", "2020-02-29")).out == "Nothing was exchanged.\n"

    page = await order_engine("catalog", "logs", "acme", "--limit", "1", "--status", "error,warning")
    hint = page.out.splitlines()[-1]
    following = await order_engine(*shlex.split(hint.removeprefix("More: order-engine")))
    pages = page.out.splitlines()[1:2] + following.out.splitlines()[1:2]
    assert [line.split() for line in pages] == [line.split() for line in troubles[:2]]

    as_json = await order_engine("catalog", "logs", "acme", "--json", "--limit", "4")
    assert as_json.out == (await entered.http.get("/logs?seller=acme&limit=4")).text + "\n"


# --- what goes wrong ---


@pytest.mark.parametrize("command", ["list acme", "show acme 2001", "logs acme"])
async def test_the_catalog_alone_answers_while_temporal_is_away(
    entered: Engine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", CLOSED)
    ran = await order_engine("catalog", *command.split())
    assert (ran.code, "2001" in ran.out) == (0, True), ran


@pytest.mark.parametrize("command", ["import acme", "decide acme 2008 include"])
async def test_what_needs_temporal_says_that_it_is_away(
    entered: Engine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", CLOSED)
    ran = await order_engine("catalog", *command.split())
    assert f"Temporal does not answer at {CLOSED}" in ran.problem
    assert "order-engine doctor" in ran.problem


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("show acme 1", 1, "no SKU 1 of acme has been heard of; `order-engine catalog list` shows the offers"),
        ("decide acme 1 include", 1, "no SKU 1 of acme has been heard of"),
        ("show nobody 2001", 1, "seller nobody is not configured; configured: acme"),
        ("list nobody", 1, "seller nobody is not configured; configured: acme"),
        ("import nobody", 1, "seller nobody is not configured; configured: acme"),
        ("logs nobody", 1, "seller nobody is not configured; configured: acme"),
        ("show acme mug", 2, "a number of at most 10 digits"),
        ("show a/b 2001", 2, "128 characters of A-Z"),
        ("decide acme 2001 perhaps", 2, "include"),
        ("import acme --source all", 2, "assortment"),
        ("list acme --status sold", 2, "listed"),
        ("list acme --limit 501", 2, "--limit"),
        ("list acme --cursor x", 2, "not one of this list"),
        ("logs acme --cursor x", 2, "not one of this log"),
        ("logs acme --status bad", 2, "success, error, warning, pending with commas"),
        ("logs acme --date yesterday", 2, "--date"),
    ],
)
async def test_what_is_unknown_is_1_and_a_wrong_usage_2(entered: Engine, command: str, code: int, said: str) -> None:
    ran = await order_engine("catalog", *command.split())
    assert (ran.code, ran.out) == (code, "")
    assert said in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err
