"""What a body may cost: nesting, numbers of values, compression, and words that make much of little."""

import gzip
import json
import time

import pytest

from api.bodies import MAX_NESTS, MAX_VALUES
from tests.api.answers import problem
from tests.api.callback_line import INVOICE, Line, dispatched_line
from tests.support.engine import Engine, new_order

HUGE = {
    "brackets side by side": b'{"x": [' + b",".join([b"[" * 20 + b"]" * 20] * 20_000) + b"]}",
    "brackets within brackets": b'{"x": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "objects within objects": b'{"x": ' * 100_000 + b"0" + b"}" * 100_000,
    "empty objects": b'{"items": [' + b",".join([b"{}"] * 340_000) + b"]}",
    "unknown names": b"{" + b",".join(b'"k%d":0' % number for number in range(80_000)) + b"}",
    "one name again and again": b"{" + b",".join([b'"items":0'] * 95_000) + b"}",
    "numbers": b'{"shippingData": {"address": {"geoCoordinates": [' + b",".join([b"0"] * 500_000) + b"]}}}",
}
LIMITED = [
    b'{"x": [' + b"[]," * (MAX_NESTS - 10) + b"0]}",
    b'{"x": [' + b"0," * (MAX_VALUES - 10) + b"0]}",
    b'{"x": ' + b"[" * 190 + b"]" * 190 + b"}",
    b'{"x": "' + b"\\u0041" * 170_000 + b'"}',
    b'{"marketplacePaymentValue": ' + b"9" * 1_000_000 + b"}",
    json.dumps({"items": [{f"k{number}": 0 for number in range(80)} for _ in range(500)]}).encode(),
    json.dumps({"shippingData": {"address": {"x": [[[]]] * 3000}, "logisticsInfo": [{}] * 500}}).encode(),
]


@pytest.fixture(scope="module")
async def line(shared_engine: Engine) -> Line:
    return await dispatched_line(shared_engine)


@pytest.mark.parametrize("what", HUGE)
async def test_a_body_that_holds_too_much_is_a_400_before_it_is_looked_at(line: Line, what: str) -> None:
    begun = time.process_time()
    for answer in (
        await line.send("/invoice", content=HUGE[what]),
        await line.send("/cancel", content=HUGE[what]),
        await line.engine.http.post("/orders", content=HUGE[what]),
        await line.engine.http.post("/carts/simulation", content=HUGE[what]),
    ):
        problem(answer, 400, "")
        assert len(answer.content) < 1000
    # It was seconds for each of them. Client, Temporal's client and the rest of the engine count here too.
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("body", LIMITED, ids=lambda body: ascii(body[:30]))
async def test_what_stays_below_is_refused_for_what_it_says_and_in_no_time(line: Line, body: bytes) -> None:
    begun = time.process_time()
    answer = await line.engine.http.post("/orders", content=body)
    assert answer.status_code in {400, 422}
    assert len(answer.content) < 20_000
    problem(await line.send("/invoice", content=body), 400)
    assert time.process_time() - begun < 2


async def test_an_order_of_as_many_items_as_are_allowed_is_not_too_much(shared_engine: Engine) -> None:
    one = new_order()["shippingData"]["logisticsInfo"][0]
    window = {"startDateUtc": "2026-03-10T10:00:00Z", "endDateUtc": "2026-03-10T12:00:00Z", "price": 0}
    order = new_order(
        seller="unknown",
        items=[{"id": str(number), "quantity": 1, "price": 1} for number in range(500)],
        marketplacePaymentValue=500 * 1491,
    )
    full = {"lockTTL": "1d", "shippingEstimate": "7bd", "selectedDeliveryChannel": "delivery", "deliveryWindow": window}
    order["shippingData"]["logisticsInfo"] = [{**one, **full, "itemIndex": number} for number in range(500)]
    assert "unknown" in problem(await shared_engine.http.post("/orders", json=order), 404)["detail"]


async def test_an_invoice_of_as_many_lines_as_are_allowed_is_not_too_much(line: Line) -> None:
    items = [{"id": "2001", "quantity": 1, "price": number, "unknown": [{}]} for number in range(2000)]
    answer = await line.send("/invoice", {**INVOICE, "items": items, "type": "nothing"})
    [error] = problem(answer, 400)["errors"]
    assert error["pointer"] == "/type"


async def test_a_compressed_body_is_never_unpacked(line: Line) -> None:
    bomb = gzip.compress(json.dumps(INVOICE).encode() + b" " * 20_000_000, mtime=0)
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip"):
        headers = {"Content-Encoding": encoding}
        problem(await line.send("/invoice", content=bomb, headers=headers), 400, "")
        problem(await line.engine.http.post("/orders", content=bomb, headers=headers), 400, "")


async def test_after_all_of_this_the_order_is_as_it_was(line: Line) -> None:
    assert await line.version() == line.version_at_first
