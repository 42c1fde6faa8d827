"""`order-engine doctor`: an engine that is well, and one with each part of it broken in turn."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.findings import findings, of
from tests.cli.terminal import enter, order_engine, process
from tests.support.engine import Engine, new_order

CLOSED = "127.0.0.1:1"
OF_TEMPORAL = {
    *("namespace", "search attributes", "worker", "catalog worker", "webhook worker", "other task queues"),
    *("failing orders", "failing catalog", "failing webhooks", "stopped orders", "removed Sellers"),
    *("schedules", "failed imports", "stuck imports", "record and Temporal"),
}
OF_ATTRIBUTES = {"removed Sellers", "record and Temporal"}
OF_SELLERS = {"public URL", "Sellers", "removed Sellers", "schedules", "failed imports", "failed offers"}
OF_DATABASE = {"orders in need", "record and Temporal", "waiting orders", "failed offers", "undelivered webhooks"}
EVERY = (
    "settings",
    "sellers file",
    "API address",
    "public URL",
    "Temporal",
    "namespace",
    "search attributes",
    "worker",
    "catalog worker",
    "webhook worker",
    "other task queues",
    "failing orders",
    "failing catalog",
    "failing webhooks",
    "stopped orders",
    "removed Sellers",
    "schedules",
    "failed imports",
    "stuck imports",
    "database",
    "orders in need",
    "record and Temporal",
    "waiting orders",
    "failed offers",
    "undelivered webhooks",
    "Seller acme",
)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def test_an_engine_that_is_well_is_told_so(examined: Engine) -> None:
    found = findings(await order_engine("doctor", "--json"))
    assert of(found, "ok") == set(EVERY) == set(found), found
    assert examined.settings.task_queue in found["worker"][1]


async def test_people_read_a_line_for_each_check_and_no_secrets(examined: Engine) -> None:
    ran = await process("doctor")
    assert (ran.code, ran.err) == (0, "")
    heading, *lines = ran.out.splitlines()
    assert heading.split() == ["CHECK", "STATE"]
    assert [line[: len(name)] for line, name in zip(lines, EVERY, strict=False)] == list(EVERY)
    assert lines[-1] == f"{len(EVERY)} ok"
    assert not any(secret in ran.out for secret in ("sandbox-key", "sandbox-token", "a secret key for tests"))


@pytest.mark.parametrize(
    ("changes", "check", "said", "skipped"),
    [
        ({"TEMPORAL_ADDRESS": CLOSED}, "Temporal", f"does not answer at {CLOSED}", OF_TEMPORAL),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "/nowhere"}, "Temporal", "TEMPORAL_ variables", OF_TEMPORAL),
        ({"TEMPORAL_TLS": "true"}, "Temporal", "does not speak TLS there): use its TLS port", OF_TEMPORAL),
        ({"TEMPORAL_NAMESPACE": "nowhere"}, "namespace", "set TEMPORAL_NAMESPACE", OF_TEMPORAL - {"namespace"}),
        ({"TEMPORAL_NAMESPACE": "bare"}, "search attributes", "missing: Seller (Keyword), ", OF_ATTRIBUTES),
        (
            {"TEMPORAL_NAMESPACE": "wrong"},
            "search attributes",
            "NeedsAttention (Keyword, needed is Bool)",
            OF_ATTRIBUTES,
        ),
        ({"ORDER_ENGINE_TASK_QUEUE": "nobody-polls"}, "worker", "start one with `order-engine worker`", set()),
        (
            {"ORDER_ENGINE_DATABASE_URL": f"postgresql://me:secret-word@{CLOSED}/orders"},
            "database",
            "start it, or set ORDER_ENGINE_DATABASE_URL",
            OF_DATABASE,
        ),
        (
            {"ORDER_ENGINE_DATABASE_URL": "sqlite:////nowhere/orders.sqlite3"},
            "database",
            "does not exist: start the worker",
            OF_DATABASE,
        ),
        ({"ACME_APP_TOKEN": "another-token"}, "Seller acme", "refuses the app key and token: ORD062", set()),
        ({"base_url": f'"http://{CLOSED}"'}, "Seller acme", "could not connect; look at its base_url", set()),
        (
            {"base_url": '"https://acme.invalid"', "ORDER_ENGINE_PUBLIC_URL": "http://localhost:80"},
            "public URL",
            "acme cannot call back to http://localhost:80: set ORDER_ENGINE_PUBLIC_URL",
            set(),
        ),
        (
            # Without encryption keys it would not even ask Temporal.
            {"ORDER_ENGINE_HOST": "0.0.0.0", "ORDER_ENGINE_ENCRYPTION_KEYS": f"k1:{'A' * 43}="},
            "API address",
            "ORDER_ENGINE_OPERATOR_KEYS is not set",
            set(),
        ),
        (
            {
                "ORDER_ENGINE_HOST": "127.0.0.1",
                "ORDER_ENGINE_PUBLIC_URL": "https://orders.example.com",
                "ORDER_ENGINE_ENCRYPTION_KEYS": f"k1:{'A' * 43}=",
            },
            "API address",
            "ORDER_ENGINE_OPERATOR_KEYS is not set, and ORDER_ENGINE_PUBLIC_URL leads beyond this machine: set it",
            set(),
        ),
        ({"ORDER_ENGINE_PORT": "many"}, "settings", "ORDER_ENGINE_PORT: ", {*EVERY[1:-1], "Sellers"}),
        ({"sales_channel": '"one"'}, "sellers file", "sellers.acme.sales_channel", OF_SELLERS),
        ({"ACME_APP_KEY": ""}, "sellers file", "set the environment variable ACME_APP_KEY", OF_SELLERS),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
async def test_what_is_broken_is_told_with_what_to_do(
    examined: Engine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changes: dict[str, str],
    check: str,
    said: str,
    skipped: set[str],
) -> None:
    enter(monkeypatch, examined, tmp_path, **changes)
    ran = await order_engine("doctor", "--json")
    found = findings(ran)
    state, detail = found[check]
    assert (state, said in detail) == ("problem", True), found
    assert of(found, "skipped") == skipped
    # In another namespace there is no worker and no schedule; a Seller that does not exist does not answer.
    assert of(found, "problem") - {check} <= {"worker", "catalog worker", "schedules", "Seller acme"}
    assert "secret-word" not in ran.out
    assert "another-token" not in ran.out


@pytest.mark.parametrize(
    ("fault", "state", "said"),
    [
        ({"kind": "rate-limited"}, "warning", "ask again later"),
        ({"kind": "html"}, "warning", "not as VTEX does: look at its base_url"),
        ({"kind": "forbidden"}, "problem", "refuses the app key and token"),
        ({"kind": "error", "code": "FMT0021"}, "problem", "does not answer as a Seller: FMT0021"),
        ({"kind": "error", "code": "CHK0202"}, "problem", "refuses to tell of orders: CHK0202"),
        ({"kind": "reset"}, "problem", "does not answer as a Seller"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
async def test_a_sellers_answer_tells_credentials_from_other_troubles(
    examined: Engine, fault: dict[str, Any], state: str, said: str
) -> None:
    await examined.fault("read", **fault)
    found = findings(await order_engine("doctor", "--json"))
    assert (found["Seller acme"][0], said in found["Seller acme"][1]) == (state, True), found
    assert set(EVERY) - {"Seller acme"} == of(found, "ok")


async def test_a_public_url_that_is_not_encrypted_is_a_warning(
    examined: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outside = {"base_url": '"http://acme.invalid"', "ORDER_ENGINE_PUBLIC_URL": "http://orders.example.com"}
    enter(monkeypatch, examined, tmp_path, **outside)
    found = findings(await order_engine("doctor", "--json", "--timeout", "1"))
    assert found["public URL"] == ("warning", "http://orders.example.com is not https: tokens travel in the clear")


async def test_orders_in_need_are_counted_and_do_not_fail(examined: Engine) -> None:
    posted = new_order()
    await examined.fault("place", "forbidden", posted)
    await examined.post(posted, wait=1)
    await examined.until(posted, needsAttention=True)
    try:
        ran = await order_engine("doctor")
        [line] = [line for line in ran.out.splitlines() if line.startswith("orders in need")]
        assert ran.code == 0
        told = f"1 (1 seller-credentials; {posted['marketplaceOrderId']})"
        assert f"warning  {told}: `order-engine orders list --needs-attention`" in line
        assert ran.out.splitlines()[-1] == f"{len(EVERY) - 1} ok, 1 warning"
    finally:
        await examined.resume(posted, "abort")
        await examined.until(posted, needsAttention=False)


async def test_nothing_hangs_on_those_who_say_nothing(
    examined: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, silent: str
) -> None:
    enter(
        monkeypatch,
        examined,
        tmp_path,
        TEMPORAL_ADDRESS=silent,
        ORDER_ENGINE_DATABASE_URL=f"postgresql://me:secret-word@{silent}/orders",
        base_url=f'"http://{silent}"',
    )
    async with asyncio.timeout(10):
        found = findings(await order_engine("doctor", "--json", "--timeout", "0.5"))
    assert of(found, "problem") == {"Temporal", "database", "Seller acme"}
    assert "no answer within 0.5 s: look at TEMPORAL_ADDRESS" in found["Temporal"][1]
    assert "no answer within 0.5 s: look at ORDER_ENGINE_DATABASE_URL" in found["database"][1]
    assert "look at its base_url" in found["Seller acme"][1]
