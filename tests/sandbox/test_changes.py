"""The catalog over time: the living catalog, and the state file that keeps what was changed."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.catalog import numbered_skus
from sandbox.config import SandboxConfig, Settings
from sandbox.server import SandboxServer
from tests.sandbox.calls import Caller, eventually, order
from tests.support.scripted_server import ScriptedServer, answer


async def test_a_living_catalog_changes_and_notifies_until_it_is_switched_off(
    caller: Caller, marketplace: ScriptedServer
) -> None:
    marketplace.always = answer(202)
    before = {sku["id"]: sku for sku in await caller.control("GET", "skus")}
    await caller.set(
        notificationEndpoint=f"{marketplace.url}/x",
        livingCatalog=True,
        livingRate=0.001,
        livingDataPercent=30,
        livingActivePercent=20,
    )
    await caller.set(livingRate=400)

    async def flags_seen() -> bool:
        bodies = [request.json for request in marketplace.requests]
        return all(
            any(body[flag] for body in bodies)
            for flag in ("PriceModified", "StockModified", "HasStockKeepingUnitModified")
        )

    await eventually(flags_seen, 20)
    await caller.set(livingCatalog=False)

    async def quiet() -> bool:
        summary = await caller.control("GET", "notices/summary")
        return bool(summary["queued"] == summary["underWay"] == 0)

    await eventually(quiet, 20)
    after = {sku["id"]: sku for sku in await caller.control("GET", "skus")}
    changed = {sku_id for sku_id in after if after[sku_id] != before[sku_id]}
    assert changed
    assert changed <= {request.json["IdSku"] for request in marketplace.requests}


async def test_a_living_catalog_leaves_alone_what_it_is_told_to(caller: Caller, marketplace: ScriptedServer) -> None:
    marketplace.always = answer(202)
    still = [sku["id"] for sku in await caller.control("GET", "skus") if sku["id"] != "2001"]
    await caller.set(
        notificationEndpoint=f"{marketplace.url}/x", livingCatalog=True, livingRate=1000, livingExcept=still
    )

    async def changed_often() -> bool:
        return len(marketplace.requests) >= 5

    await eventually(changed_often, 20)
    assert {request.json["IdSku"] for request in marketplace.requests} == {"2001"}


async def test_a_slow_living_catalog_stops_at_once_with_its_server() -> None:
    config = SandboxConfig(settings=Settings(living_catalog=True, living_rate=0.001))
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/sandbox/settings")).json()["livingCatalog"] is True


async def test_the_state_file_keeps_changed_skus_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    config = SandboxConfig(state_file=file, skus=numbered_skus(5000))
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        caller = Caller(client)
        await caller.patch("100002", price=5, images=["https://img.example/1.jpg"], productActive=False)
        await caller.sku("7777", name="Tray", price=5990)

        async def written() -> bool:
            return file.exists() and "7777" in file.read_text()

        await eventually(written)
        await caller.patch("100002", price=6)
    assert file.stat().st_size < 2000
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        caller = Caller(client)
        assert len((await caller.sku_ids(pageSize=1000, page=6)).json()) == 1
        sku = (await caller.read_sku(100002)).json()
        assert (sku["ImageUrl"], sku["IsProductActive"]) == ("https://img.example/1.jpg", False)
        assert (await caller.control("GET", "skus/100002"))["price"] == 6
        assert (await caller.read_sku(100003)).json()["IsProductActive"] is False
        assert (await caller.read_sku(7777)).json()["NameComplete"] == "Tray"


async def test_the_state_file_is_written_anew_once_most_of_it_is_outdated(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    async with (
        SandboxServer(SandboxConfig(state_file=file)) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        caller = Caller(client)
        sizes: list[int] = []
        for number in range(5):
            await caller.sku("2001", description=f"{number}" + "x" * 600_000)

            async def written(number: int = number) -> bool:
                return file.exists() and f'"{number}xxx' in file.read_text()

            await eventually(written)
            sizes.append(file.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]
    assert min(sizes[3:]) < sizes[2]
    assert "4xxx" in file.read_text()


async def test_a_batch_that_a_crash_has_cut_is_as_if_it_had_never_been(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    config = SandboxConfig(state_file=file)
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        await Caller(client).sku("2001", stock=50)
        await Caller(client).place(order("A-1", **{"clientProfileData.firstName": "Lívia\u2028"}))
    with file.open("ab") as torn:
        torn.write('{"orders":[],"skus":[{"id":"2001","name":"Lí'.encode()[:-1])
    async with SandboxServer(config) as server, httpx.AsyncClient(base_url=server.url) as client:
        sku = await Caller(client).sku("2001")
        assert (sku["stock"], sku["reserved"]) == (50, 2)
        assert (await Caller(client).ledger("A-1"))["received"]["clientProfileData"]["firstName"] == "Lívia\u2028"
    assert "Lí\ufffd" not in file.read_text(errors="replace")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "skus/9999", {"price": 1}, 404),
        ("POST", "skus/9999/withdraw", {}, 404),
        ("GET", "skus/9999", None, 404),
        ("PATCH", "skus/2001", {"price": 1.5}, 422),
        ("PATCH", "skus/2001", {"prise": 1}, 422),
        ("PATCH", "skus/2001", {"name": None}, 422),
        ("POST", "catalog/changes", {"count": 1, "kinds": ["colour"]}, 422),
        ("POST", "catalog/changes", {"count": 1, "kinds": []}, 422),
        ("PUT", "settings", {"notificationEndpoint": "ftp://x"}, 422),
        ("PUT", "settings", {"rateLimit": 0}, 422),
        ("POST", "notices", {"stockModified": True}, 422),
    ],
)
async def test_a_wrong_wish_about_the_catalog_is_refused(
    caller: Caller, method: str, path: str, body: Any, status: int
) -> None:
    assert (await caller.client.request(method, f"/sandbox/{path}", json=body)).status_code == status
