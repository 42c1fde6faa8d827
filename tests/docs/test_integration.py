"""docs/integration.md: a shell and curl run the storefront's examples as they stand, and get what the page shows.

So does the command that tells what is typed into VTEX's admin.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from marketplace.security import AffiliateTokens, new_api_key
from marketplace.temporal import PLAIN
from sandbox.server import SandboxServer
from tests.cli.terminal import order_engine
from tests.production.topology import make_namespace
from tests.support.engine import Engine

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "integration.md").read_text(encoding="utf-8")
OPENING, STOREFRONT = PAGE.split("\n## Errors\n")[0].split("\n## The storefront\n")
FENCED = re.compile(r"```(\w*)\n(.*?)\n```", re.DOTALL)
SELLER = PAGE.split("\n## The Seller\n")[1].split("\n### ")[0]
VARIABLES = ["ENGINE", "KEY"]
ORDER = {"marketplaceOrderId": "1001", "seller": "acme"}
POST, PAY, CANCEL = '$ENGINE/orders"', "/payment", "/cancel"
"""What tells the example of a step from the others."""


@dataclass(frozen=True)
class Example:
    """Commands for a shell, and the status and the abridged body that the page shows below them."""

    commands: str
    status: int
    body: Any


def examples() -> list[Example]:
    """The storefront's examples in order. Each must have its answer below it."""
    blocks = [(found[1], found[2], STOREFRONT[: found.start()]) for found in FENCED.finditer(STOREFRONT)]
    assert [kind for kind, _, _ in blocks] == ["sh", "json"] * (len(blocks) // 2)
    pairs = zip(blocks[::2], blocks[1::2], strict=True)
    return [
        Example(commands, int(before.rstrip().rpartition("\n")[2].rstrip(":")), json.loads(body))
        for (_, commands, _), (_, body, before) in pairs
    ]


EXAMPLES = examples()


def the_one(text: str) -> Example:
    [found] = [example for example in EXAMPLES if text in example.commands]
    return found


class Shell:
    """A shell with the page's variables, where every curl tells its status after the body, and is given time."""

    def __init__(self, directory: Path, engine: str, key: str) -> None:
        # The busiest machine gets its 201 too: the page's own wait is five seconds.
        (directory / ".curlrc").write_text('write-out = "\\n%{http_code}\\n"\nheader = "Prefer: wait=30"\n')
        self._env = {"PATH": os.environ["PATH"], "HOME": str(directory), "CURL_HOME": str(directory)}
        self._env |= dict(zip(VARIABLES, (engine, key), strict=True))

    async def run(self, commands: str) -> tuple[int, Any]:
        """The status and the body that an example's curl gets."""
        shell = ["/bin/sh", "-eu", "-c", commands]
        ran = await asyncio.to_thread(subprocess.run, shell, env=self._env, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        body, status = ran.stdout.splitlines()
        return int(status), json.loads(body)


def has(found: Any, shown: Any) -> bool:
    """Whether an answer has all that the page shows of it, lists with the same length."""
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(name in found and has(found[name], shown[name]) for name in shown)
    if isinstance(shown, list):
        return isinstance(found, list) and len(found) == len(shown) and all(map(has, found, shown))
    return bool(found == shown)


def codes(table_of: str) -> set[int]:
    """The statuses in the first column of the table below a heading."""
    table = STOREFRONT.split(f"\n### {table_of}\n")[1].split("\n### ")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    return {int(code) for cell in first_cells for code in re.findall(r"\d{3}", cell)}


@pytest.fixture
def _curl() -> None:
    """Skip where there is no curl; where CI runs, there must be one."""
    if shutil.which("curl") is None:
        if "CI" in os.environ:
            pytest.fail("curl is not installed")
        pytest.skip("curl is not installed")


@pytest.fixture
async def alone(temporal: Client) -> Client:
    """A namespace of its own: the page's order has the same id each time, and an id is good for one order for ever."""
    namespace = f"page-{uuid4().hex[:8]}"
    address = temporal.service_client.config.target_host
    await make_namespace(address, namespace)
    return await Client.connect(address, namespace=namespace, data_converter=PLAIN)


def test_the_page_names_the_variables_that_its_examples_use() -> None:
    [(kind, block)] = FENCED.findall(OPENING)
    assert kind == "sh"
    assert re.findall(r"^(\w+)=", block, re.MULTILINE) == VARIABLES
    for example in EXAMPLES:
        assert set(re.findall(r"\$(\w+)", example.commands)) == set(VARIABLES)
        assert example.commands.count("curl -s ") == 1


@pytest.mark.usefixtures("_curl")
@pytest.mark.parametrize("guarded", [False, True], ids=["no keys", "keys"])
async def test_the_storefronts_examples_run_in_order_and_answer_what_the_page_shows(
    alone: Client, fresh_seller: SandboxServer, tmp_path: Path, guarded: bool
) -> None:
    key = new_api_key() if guarded else ""
    keys = {"storefront_keys": [key], "operator_keys": [new_api_key()]} if guarded else {}
    async with Engine(alone, fresh_seller.url, tmp_path, **keys) as engine:
        engine.http.headers["Authorization"] = f"Bearer {key}"
        url = str(engine.http.base_url).rstrip("/")
        if guarded:
            stranger = Shell(tmp_path, url, "")
            assert {(await stranger.run(example.commands))[0] for example in EXAMPLES} == {401}
        shell = Shell(tmp_path, url, key)
        for example in EXAMPLES:
            status, body = await shell.run(example.commands)
            if status == 202:
                # As the page says of payment and cancellation: taken, and done a moment later.
                assert any(step in example.commands for step in (PAY, CANCEL))
                body = await engine.until(ORDER, status=example.body["status"])
                status = 200
            assert status == example.status, body
            assert has(body, example.body), body


@pytest.mark.usefixtures("_curl")
async def test_what_the_page_says_of_repeats_and_contradictions_is_so(
    alone: Client, fresh_seller: SandboxServer, tmp_path: Path
) -> None:
    post, pay = the_one(POST).commands, the_one(PAY).commands
    async with Engine(alone, fresh_seller.url, tmp_path) as engine:
        shell = Shell(tmp_path, str(engine.http.base_url).rstrip("/"), "")

        async def answered(commands: str) -> int:
            return (await shell.run(commands))[0]

        other = post.replace('"number": "58"', '"number": "59"')
        mistyped = post.replace('"quantity": 2', '"quantity": "two"')
        misspelt = post.replace("clientProfileData", "clientProfile")
        no_json = post.replace("'{", "'{{")
        told = [await answered(commands) for commands in (post, post, other, mistyped, misspelt, no_json)]
        assert told == [201, 200, 409, 422, 422, 400]
        assert set(told) <= codes("2. Post the order")
        assert await answered(pay) in {200, 202}
        await engine.until(ORDER, status="handling")
        denied, paid_otherwise = pay.replace("approved", "denied"), pay.replace("pay-1001", "pay-1002")
        told = [await answered(commands) for commands in (pay, denied, paid_otherwise)]
        assert told == [200, 409, 409]


# --- the Seller ---


async def test_the_page_shows_what_order_engine_sellers_prints_for_its_sellers_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (_, lines), (_, shown) = FENCED.findall(SELLER)
    (tmp_path / "sellers.toml").write_text(lines)
    key = new_api_key()
    environment = {
        "ORDER_ENGINE_SELLERS": str(tmp_path / "sellers.toml"),
        "ORDER_ENGINE_PUBLIC_URL": "https://orders.example.com",
        "ORDER_ENGINE_SECRET_KEY": key,
        "ACME_APP_KEY": "sandbox-key",
        "ACME_APP_TOKEN": "sandbox-token",
    }
    for name in os.environ:
        if name.startswith("ORDER_ENGINE_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    ran = await order_engine("sellers")

    assert (ran.code, ran.err) == (0, "")
    token = AffiliateTokens([SecretStr(key)]).mint("acme")
    [sample] = re.findall(
        r"^affiliate endpoint +https://orders\.example\.com/affiliates/acme/(\S+)$", shown, re.MULTILINE
    )
    assert re.fullmatch(r"[A-Za-z0-9_-]+", sample)
    assert len(sample) == len(token)
    assert ran.out.strip().replace(token, sample) == shown.partition("\n")[2]


def test_the_example_of_an_affiliates_id_is_one_that_vtex_takes() -> None:
    ids = {*re.findall(r'affiliate_id = "(\w+)"', SELLER), *re.findall(r"three consonants, such as `(\w+)`", SELLER)}
    assert len(ids) == 1
    assert all(re.fullmatch(r"[B-DF-HJ-NP-TV-Z]{3}", affiliate_id) for affiliate_id in ids)


def test_the_manual_looks_for_faults_in_the_menus_that_the_set_up_names() -> None:
    manual = " ".join((DOCS / "operations.md").read_text(encoding="utf-8").split())
    menus = {menu for menu in re.findall(r"\*([^*|.]+? > [^*|.]+?)\*", manual) if "ettings" in menu}
    assert menus == set(re.findall(r"\*([^*|.]+? > [^*|.]+?)\*", SELLER))
