"""All databases restored from a backup that is older than what happened: docs/operations.md, "Back up and restore"."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox.server import SandboxServer
from tests.support.engine import Engine, effective, new_order
from tests.support.http_server import free_port
from tests.support.processes import TemporalServer


class Site:
    """One engine and its Temporal, of which both databases are files below `data`."""

    def __init__(self, directory: Path, seller: SandboxServer) -> None:
        self.data = directory / "data"
        self.backup = directory / "backup"
        self.temporal = TemporalServer(self.data / "temporal")
        self._seller = seller
        self._port = free_port()

    async def engine(self, **changes: Any) -> Engine:
        """The engine as before, after all was stopped."""
        settings = {
            "task_queue": "restored",
            "data_dir": self.data / "engine",
            "public_url": f"http://127.0.0.1:{self._port}",
            # It passes before the order is back.
            "payment_deadline": "3s",
        }
        await self.temporal.start()
        engine = Engine(await self.temporal.client(), self._seller.url, self.data, **settings, **changes)
        engine.port = self._port
        return engine


@pytest.mark.slow
async def test_what_happened_after_the_backup_is_repeated_and_nothing_is_done_twice(
    fresh_seller: SandboxServer, tmp_path: Path
) -> None:
    site = Site(tmp_path, fresh_seller)
    async with site.temporal:
        async with await site.engine() as engine:
            known = await engine.placed()
        await site.temporal.end()
        shutil.copytree(site.data, site.backup)

        async with await site.engine() as engine:
            assert (await engine.pay(known)).status_code in {200, 202}
            unknown = new_order(payment={"status": "approved", "transactionId": "t-2"})
            assert (await engine.post(unknown, wait=1)).status_code in {201, 202}
            for order in (known, unknown):
                await engine.until(order, status="handling")
        await site.temporal.end()
        shutil.rmtree(site.data)
        shutil.copytree(site.backup, site.data)

        async with await site.engine(run_worker=False) as engine:
            assert (await engine.pay(unknown)).status_code == 404
            assert (await engine.post(unknown, wait=1)).status_code == 202
            assert {(await engine.pay(order)).status_code for order in (known, unknown)} == {202}
            await engine.start_worker()
            for order in (known, unknown):
                await engine.until(order, status="handling", seconds=30)
                ledger = await engine.ledger(order)
                assert (effective(ledger, "place"), effective(ledger, "dispatch")) == (1, 1), ledger["calls"]
                for what in ("invoice", "tracking", "delivery"):
                    assert {sent["status"] for sent in await engine.seller_sends(order, what)} == {200}
                await engine.until(order, status="delivered", seconds=30)
