"""A callback that cannot be understood, or is not this order's, is refused and changes nothing."""

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from api.middleware import MAX_BODY
from tests.api.answers import SENT, problem
from tests.api.callback_line import DELIVERY, INVOICE, TRACKING, Line
from tests.api.malformed import NO_JSON, NO_OBJECT, Case, by_field
from tests.sandbox.calls import MISSING

NO_TEXTS: list[Any] = [[], {}, True, 1.5, SENT * 700]
NO_CENTS: list[Any] = [-1, "-1", 94.7, "94.70", "94,70", True, [], {}, 10**13 + 1, 10**30, "9" * 19, float("nan"), SENT]
NO_DATES: list[Any] = [SENT, "2026-13-01", "10/03/2026", 1773136800, 0, 1.5, "1773136800", True, [], {}]

INVOICE_TAIL, TRACKING_TAIL, DELIVERY_TAIL = "/invoice", "/invoice/NF-1", "/invoice/NF-1/tracking"
WRONG: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    INVOICE_TAIL: (
        INVOICE,
        {
            "type": [MISSING, None, "", "Sale", 1, SENT],
            "invoiceNumber": [MISSING, None, "", "  ", [], True, 1.5, SENT * 43],
            "invoiceValue": NO_CENTS,
            "issuanceDate": NO_DATES,
            "items": [{}, SENT, 1, INVOICE["items"] * 2001],
            "items.0": [None, [], SENT],
            "items.0.id": [MISSING, None, "", []],
            "items.0.quantity": [MISSING, None, 0, -1, "0", 1.5, True, 1_000_001, SENT],
            "items.0.price": [MISSING, None, *NO_CENTS],
            "courier": NO_TEXTS,
            "trackingUrl": NO_TEXTS,
            "invoiceKey": NO_TEXTS,
            "dispatchedDate": NO_DATES,
        },
    ),
    TRACKING_TAIL: (TRACKING, {"courier": NO_TEXTS, "trackingNumber": NO_TEXTS, "dispatchedDate": NO_DATES}),
    DELIVERY_TAIL: (
        DELIVERY,
        {
            "isDelivered": [MISSING, None, "true", 1, "", []],
            "events": [{}, SENT, 1, DELIVERY["events"] * 2001],
            "events.0": [None, [], SENT],
            "events.0.city": NO_TEXTS,
            "events.0.date": NO_DATES,
        },
    ),
    "/cancel": ({"reason": "no stock"}, {"reason": NO_TEXTS}),
}
CASES: dict[str, list[Case]] = {
    tail: [Case({path: value}, f"/{path.replace('.', '/')}") for path, values in fields.items() for value in values]
    for tail, (_, fields) in WRONG.items()
}
CASES[INVOICE_TAIL] += [
    Case({"invoiceValue": MISSING, "items": MISSING}, "/invoiceValue"),
    Case({"invoiceValue": "", "items": None}, "/invoiceValue"),
    Case({"invoiceValue": None, "items": []}, "/invoiceValue"),
]
NOTHING_SAID: list[dict[str, Any]] = [{}, {"Courier": SENT, "note": SENT}, {"dispatchedDate": "2026-03-11T09:00:00Z"}]
GOOD: dict[str, Any] = {tail: good for tail, (good, _) in WRONG.items()}
every_route = pytest.mark.parametrize("tail", GOOD)


@pytest.mark.parametrize(
    ("tail", "field"), [(tail, field) for tail, cases in CASES.items() for field in by_field(cases)]
)
async def test_a_malformed_callback_is_a_400_that_names_the_field(line: Line, tail: str, field: str) -> None:
    for case in by_field(CASES[tail])[field]:
        body = json.dumps(case.of(deepcopy(GOOD[tail])))
        problem(await line.send(tail, content=body), 400, case.pointer, case)


@pytest.mark.parametrize("body", NOTHING_SAID, ids=str)
async def test_tracking_that_says_nothing_is_a_400(line: Line, body: dict[str, Any]) -> None:
    problem(await line.send(TRACKING_TAIL, body), 400, "/trackingNumber")


@pytest.mark.parametrize("what", [*NO_JSON, *NO_OBJECT])
async def test_a_body_that_is_no_json_object_is_a_400(line: Line, what: str) -> None:
    # The body of a cancel may be empty.
    for tail in [tail for tail in GOOD if tail != "/cancel" or what not in {"nothing", "blanks", "null"}]:
        problem(await line.send(tail, content={**NO_JSON, **NO_OBJECT}[what]), 400, "")


@pytest.mark.parametrize(
    ("tail", "method"),
    [(TRACKING_TAIL, "PATCH"), (DELIVERY_TAIL, "PUT")],
)
async def test_the_other_methods_of_a_route_refuse_the_same(line: Line, tail: str, method: str) -> None:
    problem(await line.send(tail, {"courier": []}, method), 400)
    problem(await line.send(tail, None, method), 400, "")


@every_route
async def test_a_get_changes_nothing(line: Line, tail: str) -> None:
    answer = await line.send(tail, None, "GET")
    problem(answer, 405)
    assert "POST" in answer.headers["allow"]


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(17):
        yield b" " * 65536


@every_route
async def test_a_callback_over_the_limit_is_413(line: Line, tail: str) -> None:
    problem(await line.send(tail, content=b" " * (MAX_BODY + 1)), 413)
    problem(await line.send(tail, content=_chunks()), 413)


@pytest.mark.parametrize("number", ["%20", "x" * 129])
async def test_an_invoice_number_in_the_path_must_be_one(line: Line, number: str) -> None:
    problem(await line.send(f"/invoice/{number}", TRACKING), 400)


def _as_seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    return answer.status_code, answer.content, {**answer.headers, "date": "", "x-request-id": ""}


@pytest.mark.parametrize(
    "token",
    [
        *("wrong", "x" * 43, "%00", "%20", "...", "token of another order", "token of another Seller"),
        *("cut", "one too long", "padded", "another last character", "other case"),
    ],
)
async def test_a_wrong_token_looks_exactly_like_an_unknown_order(line: Line, other_line: Line, token: str) -> None:
    own = line.token()
    mangled = {
        "token of another order": other_line.token(),
        "token of another Seller": line.token(seller="other"),
        "cut": own[:-1],
        "one too long": f"{own}A",
        "padded": f"{own}=",
        "another last character": own[:-1] + ("A" if own[-1] != "A" else "B"),
        "other case": own.swapcase(),
    }.get(token, token)
    for tail, body in GOOD.items():
        unknown = await line.send(tail, body, base=f"/callbacks/acme/NONE-1/{line.token('NONE-1')}", path_id="NONE-1")
        problem(unknown, 404)
        refused = await line.send(tail, body, base=f"/callbacks/acme/{line.id}/{mangled}")
        assert _as_seen(refused) == _as_seen(unknown)


@every_route
async def test_a_right_token_opens_one_order_of_one_seller_alone(line: Line, other_line: Line, tail: str) -> None:
    own, other = line.token(), other_line.id
    answers = [
        # The token of one order with another one's id: in the path's end, in its beginning, in both.
        await line.send(tail, GOOD[tail], path_id=other),
        await line.send(tail, GOOD[tail], path_id=f"MKP-{other}"),
        await line.send(tail, GOOD[tail], base=f"/callbacks/acme/{other}/{own}"),
        await line.send(tail, GOOD[tail], base=f"/callbacks/acme/{other}/{own}", path_id=other),
        await line.send(tail, GOOD[tail], base=f"/callbacks/other/{line.id}/{own}"),
        await line.send(tail, GOOD[tail], base=f"/callbacks/other/{line.id}/{line.token(seller='other')}"),
        await line.send(tail, GOOD[tail], scope="/priv"),
        await line.send(tail, GOOD[tail], path_id=f"{line.id}%00"),
        await line.send(tail, GOOD[tail], base=f"/callbacks/acme/%00/{line.token(chr(0))}"),
    ]
    for answer in answers:
        assert problem(answer, 404)["detail"] == "no such order"
    assert len({answer.content for answer in answers}) == 1


async def test_a_token_in_the_path_is_in_no_answer(line: Line) -> None:
    answers = [
        await line.send("/invoice", {}),
        await line.send("/nothing/of/ours", {}),
        await line.send("/invoice", None, "DELETE"),
        await line.send("/invoice", content=b" " * (MAX_BODY + 1)),
        await line.send("/invoice", INVOICE, path_id="NONE-1"),
        # The base URL with something before it, as a proxy's or a person's mistake.
        await line.send("/invoice", INVOICE, base=f"/v1/callbacks/acme/{line.id}/{line.token()}"),
        await line.send("/invoice", INVOICE, base=f"/Callbacks/acme/{line.id}/{line.token()}"),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 405, 413, 404, 404, 404]
    assert not [answer for answer in answers if line.token() in answer.text + str(answer.headers)]


async def test_after_all_of_this_both_orders_are_as_they_were(line: Line, other_line: Line) -> None:
    for one in (line, other_line):
        assert await one.version() == one.version_at_first
        order = await one.found()
        assert (order.status, order.invoices, order.packages, order.needs_attention) == ("handling", [], [], False)
