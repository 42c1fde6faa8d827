"""`order-engine codec`: lets operators read what is encrypted, in Temporal's UI and with its command line."""

import asyncio
import signal
from typing import Annotated, Final

import typer

from api.codec import serve
from cli.local import HOST, Ports, require_free
from marketplace.settings import load_settings
from marketplace.telemetry import configure_logging

_DEFAULT_PORT: Final = Ports().codec


def codec(
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need operator keys.")] = (
        HOST
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = _DEFAULT_PORT,
) -> None:
    """Decoding for Temporal's UI: operators who sign in there see customers' data. Needs the encryption keys."""
    settings = load_settings()
    configure_logging(settings.log_format)
    require_free(port, "choose another with --port", host)
    # The server takes signals once it runs; before that SIGTERM would end the process with a traceback or none.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(serve(settings, host, port))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
