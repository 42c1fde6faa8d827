"""Every body the sandbox answers or sends, in every variant, against VTEX's corrected schemas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.catalog import numbered_skus
from sandbox.catalog_answers import sku_document
from sandbox.config import Settings
from tests.sandbox.calls import Caller, order
from tests.support.scripted_server import ScriptedServer

SCHEMAS = Path(__file__).parents[3] / "shared" / "vtex" / "schemas" / "accept"
ADDRESS = {"postalCode": "80240-210", "country": "BRA"}

Check = Callable[[str, Any], None]


@pytest.fixture(scope="module")
def check() -> Check:
    """Validate a document against a schema by name."""
    if not SCHEMAS.is_dir():
        pytest.skip("the schemas are not at hand")

    def validate(name: str, document: Any) -> None:
        # What needed no correction stands beside the corrected ones, as published.
        places = (SCHEMAS / f"{name}.json", SCHEMAS.parent / f"{name}.json")
        schema = json.loads(next(place for place in places if place.exists()).read_text())
        Draft202012Validator(schema).validate(document)

    return validate


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"nullHeavy": True},
        {"stockBalance": "absent", "priceDefinition": False, "deliveryWindows": "object", "messages": "messageId"},
        {"stockBalance": "StockBalance", "nullHeavy": True, "deliveryWindows": "object"},
    ],
)
async def test_simulations_validate(caller: Caller, check: Check, settings: dict[str, Any]) -> None:
    await caller.set(**settings)
    cart = [(f"20{n:02d}", 2) for n in range(1, 13)] + [("9999", 1)]
    check("simulation-response", (await caller.simulate(*cart, **ADDRESS)).json())
    check("simulation-response", (await caller.simulate(*cart)).json())


def test_the_orders_of_these_tests_validate(check: Check) -> None:
    check("place-order-request", [order()])


@pytest.mark.parametrize("form", ["array", "object", "envelope"])
async def test_placements_validate(caller: Caller, check: Check, form: str) -> None:
    await caller.set(placeAnswer=form)
    check("place-order-response", (await caller.place()).json())


@pytest.mark.parametrize("form", ["receipt", "envelope"])
async def test_dispatches_validate(caller: Caller, check: Check, form: str) -> None:
    await caller.set(dispatchAnswer=form)
    await caller.place()
    check("authorize-dispatch-response", (await caller.dispatch()).json())


@pytest.mark.parametrize("late", ["agree", "incomplete", "silent"])
async def test_cancellations_validate(caller: Caller, check: Check, late: str) -> None:
    await caller.set(cancelLate=late, cancelWindowSeconds=0, emptyAnswer="object")
    await caller.dispatched()
    check("seller-cancel-response", (await caller.cancel()).json())


@pytest.mark.parametrize("where", ["both", "header", "body"])
async def test_errors_validate(caller: Caller, check: Check, where: str) -> None:
    await caller.set(errorCodeIn=where)
    check("error-body", (await caller.place(order(items=[]))).json())
    check("error-body", (await caller.read("A-9")).json())
    for fault in ("error", "server-error", "rate-limited", "forbidden"):
        await caller.fault(kind=fault)
        check("error-body", (await caller.read()).json())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"courierField": "carrier", "invoiceValue": "string", "invoiceType": "lower", "trackingRoute": "number"},
    ],
)
async def test_callbacks_validate(
    caller: Caller, marketplace: ScriptedServer, check: Check, settings: dict[str, Any]
) -> None:
    await caller.set(**settings)
    await caller.dispatched()
    await caller.send("invoice", items=[{"id": "2001", "quantity": 1, "price": 3990}], invoiceKey="k", invoiceUrl="u")
    check("invoice-callback", marketplace.last.json)
    await caller.send("invoice")
    check("invoice-callback", marketplace.last.json)
    await caller.send("invoice", type="Input")
    check("invoice-callback", marketplace.last.json)
    await caller.send("tracking")
    check("tracking-callback", marketplace.last.json)
    if not settings:
        check("invoice-callback", marketplace.last.json)
    await caller.send("delivery")
    check("tracking-events-callback", marketplace.last.json)
    await caller.send("cancel")
    check("cancel-callback", marketplace.last.json)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"isProductActive": "absent", "specificationValueIds": "empty", "unknownFields": True, "catalogDates": "space"},
        {"nullHeavy": True},
    ],
)
async def test_catalog_answers_validate(caller: Caller, check: Check, settings: dict[str, Any]) -> None:
    await caller.set(**settings)
    await caller.patch("2002", images=[], categories={}, specifications={}, ean="", dimension={}, notify=False)
    for sku_id in (await caller.sku_ids()).json():
        check("sku-response", (await caller.read_sku(sku_id)).json())
        if not settings.get("nullHeavy"):
            check("product-response", (await caller.catalog(f"catalog/pvt/product/{sku_id}")).json())
            older = await caller.catalog(f"catalog_system/pvt/products/productget/{sku_id}")
            check("product-response.catalog-system", older.json())
    check("sku-ids-response", (await caller.sku_ids()).json())


def test_a_sku_has_all_the_fields_of_the_example(check: Check) -> None:
    example = json.loads((SCHEMAS.parents[1] / "examples" / "sku-response.json").read_text())
    sku = next(iter(numbered_skus(1)))
    document = sku_document(sku, [1], "acme", Settings())
    assert list(document) == list(example)
    for name in ("Dimension", "RealDimension", "AlternateIds"):
        assert set(document[name]) == set(example[name])
    for name in ("Images", "SkuSellers", "SkuSpecifications"):
        assert set(document[name][0]) == set(example[name][0])


@pytest.mark.parametrize("form", ["pascal", "camel", "five", "full"])
@pytest.mark.parametrize("number", ["string", "integer"])
async def test_notices_validate(
    caller: Caller, marketplace: ScriptedServer, check: Check, form: str, number: str
) -> None:
    product = "absent" if form == "five" else number
    await caller.set(notificationEndpoint=marketplace.url, noticeForm=form, noticeSkuId=number, noticeProductId=product)
    await caller.patch("2001", price=1)
    check("catalog-notification", marketplace.last.json)
