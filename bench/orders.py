"""What orders cost, each figure beside its floor: lives, creations, carts, callbacks, open orders.

Engine and floor take turns in the same run, so that whatever else the machine does hits both.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from statistics import median
from uuid import uuid4

from pydantic import BaseModel
from temporalio.client import Client

from bench import bare
from bench.measure import Cost, Meter, percentile
from bench.poster import Poster
from bench.shop import SELLER, Json, Shop
from workflows.policies import order_workflow_id

Lead = Callable[[Poster], Awaitable[object]]


class Turn(BaseModel):
    """One turn of some work: how many a second, and what it cost. `others_cpu`: the share other people's work had."""

    per_second: float
    others_cpu: float
    costs: dict[str, Cost]


class Round(BaseModel):
    """Engine and floor, one after the other."""

    engine: Turn
    floor: Turn

    @property
    def ratio(self) -> float:
        """The engine's share of the floor's speed."""
        return self.engine.per_second / self.floor.per_second


class Lives(BaseModel):
    """Whole order lives with so many in flight."""

    in_flight: int
    orders: int
    rounds: list[Round]

    @property
    def ratio(self) -> float:
        return median(one.ratio for one in self.rounds)


class Latencies(BaseModel):
    """Seconds of the single tries."""

    engine: list[float]
    floor: list[float]

    def added(self, share: float) -> float:
        """Seconds that the engine adds to the floor at this percentile."""
        return percentile(self.engine, share) - percentile(self.floor, share)


class Creations(Latencies):
    in_flight: int


class Callbacks(BaseModel):
    callbacks: int
    rounds: list[Round]

    @property
    def ratio(self) -> float:
        return median(one.ratio for one in self.rounds)


class Fairness(BaseModel):
    """Seconds of one Seller's placements, alone and beside another's flood of so many at a time."""

    alone: list[float]
    beside: list[float]
    flood: int
    flood_per_second: float
    """Placements of the flood itself."""

    @property
    def ratio(self) -> float:
        return percentile(self.beside, 0.99) / percentile(self.alone, 0.99)


class Footprint(BaseModel):
    """What an order's whole life leaves in Temporal; a callback that comes apart from the others adds a few events."""

    events: int
    bytes: int


class Open(BaseModel):
    """Lives led while so many other orders wait for their payment, and bare workflows by turns with them."""

    waiting: int
    rounds: list[Round]
    worker_mib: float
    api_mib: float
    temporal_mib: float

    @property
    def ratio(self) -> float:
        return median(one.ratio for one in self.rounds)


async def measure_lives(shop: Shop, client: Client, in_flight: int, orders: int, rounds: int) -> Lives:
    """Lead orders through their whole lives beside bare workflows."""
    done = []
    async with _lines(shop, in_flight) as lines:
        for _ in range(rounds):
            engine = await _turn(lines, orders, shop.live)
            floor = await _turn(lines, orders, lambda _: bare.live(client, f"bare-{uuid4().hex}"))
            done.append(Round(engine=engine, floor=floor))
    return Lives(in_flight=in_flight, orders=orders, rounds=done)


async def measure_creations(shop: Shop, client: Client, in_flight: int, orders: int) -> Creations:
    """Time `POST /orders` until placed; the floor is a bare update-with-start and the Seller's own two answers."""
    engine: list[float] = []
    floor: list[float] = []
    placement = shop.placement()
    async with _lines(shop, in_flight) as lines, AsyncExitStack() as stack:
        there = {line: await stack.enter_async_context(shop.seller_line()) for line in lines}

        async def create(line: Poster) -> None:
            await _timed(engine, shop.create(line, shop.order()))

        async def bare_create(line: Poster) -> None:
            begun = time.perf_counter()
            await bare.create(client, name := f"create-{uuid4().hex}")
            await shop.ask_seller(there[line], placement)
            floor.append(time.perf_counter() - begun)
            await client.get_workflow_handle(name).signal(bare.BareCreate.end)

        # In slices, so that both meet the same machine.
        for _ in range(4):
            await _all(lines, orders // 4, create)
            await _all(lines, orders // 4, bare_create)
    return Creations(engine=engine, floor=floor, in_flight=in_flight)


async def measure_carts(shop: Shop, carts: int) -> Latencies:
    """Simulate a cart through the engine and at the Seller itself, by turns."""
    engine: list[float] = []
    floor: list[float] = []
    async with shop.line() as line, shop.seller_line() as there:
        for _ in range(carts):
            await _timed(engine, shop.simulate(line))
            await _timed(floor, shop.simulate_there(there))
    return Latencies(engine=engine[carts // 10 :], floor=floor[carts // 10 :])


async def measure_callbacks(shop: Shop, client: Client, callbacks: int, rounds: int, in_flight: int = 16) -> Callbacks:
    """Send invoices to orders as fast as they are taken; the floor is raw signals, to as many workflows."""
    done = []
    async with _lines(shop, in_flight) as lines:
        orders: list[Json] = []

        async def dispatched(line: Poster) -> None:
            order = shop.order()
            await shop.create(line, order)
            await shop.pay(line, order)
            orders.append(order)

        await _all(lines, in_flight, dispatched)
        names = [f"told-{uuid4().hex}" for _ in orders]
        for name in names:
            await bare.create(client, name)
        handles = [client.get_workflow_handle(name) for name in names]
        numbers = iter(range(10**9))

        async def call_back(line: Poster) -> None:
            number = next(numbers)
            await shop.call_back(line, orders[number % len(orders)], "tracking", number)

        async def signal(_: Poster) -> None:
            number = next(numbers)
            await handles[number % len(handles)].signal(bare.BareCreate.tell, "word")

        for _ in range(rounds):
            engine = await _turn(lines, callbacks, call_back)
            done.append(Round(engine=engine, floor=await _turn(lines, callbacks, signal)))
        for handle in handles:
            await handle.signal(bare.BareCreate.end)
    return Callbacks(callbacks=callbacks, rounds=done)


async def measure_fairness(shop: Shop, quiet: Shop, orders: int, flood: int = 32) -> Fairness:
    """Time one Seller's placements, alone and while another has so many of them under way all the time."""
    alone: list[float] = []
    beside: list[float] = []
    placed = 0

    async def create(into: list[float], line: Poster) -> None:
        await _timed(into, quiet.create(line, quiet.order()))

    async with quiet.line() as line, _lines(shop, flood) as lines:
        await _all([line], orders, partial(create, alone))
        over = asyncio.Event()

        async def crowd(busy: Poster) -> None:
            nonlocal placed
            while not over.is_set():
                await shop.create(busy, shop.order())
                placed += 1

        async with asyncio.TaskGroup() as group:
            for busy in lines:
                group.create_task(crowd(busy))
            begun = time.perf_counter()
            await _all([line], orders, partial(create, beside))
            per_second = placed / (time.perf_counter() - begun)
            over.set()
    return Fairness(alone=alone, beside=beside, flood=flood, flood_per_second=round(per_second, 1))


async def measure_footprint(shop: Shop, client: Client, orders: int = 5) -> Footprint:
    """Lead orders one by one, and look at the history of each once its workflow has ended; the median one."""
    found = []
    async with shop.line() as line:
        for _ in range(orders):
            order = await shop.live(line)
            handle = client.get_workflow_handle(order_workflow_id(SELLER, order["marketplaceOrderId"]))
            await handle.result()
            info = (await handle.describe()).raw_description.workflow_execution_info
            found.append(Footprint(events=info.history_length, bytes=info.history_size_bytes))
    return sorted(found, key=lambda one: one.bytes)[orders // 2]


async def measure_open(shop: Shop, client: Client, waiting: Sequence[int], orders: int, rounds: int = 3) -> list[Open]:
    """Let more and more orders wait for their payment, and lead others through their lives beside them."""
    found, there = [], 0
    async with _lines(shop, 8) as lines:
        for wanted in waiting:
            await _all(lines, wanted - there, lambda line: shop.create(line, shop.order()))
            there = wanted
            lives = await measure_lives(shop, client, len(lines), orders, rounds)
            peaks = {name: cost.peak_mib for name, cost in lives.rounds[-1].engine.costs.items()}
            found.append(
                Open(
                    waiting=wanted,
                    rounds=lives.rounds,
                    worker_mib=peaks["worker"],
                    api_mib=peaks["api"],
                    temporal_mib=peaks["temporal"],
                )
            )
    return found


# --- the work ---


@asynccontextmanager
async def _lines(shop: Shop, count: int) -> AsyncIterator[list[Poster]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(shop.line()) for _ in range(count)]


async def _turn(lines: list[Poster], count: int, lead: Lead) -> Turn:
    async with Meter() as meter:
        await _all(lines, count, lead)
    return Turn(per_second=round(count / meter.seconds, 2), others_cpu=meter.others_cpu, costs=meter.costs)


async def _all(lines: list[Poster], count: int, lead: Lead) -> None:
    """Do something so many times, with as many at once as there are lines."""
    left = iter(range(count))

    async def one(line: Poster) -> None:
        for _ in left:
            await lead(line)

    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(one(line))


async def _timed(into: list[float], doing: Awaitable[object]) -> None:
    begun = time.perf_counter()
    await doing
    into.append(time.perf_counter() - begun)
