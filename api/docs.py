"""What `/docs` shows beside the routes: bodies with examples, and the problems a route may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.problems import MEDIA_TYPE, ProblemBody
from marketplace.orders import CancelRequest, CartRequest, Order, OrderRequest, PaymentReport, ResumeRequest

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (CartRequest, OrderRequest, PaymentReport, CancelRequest, ResumeRequest)

EXAMPLE_CART = {
    "seller": "acme",
    "items": [{"id": "88104", "quantity": 2}],
    "postalCode": "80240-210",
    "country": "BRA",
}
EXAMPLE_ORDER = {
    "marketplaceOrderId": "ND-50021-1",
    "seller": "acme",
    "items": [{"id": "88104", "quantity": 2, "price": 12990}],
    "clientProfileData": {
        "email": "livia.andrade@mail.example",
        "firstName": "Livia",
        "lastName": "Andrade",
        "documentType": "cpf",
        "document": "39053344705",
        "phone": "+5541990001122",
    },
    "shippingData": {
        "address": {
            "addressType": "residential",
            "receiverName": "Livia Andrade",
            "postalCode": "80240-210",
            "city": "Curitiba",
            "state": "PR",
            "country": "BRA",
            "street": "Rua das Palmeiras",
            "number": "58",
        },
        "logisticsInfo": [{"itemIndex": 0, "selectedSla": "Standard", "price": 1490}],
    },
    "marketplacePaymentValue": 27470,
    "payment": {"status": "pending"},
}
EXAMPLE_PAYMENT = {"status": "approved", "transactionId": "pay-50021"}
EXAMPLE_CANCEL = {"reason": "Shopper changed their mind", "requestedByUser": True}
EXAMPLE_RESUME = {"action": "retry", "note": "the Seller's stock is right again"}
EXAMPLE_RECEIPT = {
    "date": "2026-03-10T12:30:05.021000Z",
    "orderId": "MKP-ND-50021-1",
    "receipt": "8f3b1b7f9a5d4c5cb8b3a3b0b5fd4a10",
}

_MEANINGS = {
    400: "The body is not JSON, or not what was expected",
    401: "No valid key",
    403: "Not with this key",
    404: "Not found",
    409: "The order does not allow it, or not any more",
    413: "Body over 1 MiB",
    422: "A field is invalid; `errors` names it",
    502: "The Seller failed",
    503: "Temporal or the database is away; nothing was changed",
    504: "The Seller is late",
}


def body_docs(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI's description of a body that the route reads itself."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def problem_docs(*codes: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the problems a route may answer."""
    return {code: _documented(_MEANINGS[code], ProblemBody, MEDIA_TYPE) for code in codes}


def order_docs(codes: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of answers that are the order."""
    return {code: _documented(text, Order, "application/json") for code, text in codes.items()}


def _documented(text: str, model: type[BaseModel], media_type: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {media_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}},
    }


def install(app: FastAPI) -> None:
    """Make the app's OpenAPI document hold the models that routes read and answer by themselves."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, tags=_TAGS
            )
            bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)[1]
            answers = models_json_schema([(Order, "serialization"), (ProblemBody, "serialization")], ref_template=_REF)[
                1
            ]
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update({**answers["$defs"], **bodies["$defs"], **schemas})
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


_TAGS = [
    {"name": "Storefront", "description": "Carts and orders. Needs a storefront or operator key when keys are set."},
    {"name": "Seller callbacks", "description": "Called by the Seller, below the order's marketplaceServicesEndpoint."},
    {"name": "Operator", "description": "Parked orders, health and metrics."},
]
