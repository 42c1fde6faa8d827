"""Keys are rotated without a moment in which somebody who is right is refused.

Each test goes through the starts of an API that a rotation takes: the old key alone, both, the new one alone.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from marketplace.security import KeyHash, new_api_key
from tests.api.answers import problem
from tests.conftest import MakeEngine
from tests.security.forgery import Mint
from tests.support.engine import new_order
from tests.support.http_server import free_port
from tests.support.processes import STARTUP, EngineProcess


@pytest.mark.parametrize("role", ["storefront_keys", "operator_keys"])
@pytest.mark.parametrize("form", [str, lambda key: str(KeyHash.of(key))], ids=["plain", "hashed"])
async def test_an_api_key_is_replaced_while_the_old_one_still_opens(
    make_engine: MakeEngine, role: str, form: Callable[[str], str]
) -> None:
    old, new, other = new_api_key(), new_api_key(), new_api_key()
    other_role = ({"storefront_keys", "operator_keys"} - {role}).pop()

    async def opened(*configured: str) -> list[bool]:
        """Whether the old and the new key open the orders, with these keys configured."""
        keys = {role: [form(key) for key in configured], other_role: [form(other)]}
        async with make_engine(run_worker=False, **keys) as engine:
            found = []
            for key in (old, new):
                answer = await engine.http.get("/orders", headers={"Authorization": f"Bearer {key}"})
                if answer.status_code != 200:
                    assert key not in str(problem(answer, 401))
                found.append(answer.status_code == 200)
            return found

    assert await opened(old) == [True, False]
    assert await opened(old, new) == [True, True]
    assert await opened(new) == [False, True]


def callback(mint: Mint) -> str:
    return f"/callbacks/acme/T-1/{mint.callbacks.mint('acme', 'T-1')}/pvt/orders/T-1/invoice"


def notice(mint: Mint) -> str:
    return f"/affiliates/acme/{mint.affiliates.mint('acme')}/api/notification"


@pytest.mark.parametrize("url", [callback, notice])
async def test_urls_given_out_stay_open_until_their_key_is_taken_away(
    make_engine: MakeEngine, url: Callable[[Mint], str]
) -> None:
    old, new = "the old secret key of this test", "the new secret key of this test"

    async def opened(*configured: str) -> list[bool]:
        """Whether the URLs minted with the old and the new key are taken, with these keys configured."""
        async with make_engine(run_worker=False, secret_key=list(configured)) as engine:
            # An empty body is refused with 400 by whoever has let it in.
            codes = [(await engine.http.post(url(Mint.of([SecretStr(key)])))).status_code for key in (old, new)]
        assert set(codes) <= {400, 404}
        return [code == 400 for code in codes]

    assert await opened(old) == [True, False]
    assert await opened(new, old) == [True, True]
    assert await opened(new) == [False, True]


async def test_the_first_secret_key_signs_what_is_given_out_next(make_engine: MakeEngine) -> None:
    old, new = "the old secret key of this test", "the new secret key of this test"

    async with make_engine(secret_key=[new, old]) as engine:
        seller, order_id, token = (await engine.ledger(await engine.placed()))["endpoint"].split("/")[-3:]
        assert Mint.of([SecretStr(new)]).callbacks.valid(seller, order_id, token)
        assert not Mint.of([SecretStr(old)]).callbacks.valid(seller, order_id, token)


class Shoppers:
    """Send orders and reads without pause to two APIs by turns, and to the other one where the first takes none."""

    def __init__(self, http: httpx.AsyncClient, urls: list[str], key: str) -> None:
        self.key = key
        self.answers: Counter[tuple[str, int]] = Counter()
        """How often each API answered with each status."""
        self.refused: Counter[str] = Counter()
        """How often each API took no request."""
        self.orders: list[dict[str, Any]] = []
        """Those that were taken."""
        self._http = http
        self._urls = urls
        self._turns = count()

    async def shop(self) -> None:
        while True:
            order = new_order()
            if await self._ask("POST", "/orders", json=order) in {200, 201, 202}:
                self.orders.append(order)
            await self._ask("GET", "/orders")
            await asyncio.sleep(0.05)

    async def _ask(self, method: str, path: str, **body: Any) -> int:
        """The status of the first answer. Raises when neither takes the request."""
        first = next(self._turns) % 2
        for tries_left, url in ((1, self._urls[first]), (0, self._urls[1 - first])):
            headers = {"Authorization": f"Bearer {self.key}", "Prefer": "wait=30"}
            try:
                answer = await self._http.request(method, f"{url}{path}", headers=headers, **body)
            except httpx.TransportError:
                # Refused, or still in the queue of a socket that was closed: either way there was no answer.
                self.refused[url] += 1
                if not tries_left:
                    raise
            else:
                self.answers[url, answer.status_code] += 1
                return answer.status_code
        raise AssertionError

    async def until_both_answer(self, more: int = 10) -> None:
        """Wait until each API has answered so many requests more."""
        before = self._answered()
        async with asyncio.timeout(STARTUP):
            while any(self._answered()[url] < before[url] + more for url in self._urls):
                await asyncio.sleep(0.02)

    def _answered(self) -> Counter[str]:
        told: Counter[str] = Counter()
        for (url, _), times in self.answers.items():
            told[url] += times
        return told


@pytest.mark.slow
async def test_behind_two_processes_no_request_meets_a_rotation(make_engine: MakeEngine, tmp_path: Path) -> None:
    old, new = new_api_key(), new_api_key()
    urls = [f"http://127.0.0.1:{port}" for port in (free_port(), free_port())]
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(make_engine())
        await engine.sku("2001", stock=1_000_000)
        address = engine.client.service_client.config.target_host
        apis = [
            await stack.enter_async_context(
                EngineProcess(engine, tmp_path / url[-5:], address, ORDER_ENGINE_PORT=url.rpartition(":")[2])
            )
            for url in urls
        ]

        operator = str(KeyHash.of(new_api_key()))

        async def start(number: int, *keys: str) -> None:
            hashes = ",".join(str(KeyHash.of(key)) for key in keys)
            apis[number].environment |= {"ORDER_ENGINE_STOREFRONT_KEYS": hashes, "ORDER_ENGINE_OPERATOR_KEYS": operator}
            await apis[number].start_api(urls[number])

        await asyncio.gather(start(0, old), start(1, old))
        # Each request on a connection of its own: one that is kept open says nothing of who is there.
        limits = httpx.Limits(max_keepalive_connections=0)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=40, limits=limits, trust_env=False))
        shoppers = Shoppers(http, urls, old)
        async with asyncio.TaskGroup() as group:
            shopping = [group.create_task(shoppers.shop()) for _ in range(3)]
            await shoppers.until_both_answer()
            for keys, key in (((old, new), new), ((new,), new)):
                for number in range(2):
                    refused = shoppers.refused[urls[number]]
                    assert await apis[number].end(signal.SIGTERM) == 0
                    await start(number, *keys)
                    await shoppers.until_both_answer()
                    assert shoppers.refused[urls[number]] > refused, "nobody came while it was away"
                shoppers.key = key
                await shoppers.until_both_answer()
            for task in shopping:
                task.cancel()

        assert {status for _, status in shoppers.answers} <= {200, 201, 202}
        for order in shoppers.orders:
            await engine.until(order, status="payment-pending")
        assert (await http.get(f"{urls[0]}/orders", headers={"Authorization": f"Bearer {old}"})).status_code == 401
