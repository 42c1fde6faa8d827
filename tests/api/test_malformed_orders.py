"""What storefronts and operators must not send is refused with the field and the cure, and leaves no trace."""

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest

from api.middleware import MAX_BODY
from api.problems import MAX_ERRORS
from tests.api.answers import SENT, problem
from tests.api.malformed import (
    CANCEL,
    CANCELS,
    CART,
    CARTS,
    NO_JSON,
    NO_OBJECT,
    ORDERS,
    PAYMENT,
    PAYMENTS,
    RESUME,
    RESUMES,
    TWICE,
    Case,
    by_field,
    complete_order,
)
from tests.support.engine import Engine, new_order

ROUTES = ("/carts/simulation", "/orders", "/orders/T-1/payment", "/orders/T-1/cancel", "/orders/T-1/resume")


@pytest.mark.parametrize("field", by_field(ORDERS))
async def test_a_malformed_order_is_refused_with_the_field_named(shared_engine: Engine, field: str) -> None:
    for case in by_field(ORDERS)[field]:
        body = json.dumps(case.of(complete_order()))
        problem(await shared_engine.http.post("/orders", content=body), 422, case.pointer, case)


async def test_a_malformed_order_leaves_no_trace(shared_engine: Engine) -> None:
    order_id = complete_order()["marketplaceOrderId"]
    for case in ORDERS:
        body = case.of({**complete_order(), "marketplaceOrderId": order_id})
        if body.get("marketplaceOrderId") == order_id:
            problem(await shared_engine.http.post("/orders", content=json.dumps(body)), 422)
    problem(await shared_engine.http.get(f"/orders/{order_id}"), 404)


@pytest.mark.parametrize(
    ("route", "good", "cases"),
    [
        ("/carts/simulation", CART, CARTS),
        ("/orders/T-1/payment", PAYMENT, PAYMENTS),
        ("/orders/T-1/cancel", CANCEL, CANCELS),
        ("/orders/T-1/resume", RESUME, RESUMES),
    ],
)
async def test_every_other_malformed_request_is_refused_with_the_field_named(
    shared_engine: Engine, route: str, good: dict[str, Any], cases: list[Case]
) -> None:
    for case in cases:
        body = json.dumps(case.of(deepcopy(good)))
        problem(await shared_engine.http.post(route, content=body), 422, case.pointer, case)


@pytest.mark.parametrize("what", NO_JSON)
async def test_what_is_no_json_is_refused_as_such(shared_engine: Engine, what: str) -> None:
    for route in ROUTES:
        body = problem(await shared_engine.http.post(route, content=NO_JSON[what]), 400, "")
        assert body["title"] == "Malformed request"


@pytest.mark.parametrize("what", NO_OBJECT)
async def test_json_that_is_no_object_is_refused(shared_engine: Engine, what: str) -> None:
    for route in ROUTES:
        problem(await shared_engine.http.post(route, content=NO_OBJECT[what]), 422, "")


@pytest.mark.parametrize("pointer", TWICE)
async def test_a_field_given_twice_is_refused_since_nobody_knows_which_counts(
    shared_engine: Engine, pointer: str
) -> None:
    problem(await shared_engine.http.post("/orders", content=TWICE[pointer]), 422, pointer)


async def test_all_wrong_fields_are_named_at_once(shared_engine: Engine) -> None:
    order = new_order(seller=SENT + " ", items=[], colour=1)
    body = problem(await shared_engine.http.post("/orders", json=order), 422)
    assert {error["pointer"] for error in body["errors"]} == {"/seller", "/items", "/colour"}
    assert body["detail"] == "3 fields are invalid"


async def test_a_flood_of_wrong_fields_draws_a_short_answer(shared_engine: Engine) -> None:
    flood = json.dumps({f"colour{number}": 1 for number in range(20_000)})
    body = problem(await shared_engine.http.post("/orders", content=flood), 422)
    assert len(body["errors"]) == MAX_ERRORS
    assert "the first 100 are listed" in body["detail"]


@pytest.mark.parametrize("name", ["a/b~c", "x" * 5000, "\0", "é", ""])
async def test_an_unknown_fields_pointer_is_escaped_and_of_readable_length(shared_engine: Engine, name: str) -> None:
    pointer = "/" + name[:200].replace("~", "~0").replace("/", "~1")
    problem(await shared_engine.http.post("/orders", json={**new_order(), name: 1}), 422, pointer)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", "", "zqx"])
async def test_the_content_type_does_not_matter(shared_engine: Engine, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = await shared_engine.http.post("/orders/NONE-1/payment", content=json.dumps(PAYMENT), headers=headers)
    # The body was understood: what is missing is the order.
    assert "NONE-1" in problem(answer, 404)["detail"]


async def _chunks(count: int, chunk: bytes) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield chunk


@pytest.mark.parametrize("size", [MAX_BODY + 1, 20 * MAX_BODY])
@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_over_the_limit_is_413_whether_announced_or_only_sent(
    shared_engine: Engine, route: str, size: int
) -> None:
    body = problem(await shared_engine.http.post(route, content=b" " * size), 413)
    assert str(MAX_BODY) in body["detail"]
    # A body from an iterator goes without Content-Length.
    problem(await shared_engine.http.post(route, content=_chunks(size // 65536 + 1, b" " * 65536)), 413)


async def test_a_large_body_within_the_limit_is_read(shared_engine: Engine) -> None:
    padded = json.dumps(PAYMENT).encode().rjust(MAX_BODY)
    problem(await shared_engine.http.post("/orders/NONE-1/payment", content=padded), 404)
    problem(await shared_engine.http.post("/orders/NONE-1/payment", content=_chunks(1, padded)), 404)


async def test_the_largest_order_is_placed(engine: Engine) -> None:
    await engine.switch(maxItems=500)
    line = {"itemIndex": 0, "selectedSla": "Standard", "price": 1490}
    order = new_order(items=[{"id": "2001", "quantity": 1, "price": 3990}] * 500)
    order["shippingData"]["logisticsInfo"] = [{**line, "itemIndex": index} for index in range(500)]
    order["marketplacePaymentValue"] = 500 * (3990 + 1490)
    answer = await engine.post(order)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["items"]) == 500
