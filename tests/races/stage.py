"""One engine for all races: the Seller's calls can be held, and the engine's workflows sent away while calls go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.orders import OrderActivities
from activities.seller import SellerActivities
from marketplace.orders import CancelRequest, Model, PaymentReport
from marketplace.security import CallbackTokens
from marketplace.seller.client import Timeouts
from marketplace.settings import secret_keys
from sandbox.server import SandboxServer
from tests.orders.reports import TRACKING, VALUE
from tests.support.engine import Engine, new_order
from workflows.messages import CartCheck, CheckedCart, SellerCancelReport
from workflows.order import OrderWorkflow
from workflows.policies import CHECK_CART

Json = dict[str, Any]

# A held call must not run into the client's patience, however busy the machine is.
_PATIENT: Final = Timeouts(connect=20, write=20, pool=20, read=60, read_change=60, total=60)
_SKUS: Final = count(7_000_000)
PAID: Final = {"status": "approved", "transactionId": "t-1"}
_SALE: Final[Json] = {"invoiceNumber": "N-1", "invoiceValue": VALUE, "issuanceDate": "2026-03-02T10:00:00"}
_RETURN: Final[Json] = {**_SALE, "type": "Input", "invoiceNumber": "R-1"}
_PACKAGE: Final[Json] = {**TRACKING, "route": "number", "invoiceNumber": "N-1"}
_ARRIVED: Final[Json] = {"invoiceNumber": "N-1", "events": []}


@activity.defn(name=CHECK_CART.name)
async def not_at_once(_: CartCheck) -> CheckedCart:
    """Fail the simulation within the workflow task, which nothing can meet: it is asked again as all calls are."""
    raise ApplicationError("not here", category=ApplicationErrorCategory.BENIGN)


def race_order(**changes: Any) -> Json:
    """An order of a SKU that no other order names: a simulation is known by its SKUs alone."""
    sku = str(next(_SKUS))
    return new_order(items=[{"id": sku, "quantity": 2, "price": 3990}], **changes)


class Stage:
    """The engine with its two halves apart: `calls` asks the Seller, `workflows` decides, and can be away."""

    def __init__(self, client: Client, seller: SandboxServer, directory: Path, **settings: Any) -> None:
        self.seller = seller
        self.engine = Engine(
            client, seller.url, directory, run_worker=False, cancel_check="1h", timeouts=_PATIENT, **settings
        )
        self._tokens = CallbackTokens(secret_keys(self.engine.settings))
        self._stack = AsyncExitStack()
        self._workflows = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.engine)
        records = OrderActivities(self.engine.stores.orders)
        sellers = SellerActivities(self.engine.pool.get, self.engine.pool.catalog, self._endpoint, records.claim)
        calls = [*sellers.all, *records.all]
        await self._stack.enter_async_context(
            Worker(self.engine.client, task_queue=self.engine.settings.task_queue, activities=calls)
        )
        await self._come()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._workflows.aclose()
        await self._stack.aclose()

    @asynccontextmanager
    async def workflows_away(self) -> AsyncIterator[None]:
        """Nobody decides: what happens meanwhile is durable in Temporal, and seen all at once afterwards."""
        await self._workflows.aclose()
        try:
            yield
        finally:
            await self._come()

    async def _come(self) -> None:
        await self._workflows.enter_async_context(
            Worker(
                self.engine.client,
                task_queue=self.engine.settings.task_queue,
                workflows=[OrderWorkflow],
                activities=[*OrderActivities(self.engine.stores.orders).all, not_at_once],
                # A worker comes and goes for every second test, and would import everything anew each time.
                workflow_runner=UnsandboxedWorkflowRunner(),
                no_remote_activities=True,
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
            )
        )

    # --- the Seller's calls ---

    async def sells(self, order: Json) -> None:
        """Let the Seller have what the order asks for."""
        await self.engine.sku(order["items"][0]["id"], name="Mug", price=3990, stock=10)

    async def hold(self, order: Json, route: str, kind: str = "hold") -> None:
        """Hold the order's next call of a route."""
        await self.engine.fault(route, kind, **_of(order, route))

    async def held(self, order: Json, route: str) -> None:
        """Wait until that call is held."""
        query = {"route": route, "wait": 9, **_of(order, route)}
        for _ in range(6):
            if (await self.engine.sandbox.get("/held", params=query)).raise_for_status().json():
                return
        raise AssertionError(f"no call of {route} came: {await self.engine.get(order)}")

    async def release(self, order: Json, route: str) -> None:
        answer = await self.engine.sandbox.post("/held/release", json={"route": route, **_of(order, route)})
        assert len(answer.raise_for_status().json()) == 1, f"{route} is not held"

    async def answered(self, order: Json) -> None:
        """Wait until the answers to the order's calls are durable. For while the workflows are away."""
        async with asyncio.timeout(30):
            while (await self._describe(order)).raw_description.pending_activities:
                await asyncio.sleep(0.03)

    async def at_rest(self, order: Json) -> None:
        """Wait until nothing is under way: the order has closed, or waits for somebody or a time."""
        async with asyncio.timeout(30):
            while True:
                found = await self._describe(order)
                raw = found.raw_description
                busy = raw.pending_activities or raw.HasField("pending_workflow_task")
                if found.status is not WorkflowExecutionStatus.RUNNING or not busy:
                    return
                await asyncio.sleep(0.03)

    async def _describe(self, order: Json) -> Any:
        return await self.engine.workflow(order).describe()

    # --- what is told to the engine ---

    async def tell(self, order: Json, what: str) -> int:
        """Tell it over HTTP; the status answered."""
        match what:
            case "payment approved":
                return (await self.engine.pay(order)).status_code
            case "another payment":
                return (await self.engine.pay(order, transaction="t-2")).status_code
            case "payment denied":
                return (await self.engine.pay(order, "denied")).status_code
            case "customer cancels":
                return (await self.engine.cancel(order)).status_code
        path, body = _callback(order, what)
        if await self.at_seller(order) is None:
            return await self._callback_by_hand(order, what)
        [sent] = await self.engine.seller_sends(order, path, **body)
        status: int = sent["status"]
        return status

    async def leave(self, order: Json, what: str) -> None:
        """Leave it with Temporal, as the API does when no workflow answers: durable, and seen later."""
        handle = self.engine.workflow(order)
        messages: dict[str, tuple[str, Model]] = {
            "payment approved": ("payment_reported", PaymentReport.model_validate(PAID)),
            "payment denied": ("payment_reported", PaymentReport.model_validate({**PAID, "status": "denied"})),
            "customer cancels": ("cancel_requested", CancelRequest(reason="changed mind", requested_by_user=True)),
            "Seller cancels": (
                "seller_cancel_reported",
                SellerCancelReport(event_id="c-1", received_at=datetime.now(UTC), reason="damaged"),
            ),
        }
        if what in messages:
            name, message = messages[what]
            await handle.signal(name, message)
            if what == "Seller cancels":
                self._canceled_at_seller(order)
        else:
            assert await self.tell(order, what) == httpx.codes.OK

    async def at_seller(self, order: Json) -> Json | None:
        """The Seller's account of the order, None when it never had it."""
        found = await self.engine.sandbox.get(f"/orders/{order['marketplaceOrderId']}")
        kept: Json | None = found.json() if found.is_success else None
        return kept

    def _canceled_at_seller(self, order: Json) -> None:
        """What a receipt for its cancel callback means to the Seller."""
        ledger = self.seller.seller.ledger
        kept = ledger.get(order["marketplaceOrderId"])
        if kept is not None and ledger.may_cancel(kept):
            ledger.cancel(kept, by="seller")

    async def _callback_by_hand(self, order: Json, what: str) -> int:
        path = f"{self._endpoint('acme', order['marketplaceOrderId'])}/pvt/orders/{order['marketplaceOrderId']}"
        body: Json = {"items": [], "type": "Output", **_callback(order, what)[1]}
        if what == "tracking":
            answer = await self.engine.http.post(f"{path}/invoice/N-1", json=TRACKING)
        else:
            answer = await self.engine.http.post(f"{path}/{_callback(order, what)[0]}", json=body)
        return answer.status_code

    def _endpoint(self, seller: str, order_id: str) -> str:
        return self._tokens.endpoint(self.engine.settings.public_url, seller, order_id)


def _of(order: Json, route: str) -> Json:
    if route == "simulate":
        return {"skuId": order["items"][0]["id"]}
    return {"marketplaceOrderId": order["marketplaceOrderId"]}


def _callback(order: Json, what: str) -> tuple[str, Json]:
    """The sandbox's path of a callback, and what to say in it: the same whenever it is sent."""
    items = {
        "items": [{"id": item["id"], "quantity": item["quantity"], "price": item["price"]} for item in order["items"]]
    }
    return {
        "Seller cancels": ("cancel", {"reason": "damaged"}),
        "invoice": ("invoice", {**_SALE, **items}),
        "tracking": ("tracking", _PACKAGE),
        "return": ("invoice", {**_RETURN, **items}),
        "delivery": ("delivery", _ARRIVED),
    }[what]
