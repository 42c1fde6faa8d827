"""Every body the sandbox answers or sends, in every variant, against VTEX's corrected schemas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

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
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
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
