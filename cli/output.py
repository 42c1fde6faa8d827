"""How commands speak: colours on a terminal, plain columns in a pipe, JSON for scripts."""

from datetime import UTC, datetime

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

_UNBOUNDED = 100_000
_NAMES = 18


def console() -> Console:
    """Standard output for people. What is not a terminal gets whole lines without colours."""
    terminal = Console(markup=False, highlight=False, emoji=False)
    if terminal.is_terminal:
        return terminal
    return Console(markup=False, highlight=False, emoji=False, width=_UNBOUNDED)


def columns(*names: str) -> Table:
    """An empty table with these headings. Without a frame: a terminal's width is for what it tells."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        # Folded, never cut: an id must be there in full to be copied.
        table.add_column(name, overflow="fold")
    return table


def pairs(*rows: tuple[str, str]) -> Table:
    """Names with their values below each other."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=_NAMES)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, clean(value))
    return table


def show(out: Console, table: Table) -> None:
    """Print a table; in a pipe without the spaces that fill its last column."""
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(body: BaseModel) -> None:
    """Write a model as one line of JSON, as the API would answer it, and nothing else."""
    # Bytes: JSON is UTF-8 whatever the terminal's own encoding.
    typer.echo(body.model_dump_json().encode())


def clean(text: str) -> str:
    """A Seller's words without what a terminal would take for commands."""
    return "".join(char if char.isprintable() else " " for char in text)


def moment(at: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def minute(at: datetime) -> str:
    """A time in UTC, to the minute."""
    return moment(at)[:16]
