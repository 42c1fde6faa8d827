"""The OpenAPI document says what the API does: every route, every status, and examples that work."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.docs import EXAMPLE_CART
from tests.support.engine import Engine, new_order

Json = dict[str, Any]
GUARDED = {401, 429}
BODY = {400, 413, 422}
CALLBACK = {200, 400, 404, 409, 413, 429, 503}
_LINE = "/callbacks/{seller}/{order}/{token}/{scope}/orders/{path_id}"
ROUTES: dict[tuple[str, str], set[int]] = {
    ("post", "/carts/simulation"): {200, 404, 502, 503, 504} | GUARDED | BODY,
    ("post", "/orders"): {200, 201, 202, 404, 409, 503} | GUARDED | BODY,
    ("get", "/orders"): {200, 422, 503} | GUARDED,
    ("get", "/orders/{marketplace_order_id}"): {200, 404, 503} | GUARDED,
    ("post", "/orders/{marketplace_order_id}/payment"): {200, 202, 404, 409, 503} | GUARDED | BODY,
    ("post", "/orders/{marketplace_order_id}/cancel"): {200, 202, 404, 409, 503} | GUARDED | BODY,
    ("post", "/orders/{marketplace_order_id}/resume"): {200, 403, 404, 409, 503} | GUARDED | BODY,
    ("post", "/orders/{marketplace_order_id}/erase"): {200, 403, 404, 409, 503} | GUARDED,
    ("post", f"{_LINE}/invoice"): CALLBACK,
    ("post", f"{_LINE}/invoice/{{invoice_number}}"): CALLBACK,
    ("patch", f"{_LINE}/invoice/{{invoice_number}}"): CALLBACK,
    ("post", f"{_LINE}/invoice/{{invoice_number}}/tracking"): CALLBACK,
    ("put", f"{_LINE}/invoice/{{invoice_number}}/tracking"): CALLBACK,
    ("post", f"{_LINE}/cancel"): CALLBACK,
    ("post", "/affiliates/{seller}/{token}/api/notification"): {202, 400, 404, 413, 429, 503},
    ("get", "/catalog/{seller}/skus"): {200, 404, 422, 503} | GUARDED,
    ("get", "/catalog/{seller}/skus/{sku_id}"): {200, 404, 503} | GUARDED,
    ("post", "/catalog/{seller}/skus/{sku_id}/decision"): {200, 404, 503} | GUARDED | BODY,
    ("post", "/catalog/{seller}/import"): {202, 404, 409, 422, 503} | GUARDED,
    ("get", "/catalog/{seller}/import"): {200, 404, 422, 503} | GUARDED,
    ("get", "/logs"): {200, 403, 404, 422, 503} | GUARDED,
    ("get", "/webhooks"): {200, 403, 422, 503} | GUARDED,
    ("get", "/webhooks/{event_id}"): {200, 403, 404, 503} | GUARDED,
    ("post", "/webhooks/{event_id}/resend"): {202, 403, 404, 409, 503} | GUARDED,
    ("get", "/health/live"): {200},
    ("get", "/health/ready"): {200, 503},
    ("get", "/metrics"): {200, 403} | GUARDED,
}


@pytest.fixture(scope="module")
async def document(shared_engine: Engine) -> Json:
    answer = await shared_engine.http.get("/openapi.json")
    assert answer.status_code == 200
    found: Json = answer.json()
    return found


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def contents(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Every body of a request or an answer, with where it is and its media type."""
    for method, path, operation in operations(document):
        parts = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, part in parts.items():
            for media_type, content in part.get("content", {}).items():
                yield f"{method} {path} {name}", media_type, content


def validator(document: Json, schema: Json) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(found := value.get("$ref"), str):
            yield found
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_every_route_is_documented_with_its_statuses(document: Json) -> None:
    found = {(method, path): {int(code) for code in one["responses"]} for method, path, one in operations(document)}
    assert found == ROUTES


async def test_every_operation_has_a_summary_a_tag_and_a_name_of_its_own(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert not [path for _, path, one in operations(document) if not one.get("summary") or not one.get("tags")]
    known = {tag["name"] for tag in document["tags"]}
    assert {tag for _, _, one in operations(document) for tag in one["tags"]} <= known


async def test_every_schema_is_a_schema_and_every_reference_leads_somewhere(document: Json) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert {reference.removeprefix("#/components/schemas/") for reference in references(document)} <= set(schemas)


async def test_every_error_is_documented_as_a_problem(document: Json) -> None:
    for method, path, operation in operations(document):
        for code, answer in operation["responses"].items():
            if int(code) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (method, path, code)


async def test_every_example_fits_its_own_schema(document: Json) -> None:
    examples = [
        (where, content) for where, _, content in contents(document) if "example" in content and "schema" in content
    ]
    assert len(examples) >= 11
    for where, content in examples:
        found = [error.message for error in validator(document, content["schema"]).iter_errors(content["example"])]
        assert not found, where


async def test_the_examples_of_the_storefront_work_as_they_stand(engine: Engine, document: Json) -> None:
    def example(path: str) -> Json:
        found: Json = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        return found

    answer = await engine.http.post("/carts/simulation", json=example("/carts/simulation"))
    assert (answer.status_code, answer.json()["items"][0]["availability"]) == (200, "available")
    order = new_order(**{k: v for k, v in example("/orders").items() if k != "marketplaceOrderId"})
    placed = await engine.post(order)
    assert (placed.status_code, placed.json()["status"]) == (201, "payment-pending")
    path = f"/orders/{order['marketplaceOrderId']}"
    paid = await engine.http.post(f"{path}/payment", json=example("/orders/{marketplace_order_id}/payment"))
    assert paid.status_code == 200
    await engine.until(order, status="handling")
    invoice = example(f"{_LINE}/invoice")
    sent = await engine.callback(order, f"/pvt/orders/{order['marketplaceOrderId']}/invoice", invoice)
    assert sent.status_code == 200
    await engine.until(order, status="invoiced")


async def test_answers_fit_their_documented_schemas(engine: Engine, document: Json) -> None:
    order = await engine.dispatched()
    await engine.seller_sends(order, "invoice")
    await engine.seller_sends(order, "tracking")
    await engine.until(order, status="shipped")
    cart = {**EXAMPLE_CART, "items": [{"id": "2002", "quantity": 1}, {"id": "9999", "quantity": 1}]}
    calls = [
        ("get", "/orders/{marketplace_order_id}", await engine.http.get(f"/orders/{order['marketplaceOrderId']}")),
        ("get", "/orders", await engine.http.get("/orders?limit=5")),
        ("post", "/orders", await engine.post(new_order())),
        ("post", "/orders", await engine.http.post("/orders", json={})),
        ("post", "/orders/{marketplace_order_id}/cancel", await engine.cancel(order)),
        ("post", "/carts/simulation", await engine.http.post("/carts/simulation", json=cart)),
        ("get", "/health/live", await engine.http.get("/health/live")),
    ]
    for method, path, answer in calls:
        content = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
        schema = content[answer.headers["content-type"]]["schema"]
        assert not [error.message for error in validator(document, schema).iter_errors(answer.json())], path


async def test_the_documentation_page_is_there(shared_engine: Engine) -> None:
    answer = await shared_engine.http.get("/docs")
    assert answer.status_code == 200
    assert "/openapi.json" in answer.text


async def test_the_page_at_docs_brings_everything_it_loads(engine: Engine) -> None:
    page = await engine.http.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 2
    for address in loaded:
        assert address.startswith("/"), address
        assert (await engine.http.get(address)).status_code == 200, address
