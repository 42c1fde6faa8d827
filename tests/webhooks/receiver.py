"""A storefront's webhook address: what it was told, checked as the specification wants it."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from marketplace.store.stores import Stores
from marketplace.webhooks import Delivery, DeliveryState
from tests.support.engine import Engine
from tests.support.scripted_server import Request, ScriptedServer, Step, answer

Json = dict[str, Any]

TAKEN: Final = answer(204)


def secret(character: str) -> str:
    return "whsec_" + base64.b64encode(character.encode() * 32).decode()


SECRET: Final = secret("a")
FAST: Final[Json] = {"webhook_secrets": SECRET, "webhook_backoff": "20ms", "webhook_timeout": "1s"}


class Receiver:
    """Answers 204 when the script is over. What it was told stays in `server.requests`."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        server.always = TAKEN

    def answer(self, *steps: Step, then: Step = TAKEN) -> None:
        """Answer the next requests so."""
        self.server.follow(*steps)
        self.server.always = then

    def told(self, order: Json, key: str = SECRET) -> list[Json]:
        """The bodies that came about an order, each with its `id`, as the receiver's own code would take them."""
        found = []
        for request in self.server.requests:
            event: Json = Webhook(key).verify(request.body, request.headers)
            if event["data"]["order"]["marketplaceOrderId"] == order["marketplaceOrderId"]:
                found.append({**event, "id": request.headers["webhook-id"]})
        return found

    def about(self, order: Json) -> list[Request]:
        """The requests about an order, as they came."""
        return [one for one in self.server.requests if order["marketplaceOrderId"] in one.body.decode()]

    async def until(self, order: Json, holds: Callable[[list[Json]], bool], seconds: float = 20) -> list[Json]:
        """What was told of an order, once it is as wished."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(told := self.told(order)):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"told so far: {statuses(self.told(order))}") from None
        return told

    async def until_status(self, order: Json, status: str, seconds: float = 20) -> list[Json]:
        return await self.until(order, lambda told: status in statuses(told), seconds)

    async def until_type(self, order: Json, kind: str) -> list[Json]:
        return await self.until(order, lambda told: kind in [event["type"] for event in told])


def signed_by(request: Request, key: str) -> bool:
    try:
        Webhook(key).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


def statuses(events: Sequence[Json]) -> list[str]:
    return [event["data"]["status"] for event in events]


def changes(order: Json) -> list[str]:
    """An order's statuses, each as often as it came to it."""
    found: list[str] = []
    for line in order["history"]:
        if found[-1:] != [line["status"]]:
            found.append(line["status"])
    return found


async def log(stores: Stores, order: Json) -> list[Delivery]:
    """An order's part of the delivery log, in the order of the events."""
    return (await stores.webhooks.page(order["marketplaceOrderId"])).deliveries[::-1]


async def until_state(engine: Engine, order: Json, state: DeliveryState, seconds: float = 20) -> list[Delivery]:
    """An order's part of the delivery log, once every event is in a state."""
    found: list[Delivery] = []
    try:
        async with asyncio.timeout(seconds):
            while not (found := await log(engine.stores, order)) or {one.state for one in found} != {state}:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"the log tells {[(one.sequence, one.state, one.last_error) for one in found]}") from None
    return found


async def placed_and_told(engine: Engine) -> Json:
    """An order that waits for its payment, as its storefront knows."""
    order = await engine.placed()
    async with asyncio.timeout(20):
        while len(await until_state(engine, order, DeliveryState.DELIVERED)) < 3:
            await asyncio.sleep(0.02)
    return order
