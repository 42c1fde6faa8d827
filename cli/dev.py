"""`order-engine dev`: the whole engine on this machine until Ctrl-C."""

import asyncio
import fcntl
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from api.docs import EXAMPLE_ORDER
from cli.local import SANDBOX_ACCOUNT, Local, Ports, forget_elsewhere, prepare, settle_ports, writing
from cli.output import clean, console, pairs, show
from cli.supervisor import Supervisor
from marketplace.errors import EngineError
from marketplace.settings import PREFIX, load_settings

_DEFAULTS: Final = Ports()
_COLOURS: Final = {"sandbox": "magenta", "worker": "green", "api": "cyan"}
"""The parts whose log lines are shown. Temporal's own concern nobody but itself."""
_FIRST_ORDER: Final = "FIRST-1"
_CHANGES_A_SECOND: Final = 0.2
"""Calm: one can follow each change of the sandbox's prices, stock and names."""


class DevRunsAlready(EngineError):  # noqa: N818 - it names what is the matter
    """Another `dev` uses the same data directory."""


def dev(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=f"Port of the API [{PREFIX}PORT or 8080].")] = None,
    temporal_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Temporal.")] = _DEFAULTS.temporal,
    ui_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Temporal's UI.")] = _DEFAULTS.ui,
    sandbox_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the sandbox Seller.")
    ] = _DEFAULTS.sandbox,
    codec_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the codec, which runs when encryption keys are set.")
    ] = _DEFAULTS.codec,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Take other ports where these are busy.")] = False,
    pace: Annotated[float, typer.Option(min=0, max=1000, help="Factor on the sandbox's delays: 0.1 is fast.")] = 1.0,
) -> None:
    """Run everything on this machine: Temporal with its UI, a sandbox Seller, worker and API. Ctrl-C stops all.

    The Seller's catalog is imported at the first start, and changes now and then.

    The state is kept in the data directory (ORDER_ENGINE_DATA_DIR, .order-engine by default) and found again next time.
    """
    forget_elsewhere()
    settings = load_settings()
    with _only_one(settings.data_dir):
        wanted = Ports(
            api=settings.port if port is None else port,
            temporal=temporal_port,
            ui=ui_port,
            sandbox=sandbox_port,
            codec=codec_port if settings.encryption_keys else 0,
        )
        local = prepare(settings.data_dir, settle_ports(wanted, any_free=free_ports))
        _write_first_order(local)
        out = console()
        supervisor = Supervisor(local.parts(pace), local.log_dir)
        asyncio.run(_run(supervisor, local, out))
        out.print(f"Stopped. Orders and workflows are kept in {local.data_dir}", soft_wrap=True)


async def _run(supervisor: Supervisor, local: Local, out: Console) -> None:
    async def story() -> None:
        with out.status("Starting Temporal, sandbox Seller, worker and API"):
            await supervisor.start()
            await local.import_once()
            # The first order's prices are written down, and must stay what the Seller asks.
            kept = [item["id"] for item in first_order()["items"]]
            await local.tell_seller(livingCatalog=True, livingRate=_CHANGES_A_SECOND, livingExcept=kept)
        _show_addresses(local, out)
        await _show_logs(supervisor, out)

    await supervisor.lead(story())


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    with writing(data_dir):
        lock = (data_dir / "dev.lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = f"{data_dir.absolute()}: stop it, or set {PREFIX}DATA_DIR to another"
            raise DevRunsAlready(f"`order-engine dev` runs already with {where}") from None
        yield


def _first_order_file(local: Local) -> Path:
    return local.data_dir / "first-order.json"


def _write_first_order(local: Local) -> None:
    path = _first_order_file(local)
    if not path.exists():  # or a person's own changes would be lost
        path.write_text(json.dumps(first_order(), indent=2) + "\n", encoding="utf-8")


def first_order() -> dict[str, Any]:
    """The example of the API's documentation, paid, so that it needs nobody to reach its delivery."""
    payment = {"status": "approved", "transactionId": "pay-1"}
    return {**EXAMPLE_ORDER, "marketplaceOrderId": _FIRST_ORDER, "payment": payment}


def _show_addresses(local: Local, out: Console) -> None:
    addresses = [
        ("API", local.api_url),
        ("API documentation", f"{local.api_url}/docs"),
        ("Temporal UI", local.ui_url),
        ("Temporal", os.environ["TEMPORAL_ADDRESS"]),
        ("Sandbox Seller", f"{local.sandbox_url}/sandbox/docs"),
        ("Data and logs", str(local.data_dir)),
    ]
    if local.codec_url:
        addresses.insert(3, ("Codec", local.codec_url))
    out.print("\nThe order engine runs\n", style="bold")
    show(out, pairs(*addresses))
    key = "-H 'authorization: Bearer KEY' " if local.settings.storefront_keys or local.settings.operator_keys else ""
    order = shlex.quote(str(_first_order_file(local)))
    post = f"curl -s {local.api_url}/orders {key}-H content-type:application/json -d @{order}"
    _show_command(out, "Post a first order; the sandbox leads it to its delivery:", post)
    look = f". {shlex.quote(str(local.operator_file))} && order-engine orders show {_FIRST_ORDER}"
    _show_command(out, "See what became of it, in another terminal:", look)
    logs = f"order-engine catalog logs {SANDBOX_ACCOUNT}"
    if local.codec_url and local.settings.operator_keys:
        # The UI of the development server cannot be told this at its start.
        reading = f"sign in at {local.codec_url}, and turn on credentials in the UI's codec settings (docs/security.md)"
        out.print(f"\nTo read orders in Temporal's UI, {reading}.", soft_wrap=True)
    _show_command(out, "See there how the Seller's changes of price and stock arrive in the catalog:", logs)
    out.print("\nCtrl-C stops everything and keeps the state.\n", style="dim")


def _show_command(out: Console, purpose: str, command: str) -> None:
    out.print(f"\n{purpose}", style="bold")
    # In one piece whatever the width, to be copied as it is.
    out.print(command, style="cyan", soft_wrap=True)


async def _show_logs(supervisor: Supervisor, out: Console) -> None:
    """Show what the parts log from now on, until canceled; of tracebacks the last line, the rest is in the files."""
    logs = {part: supervisor.log(part) for part in _COLOURS}
    read = {part: log.stat().st_size for part, log in logs.items()}
    while True:
        await asyncio.sleep(0.2)
        for part, log in logs.items():
            lines, read[part] = _new_lines(log, read[part])
            for line in lines:
                if line.startswith((" ", "Traceback ")):
                    continue
                out.print(Text.assemble((f"{part:<8}", _COLOURS[part]), clean(line)), soft_wrap=True)


def _new_lines(log: Path, start: int) -> tuple[list[str], int]:
    """The whole lines from byte `start` on, and where the next one begins."""
    with log.open("rb") as file:
        file.seek(start)
        whole, newline, _ = file.read().rpartition(b"\n")
    return whole.decode(errors="replace").splitlines(), start + len(whole) + len(newline)
