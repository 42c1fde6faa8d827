"""Options and arguments that commands share, and how a wrong one is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from marketplace.orders import Identifier
from marketplace.store.base import BadCursor

_identifier: TypeAdapter[str] = TypeAdapter(Identifier)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts, as the API answers it.")]
Cursor = Annotated[str | None, typer.Option(help="Where the next page begins, as the last one told.")]


@contextmanager
def usage(option: str, rule: str) -> Iterator[None]:
    """What a person typed wrong is told beside the option's name, with exit code 2."""
    try:
        yield
    except (BadCursor, ValidationError):
        raise typer.BadParameter(rule, param_hint=option) from None


def check_id(value: str | None) -> str | None:
    """For an option or argument that is an order's id or a Seller's name. Raises typer.BadParameter."""
    try:
        return None if value is None else _identifier.validate_python(value)
    except ValidationError:
        raise typer.BadParameter("at most 128 characters of A-Z a-z 0-9 . _ -") from None
