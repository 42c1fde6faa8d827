"""The commands that run one part in the foreground, and of which `dev` and `demo` make the whole."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from cli.local import HOST, Ports, require_free, temporal_command, writing
from marketplace.errors import EngineError
from marketplace.settings import PREFIX, load_settings

# Each command imports its own part alone: worker and API take more than a second each.

_DEFAULTS = Ports()
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


class SandboxFailed(EngineError):  # noqa: N818 - it names what is the matter
    """The sandbox cannot run."""


def temporal(
    port: Port = _DEFAULTS.temporal,
    ui_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI.")] = _DEFAULTS.ui,
    in_memory: Annotated[bool, typer.Option("--in-memory", help="Keep nothing for the next run.")] = False,
) -> None:
    """Temporal's development server with its web UI. Its state is kept in the data directory."""
    require_free(port, "choose another with --port (and TEMPORAL_ADDRESS for worker and API)")
    require_free(ui_port, "choose another with --ui-port")
    settings = load_settings()
    database = None
    if not in_memory:
        with writing(settings.data_dir):
            database = settings.data_dir / "temporal.sqlite3"
    codec_url = f"http://{HOST}:{_DEFAULTS.codec}" if settings.encryption_keys else None
    command = temporal_command(port, ui_port, database, codec_url)
    os.execv(command[0], command)  # noqa: S606 - in our place, so that signals reach it


def sandbox(
    port: Port = _DEFAULTS.sandbox,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The control API knows no keys: keep others away from it.")
    ] = HOST,
    autopilot: Annotated[
        bool, typer.Option("--autopilot", help="Lead every dispatched order to its delivery by itself.")
    ] = False,
    pace: Annotated[float, typer.Option(min=0, max=1000, help="Factor on the autopilot's delays: 0.1 is fast.")] = 1.0,
    state_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Keep orders and SKUs here between runs.")
    ] = None,
) -> None:
    """A simulated Seller on VTEX. Its control API with examples is at /sandbox/docs."""
    from sandbox.config import SandboxConfig  # noqa: PLC0415 - see above
    from sandbox.server import serve  # noqa: PLC0415 - see above
    from sandbox.state import StateFileError  # noqa: PLC0415 - see above

    require_free(port, "choose another with --port", host)
    config = SandboxConfig(autopilot=autopilot, pace=pace, state_file=state_file)
    try:
        serve(
            config,
            host=host,
            port=port,
            on_start=lambda url: typer.echo(f"sandbox Seller {config.account}: {url}/sandbox/docs"),
        )
    except StateFileError as error:
        raise SandboxFailed(f"sandbox: {error}") from error


def worker() -> None:
    """The worker: runs the orders' workflows and calls the Sellers."""
    from worker import main  # noqa: PLC0415 - see above

    main()


def api(
    host: Annotated[str | None, typer.Option(help=f"Address to listen on, instead of {PREFIX}HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=f"Port to listen on, instead of {PREFIX}PORT.")
    ] = None,
) -> None:
    """The HTTP API for storefront, Sellers' callbacks and operators, with its documentation at /docs."""
    from api.app import main  # noqa: PLC0415 - see above

    for name, value in (("HOST", host), ("PORT", port)):
        if value is not None:
            os.environ[f"{PREFIX}{name}"] = str(value)
    settings = load_settings()
    require_free(settings.port, f"choose another with --port or {PREFIX}PORT", settings.host)
    # The server takes signals once it runs; before that SIGTERM would end the process with its store open.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main()
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)
