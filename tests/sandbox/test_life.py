"""The sandbox over time: the autopilot, the state file, the control API's rest, start and stop."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from sandbox.catalog import numbered_skus
from sandbox.config import SandboxConfig, Settings
from sandbox.server import SandboxServer
from sandbox.state import StateFileError
from tests.sandbox.calls import Caller, acknowledged, eventually, kept_orders, order
from tests.support.scripted_server import ScriptedServer, json_answer


def life(caller: Caller, marketplace_order_id: str = "A-1") -> "Life":
    return Life(caller, marketplace_order_id)


class Life:
    """Questions to wait for."""

    def __init__(self, caller: Caller, marketplace_order_id: str) -> None:
        self._caller = caller
        self._id = marketplace_order_id

    async def delivered(self) -> bool:
        invoices = (await self._caller.ledger(self._id))["invoices"]
        return bool(invoices) and all(invoice["delivered"] for invoice in invoices)

    async def handling(self) -> bool:
        return await self._caller.status(self._id) == "handling"

    async def canceled(self) -> bool:
        return await self._caller.status(self._id) == "canceled"


async def test_the_autopilot_leads_an_order_to_its_delivery(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(autopilot=True, pace=0.01)
    await caller.dispatched()
    await eventually(life(caller).delivered)
    assert [request.path.removeprefix("/vtex/pvt/orders/A-1/") for request in marketplace.requests] == [
        "invoice",
        "invoice",
        "invoice/NF-A-1-1/tracking",
        "invoice/NF-A-1-1/tracking",
    ]
    statuses = [entry["status"] for entry in (await caller.ledger())["history"]]
    assert statuses == ["waiting-ffmt-authorization", "window-to-cancel", "handling", "invoice", "invoiced"]


@pytest.mark.parametrize("lines", [1, 2])
async def test_the_autopilot_can_invoice_in_two_parts(caller: Caller, marketplace: ScriptedServer, lines: int) -> None:
    await caller.set(autopilot=True, pace=0, partialInvoices=True)
    items = [
        {"id": f"200{n + 1}", "quantity": 1, "seller": "1", "price": price} for n, price in enumerate([3990, 12990])
    ]
    document = order(items=items[:lines])
    info = document["shippingData"]["logisticsInfo"][0]
    document["shippingData"]["logisticsInfo"] = [info | {"itemIndex": n} for n in range(lines)]
    document["marketplacePaymentValue"] = sum(item["price"] for item in document["items"]) + 1490 * lines
    await caller.place(document)
    await caller.dispatch()
    await eventually(life(caller).delivered)
    invoices = (await caller.ledger())["invoices"]
    assert len(invoices) == 2
    assert sum(invoice["value"] for invoice in invoices) == document["marketplacePaymentValue"]


async def test_the_autopilot_leaves_a_canceled_order_alone(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(autopilot=True, pace=0.01)
    await caller.dispatched()
    await caller.cancel()
    await asyncio.sleep(0.15)
    assert marketplace.requests == []


async def test_the_autopilot_is_off_by_default_and_takes_over_once_it_is_on(caller: Caller) -> None:
    await caller.dispatched()
    await asyncio.sleep(0.05)
    assert await caller.status() == "window-to-cancel"
    await caller.set(autopilot=True, pace=0)
    await eventually(life(caller).delivered)


async def test_the_autopilot_gives_up_when_nobody_acknowledges(caller: Caller, marketplace: ScriptedServer) -> None:
    marketplace.always = json_answer({}, 500)
    await caller.set(autopilot=True, pace=0, callbackAttempts=2, callbackBackoffSeconds=0.01)
    await caller.dispatched()

    async def gave_up() -> bool:
        return len(marketplace.requests) == 2 and await life(caller).handling()

    await eventually(gave_up)
    await asyncio.sleep(0.05)
    assert len(marketplace.requests) == 2


async def test_a_state_file_brings_orders_stock_and_unfinished_lives_back(
    tmp_path: Path, marketplace: ScriptedServer
) -> None:
    file = tmp_path / "deep" / "state.json"
    config = SandboxConfig(state_file=file, pace=0, settings=Settings(cancel_window_seconds=3600))
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        caller = Caller(client, f"{marketplace.url}/vtex")
        await caller.dispatched()
        await caller.place(order("A-2"))
        await caller.cancel("A-2")
        await caller.place(order("A-3"))
        await caller.sku("2001", price=4000)
        before = (await client.get("/sandbox/orders")).json(), await caller.sku("2001"), await caller.ledger()
    assert file.stat().st_mode & 0o077 == 0
    again = SandboxServer(SandboxConfig(state_file=file))
    async with again, httpx.AsyncClient(base_url=again.url) as client:
        caller = Caller(client)
        assert ((await client.get("/sandbox/orders")).json(), await caller.sku("2001"), await caller.ledger()) == before
        assert (await caller.place(order("A-2"))).json()["error"]["code"] == "FMT0060"
    third = SandboxServer(SandboxConfig(state_file=file, autopilot=True, pace=0))
    async with third, httpx.AsyncClient(base_url=third.url) as client:
        await eventually(life(Caller(client)).delivered)


async def test_an_interrupted_cancellation_is_confirmed_after_a_restart(
    tmp_path: Path, marketplace: ScriptedServer
) -> None:
    config = SandboxConfig(state_file=tmp_path / "state.json")
    marketplace.always = json_answer({}, 503)
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        caller = Caller(client, f"{marketplace.url}/vtex")
        await caller.place()
        await caller.cancel_through_oms()
        assert await caller.status() == "cancel"
    marketplace.always = acknowledged()
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        await eventually(life(Caller(client)).canceled)


async def test_an_invoice_cut_off_by_the_end_of_the_process_is_sent_again(
    tmp_path: Path, marketplace: ScriptedServer
) -> None:
    file = tmp_path / "state.json"
    marketplace.always = json_answer({}, 503)
    first = SandboxServer(SandboxConfig(state_file=file))
    async with first, httpx.AsyncClient(base_url=first.url) as client:
        caller = Caller(client, f"{marketplace.url}/vtex")
        await caller.dispatched()
        await client.post("/sandbox/orders/A-1/invoice", json={"background": True})
        assert await caller.status() == "invoice"
    marketplace.always = acknowledged()
    last = SandboxServer(SandboxConfig(state_file=file, autopilot=True, pace=0))
    async with last, httpx.AsyncClient(base_url=last.url) as client:
        await eventually(life(Caller(client)).delivered)


async def test_the_state_file_is_written_while_the_sandbox_runs(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    server = SandboxServer(SandboxConfig(state_file=file))
    async with server, httpx.AsyncClient(base_url=server.url) as client:
        await Caller(client).place()

        async def written() -> bool:
            return file.exists() and kept_orders(file) == {"A-1"}

        await eventually(written)


async def test_what_changes_right_before_the_end_is_written_too(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    server = SandboxServer(SandboxConfig(state_file=file))
    async with server, httpx.AsyncClient(base_url=server.url) as client:
        # Changes are gathered for a while before they are written: this one is still waiting when the sandbox stops.
        assert (await Caller(client).place()).status_code == 200
        assert not file.exists()
    assert kept_orders(file) == {"A-1"}


@pytest.mark.parametrize("text", ["{", "[]", '{"version":99}\n', '{"version":2}\n{"orders":[{}],"skus":[]}\n', ""])
async def test_a_foreign_state_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(StateFileError, match=r"state\.json"):
        await SandboxServer(SandboxConfig(state_file=file)).__aenter__()
    assert file.read_text() == text


async def test_a_reset_returns_to_the_start(caller: Caller) -> None:
    await caller.place()
    await caller.set(autopilot=True)
    await caller.sku("2001", price=1)
    await caller.sku("7777", name="Tray", price=5990, slas=["Express"])
    await caller.fault(kind="reset")
    assert (await caller.client.post("/sandbox/reset")).status_code == 204
    assert (await caller.client.get("/sandbox/orders")).json() == []
    assert (await caller.client.get("/sandbox/faults")).json() == []
    assert (await caller.client.get("/sandbox/settings")).json()["autopilot"] is False
    skus = {sku["id"]: sku for sku in (await caller.client.get("/sandbox/skus")).json()}
    assert (skus["2001"]["price"], len(skus)) == (3990, 12)


async def test_a_new_sku_can_be_sold_with_a_standard_sla_by_name(caller: Caller) -> None:
    sku = await caller.sku("7777", name="Tray", price=5990, stock=3, slas=["Express"])
    assert sku["slas"][0]["price"] == 2990
    answer = (await caller.simulate(("7777", 1), postalCode="80240-210", country="BRA")).json()
    assert [sla["id"] for sla in answer["logisticsInfo"][0]["slas"]] == ["Express"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/skus/7777", {"stock": 1}),
        ("/sandbox/skus/abc", {"name": "x", "price": 1}),
        ("/sandbox/skus/2001", {"price": -1}),
        ("/sandbox/skus/2001", {"price": None}),
        ("/sandbox/skus/2001", {"prise": 1}),
        ("/sandbox/settings", {"placeAnswer": "xml"}),
        ("/sandbox/settings", {"placeAnswers": "array"}),
    ],
)
async def test_a_wrong_change_is_refused(caller: Caller, path: str, body: dict[str, object]) -> None:
    assert (await caller.client.put(path, json=body)).status_code == 422


async def test_the_control_api_documents_itself(caller: Caller) -> None:
    document = (await caller.client.get("/sandbox/openapi.json")).json()
    assert "/sandbox/orders/{order_id}/invoice" in document["paths"]
    assert (await caller.client.get("/sandbox/docs")).status_code == 200
    assert (await caller.client.get("/sandbox/nothing")).status_code == 404


async def test_five_thousand_skus_and_another_identity_can_be_configured() -> None:
    config = SandboxConfig(account="harborhome", affiliate_id="NDR", sales_channel=3, skus=numbered_skus(5000))
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        response = await client.post(
            "/api/checkout/pub/orderForms/simulation",
            params={"sc": "3", "affiliateId": "NDR"},
            json={"items": [{"id": "105000", "quantity": 1, "seller": "1"}]},
        )
        assert response.json()["items"][0]["price"] == 1000 + 90 * (4999 % 112)


async def test_a_taken_port_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await SandboxServer(port=taken.getsockname()[1]).__aenter__()


async def test_a_server_stops_at_once_whoever_is_still_connected(caplog: pytest.LogCaptureFixture) -> None:
    server = SandboxServer()
    async with httpx.AsyncClient() as client:
        async with server:
            client.base_url = httpx.URL(server.url)
            caller = Caller(client)
            await caller.fault(route="place", kind="slow-after", seconds=60)
            slow = asyncio.create_task(caller.place())
            host, port = server.url.removeprefix("http://").split(":")
            _, half = await asyncio.open_connection(host, int(port))
            half.write(b"POST /api/fulfillment/pvt/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            await asyncio.sleep(0.1)
            started = time.monotonic()
        assert time.monotonic() - started < 1.5
        await asyncio.gather(slow, return_exceptions=True)
        half.close()
    assert caplog.records == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
async def test_a_process_stops_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        "from pathlib import Path; from sandbox.config import SandboxConfig; from sandbox.server import serve; "
        f"serve(SandboxConfig(state_file=Path({str(tmp_path / 'state.json')!r})), port=0, "
        "on_start=lambda url: print(url, flush=True))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await Caller(client).place()).status_code == 200
        started = time.monotonic()
        process.send_signal(number)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert time.monotonic() - started < 2
    assert kept_orders(tmp_path / "state.json") == {"A-1"}
