"""No secret that passes through the engine is in anything it writes: logs, Temporal, its database, metrics, answers."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from marketplace.security import new_api_key
from sandbox.server import SandboxServer
from tests.api.callback_line import DELIVERY, INVOICE, TRACKING
from tests.security.forgery import Mint
from tests.support.engine import LIMITS, Engine, new_order
from tests.support.http_server import free_port
from tests.support.processes import EngineProcess, TemporalServer

SECRET = "dWk7Qm2Lr9Xt4Vb8Nc1Zp6-of-this-test"
KEYS = {"storefront": new_api_key(), "operator": new_api_key(), "wrong": new_api_key()}


def written(place: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a directory."""
    for path in place.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(place)), path.read_bytes()


async def misuse(http: httpx.AsyncClient, base: str) -> list[httpx.Response]:
    """Everything wrong that puts the token where an answer or a log line might repeat it."""
    path = httpx.URL(base).path
    calls: list[tuple[str, str, Any]] = [
        ("POST", f"{path}/pvt/orders/X/invoice", {"colour": base}),
        ("POST", f"{path}/pvt/orders/X/nothing", None),
        ("DELETE", f"{path}/pvt/orders/X/invoice", None),
        ("POST", f"/proxy{path}/pvt/orders/X/invoice", INVOICE),
        ("POST", f"{path.upper()}/pvt/orders/X/invoice", INVOICE),
        ("POST", f"{path}%00/pvt/orders/X/invoice", INVOICE),
        ("GET", f"/orders?seller={path}", None),
        ("GET", path, None),
    ]
    answers = [await http.request(method, url, json=body) for method, url, body in calls]
    answers.append(await http.post(f"{path}/pvt/orders/X/invoice", content=b" " * (2**20 + 1)))
    answers.append(await http.post(f"{path}/pvt/orders/X/invoice", content=b"{"))
    answers.append(await http.get("/orders", headers={"Authorization": f"Bearer {KEYS['wrong']}"}))
    answers.append(await http.get("/metrics", headers={"Authorization": f"Bearer {KEYS['storefront']}"}))
    assert {answer.status_code for answer in answers} <= {400, 401, 403, 404, 405, 413, 422}
    return answers


async def test_no_token_and_no_key_is_in_anything_that_is_written(fresh_seller: SandboxServer, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    changes = {
        "ORDER_ENGINE_PORT": str(port),
        "ORDER_ENGINE_PUBLIC_URL": url,
        "ORDER_ENGINE_SECRET_KEY": SECRET,
        "ORDER_ENGINE_STOREFRONT_KEYS": KEYS["storefront"],
        "ORDER_ENGINE_OPERATOR_KEYS": KEYS["operator"],
        "ORDER_ENGINE_SELLER_ATTEMPTS": "3",
        "ORDER_ENGINE_SELLER_BACKOFF": "20ms",
    }
    mint = Mint.of([SecretStr(SECRET)])
    order = new_order(payment={"status": "approved", "transactionId": "t-1"})
    order_id = order["marketplaceOrderId"]
    token, affiliate = mint.callbacks.mint("acme", order_id), mint.affiliates.mint("acme")
    base = f"{url}/callbacks/acme/{order_id}/{token}"
    hooks = f"{url}/affiliates/acme/{affiliate}"
    secrets = [token, affiliate, SECRET, *KEYS.values(), "sandbox-token"]
    answers: list[httpx.Response] = []
    async with TemporalServer(tmp_path / "temporal") as server, AsyncExitStack() as stack:
        await server.start()
        settings = {"run_worker": False, "secret_key": [SECRET]}
        engine = await stack.enter_async_context(
            Engine(await server.client(), fresh_seller.url, tmp_path, **settings),
        )
        worker, api = [EngineProcess(engine, tmp_path / name, server.address, **changes) for name in ("worker", "api")]
        for process in (worker, api):
            await stack.enter_async_context(process)
        key = {"Authorization": f"Bearer {KEYS['operator']}"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=40, limits=LIMITS, headers=key))
        await asyncio.gather(worker.start_worker(), api.start_api(url))
        engine.http = http
        # A Seller that quotes the address it was given, in a refusal that is retried, and in one that parks the order.
        await engine.fault("place", "error", order, httpStatus=500, message=f"cannot reach {base}", times=2)
        answers.append(await engine.post(order))
        await engine.until(order, status="handling", seconds=30)
        for tail, body in (("/invoice", INVOICE), ("/invoice/NF-1", TRACKING), ("/invoice/NF-1/tracking", DELIVERY)):
            answers.append(await http.post(f"{base}/pvt/orders/{order_id}{tail}", json=body))
        answers.append(await http.post(f"{hooks}/api/notification", json={"IdSku": "2001", "An": hooks}))
        parked = await engine.placed()
        await engine.fault("dispatch", "error", parked, httpStatus=400, message=f"{base} and {hooks}", times=5)
        await engine.pay(parked)
        assert "***" in (await engine.until(parked, needsAttention=True, seconds=30))["reason"]["message"]
        answers += await misuse(http, base)
        answers += await misuse(http, hooks)
        for path in ("/metrics", "/logs?seller=acme", "/orders", f"/orders/{order_id}", "/openapi.json"):
            answers.append(await http.get(path))
            assert answers[-1].status_code == 200
        # The control: the Seller was told the token, and so it is in what the Seller has.
        assert token in str(await engine.ledger(order))

    told = "\n".join(f"{answer.headers} {answer.text}" for answer in answers)
    assert [secret for secret in secrets if secret in told] == []
    files = dict(written(tmp_path))
    assert {"temporal/temporal.db", "worker/process.log", "api/process.log"} <= set(files)
    assert any(name.endswith("orders.sqlite3") for name in files)
    # The second control: what was written is there to be found.
    assert order_id.encode() in files["temporal/temporal.db"] + files.get("temporal/temporal.db-wal", b"")
    assert [(name, at) for name, text in files.items() for at in secrets if at.encode() in text] == []
