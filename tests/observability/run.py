"""Worker and API as processes that are watched in every way: their logs, their metrics and their traces."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.observability.collector import Collector
from tests.support.engine import LIMITS, Engine
from tests.support.http_server import free_port, http_server
from tests.support.processes import EngineProcess, TemporalServer

Json = dict[str, Any]
Samples = dict[str, list[tuple[Json, float]]]


class Run:
    """An engine whose worker and API are processes, and what they tell of themselves."""

    def __init__(self, engine: Engine, worker: EngineProcess, api: EngineProcess, pages: dict[str, str]) -> None:
        self.engine = engine
        self.worker = worker
        self.api = api
        self.pages = pages
        """Where metrics are read: of worker, sdk and api; of a second worker as worker-2 and sdk-2."""
        self.collector = Collector()

    async def page(self, whose: str) -> str:
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.get(self.pages[whose])
            assert answer.status_code == 200, answer.text
            return answer.text

    async def samples(self, whose: str) -> Samples:
        """What a page of metrics says, by the samples' names: labels and value of each."""
        found: Samples = {}
        for family in text_string_to_metric_families(await self.page(whose)):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return found

    def lines(self, whose: str) -> list[Json]:
        """The log of worker or api: every line must be an object."""
        log = (self.worker if whose == "worker" else self.api).log
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert all(isinstance(line, dict) for line in lines)
        return lines


def value(samples: Samples, name: str, **labels: str) -> float:
    """Sum of a metric's samples that have these labels; 0 when there are none."""
    return sum(number for have, number in samples.get(name, []) if labels.items() <= have.items())


@asynccontextmanager
async def running(seller_url: str, directory: Path, workers: int = 1, **environment: str) -> AsyncIterator[Run]:
    """A Temporal server, workers and an API of their own."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TemporalServer(directory / "temporal"))
        await server.start()
        client = await server.client()
        numbers = ["", *(f"-{number}" for number in range(2, workers + 1))]
        names = ["api", "collector", *(f"{kind}{number}" for kind in ("worker", "sdk") for number in numbers)]
        port, ports = free_port(), {name: free_port() for name in names}
        url = f"http://127.0.0.1:{port}"
        own = Engine(client, seller_url, directory, run_worker=False, public_url=url, notice_debounce="20ms")
        common = {
            "ORDER_ENGINE_LOG_FORMAT": "json",
            "ORDER_ENGINE_PORT": str(port),
            "ORDER_ENGINE_SELLER_BACKOFF": "20ms",
            "ORDER_ENGINE_SELLER_ATTEMPTS": "3",
            "ORDER_ENGINE_NOTICE_DEBOUNCE": "20ms",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['collector']}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            **environment,
        }

        def process(name: str, **more: str) -> EngineProcess:
            listening = {"ORDER_ENGINE_METRICS_ADDRESS": f"127.0.0.1:{ports[name]}", **more}
            return EngineProcess(own, directory / name, server.address, **common, **listening)

        def worker(number: str) -> EngineProcess:
            sdk = f"127.0.0.1:{ports[f'sdk{number}']}"
            return process(f"worker{number}", ORDER_ENGINE_TEMPORAL_METRICS_ADDRESS=sdk)

        first, *others = [await stack.enter_async_context(worker(number)) for number in numbers]
        api = await stack.enter_async_context(process("api"))
        pages = {name: f"http://127.0.0.1:{ports[name]}/metrics" for name in names if name != "collector"}
        run = Run(await stack.enter_async_context(own), first, api, pages)
        await stack.enter_async_context(http_server(run.collector, ports["collector"]))
        await asyncio.gather(first.start_worker(), api.start_api(url), *(one.start_worker() for one in others))
        # The engine's own API shares this process and so its log: the one that is asked is the other.
        own.http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=40, limits=LIMITS))
        yield run
