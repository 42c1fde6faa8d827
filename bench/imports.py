"""Imports of a whole catalog: how fast beside the floor, and how much of a limited Seller's rate they use."""

import asyncio
import sys
from datetime import datetime
from statistics import median
from typing import Any

import httpx
from pydantic import BaseModel

from bench.floor import FloorResult
from bench.measure import Cost, Meter
from bench.stack import FREE, LIMITED, RATE, Stack, round_name

_POLL = 0.1
_PATIENCE = 600.0


class Import(BaseModel):
    """One import. `others_cpu`: share of the machine's CPU that went to other people's work meanwhile."""

    skus: int
    failed: int
    seconds: float
    skus_per_second: float
    requests_per_sku: float
    others_cpu: float
    costs: dict[str, Cost]


class Round(BaseModel):
    engine: Import
    floor: FloorResult
    ratio: float
    """The import's SKUs a second, as a share of the floor's."""

    @property
    def floor_cpu(self) -> float:
        """CPU seconds of the floor for each SKU."""
        return self.floor.cpu_seconds / self.floor.skus

    @property
    def worker_cpu(self) -> float:
        """CPU seconds of the worker for each SKU."""
        return self.engine.costs["worker"].cpu_seconds / self.engine.skus


class ImportFigures(BaseModel):
    """Medians of the rounds. `cpu_ratio` compares CPU time for a SKU: other people's load hardly moves it."""

    rounds: list[Round]
    skus_per_second: float
    floor_skus_per_second: float
    ratio: float
    cpu_ratio: float
    requests_per_sku: float
    worker_peak_mib: float
    temporal_peak_mib: float


class RateFigures(BaseModel):
    allowed_per_second: float
    used_share: float
    most_in_a_second: int
    limited: int
    """Requests that the Seller refused: 0 as long as the rate is kept."""
    run: Import


async def measure_imports(stack: Stack, rounds: int) -> ImportFigures:
    """Import the catalog once to warm up, then in turns with the floor; the medians of the turns."""
    await run_import(stack, round_name(0))
    done = []
    for number in range(1, rounds + 1):
        floor = await _run_floor(stack)
        engine = await run_import(stack, round_name(number))
        ratio = engine.skus_per_second / (floor.skus / floor.seconds)
        done.append(Round(engine=engine, floor=floor, ratio=round(ratio, 3)))
    return ImportFigures(
        rounds=done,
        skus_per_second=round(median(one.engine.skus_per_second for one in done), 1),
        floor_skus_per_second=round(median(one.floor.skus / one.floor.seconds for one in done), 1),
        ratio=round(median(one.ratio for one in done), 3),
        cpu_ratio=round(median(one.floor_cpu / one.worker_cpu for one in done), 3),
        requests_per_sku=max(one.engine.requests_per_sku for one in done),
        worker_peak_mib=max(one.engine.costs["worker"].peak_mib for one in done),
        temporal_peak_mib=max(one.engine.costs["temporal"].peak_mib for one in done),
    )


async def measure_rate(stack: Stack) -> RateFigures:
    """Import from the Seller that allows `RATE` requests a second."""
    run = await run_import(stack, LIMITED)
    async with httpx.AsyncClient(base_url=stack.sellers[LIMITED], trust_env=False) as http:
        traffic = (await http.get("/sandbox/traffic")).json()
    return RateFigures(
        allowed_per_second=RATE,
        used_share=round(run.requests_per_sku * run.skus / run.seconds / RATE, 3),
        most_in_a_second=max(second["arrived"] for second in traffic["seconds"]),
        limited=traffic["rateLimited"],
        run=run,
    )


async def run_import(stack: Stack, seller: str) -> Import:
    """Have the API import one Seller's catalog; its time as the import itself tells it."""
    async with (
        httpx.AsyncClient(base_url=stack.sellers[seller], trust_env=False) as sandbox,
        httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as api,
    ):
        (await sandbox.delete("/sandbox/traffic")).raise_for_status()
        path = f"/catalog/{seller}/import"
        async with Meter() as meter, asyncio.timeout(_PATIENCE):
            (await api.post(path)).raise_for_status()
            report = await _ended(api, path)
        traffic = (await sandbox.get("/sandbox/traffic")).json()
    if report["state"] != "completed":
        raise RuntimeError(f"the import of {seller} is {report['state']}")
    started, ended = (datetime.fromisoformat(report[name]) for name in ("startedAt", "endedAt"))
    seconds, skus = (ended - started).total_seconds(), report["done"] + report["failed"]
    return Import(
        skus=skus,
        failed=report["failed"],
        seconds=round(seconds, 2),
        skus_per_second=round(skus / seconds, 1),
        requests_per_sku=round(traffic["requests"] / skus, 4),
        others_cpu=meter.others_cpu,
        costs=meter.costs,
    )


async def _ended(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    while True:
        report: dict[str, Any] = (await api.get(path)).raise_for_status().json()
        if report["state"] != "running":
            return report
        await asyncio.sleep(_POLL)


async def _run_floor(stack: Stack) -> FloorResult:
    command = [sys.executable, "-m", "bench.floor", stack.sellers[round_name(0)], str(stack.settings.data_dir)]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(_PATIENCE):
            out, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    if running.returncode:
        raise RuntimeError(f"the floor of {FREE} ended with exit code {running.returncode}")
    return FloorResult.model_validate_json(out)
