"""A client for each call under way, the last used first, and none more than needed."""

import asyncio
import itertools
from contextlib import AsyncExitStack

import httpx
import pytest

from marketplace.seller.connections import Connections
from tests.support.scripted_server import ScriptedServer, answer, scripted_server


class Made:
    """Makes clients and remembers them."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []

    def __call__(self) -> httpx.AsyncClient:
        self.clients.append(httpx.AsyncClient())
        return self.clients[-1]


async def take(connections: Connections, count: int) -> None:
    """Have so many calls under way at once."""
    async with AsyncExitStack() as calls:
        for _ in range(count):
            await calls.enter_async_context(connections.take())


async def test_calls_one_after_the_other_share_a_client() -> None:
    made = Made()
    connections = Connections(made, 3, 1)
    for _ in range(5):
        await take(connections, 1)
    assert len(made.clients) == 1
    await connections.aclose()
    assert made.clients[0].is_closed


async def test_as_many_clients_as_calls_at_once_and_none_beyond_the_limit() -> None:
    made = Made()
    connections = Connections(made, 3, 0.02)
    async with AsyncExitStack() as calls:
        for _ in range(3):
            await calls.enter_async_context(connections.take())
        with pytest.raises(httpx.PoolTimeout, match="no connection was free"):
            await take(connections, 1)
    await take(connections, 3)
    assert len(made.clients) == 3
    await connections.aclose()


async def test_a_call_that_fails_gives_its_place_back() -> None:
    connections = Connections(Made(), 1, 0.5)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with connections.take():
                raise ValueError("broken")
    await take(connections, 1)
    await connections.aclose()


@pytest.mark.parametrize("connected", [True, False], ids=["while it is asked", "while it connects"])
async def test_a_call_cut_off_at_any_moment_keeps_no_other_call_waiting(connected: bool) -> None:
    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.1)

    def make() -> httpx.AsyncClient:
        return httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False)

    async with scripted_server() as server:
        server.always = answer(200, "here")
        moments = itertools.count()
        under_way = True
        while under_way:
            connections = Connections(make, 1, 1)
            if connected:
                await ask(connections, server)
            call = asyncio.create_task(ask(connections, server))
            for _ in range(next(moments)):
                await asyncio.sleep(0)
            under_way = call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert await ask(connections, server) == "here"
            await connections.aclose()


async def ask(connections: Connections, server: ScriptedServer) -> str:
    async with connections.take() as client:
        response = await client.send(client.build_request("GET", server.url), stream=True)
        try:
            return (await response.aread()).decode()
        finally:
            await response.aclose()


async def test_what_a_burst_has_left_over_is_closed() -> None:
    made = Made()
    connections = Connections(made, 9, 1, idle=0.01)
    await take(connections, 4)
    for _ in range(6):
        await asyncio.sleep(0.03)
        await take(connections, 1)
    assert [client.is_closed for client in made.clients].count(False) == 1
    await connections.aclose()
