"""The whole engine for tests: a real Temporal server, worker and API beside a sandbox Seller, all over loopback."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
from pydantic import SecretStr
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from api.app import create_app
from marketplace.seller.base import SellerConfig
from marketplace.seller.client import Manners, SellerPool, Timeouts
from marketplace.settings import Settings
from marketplace.store.stores import open_stores
from marketplace.storefront import open_storefront
from tests.support.http_server import api_server, free_port
from worker import build_catalog_worker, build_webhook_worker, build_worker
from workflows.order_state import OrderState
from workflows.policies import order_workflow_id

TEMPORAL = str(Path(sys.executable).parent / "temporal")
TEST_SERVER = str(Path(sys.executable).parent / "temporal-test-server")
SERVER_FLAGS = [
    "--dynamic-config-value",
    "history.transferProcessorMaxPollRPS=1000",
    "--dynamic-config-value",
    "history.timerProcessorMaxPollRPS=1000",
    "--dynamic-config-value",
    "history.visibilityProcessorMaxPollRPS=1000",
    "--dynamic-config-value",
    "system.enableActivityEagerExecution=true",
    "--dynamic-config-value",
    "matching.enableFairness=true",
    # By default a timer may be a second late, which makes each retry of these tests take one.
    "--dynamic-config-value",
    'history.timerProcessorMaxTimeShift="5ms"',
    # What is deleted is gone after seconds instead of half a minute.
    "--dynamic-config-value",
    'history.transferProcessorUpdateAckInterval="500ms"',
]
# A call that hangs must fail soon, or a test of it takes as long as production would wait.
FAST = Timeouts(connect=1, write=1, pool=1, read=1, read_change=1, total=2, reservation_pauses=(0.01, 0.01))
# Uvicorn closes a connection that was idle for 5 s, which is httpx's own limit too: both at once is a lost request.
LIMITS = httpx.Limits(keepalive_expiry=2)
# One test's troubles must not make the engine that it shares hold back in the next.
PATIENT = Manners(failures_to_open=100, probe_every=0.2, first_pause=0.02, longest_pause=0.1)
_NUMBERS = count(1)

ORDER: dict[str, Any] = {
    "seller": "acme",
    "items": [{"id": "2001", "quantity": 2, "price": 3990}],
    "clientProfileData": {
        "email": "livia.andrade@mail.example",
        "firstName": "Livia",
        "lastName": "Andrade",
        "documentType": "cpf",
        "document": "39053344705",
        "phone": "+5541990001122",
    },
    "shippingData": {
        "address": {
            "addressType": "residential",
            "receiverName": "Livia Andrade",
            "postalCode": "80240-210",
            "city": "Curitiba",
            "state": "PR",
            "country": "BRA",
            "street": "Rua das Palmeiras",
            "number": "58",
        },
        "logisticsInfo": [{"itemIndex": 0, "selectedSla": "Standard", "price": 1490}],
    },
    "marketplacePaymentValue": 9470,
}


def new_order(**changes: Any) -> dict[str, Any]:
    """A good order under a new id. Keyword arguments replace fields of the top level."""
    order = deepcopy(ORDER)
    order["marketplaceOrderId"] = f"T-{uuid4().hex[:8]}-{next(_NUMBERS)}"
    return {**order, **changes}


def effective(ledger: dict[str, Any], route: str) -> int:
    """How often a call of this route has changed the order."""
    calls: dict[str, int] = ledger["calls"]
    return calls.get(route, 0) - calls.get(f"{route}Rejected", 0)


class Engine:
    """A worker and an API with settings of their own, on a task queue and database of their own."""

    def __init__(self, client: Client, sandbox_url: str, directory: Path, **changes: Any) -> None:
        self.client = client
        self.sandbox_url = sandbox_url
        self.port = free_port()
        name = uuid4().hex[:8]
        defaults: dict[str, Any] = {
            "data_dir": directory / name,
            "public_url": f"http://127.0.0.1:{self.port}",
            "task_queue": f"orders-{name}",
            "secret_key": "a secret key for tests",
            "seller_attempts": 3,
            "seller_backoff": "20ms",
            "cancel_check": "300ms",
        }
        seller_changes = changes.pop("seller", {})
        more_sellers: dict[str, dict[str, Any]] = changes.pop("more_sellers", {})
        self._cart_timeout = changes.pop("cart_timeout", 10.0)
        self._timeouts = changes.pop("timeouts", FAST)
        self._manners = changes.pop("manners", PATIENT)
        self._run_worker = changes.pop("run_worker", True)
        self._with_catalog = changes.pop("catalog", False)
        self.settings = Settings(**{**defaults, **changes})
        self.sellers = {
            "acme": SellerConfig(
                **{
                    "account": "acme",
                    "affiliate_id": "MKP",
                    "sales_channel": 1,
                    "app_key": SecretStr("sandbox-key"),
                    "app_token": SecretStr("sandbox-token"),
                    "base_url": sandbox_url,
                    **seller_changes,
                }
            )
        }
        for account, differing in more_sellers.items():
            self.sellers[account] = self.sellers["acme"].model_copy(update={"account": account, **differing})
        self._stack = AsyncExitStack()
        self._worker: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        self.stores = await open_stores(self.settings)
        self._stack.push_async_callback(self.stores.aclose)
        self.pool = SellerPool(self.sellers, self._timeouts, self._manners)
        self._stack.push_async_callback(self.pool.aclose)
        app = create_app(self.settings, self.sellers, self.client, self.stores, cart_timeout=self._cart_timeout)
        url = await self._stack.enter_async_context(api_server(app, self.port))
        self.http = await self._stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=40, limits=LIMITS))
        self.sandbox = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=f"{self.sandbox_url}/sandbox", timeout=10, limits=LIMITS)
        )
        if self._run_worker:
            await self.start_worker()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_worker()
        await self._stack.aclose()

    def worker(self, **options: Any) -> Worker:
        return build_worker(self.client, self.settings, self.pool, self.stores, **options)

    async def start_worker(self, **options: Any) -> None:
        self._worker = AsyncExitStack()
        await self._worker.enter_async_context(self.worker(**options))
        if self._with_catalog:
            catalog = build_catalog_worker(self.client, self.settings, self.sellers, self.pool, self.stores)
            await self._worker.enter_async_context(catalog)
        if (storefront := open_storefront(self.settings)) is not None:
            self._worker.push_async_callback(storefront.aclose)
            webhooks = build_webhook_worker(self.client, self.settings, storefront, self.stores)
            await self._worker.enter_async_context(webhooks)

    async def stop_worker(self) -> None:
        if self._worker is not None:
            await self._worker.aclose()
            self._worker = None

    # --- the storefront ---

    async def post(self, order: dict[str, Any], wait: int = 20) -> httpx.Response:
        return await self.http.post("/orders", json=order, headers={"Prefer": f"wait={wait}"})

    async def placed(self, **changes: Any) -> dict[str, Any]:
        """An order that the Seller has taken, waiting for its payment."""
        answer = await self.post(new_order(**changes))
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def dispatched(self, **changes: Any) -> dict[str, Any]:
        """An order that the Seller may dispatch."""
        order = await self.placed(**changes)
        assert (await self.pay(order)).status_code == 200
        return await self.until(order, status="handling")

    async def pay(self, order: dict[str, Any], status: str = "approved", transaction: str = "t-1") -> httpx.Response:
        return await self.http.post(
            f"/orders/{order['marketplaceOrderId']}/payment", json={"status": status, "transactionId": transaction}
        )

    async def cancel(self, order: dict[str, Any]) -> httpx.Response:
        return await self.http.post(
            f"/orders/{order['marketplaceOrderId']}/cancel", json={"reason": "changed mind", "requestedByUser": True}
        )

    async def resume(self, order: dict[str, Any], action: str, note: str = "") -> httpx.Response:
        return await self.http.post(
            f"/orders/{order['marketplaceOrderId']}/resume", json={"action": action, "note": note}
        )

    async def get(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.get(f"/orders/{order['marketplaceOrderId']}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def until_known(self, order: dict[str, Any]) -> None:
        """Wait until the engine knows the order, however little has happened to it."""
        async with asyncio.timeout(10):
            while (await self.http.get(f"/orders/{order['marketplaceOrderId']}")).status_code != 200:
                await asyncio.sleep(0.02)

    async def until(
        self,
        order: dict[str, Any],
        holds: Callable[[dict[str, Any]], bool] | None = None,
        seconds: float = 15.0,
        **fields: Any,
    ) -> dict[str, Any]:
        """Read the order until the fields have these values (or `holds` says so)."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await self.get(order)
                    if all(found[name] == value for name, value in fields.items()) and (holds is None or holds(found)):
                        return found
                    await asyncio.sleep(0.03)
        except TimeoutError:
            seen = {name: found.get(name) for name in ("status", "reason", "needsAttention", *fields)}
            raise AssertionError(f"wanted {fields}, got {seen}, history {found.get('history')}") from None

    # --- the Seller ---

    async def fault(self, route: str, kind: str, order: dict[str, Any] | None = None, **more: Any) -> None:
        fault = {"route": route, "kind": kind, **more}
        if order is not None:
            fault["marketplaceOrderId"] = order["marketplaceOrderId"]
        (await self.sandbox.post("/faults", json=fault)).raise_for_status()

    async def switch(self, **settings: Any) -> None:
        known = (await self.sandbox.get("/settings")).json()
        (await self.sandbox.put("/settings", json={**known, **settings})).raise_for_status()

    async def sku(self, sku_id: str, **change: Any) -> dict[str, Any]:
        """Change what the Seller sells, or with no change just read it."""
        answer = await self.sandbox.put(f"/skus/{sku_id}", json=change)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    async def ledger(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = await self.sandbox.get(f"/orders/{order['marketplaceOrderId']}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def seller_sends(self, order: dict[str, Any], what: str, **body: Any) -> list[dict[str, Any]]:
        """Make the Seller send a callback now; each attempt's answer of the engine."""
        answer = await self.sandbox.post(f"/orders/{order['marketplaceOrderId']}/{what}", json=body)
        assert answer.status_code == 200, answer.text
        sent: list[dict[str, Any]] = answer.json()["callbacks"]
        return sent

    async def callback(
        self, order: dict[str, Any], path: str, body: Any = None, method: str = "POST", **options: Any
    ) -> httpx.Response:
        """Call back ourselves, below the order's marketplaceServicesEndpoint."""
        endpoint = (await self.ledger(order))["endpoint"]
        if body is not None:
            options["json"] = body
        return await self.http.request(method, f"{endpoint}{path}", **options)

    # --- Temporal ---

    def workflow(self, order: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(
            order_workflow_id(order.get("seller", "acme"), order["marketplaceOrderId"])
        )

    async def details(self, order: dict[str, Any]) -> str:
        """What Temporal's UI shows as the order's current details."""
        metadata: WorkflowMetadata = await self.workflow(order).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return metadata.current_details

    async def state(self, order: dict[str, Any]) -> OrderState:
        state: OrderState = await self.workflow(order).query("state", result_type=OrderState)
        return state


@asynccontextmanager
async def engine(client: Client, sandbox_url: str, directory: Path, **changes: Any) -> AsyncIterator[Engine]:
    async with Engine(client, sandbox_url, directory, **changes) as running:
        yield running
