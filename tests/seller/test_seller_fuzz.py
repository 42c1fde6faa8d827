"""Whatever a Seller answers, the client raises nothing but its own errors, and they tell nothing of the customer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.errors import SellerError, SellerFailure, Verdict, seller_error
from marketplace.seller.client import Manners, Timeouts, VtexSeller
from marketplace.seller.translate import personal_values
from tests.fuzz.mutations import broken, mutated, written
from tests.fuzz.thoroughness import some
from tests.seller.calls import CALLS, CATALOG_CALLS, client
from tests.seller.samples import KEY, TOKEN, data, order
from tests.support.scripted_server import ScriptedServer, answer, scripted_server

Fuzzed = tuple[VtexSeller, ScriptedServer]

EVERY_CALL = {**CALLS, **CATALOG_CALLS}
ERROR = json.loads(data("error"))
EXAMPLES: dict[str, list[Any]] = {
    "simulate": [json.loads(data(name)) for name in ("simulation", "simulation.variants")],
    "place": [json.loads(data(name)) for name in ("placed", "placed.envelope")],
    "dispatch": [json.loads(data(name)) for name in ("dispatched", "dispatched.envelope")],
    "cancel": [json.loads(data("canceled")), {}],
    "read": [json.loads(data("order"))],
    "sku": [json.loads(data(name)) for name in ("sku", "sku.sparse")],
    "product": [json.loads(data(name)) for name in ("product", "product.older")],
    "terms": [json.loads(data("simulation.one-unit"))],
    "SKU ids": [[88101, 88104], []],
}
LEAVES = {type(seller_error(SellerFailure(verdict=verdict))) for verdict in Verdict}
PERSONAL = personal_values(order())
QUOTING = (
    "refused: vera.lucia@mail.example has the document 52998224725 and the phone +5548991234567",
    "VERA LUCIA, Rua do Principe 7, 88010-000",
    "vera.lucia@mail.example",
)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 404, 409, 429, 500, 503])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.sampled_from(
    [
        "items",
        "id",
        "price",
        "orderId",
        "orderData",
        "details",
        "error",
        "code",
        "message",
        "logisticsInfo",
        "slas",
        "itemIndex",
        "requestIndex",
        "stockBalance",
        "availableDeliveryWindows",
        "startDateUtc",
        "messages",
        "receipt",
        "priceDefinition",
        "total",
        "quantity",
        "marketplaceOrderId",
        "shippingData",
        "isCancelled",
        "status",
        "value",
        "Id",
        "ProductId",
        "IsActive",
        "SalesChannels",
        "Images",
        "SkuSpecifications",
        "FieldValues",
        "ProductCategories",
        "ProductCategoryIds",
        "Dimension",
        "AlternateIds",
        "SkuSellers",
    ]
)
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6),
    max_leaves=30,
)


@pytest.fixture(scope="module")
async def fuzzed() -> AsyncIterator[Fuzzed]:
    """One server and client for all examples: they are not bound to a single one."""
    # However many failures follow each other here, each example wants its own answer.
    calm = Manners(failures_to_open=10**9, first_pause=0, longest_pause=0)
    async with scripted_server() as server, client(server.url, Timeouts(reservation_pauses=()), calm) as seller:
        yield seller, server


async def outcome(fuzzed: Fuzzed, name: str, status: int, body: bytes) -> SellerError | None:
    """What a call makes of an answer: None when it is a result. Any other exception fails the test."""
    seller, server = fuzzed
    step = answer(status, body, {"Content-Type": "application/json"})
    server.follow(step)
    server.always = step
    try:
        result = await EVERY_CALL[name](seller)
    except SellerError as error:
        return error
    assert result is not None
    assert status < 300
    return None


def check_silent(error: SellerError | None, name: str) -> None:
    """An error tells nothing that tells who the customer is. Only who places an order knows its customer's name."""
    if error is None:
        return
    assert type(error) in LEAVES
    told = f"{error!r} {error} {error.failure!r} {error.__cause__!r} {error.__context__!r}".lower()
    secret = [*(PERSONAL if name == "place" else PERSONAL[:1]), KEY, TOKEN, "52998224725", "5548991234567"]
    assert not [text for text in secret if text.lower() in told], told


@pytest.mark.parametrize("name", EVERY_CALL)
@given(body=JSON, status=st.sampled_from([200, 201, 400, 404, 500]))
@some(30)
async def test_arbitrary_json_never_raises_anything_but_a_seller_error(
    fuzzed: Fuzzed, name: str, body: Any, status: int
) -> None:
    error = await outcome(fuzzed, name, status, written(body))
    assert error is None or type(error) in LEAVES
    assert len(fuzzed[1].requests) == (2 if name == "product" and status == 404 else 1)


@pytest.mark.parametrize("name", EVERY_CALL)
@given(data=st.data(), status=STATUSES)
@some(60)
async def test_an_answer_with_a_few_things_wrong_is_a_result_or_a_seller_error(
    fuzzed: Fuzzed, name: str, data: st.DataObject, status: int
) -> None:
    example = data.draw(st.sampled_from([*EXAMPLES[name], ERROR]))
    body = data.draw(mutated(example, QUOTING))
    check_silent(await outcome(fuzzed, name, status, written(body)), name)


@pytest.mark.parametrize("name", EVERY_CALL)
@given(data=st.data(), status=STATUSES)
@some(25)
async def test_bytes_that_are_hardly_json_are_a_result_or_a_seller_error(
    fuzzed: Fuzzed, name: str, data: st.DataObject, status: int
) -> None:
    body = data.draw(broken(data.draw(st.sampled_from([*EXAMPLES[name], ERROR]))))
    check_silent(await outcome(fuzzed, name, status, body), name)
