"""Reads JSON bodies into models: the storefront's strictly, the Seller's as it happens to send them.

Read here and not by the framework: after the key was checked, and with pydantic's own parser, which has answers to
half surrogate pairs, endless nesting and numbers of a thousand digits.
"""

import json
from typing import Any, Final, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.problems import MAX_ERRORS, FieldError, Problem, field_errors

MAX_NESTS: Final = 10_000
"""Objects and arrays of a body. An order of 500 items has some 2,000, an invoice of as many as VTEX sends 4,000."""
MAX_VALUES: Final = 50_000

Body = TypeVar("Body", bound=BaseModel)


async def read_request(request: Request, model: type[Body]) -> Body:
    """Read what a storefront or operator sent: every value in its own JSON type, every field known and given once.

    400 when it is no JSON, 422 when it is not what the model asks for.
    """
    raw = await _read(request)
    try:
        body = model.model_validate_json(raw, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        _refuse(error, 422)
    if twice := _given_twice(json.loads(raw, object_pairs_hook=_Object, parse_int=str, parse_float=str)):
        # Parsers disagree about which one counts, and it may be a price.
        raise Problem(422, "a field is given twice", errors=[FieldError(pointer=twice, detail="keep one of the two")])
    return body


async def read_report(request: Request, model: type[Body]) -> Body:
    """Read what a Seller sent; of a field given twice the last one counts. 400 when it cannot be understood."""
    raw = await _read(request)
    try:
        return model.model_validate_json(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        _refuse(error, 400)


async def _read(request: Request) -> bytes:
    raw = await request.body()
    if not raw.strip():
        raise Problem(400, "the body is empty", errors=[FieldError(pointer="", detail="send a JSON object")])
    # Each finding holds what it was found in: 1 MiB of brackets, and little else, would take seconds to refuse. What
    # stands in texts is counted too, since reading them would cost what is to be saved.
    if raw.count(b"[") + raw.count(b"{") > MAX_NESTS or raw.count(b",") > MAX_VALUES:
        cure = f"send at most {MAX_NESTS:,} objects and arrays, and {MAX_VALUES:,} values"
        raise Problem(400, "the body holds too much", errors=[FieldError(pointer="", detail=cure)])
    return raw


def _refuse(error: ValidationError, invalid: int) -> NoReturn:
    findings = error.errors(include_url=False, include_input=False)
    errors = field_errors(findings)
    if findings[0]["type"] == "json_invalid":
        raise Problem(400, "the body is not JSON", errors=errors) from None
    if len(findings) == 1:
        raise Problem(invalid, "one field is invalid", errors=errors) from None
    listed = f"; the first {MAX_ERRORS} are listed" if len(findings) > MAX_ERRORS else ""
    raise Problem(invalid, f"{len(findings)} fields are invalid{listed}", errors=errors) from None


class _Object(list[tuple[str, Any]]):
    """A JSON object as it was written: its members in order, repeated ones too."""


def _given_twice(value: Any, pointer: str = "") -> str | None:
    """The pointer of the first member that stands twice in its object. For validated JSON: its depth is known."""
    if not isinstance(value, list):
        return None
    named = isinstance(value, _Object)
    seen = set()
    for name, inner in value if named else enumerate(value):
        if name in seen:
            return f"{pointer}/{name}"
        seen.add(name)
        if twice := _given_twice(inner, f"{pointer}/{name}"):
            return twice
    return None
