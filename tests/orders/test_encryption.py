"""With encryption keys set, Temporal keeps nothing of a customer that anybody could read, and no log tells of one."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketplace.security import EncryptionKey
from marketplace.settings import Settings
from marketplace.temporal import connect
from sandbox.server import SandboxServer
from tests.support.engine import LIMITS, Engine, new_order
from tests.support.http_server import free_port
from tests.support.processes import EngineProcess, TemporalServer

Json = dict[str, Any]

KEY = EncryptionKey("k1", b"0123456789abcdef" * 2)
CUSTOMER = {"email": "quinzinho@mail.example", "firstName": "Quinzinho", "document": "52998224725"}
STREET = "Travessa do Arvoredo"
TELLTALES = [*CUSTOMER.values(), STREET]


def personal_order() -> Json:
    order = new_order(payment={"status": "approved", "transactionId": "t-1"})
    order["clientProfileData"] |= CUSTOMER
    order["shippingData"]["address"] |= {"street": STREET, "receiverName": CUSTOMER["firstName"]}
    return order


def found(text: str) -> list[str]:
    return [word for word in TELLTALES if word in text]


async def test_nothing_of_a_customer_is_in_temporals_files_or_in_any_log(
    fresh_seller: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with TemporalServer(tmp_path / "temporal") as server:
        await server.start()
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
        client = await connect(Settings(encryption_keys=(KEY,)))
        own = Engine(client, fresh_seller.url, tmp_path, encryption_keys=(KEY,), run_worker=False)
        url = f"http://127.0.0.1:{(port := free_port())}"
        changes = {
            "ORDER_ENGINE_ENCRYPTION_KEYS": f"{KEY.id}:{base64.b64encode(KEY.secret).decode()}",
            "ORDER_ENGINE_PORT": str(port),
            "ORDER_ENGINE_PUBLIC_URL": url,
        }
        worker = EngineProcess(own, tmp_path / "worker", server.address, **changes)
        api = EngineProcess(own, tmp_path / "api", server.address, **changes)
        async with own as engine, worker, api, httpx.AsyncClient(base_url=url, timeout=40, limits=LIMITS) as outside:
            await asyncio.gather(worker.start_worker(), api.start_api(url))
            # Its own API shares this process and so its log: the one that is asked is the other.
            engine.http = outside
            order = personal_order()
            # A Seller that quotes what it refuses puts it into failures too.
            quoted = " ".join(TELLTALES)
            await engine.fault("place", "error", order, httpStatus=500, message=quoted, times=2)
            answer = await engine.post(order)
            assert answer.status_code == 201, answer.text
            await engine.until(order, status="handling")
            for what in ("invoice", "tracking", "delivery"):
                for sent in await engine.seller_sends(order, what):
                    assert sent["status"] == 200
            await engine.until(order, status="delivered")
            assert found(str((await engine.ledger(order))["received"])) == TELLTALES
            assert found((await engine.http.get("/orders")).text) == []
            rejected = personal_order()
            rejected["items"][0]["price"] += 1
            rejected["marketplacePaymentValue"] += 2
            assert (await engine.post(rejected)).json()["status"] == "rejected"
            malformed = {**personal_order(), "unknown": quoted}
            assert found((await engine.post(malformed)).text) == []

        assert "worker runs" in worker.log.read_text()
        assert "api listens" in api.log.read_text()
        assert found(worker.log.read_text()) == []
        assert found(api.log.read_text()) == []
        assert {word: server.hits(word) for word in TELLTALES} == dict.fromkeys(TELLTALES, 0)
        # The same search in what an engine without keys leaves behind.
        async with Engine(await server.client(), fresh_seller.url, tmp_path) as careless:
            assert (await careless.post(personal_order())).status_code == 201
        async with asyncio.timeout(10):
            while not all(server.hits(word) for word in TELLTALES):
                await asyncio.sleep(0.05)
