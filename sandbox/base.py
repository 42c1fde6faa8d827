"""What the sandbox's modules share: the base of their models, and the one way to write times."""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

DURATION = re.compile(r"^([0-9]{1,6})(bd|d|h|m)$")
"""VTEX's duration: a number with d days, bd business days, h hours or m minutes (contract section 0)."""

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


class Model(BaseModel):
    """Base of the sandbox's own models: camelCase on the wire, a misspelt field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


DateForm = Literal["fraction", "seconds", "offset", "bare", "space"]
_DATE_FORMS = {
    "fraction": "%Y-%m-%dT%H:%M:%S.%f0Z",
    "seconds": "%Y-%m-%dT%H:%M:%SZ",
    "offset": "%Y-%m-%dT%H:%M:%S.%f+00:00",
    "bare": "%Y-%m-%dT%H:%M:%S",
    "space": "%Y-%m-%d %H:%M:%S",
}


def date_in(form: DateForm, at: datetime) -> str:
    """Write a time in one of the forms that VTEX's documents show (contract section 0)."""
    return at.strftime(_DATE_FORMS[form])


def now() -> datetime:
    return datetime.now(UTC)


def vtex_date(at: datetime) -> str:
    """Write a time as VTEX mostly does: seven fractional digits and a Z."""
    return date_in("fraction", at)


def after(at: datetime, duration: str) -> datetime:
    """The time a VTEX duration after `at`; business days skip Saturdays and Sundays."""
    match = DURATION.match(duration)
    if match is None:
        return at
    count, unit = min(int(match[1]), 3650), match[2]
    if unit in _UNITS:
        return at + count * _UNITS[unit]
    for _ in range(count):
        at += timedelta(days=1)
        while at.isoweekday() > 5:  # noqa: PLR2004 - Friday is the fifth day of the week
            at += timedelta(days=1)
    return at
