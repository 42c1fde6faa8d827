"""Offer more orders than the machine can take, and measure: `python -m tests.overload` (`make overload`).

Orders are posted at a steady rate whether or not they are answered, as shoppers come. Refused ones are posted again
when the flood is over, until each is placed: that, and nothing else, is what recovers. Everything runs as processes on
free ports of loopback. Exits with 1 when an order is answered late, a process grows too much, or an order is not placed
once.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from marketplace.process import leave
from tests.overload.callbacks import check_reflected, complete, footprint, order_of_parts, reports, send
from tests.overload.flood import Connection, Flood, Json, broken, meanwhile, peak_memory, percentile
from tests.support.engine import Engine, new_order
from tests.support.http_server import free_port
from tests.support.processes import ROOT, EngineProcess, Started, TemporalServer

RUN_SELLER = """\
import sys
from sandbox.config import SandboxConfig
from sandbox.server import serve
serve(SandboxConfig(), port=int(sys.argv[1]))
"""
GROWTH = 192.0
"""MiB by which API and worker may grow: however many orders come, a worker keeps no more than it is set to."""


@dataclass
class Parts:
    engine: Engine
    url: str
    http: httpx.AsyncClient
    pids: dict[str, int]

    async def timed(self) -> float:
        """Seconds that a single order takes to be placed."""
        begun = time.monotonic()
        (await self.http.post("/orders", json=new_order())).raise_for_status()
        return time.monotonic() - begun


def pid(process: Started) -> int:
    assert process._process is not None
    return process._process.pid


async def offer(url: str, orders: list[Json], rate: float) -> Flood:
    """Post orders at a steady rate, each once."""
    flood = Flood(url, 0)
    spare: list[Connection] = []

    async def post(order: Json) -> None:
        connection = spare.pop() if spare else Connection(url, {})
        await flood.once(order, connection)
        spare.append(connection)

    begun, tasks = time.monotonic(), []
    for number, order in enumerate(orders):
        await asyncio.sleep(max(begun + number / rate - time.monotonic(), 0))
        tasks.append(asyncio.create_task(post(order)))
    await asyncio.gather(*tasks)
    for connection in spare:
        connection.close()
    return flood


async def placed_once(parts: Parts, orders: list[Json]) -> int:
    """How many of the orders their Seller was told of once, after waiting for each until it has got there."""
    placed = 0
    for order in orders:
        async with asyncio.timeout(120):
            while (found := (await parts.http.get(f"/orders/{order['marketplaceOrderId']}")).json())["orderId"] is None:
                assert found["status"] in {"simulating", "placing"}, found
                await asyncio.sleep(0.1)
        placed += (await parts.engine.ledger(order))["calls"] == {"place": 1}
    return placed


async def measure(parts: Parts, count: int, rate: float) -> tuple[dict[str, str], list[str]]:
    """Offer the orders; then let the refused ones come again; then one order alone. The figures, and what is wrong."""
    quiet = percentile([await parts.timed() for _ in range(5)], 0.5)
    orders = [new_order() for _ in range(count)]
    async with peak_memory(**parts.pids) as peaks, meanwhile(lambda: parts.http.get("/health/live")) as health:
        await asyncio.sleep(0.3)
        alone = dict(peaks)
        begun = time.monotonic()
        flood = await offer(parts.url, orders, rate)
        seconds = time.monotonic() - begun
        # How long until a single order is placed as fast as before: half of what was quiet is noise.
        over = time.monotonic()
        while await parts.timed() > 1.5 * quiet + 0.1:
            await asyncio.sleep(0.2)
        recovery = time.monotonic() - over
        begun = time.monotonic()
        late = Flood(parts.url, 32)
        await late.post(flood.refused, again=True)
        rest = time.monotonic() - begun
    flood.check()
    late.check()
    taken = [one.seconds for one in flood.answers if one.taken]
    refused = [one.seconds for one in flood.answers if not one.taken]
    placed = await placed_once(parts, orders)
    # The server keeps what it was told; these two must not.
    ours = {name: peaks[name] for name in ("API", "worker")}
    wrong = broken(taken, alone, ours, GROWTH)
    if placed != count:
        wrong.append(f"{count - placed} orders were not placed once")
    figures = {
        "offered": f"{count} orders at {rate:g}/s",
        "taken": f"{len(taken)} ({len(taken) / seconds:.0f}/s)",
        "refused": f"{len(refused)} (503 or 429, each with Retry-After)",
        "anything else": f"{count - len(taken) - len(refused)}",
        "answer of those taken, p50 and p99": f"{percentile(taken, 0.5):.2f} and {percentile(taken, 0.99):.2f} s",
        "answer of those refused, p50 and p99": f"{percentile(refused, 0.5):.3f} and {percentile(refused, 0.99):.3f} s",
        "health, p50 and p99": f"{percentile(health, 0.5):.3f} and {percentile(health, 0.99):.3f} s",
        "one order alone, before": f"{quiet:.2f} s",
        "... as fast again after": f"{recovery:.1f} s",
        "refused ones taken later": f"{len(late.taken)} in {rest:.0f} s, {len(late.answers)} posts",
        "orders placed once at the Seller": f"{placed} of {count}",
        **{f"peak memory of {name}": f"{peak:.0f} MiB" for name, peak in peaks.items()},
    }
    return figures, wrong


async def told_much(engine: Engine, parts: int) -> dict[str, str]:
    """One order with very many callbacks."""
    order = await order_of_parts(engine, parts)
    calls = list(reports(order, parts))
    begun = time.monotonic()
    answers = await send(engine, order, calls)
    seconds = time.monotonic() - begun
    assert {answer.status_code for answer in answers} == {200}
    found = await engine.until(order, complete, seconds=300)
    check_reflected(found, order, parts)
    left = await footprint(engine, order)
    left.check()
    return {
        "callbacks of one order": f"{len(calls)} in {seconds:.0f} s, each kept once",
        "what it left": str(left),
    }


async def run(arguments: argparse.Namespace, directory: Path) -> tuple[dict[str, str], list[str]]:
    port, sandbox_port = free_port(), free_port()
    url, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    environment = {
        "ORDER_ENGINE_PORT": str(port),
        "ORDER_ENGINE_PUBLIC_URL": url,
        "ORDER_ENGINE_PAYMENT_DEADLINE": "1d",
        "ORDER_ENGINE_MAX_REQUESTS": str(arguments.max_requests),
    }
    async with (
        TemporalServer(directory / "temporal") as temporal,
        Started(directory / "sandbox.log") as seller,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        await temporal.start()
        await seller.launch(sys.executable, "-c", RUN_SELLER, str(sandbox_port))
        async with (
            Engine(await temporal.client(), sandbox, directory, run_worker=False) as engine,
            EngineProcess(engine, directory / "worker", temporal.address, **environment) as worker,
            EngineProcess(engine, directory / "api", temporal.address, **environment) as api,
        ):
            await asyncio.gather(worker.start_worker(), api.start_api(url))
            processes = {"API": api, "worker": worker, "Temporal": temporal}
            parts = Parts(engine, url, http, {name: pid(process) for name, process in processes.items()})
            await engine.sku("2001", stock=10_000_000)
            figures, wrong = await measure(parts, arguments.orders, arguments.rate)
            engine.http.base_url = httpx.URL(url)
            return {**figures, **await told_much(engine, arguments.callbacks // 4)}, wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.overload", description=__doc__)
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=60.0, help="orders offered in a second")
    parser.add_argument("--max-requests", type=int, default=64, help="ORDER_ENGINE_MAX_REQUESTS")
    parser.add_argument("--callbacks", type=int, default=1000, help="callbacks of one order at the end")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="overload-") as directory:
        result, wrong = asyncio.run(run(arguments, Path(directory)))
    load = " ".join(f"{one:.1f}" for one in psutil.getloadavg())
    lines = [f"{name:<40} {value}" for name, value in {**result, "load average at the end": load}.items()]
    sys.stdout.write("\n".join([*lines, *(f"wrong: {one}" for one in wrong), ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    leave(main())
