"""Every kind of order that waits for an operator is found by list, show and doctor, and told as the manual tells it."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from marketplace.seller.client import Timeouts
from sandbox.server import SandboxServer
from tests.cli.findings import findings
from tests.cli.in_need import KINDS, ONE_BY_ONE, Kind
from tests.cli.terminal import enter, order_engine
from tests.support.engine import Engine

MANUAL = Path(__file__).parents[2] / "docs" / "operations.md"


class Needy:
    """An engine with an order of each kind."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.orders: dict[str, dict[str, Any]] = {}

    async def make(self, kind: Kind) -> None:
        made = await kind.make(self.engine)
        code = kind.code
        self.orders[kind.name] = await self.engine.until(
            made, lambda found: (found["reason"] or {}).get("code") == code, seconds=40, needsAttention=True
        )


@pytest.fixture(scope="module")
async def made(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Needy]:
    directory = tmp_path_factory.mktemp("needy")
    # Twenty orders at once on a busy machine: a Seller that answers late must not be taken for one that is away.
    patient = Timeouts()
    async with Engine(
        temporal, seller.url, directory, seller_attempts=1, cancel_check="1h", timeouts=patient
    ) as engine:
        (await engine.sandbox.post("/reset")).raise_for_status()
        needy = Needy(engine)
        for kind in ONE_BY_ONE:
            await needy.make(kind)
        async with asyncio.TaskGroup() as group:
            for kind in KINDS:
                if kind not in ONE_BY_ONE:
                    group.create_task(needy.make(kind))
        yield needy


@pytest.fixture
def needy(made: Needy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Needy:
    """The orders, in the environment of their engine's worker."""
    enter(monkeypatch, made.engine, tmp_path)
    return made


async def test_the_list_has_every_order_that_needs_attention_with_its_reason(needy: Needy) -> None:
    ran = await order_engine("orders", "list", "--needs-attention")
    assert (ran.code, ran.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:4] for line in ran.out.splitlines()[1:]}
    wanted = {
        order["marketplaceOrderId"]: ["acme", order["status"], order["reason"]["code"]]
        for order in needy.orders.values()
    }
    assert rows == wanted
    as_json = json.loads((await order_engine("orders", "list", "--needs-attention", "--json")).out)
    assert {order["marketplaceOrderId"] for order in as_json["orders"]} == set(wanted)
    assert as_json["failing"] == []


async def test_doctor_counts_them_by_their_reason(needy: Needy) -> None:
    found = findings(await order_engine("doctor", "--json"))
    state, told = found["orders in need"]
    assert state == "warning"
    counts = {code: int(count) for count, code in re.findall(r"(\d+) ([a-z-]+)[,;]", told)}
    assert counts == Counter(kind.code for kind in KINDS)
    assert told.startswith(f"{len(KINDS)} (")
    assert found["record and Temporal"] == ("ok", "both know of the same number of orders in need")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_show_and_temporal_tell_what_the_manual_says_they_tell(needy: Needy, kind: Kind) -> None:
    order = needy.orders[kind.name]
    reason = order["reason"]
    shown = (await order_engine("orders", "show", order["marketplaceOrderId"])).out
    assert re.search(rf"^status +{order['status']}, needs attention$", shown, re.MULTILINE)
    assert f"{reason['code']}: {reason['message']}" in shown
    allowed = ["retry", "abort"] if kind.step else ["retry"]
    assert re.findall(r"orders resume \S+ (\w+)", shown) == order["allowedActions"] == allowed

    details = await needy.engine.details(order)
    assert details.startswith(f"**{order['status']}** — **needs attention**")
    assert f"Waits for an operator: {' or '.join(allowed)}." in details
    assert f"| Reason | `{reason['code']}` {reason['message']} |" in details

    section = MANUAL.read_text(encoding="utf-8").split(f"\n### `{kind.code}`\n")[1].split("\n### ")[0]
    words = reason["message"].removeprefix(f"{kind.step}: ")
    # The manual's order has a shorter id.
    assert words.replace(order["marketplaceOrderId"], "1001") in section
