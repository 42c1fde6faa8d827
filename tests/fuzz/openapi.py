"""Runs schemathesis, as a process of its own, against an engine with keys, and reads what it found.

The document's operations are called with what it allows and with what it does not, alone and one after another. Ids and
tokens are mostly ones that exist, or nearly every call would end at a 404.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketplace.security import AffiliateTokens, CallbackTokens
from marketplace.settings import secret_keys
from tests.support.engine import Engine
from tests.support.processes import ROOT

STOREFRONT, OPERATOR = "storefront-key-fuzz-1", "operator-key-fuzz-1"
# How many may come in a second is another test's question.
FUZZED: dict[str, Any] = {
    "storefront_keys": [STOREFRONT],
    "operator_keys": [OPERATOR],
    "rate_limit": 0,
    "seller_rate_limit": 0,
    "catalog": True,
    "notice_debounce": "30ms",
}
ALL_PHASES = "examples,coverage,fuzzing,stateful"
_LINE = "/callbacks/{seller}/{order}/{token}/{scope}/orders/{path_id}"
_CALLBACKS = ("/invoice", "/invoice/{invoice_number}", "/invoice/{invoice_number}/tracking", "/cancel")


@dataclass
class Report:
    """What a run of schemathesis has shown. `failures` tell each kind of failure with its operations."""

    seed: int
    cases: int = 0
    per_operation: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    output: str = ""


async def run(
    engine: Engine,
    directory: Path,
    *,
    seed: int,
    examples: int,
    phases: str = ALL_PHASES,
    key: str = OPERATOR,
    seconds: int = 600,
) -> Report:
    """Fuzz an engine that is FUZZED; `directory` is there, for its files.

    `examples`: for each operation; `seconds`: the longest it may take.
    """
    engine.http.headers["Authorization"] = f"Bearer {OPERATOR}"
    config = directory / "schemathesis.toml"
    config.write_text("\n".join([*_config(key, engine, await _orders(engine)), ""]))
    url = str(engine.http.base_url)
    events, verdict = directory / "events.ndjson", directory / "verdict.json"
    options = {
        "--url": url,
        "--phases": phases,
        "--max-examples": examples,
        "--seed": seed,
        "--report-ndjson-path": events,
        "--report-json-path": verdict,
        "--generation-database": "none",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"),
        *("--continue-on-failure", "--no-color"),
        *(str(part) for option in options.items() for part in option),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(seed, events, verdict, output.decode(errors="replace"))


async def _orders(engine: Engine) -> dict[str, list[str]]:
    """Orders for the storefront's routes, and one for each of the Seller's: a cancellation would end the others'."""
    await restock(engine)
    waiting = await asyncio.gather(*(engine.placed() for _ in range(4)))
    going = await asyncio.gather(*(engine.dispatched() for _ in _CALLBACKS))
    return {
        "storefront": [order["marketplaceOrderId"] for order in waiting],
        "seller": [order["marketplaceOrderId"] for order in going],
    }


async def restock(engine: Engine) -> None:
    """Let the Seller have more than a long run can buy."""
    for sku in ("2001", "2002"):
        await engine.sku(sku, stock=1_000_000)


def _config(key: str, engine: Engine, orders: dict[str, list[str]]) -> Iterator[str]:
    keys = secret_keys(engine.settings)
    yield 'hooks = "tests.fuzz.hooks"'
    # Each finding is told whole below: these warnings are about its own trouble in finding good data.
    yield "warnings = false"
    known: dict[str, tuple[list[Any], float]] = {
        "path.marketplace_order_id": (orders["storefront"], 0.95),
        "path.seller": (["acme"], 0.95),
        "path.sku_id": (["2001", "2002"], 0.9),
        "query.seller": (["acme"], 0.9),
        "body.seller": (["acme"], 0.95),
        "body.An": (["acme"], 0.95),
        "body.IdAffiliate": (["MKP"], 0.95),
        "body.IdSku": (["2001", "2002"], 0.8),
        "body.items[*].id": (["2001", "2002"], 0.8),
        "body.items[*].price": ([3990], 0.7),
        "body.shippingData.logisticsInfo[*].price": ([1490], 0.7),
        "body.shippingData.logisticsInfo[*].selectedSla": (["Standard"], 0.8),
        "body.shippingData.address.country": (["BRA"], 0.8),
    }
    yield "[dictionaries]"
    for number, (values, _) in enumerate(known.values()):
        yield f"known-{number} = {{ values = {json.dumps(values)} }}"
    yield "[parameters]"
    for number, (name, (_, probability)) in enumerate(known.items()):
        yield f'"{name}" = {{ dictionary = "known-{number}", probability = {probability} }}'
    # Its own list of refusals has no 413, for what is too long to be looked at.
    yield "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 405, 409, 413, 422]"
    yield f'[auth.openapi.HTTPBearer]\nbearer = "{key}"'
    tokens = CallbackTokens(keys)
    for tail, order in zip(_CALLBACKS, orders["seller"], strict=True):
        yield f'[[operations]]\ninclude-path = "{_LINE}{tail}"\n[operations.parameters]'
        path = {"seller": "acme", "order": order, "token": tokens.mint("acme", order), "scope": "pvt", "path_id": order}
        yield from (f'"path.{name}" = "{value}"' for name, value in path.items())
    yield '[[operations]]\ninclude-path = "/affiliates/{seller}/{token}/api/notification"\n[operations.parameters]'
    yield f'"path.seller" = "acme"\n"path.token" = "{AffiliateTokens(keys).mint("acme")}"'


def _read(seed: int, events: Path, verdict: Path, output: str) -> Report:
    report = Report(seed, output=output)
    for line in events.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for name, one in scenario.get("interactions", {}).items():
            case = scenario["cases"][name]["value"]
            report.per_operation[f"{case['method']} {case['path']}"] += 1
            report.statuses[(one["response"] or {}).get("status_code", 0)] += 1
    found = json.loads(verdict.read_text())
    report.cases = found["test_cases"]["generated"]
    report.failures = [f"{one['title']}: {', '.join(one['operations'])}" for one in found["failures"]]
    report.failures += [f"{one['title']}: {one['count']}" for one in found["errors"]]
    if not found["complete"]:
        report.failures.append(f"ended before its end: {found['stop_reason']}")
    return report
