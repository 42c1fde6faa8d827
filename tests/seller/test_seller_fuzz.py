"""Whatever JSON a Seller answers, the client raises nothing but its own errors."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.errors import (
    SellerError,
)
from marketplace.seller.client import Manners, Timeouts, VtexSeller
from tests.seller.calls import CALLS, CATALOG_CALLS, client
from tests.support.scripted_server import ScriptedServer, json_answer, scripted_server

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
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
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6),
    max_leaves=30,
)


@pytest.fixture(scope="module")
async def fuzzed() -> AsyncIterator[tuple[VtexSeller, ScriptedServer]]:
    """One server and client for all examples: they are not bound to a single one."""
    # However many failures follow each other here, each example wants its own answer.
    calm = Manners(failures_to_open=10_000)
    async with scripted_server() as server, client(server.url, Timeouts(reservation_pauses=()), calm) as seller:
        yield seller, server


@pytest.mark.parametrize("name", [*CALLS, *CATALOG_CALLS])
@given(body=JSON, status=st.sampled_from([200, 201, 400, 404, 500]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_arbitrary_json_never_raises_anything_but_a_seller_error(
    fuzzed: tuple[VtexSeller, ScriptedServer], name: str, body: Any, status: int
) -> None:
    seller, server = fuzzed
    server.follow(json_answer(body, status))
    server.always = json_answer(body, status)
    try:
        result = await {**CALLS, **CATALOG_CALLS}[name](seller)
    except SellerError as error:
        assert error.failure.message is not None  # noqa: PT017 - both ends are good ones
    else:
        assert result is not None
        assert status < 300
    assert len(server.requests) == (2 if name == "product" and status == 404 else 1)
