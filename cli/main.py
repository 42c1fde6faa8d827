"""The command `order-engine`: finds the command asked for, and brings every ending to an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Final

import typer

from marketplace.errors import EngineError
from marketplace.process import leave

_LOCAL: Final = "Everything on this machine"
_PARTS: Final = "Each part alone"
_OPERATOR: Final = "The operator's work"

COMMANDS: Final = {
    "demo": ("cli.demo", _LOCAL),
    "dev": ("cli.dev", _LOCAL),
    "temporal": ("cli.parts", _PARTS),
    "sandbox": ("cli.parts", _PARTS),
    "worker": ("cli.parts", _PARTS),
    "api": ("cli.parts", _PARTS),
    "codec": ("cli.codec", _PARTS),
    "orders": ("cli.orders", _OPERATOR),
    "catalog": ("cli.catalog", _OPERATOR),
    "webhooks": ("cli.webhooks", _OPERATOR),
    "sellers": ("cli.sellers", _OPERATOR),
    "keys": ("cli.keys", _OPERATOR),
    "doctor": ("cli.doctor", _OPERATOR),
}
"""Each command's module and its heading in the help. A module has a function of the command's name, or an `app`."""


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Put together the Typer application for these arguments.

    Only the module of the command asked for is imported: all of them together take two seconds.
    """
    app = typer.Typer(
        name="order-engine",
        help="Sell the offers of Sellers on VTEX from a marketplace of your own.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    names = [asked] if asked in COMMANDS else [] if "--version" in arguments else list(COMMANDS)
    for name in names:
        module, heading = COMMANDS[name]
        found = import_module(module)
        if group := getattr(found, "app", None):
            app.add_typer(group, name=name, rich_help_panel=heading)
        else:
            app.command(name, rich_help_panel=heading)(getattr(found, name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"order-engine {version('marketplace-order-engine')}\n")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    # Without this the application would be its only command, when one alone is registered.
    pass


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 1 after an EngineError, told in one line, and 2 after a wrong usage."""
    try:
        build_app(arguments)(args=list(arguments), prog_name="order-engine")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except EngineError as error:
        sys.stderr.write(f"order-engine: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; a last flush must not fail again.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def main() -> None:
    """Entry point of the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? and no traceback
    try:
        code = run(sys.argv[1:])
    except Exception:  # noqa: BLE001 - a bug: shown, and then the process must still be left in the safe way
        traceback.print_exc()
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
