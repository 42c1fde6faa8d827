"""What a measurement costs: time, and CPU and memory of each process; and the words for how busy the machine is."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil
from pydantic import BaseModel

_SAMPLE = 0.1
_MARKS = {
    "temporal": ("start-dev",),
    "worker": ("cli.main", "worker"),
    "api": ("cli.main", "api"),
    "bare": ("bench.bare",),
    "seller": ("bench.seller", "free"),
    "limited": ("bench.seller", "limited"),
}


class Cost(BaseModel):
    """Of one process: CPU seconds, and the largest resident memory seen, in MiB."""

    cpu_seconds: float
    peak_mib: float


class Load(BaseModel):
    """How busy the machine is with everything, ours and others'."""

    cores: int
    load_average: tuple[float, float, float]

    @classmethod
    def now(cls) -> Self:
        return cls(cores=os.cpu_count() or 1, load_average=os.getloadavg())

    def __str__(self) -> str:
        return f"load average {' '.join(f'{one:.1f}' for one in self.load_average)} on {self.cores} cores"


class Meter:
    """Measures wall time, CPU and memory of the stack's processes while its `async with` lasts."""

    def __init__(self) -> None:
        self._processes = find_processes()
        self._peaks: dict[str, int] = dict.fromkeys(self._processes, 0)
        self._sampling: asyncio.Task[None] | None = None
        self._before: dict[str, float] = {}
        self._begun = 0.0
        self.seconds = 0.0
        self.costs: dict[str, Cost] = {}
        self.others_cpu = 0.0
        """Share of the machine's CPU that neither the stack nor this process used: other people's work."""

    async def __aenter__(self) -> Self:
        self._before = self._cpu()
        self._machine = _machine_cpu()
        self._begun = time.monotonic()
        self._sampling = asyncio.create_task(self._sample())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._begun
        assert self._sampling is not None
        self._sampling.cancel()
        after, machine = self._cpu(), _machine_cpu()
        self.costs = {
            name: Cost(
                cpu_seconds=round(after[name] - self._before[name], 2), peak_mib=round(self._peaks[name] / 2**20, 1)
            )
            for name in self._processes
        }
        ours = sum(after.values()) - sum(self._before.values())
        whole = self.seconds * (os.cpu_count() or 1)
        self.others_cpu = round(max(machine - self._machine - ours, 0) / whole, 3)

    def _cpu(self) -> dict[str, float]:
        own = {"bench": psutil.Process()}
        found = {}
        for name, process in {**own, **self._processes}.items():
            times = process.cpu_times()
            # Of children too: the floor is a child of this process, and has ended by then.
            found[name] = times.user + times.system + times.children_user + times.children_system
        return found

    async def _sample(self) -> None:
        while True:
            for name, process in self._processes.items():
                with suppress(psutil.NoSuchProcess):
                    self._peaks[name] = max(self._peaks[name], process.memory_info().rss)
            await asyncio.sleep(_SAMPLE)


def _machine_cpu() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def find_processes() -> Mapping[str, psutil.Process]:
    """The stack's processes by name."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            words = child.cmdline()
            for name, marks in _MARKS.items():
                if set(marks) <= set(words):
                    found.setdefault(name, child)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies, of a sequence that need not be sorted."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
