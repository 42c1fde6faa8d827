"""Cursors of pages: the sort key of a page's last row, as a text that only the store can make sense of."""

import base64
import binascii
import json
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from marketplace.store.base import BadCursor

Key = TypeVar("Key")

DatabaseInt = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""What a column of BigInteger can be compared with."""


def write_cursor(*key: int | str) -> str:
    """The cursor that leads behind a row with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(cursor: str, key_type: TypeAdapter[Key]) -> Key:
    """The sort key in a cursor. Raises BadCursor for anything that `write_cursor` has not made."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return key_type.validate_json(base64.b64decode(padded, altchars=b"-_", validate=True), strict=True)
    except (binascii.Error, UnicodeEncodeError, ValidationError):
        raise BadCursor("the cursor is not one of this list: start without one") from None


def check_limit(limit: int) -> None:
    """Raises ValueError for a page without a place."""
    if limit < 1:
        raise ValueError("limit must be 1 or more")
