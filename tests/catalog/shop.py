"""An engine that keeps a catalog, beside a Seller of its own that tells it what changes."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from marketplace.security import AffiliateTokens
from marketplace.seller.client import DEFAULT_TIMEOUTS
from marketplace.settings import secret_keys
from sandbox.catalog import Sku
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.support.engine import Engine
from workflows.catalog_messages import Source
from workflows.catalog_policies import import_workflow_id, sku_workflow_id

Json = dict[str, Any]


class Shop:
    """One Seller with its marketplace. `seller` changes its entry in the sellers file, `changes` the settings.

    Each has an account of its own: in Temporal workflows are named by Seller and SKU, whatever engine runs them.
    """

    def __init__(
        self,
        client: Client,
        directory: Path,
        seller: Json | None = None,
        skus: list[Sku] | None = None,
        **changes: Any,
    ) -> None:
        self.account = f"shop-{uuid4().hex[:8]}"
        self._client = client
        self._directory = directory
        known: Json = {} if skus is None else {"skus": skus}
        self._config = SandboxConfig(account=self.account, **known)
        self._seller = seller or {}
        # Nobody hangs here; but on a busy machine a test's limits would be taken for a Seller that is down.
        patient = {"catalog": True, "notice_debounce": "30ms", "timeouts": DEFAULT_TIMEOUTS}
        self._changes: Json = {**patient, **changes}
        self._stack = AsyncExitStack()
        self._numbers = count(5001)

    async def __aenter__(self) -> Self:
        server = self.server = await self._stack.enter_async_context(SandboxServer(self._config))
        url = self._changes.pop("seller_url", server.url)
        more = {self.account: {"base_url": url, **self._seller}}
        # Engine is told about the sandbox; it knows another Seller too, of which nobody hears here.
        engine = Engine(self._client, server.url, self._directory, more_sellers=more, **self._changes)
        self.engine = await self._stack.enter_async_context(engine)
        self.http, self.sandbox = engine.http, engine.sandbox
        tokens = AffiliateTokens(secret_keys(engine.settings))
        self.endpoint = tokens.endpoint(engine.settings.public_url, self.account)
        await engine.switch(notificationEndpoint=self.endpoint)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- the Seller ---

    async def add(self, **fields: Any) -> str:
        """Give the Seller one more SKU, of a product of its own, and tell nobody."""
        sku_id = str(next(self._numbers))
        await self.put(sku_id, **{"name": f"Vase {sku_id}", "price": 1000, "stock": 10, **fields})
        return sku_id

    async def listed(self, **fields: Any) -> str:
        """One more SKU that is sold here, its reads forgotten."""
        sku_id = await self.add(**fields)
        await self.tell(sku_id)
        await self.until(sku_id, status="listed")
        return sku_id

    async def put(self, sku_id: str, **fields: Any) -> None:
        """Change a SKU and tell nobody."""
        (await self.sandbox.put(f"/skus/{sku_id}", json=fields)).raise_for_status()

    async def change(self, sku_id: str, **fields: Any) -> None:
        """Change a SKU and send the notice that VTEX would send."""
        answer = await self.sandbox.patch(f"/skus/{sku_id}", json=fields)
        answer.raise_for_status()
        assert [notice["status"] for notice in answer.json()["notices"]] == [202], answer.text

    async def tell(self, sku_id: str, **notice: Any) -> list[Json]:
        """Send a notice by hand; what was answered."""
        answer = await self.sandbox.post("/notices", json={"skuId": sku_id, **notice})
        assert answer.status_code in {200, 202}, answer.text
        sent: list[Json] = answer.json()
        assert {one["status"] for one in sent} <= {202}, sent
        return sent

    async def calls(self, sku_id: str) -> Json:
        """How often each route was asked for a SKU."""
        found: Json = (await self.sandbox.get(f"/reads/{sku_id}")).json()["calls"]
        return found

    async def reads(self) -> dict[str, Json]:
        """Calls of every SKU that was asked for."""
        return {one["skuId"]: one["calls"] for one in (await self.sandbox.get("/reads")).json()}

    async def requests(self, path: str) -> list[Json]:
        found: list[Json] = (await self.sandbox.get("/requests", params={"path": path, "limit": 20_000})).json()
        return found

    async def fault(self, route: str, kind: str, sku_id: str | None = None, **more: Any) -> None:
        fault = {"route": route, "kind": kind, **({"skuId": sku_id} if sku_id else {}), **more}
        (await self.sandbox.post("/faults", json=fault)).raise_for_status()

    async def switch(self, **settings: Any) -> None:
        await self.engine.switch(**settings)

    # --- the marketplace ---

    async def offer(self, sku_id: str) -> Json | None:
        answer = await self.http.get(f"/catalog/{self.account}/skus/{sku_id}")
        assert answer.status_code in {200, 404}, answer.text
        found: Json | None = answer.json() if answer.status_code == 200 else None
        return found

    async def until(
        self, sku_id: str, holds: Callable[[Json], bool] | None = None, seconds: float = 20, **fields: Any
    ) -> Json:
        """The offer, once it has these values (or `holds` says so)."""
        found: Json | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await self.offer(sku_id)
                    fits = found is not None and all(found[name] == value for name, value in fields.items())
                    if found is not None and fits and (holds is None or holds(found)):
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"wanted {fields} of {sku_id}, got {found}") from None

    async def settled(self, sku_id: str, seconds: float = 20) -> Json | None:
        """The offer once nothing is under way for the SKU any more."""
        async with asyncio.timeout(seconds):
            await self.workflow(sku_id).result()
        return await self.offer(sku_id)

    async def offers(self, **query: Any) -> list[Json]:
        """All offers, page by page."""
        found: list[Json] = []
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            answer = await self.http.get(f"/catalog/{self.account}/skus", params={"limit": 500, **query, **more})
            assert answer.status_code == 200, answer.text
            found += answer.json()["offers"]
            cursor = answer.json()["nextCursor"]
            if cursor is None:
                return found

    async def decide(self, sku_id: str, *, include: bool) -> httpx.Response:
        return await self.http.post(f"/catalog/{self.account}/skus/{sku_id}/decision", json={"include": include})

    async def start_import(self, source: str = "assortment") -> httpx.Response:
        return await self.http.post(f"/catalog/{self.account}/import", params={"source": source})

    async def report(self, source: str = "assortment") -> Json:
        answer = await self.http.get(f"/catalog/{self.account}/import", params={"source": source})
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def imported(self, source: str = "assortment", seconds: float = 60) -> Json:
        """Run an import to its end; its report."""
        started = await self.start_import(source)
        assert started.status_code == 202, started.text
        return await self.import_ended(source, seconds)

    async def import_ended(self, source: str = "assortment", seconds: float = 60) -> Json:
        async with asyncio.timeout(seconds):
            while (found := await self.report(source))["state"] == "running":
                await asyncio.sleep(0.05)
        assert found["state"] == "completed", found
        return found

    async def logs(self, **query: Any) -> list[Json]:
        """The exchange log, newest first."""
        answer = await self.http.get("/logs", params={"seller": self.account, "limit": 500, **query})
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["Messages"]
        return found

    async def logs_until(self, holds: Callable[[list[Json]], bool]) -> list[Json]:
        """The exchange log once it tells something: it is written a moment after the offer."""
        found: list[Json] = []
        try:
            async with asyncio.timeout(10):
                while not holds(found := await self.logs()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not in the log: {found}") from None
        return found

    # --- Temporal ---

    def workflow(self, sku_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(sku_workflow_id(self.account, sku_id))

    def import_workflow(self, source: str = "assortment") -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(import_workflow_id(self.account, Source(source)))

    async def signals(self, sku_id: str) -> int:
        """Signals that the newest run of a SKU's workflow got."""
        events = self.workflow(sku_id).fetch_history_events()
        kinds = [event.event_type async for event in events]
        return kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)

    async def is_open(self, sku_id: str) -> bool:
        """Whether the SKU's workflow is running."""
        run = await self.workflow(sku_id).describe()
        return run.status is not None and run.status.name == "RUNNING"
