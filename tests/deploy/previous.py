"""The worker of an earlier commit, beside which this one must be able to run."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.support.engine import Engine
from tests.support.processes import ROOT, EngineProcess

CHOSEN = "PREVIOUS_COMMIT"
"""Variable with the commit whose worker runs beside this one; else it is the last that differs."""
CODE = ("activities", "marketplace", "workflows", "worker.py")
GENERATIONS = "tests/histories/generations.txt"
CACHED = 5
"""Orders that a worker keeps in memory. Each of the others is replayed by whichever worker gets its next task."""
RUN = (
    "import functools, worker; print('code of', worker.__file__, flush=True);"
    f"worker.build_worker = functools.partial(worker.build_worker, max_cached_workflows={CACHED}); worker.main()"
)


def previous_commit() -> str | None:
    """The chosen commit, or the newest one whose worker differs from this tree's; None where none is to be had."""
    if shutil.which("git") is None or _git("rev-parse", "--git-dir") is None:
        return None
    if chosen := os.environ.get(CHOSEN):
        return chosen
    if _git("diff", "--quiet", "HEAD", "--", *CODE) is None:
        return "HEAD"
    changed = _git("log", "-1", "--format=%H", "HEAD", "--", *CODE)
    return _text(_git("rev-parse", "--verify", "--quiet", f"{_text(changed)}~1^{{commit}}"))


def began_anew_since(commit: str) -> str | None:
    """Why this tree may not go on with the orders of a commit, if that was given up; see the file."""
    if os.environ.get(CHOSEN):
        return None
    here = (ROOT / GENERATIONS).read_text().splitlines()
    there = _text(_git("show", f"{commit}:{GENERATIONS}")) or ""
    return here[-1] if here[-1] not in there.splitlines() else None


def unpack(commit: str, directory: Path) -> None:
    """Write what the worker of a commit is made of."""
    archive = _git("archive", commit, "--", *CODE)
    assert archive is not None, f"git knows no commit {commit} with a worker"
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")


def _git(*arguments: str) -> bytes | None:
    """What git answers; None when it does not."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _text(answer: bytes | None) -> str | None:
    return answer.decode().strip() or None if answer is not None else None


class WorkerOf(EngineProcess):
    """A worker that runs the code of a directory. `approval`: the Seller all of whose SKUs wait for a decision."""

    def __init__(self, code: Path, engine: Engine, directory: Path, approval: str) -> None:
        address = engine.client.service_client.config.target_host
        super().__init__(engine, directory, address, PYTHONPATH=str(code))
        self.code = code
        sellers = directory / "sellers.toml"
        entry = f"[sellers.{approval}]\n"
        sellers.write_text(sellers.read_text().replace(entry, f"{entry}assortment = 'approval'\n"))

    async def start_worker(self) -> None:
        """Start it; return when it polls."""
        self._starts += 1
        await self.launch(sys.executable, "-P", "-c", RUN, environment=self.environment)
        await self.until_logged("worker runs", self._starts)
        assert f"code of {self.code / 'worker.py'}" in self.log.read_text()

    @property
    def name(self) -> str:
        """How it signs what it does in a history, without the machine."""
        assert self._process is not None
        return str(self._process.pid)
