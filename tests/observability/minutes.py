"""Some minutes of a shop that are worth a look: orders of every fate, faults, and a Seller that is away."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import yaml  # type: ignore[import-untyped]

from marketplace.security import AffiliateTokens
from marketplace.settings import secret_keys
from tests.observability.dashboard import ROOT
from tests.observability.run import Run
from tests.support.engine import ORDER, new_order
from tests.support.http_server import free_port
from tests.support.processes import Started
from tests.support.scripted_server import answer
from tests.webhooks.receiver import Receiver

Json = dict[str, Any]
FAULTS: Final[list[tuple[str, str, Json]]] = [
    ("place", "answer-lost", {}),
    ("place", "server-error", {"httpStatus": 503}),
    ("place", "rate-limited", {"retryAfter": 1}),
    ("place", "error", {"code": "FMT002"}),
    ("place", "forbidden", {}),
    ("dispatch", "slow-after", {"seconds": 2}),
    ("dispatch", "half-body", {}),
]
_FAULTY: Final = 0.15
_CANCELED: Final = 0.08
_DENIED: Final = 0.05
_CONFIG: Final = ROOT / "deploy/prometheus/prometheus.yml"


@asynccontextmanager
async def watched(run: Run, program: str, directory: Path) -> AsyncIterator[str]:
    """A Prometheus that watches a run by the configuration of deploy/; yields its address once it sees everything."""
    file, number = _configuration(run, directory)
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}"
    flags = [f"--config.file={file}", f"--storage.tsdb.path={directory}/data", f"--web.listen-address={address}"]
    async with Started(directory / "prometheus.log") as prometheus, httpx.AsyncClient(trust_env=False) as http:
        await prometheus.launch(program, *flags)
        async with asyncio.timeout(90):
            while await _seen(http, url) < number:
                assert prometheus.running, prometheus.log.read_text()
                await asyncio.sleep(0.5)
        yield url


def _configuration(run: Run, directory: Path) -> tuple[Path, int]:
    """Write the configuration for a run's ports into a new directory; how many pages it reads."""
    config = yaml.safe_load(_CONFIG.read_text())
    config["rule_files"] = [str(_CONFIG.parent / name) for name in config["rule_files"]]
    pages: dict[str, list[str]] = {}
    for name, url in run.pages.items():
        pages.setdefault(f"order-engine-{name.partition('-')[0]}", []).append(httpx.URL(url).netloc.decode())
    # Temporal's own page is on a port of its choice here, and no panel asks for it.
    config["scrape_configs"] = [
        {"job_name": one["job_name"], "static_configs": [{"targets": pages[one["job_name"]]}]}
        for one in config["scrape_configs"]
        if one["job_name"] in pages
    ]
    directory.mkdir()
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file, len(run.pages)


async def _seen(http: httpx.AsyncClient, url: str) -> int:
    with suppress(httpx.TransportError):
        told = await http.get(f"{url}/api/v1/query", params={"query": "count(up == 1)"})
        if told.status_code == httpx.codes.OK and (found := told.json()["data"]["result"]):
            return int(found[0]["value"][1])
    return 0


class Shop:
    """Shoppers, a Seller and its troubles. `posted` counts the orders."""

    def __init__(self, run: Run, receiver: Receiver, seed: int) -> None:
        self._engine = run.engine
        self._receiver = receiver
        self._chance = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self.posted = 0

    async def trade(self, seconds: float, per_second: float, away: float) -> None:
        """Post orders for so many seconds, for `away` of which the Seller resets every connection."""
        engine = self._engine
        endpoint = AffiliateTokens(secret_keys(engine.settings)).endpoint(engine.settings.public_url, "acme")
        living = {"livingCatalog": True, "livingRate": 0.5, "livingExcept": [ORDER["items"][0]["id"]]}
        # Nobody is told that what all of them want is sold out.
        await engine.sku(ORDER["items"][0]["id"], stock=1_000_000)
        await engine.switch(autopilot=True, notificationEndpoint=endpoint, **living)
        self._begin(self._troubles(seconds, away))
        ending = asyncio.get_running_loop().time() + seconds
        while (left := ending - asyncio.get_running_loop().time()) > 0:
            self._begin(self._shopper())
            await asyncio.sleep(min(left, self._chance.expovariate(per_second)))
        # Whoever is still shopping is looked at as they are.
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def _begin(self, what: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(what))

    async def _troubles(self, seconds: float, away: float) -> None:
        part = seconds / 10
        await asyncio.sleep(part)
        await self._import()
        await asyncio.sleep(2 * part)
        await self._engine.switch(down="reset")
        await asyncio.sleep(away)
        await self._engine.switch(down="no")
        await asyncio.sleep(max(0, 3 * part - away))
        await self._import()
        await asyncio.sleep(part)
        self._receiver.answer(*[answer(503)] * 30, answer(410))
        # Three imports for two workers: one of them reads two, and a rate is seen from the second on.
        await self._import()

    async def _import(self) -> None:
        (await self._engine.http.post("/catalog/acme/import")).raise_for_status()

    async def _shopper(self) -> None:
        chance, engine = self._chance, self._engine
        order = new_order()
        fate, slowness = chance.random(), chance.uniform(2, 9)
        if chance.random() < _FAULTY:
            route, kind, more = chance.choice(FAULTS)
            await engine.fault(route, kind, order, **more)
        shipping = order["shippingData"]["address"]
        lines = [{"id": line["id"], "quantity": line["quantity"]} for line in order["items"]]
        place = {"postalCode": shipping["postalCode"], "country": shipping["country"]}
        await engine.http.post("/carts/simulation", json={"seller": "acme", "items": lines, **place})
        self.posted += 1
        await engine.post(order, wait=5)
        await asyncio.sleep(slowness)
        if fate < _CANCELED:
            await engine.cancel(order)
        else:
            await engine.pay(order, "denied" if fate < _CANCELED + _DENIED else "approved")
        await asyncio.sleep(slowness)
        await engine.get(order)
