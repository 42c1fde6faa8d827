"""Good JSON bodies with a few things wrong, and bytes that are hardly JSON at all."""

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import islice
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]
Choose = Callable[[Sequence[Any]], Any]
"""Picks one of several: hypothesis, or a seeded random number generator."""

LONG = "Ø" * 20_000
NUMBERS: list[Any] = [
    *(0, -1, 1.5, 1e308, -1e-308, 2**31, 2**53, 2**63, 2**64, 10**18, 10**400, float("nan"), float("inf")),
    *("0", "-1", "1.5", "1e3", "12.345,67", "0x10", "٣", "９４７０", "9" * 4000, " 7 ", "+7", "1_000"),
]
TEXTS: list[str] = [
    *(
        "",
        " ",
        "\0",
        "\x7f\x1b[2J",
        "\u2028\u202e",
        "\ud800",
        "\U0001f4a9",
        "a\r\nX-Injected: yes",
        "../../etc",
        "%00%2e",
    ),
    *(
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "null",
        "true",
        "[object Object]",
        LONG,
    ),
]
DATES: list[Any] = [
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30", "10/03/2026", "2026-03-10T25:00:00Z"),
    *("2026-03-10 09:30:00", "2026-03-10T09:30:00.1234567Z", "2026-W11-2", "2026-03-10T09:30:60Z", 1773136800, -1),
]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [{}], {"": None}, [None], {"a": {"a": {"a": {}}}}]
_garbage = st.recursive(
    st.sampled_from([*NUMBERS, *TEXTS, *OTHERS]) | st.text(max_size=30) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, the whole included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def mutate(document: Any, choose: Choose, extra: Sequence[Any] = ()) -> Any:
    """A copy of a JSON value with one thing wrong. `extra`: values to put in beside those of the tables."""
    value = deepcopy(document)
    path = choose(list(islice(places(value), 500)))
    if not path:
        return _other(value, choose, extra)
    *parents, last = path
    holder = value
    for name in parents:
        holder = holder[name]
    what = choose(["other", "other", "other", "drop", "more", "rename"])
    if what == "other" or not isinstance(holder, dict):
        holder[last] = _other(holder[last], choose, extra)
    elif what == "drop":
        del holder[last]
    elif what == "rename":
        name = str(last)
        holder[choose([name.upper(), name.lower(), f" {name}", f"{name}\0", "", "__proto__"])] = holder.pop(last)
    else:
        holder[choose(["more", "", "\0", "\ud800", LONG])] = _other(None, choose, extra)
    # What was put in may be changed next: never the table that it comes from.
    return deepcopy(value)


def _other(value: Any, choose: Choose, extra: Sequence[Any]) -> Any:
    table = choose([NUMBERS, TEXTS, DATES, OTHERS, _relatives(value), _relatives(value), extra or OTHERS])
    return choose(table)


def _relatives(value: Any) -> list[Any]:
    """What a sender may mistake for a value."""
    if isinstance(value, list):
        return [value * 2, value * 300, value[:1], value[::-1], [value], {"0": value}]
    if isinstance(value, dict):
        return [[value], list(value.values()), [list(pair) for pair in value.items()], json.dumps(value)]
    if isinstance(value, bool | None):
        return [str(value), int(bool(value)), [value]]
    if isinstance(value, int | float):
        return [
            str(value),
            float(value) if abs(value) < 10**300 else 1e308,
            -value,
            value * 10**6,
            [value],
            {"value": value},
        ]
    return [value.upper(), f" {value}\n", value * 2, value[::-1], [value], {"value": value}]


@st.composite
def mutated(draw: st.DrawFn, document: Any, extra: Sequence[Any] = ()) -> Any:
    """A JSON value that was `document` before one to three things happened to it."""

    def choose(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options))

    value = document
    for _ in range(draw(st.integers(1, 3))):
        value = mutate(value, choose, [*extra, draw(_garbage)])
    return value


def written(value: Any) -> bytes:
    """As JSON, with the numbers that JSON has not: NaN and Infinity stand there as Python writes them."""
    return json.dumps(value).encode()


@st.composite
def broken(draw: st.DrawFn, document: Any) -> bytes:
    """Bytes that were the JSON of `document` before something happened to them."""
    good = written(document)
    place = draw(st.integers(0, len(good)))
    start, end = good[:place], good[place:]
    found: bytes = draw(
        st.sampled_from(
            [
                *(b"", b" \n", b"null", b'""', b"0", b"[]", good * 2, start, end, start + end[1:], good + b"\0"),
                *(start + b"\xff\xfe" + end, start + b"\0" + end, start + b"\xc3" + end, start + b"\x1b" + end),
                *(b"\xef\xbb\xbf" + good, good.decode().encode("utf-16"), good.decode().encode("utf-32")),
                *(b"[" * 100_000, b'{"a":' * 50_000, b"[" * 900 + good + b"]" * 900, good[:-1] + b"," + good[1:]),
                *(good[:-1] + b',"id":' + b"9" * 5000 + b"}", good[:-1] + b',"id":NaN,"id":-Infinity,"id":1e999}'),
                *(good.replace(b'"', b"'"), good.replace(b":", b"="), b"<html>" + good + b"</html>"),
            ]
        )
    )
    return found
