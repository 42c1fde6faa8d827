"""What `/docs` shows beside the routes: bodies with examples, and the problems a route may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.notices import NoticeBody
from api.problems import MEDIA_TYPE, ProblemBody
from api.seller_reports import CancelBody, DeliveryBody, InvoiceBody, TrackingBody
from marketplace.orders import CancelRequest, CartRequest, Order, OrderRequest, PaymentReport, ResumeRequest
from workflows.catalog_messages import SkuDecision

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (
    CartRequest,
    OrderRequest,
    PaymentReport,
    CancelRequest,
    ResumeRequest,
    InvoiceBody,
    TrackingBody,
    DeliveryBody,
    CancelBody,
    NoticeBody,
    SkuDecision,
)

# The sandbox Seller sells this SKU at this price: what `/docs` shows can be tried out as it stands.
EXAMPLE_CART = {
    "seller": "acme",
    "items": [{"id": "2001", "quantity": 2}],
    "postalCode": "80240-210",
    "country": "BRA",
}
EXAMPLE_ORDER = {
    "marketplaceOrderId": "ND-50021-1",
    "seller": "acme",
    "items": [{"id": "2001", "quantity": 2, "price": 3990}],
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
    "marketplacePaymentValue": 9470,
    "payment": {"status": "pending"},
}
EXAMPLE_PAYMENT = {"status": "approved", "transactionId": "pay-50021"}
EXAMPLE_CANCEL = {"reason": "Shopper changed their mind", "requestedByUser": True}
EXAMPLE_RESUME = {"action": "retry", "note": "the Seller's stock is right again"}
EXAMPLE_INVOICE = {
    "type": "Output",
    "invoiceNumber": "000117",
    "invoiceValue": 9470,
    "issuanceDate": "2026-03-10T12:28:00Z",
    "items": [{"id": "2001", "quantity": 2, "price": 3990}],
}
EXAMPLE_TRACKING = {
    "courier": "Rapido Sul",
    "trackingNumber": "RS-7781",
    "trackingUrl": "https://rapidosul.example/RS-7781",
    "dispatchedDate": "2026-03-11T09:00:00Z",
}
EXAMPLE_DELIVERY = {
    "isDelivered": True,
    "events": [{"city": "Curitiba", "state": "PR", "description": "Delivered", "date": "2026-03-13T16:20:00Z"}],
}
EXAMPLE_SELLER_CANCEL = {"reason": "Damaged in the warehouse"}
EXAMPLE_NOTICE = {
    "IdSku": "2001",
    "ProductId": 301,
    "An": "acme",
    "IdAffiliate": "MKP",
    "DateModified": "2026-03-09T13:22:41.5170000Z",
    "IsActive": True,
    "StockModified": True,
    "PriceModified": False,
    "HasStockKeepingUnitModified": False,
    "HasStockKeepingUnitRemovedFromAffiliate": False,
}
EXAMPLE_DECISION = {"include": True}
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
    429: "Too many requests of one caller; `Retry-After` says when to come again",
    503: "Busy (`type` ends in `busy`, nothing was done), or Temporal or the database is away: send it again",
    504: "The Seller is late",
}


def body_docs(model: type[BaseModel], example: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """OpenAPI's description of a body that the route reads itself."""
    schema: dict[str, Any] = {"$ref": _REF.format(model=model.__name__)}
    if not required:
        # Nothing can be said by sending null, too.
        schema = {"anyOf": [schema, {"type": "null"}]}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": required, "content": content}}


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
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                webhooks=app.webhooks.routes,
                tags=_TAGS,
            )
            bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)[1]
            answers = models_json_schema([(Order, "serialization"), (ProblemBody, "serialization")], ref_template=_REF)[
                1
            ]
            _drop_unused_answers(document)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update({**answers["$defs"], **bodies["$defs"], **schemas})
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _drop_unused_answers(document: dict[str, Any]) -> None:
    """Take out the framework's own 422, which it adds to each route with a parameter and no answer here looks like."""
    for methods in (*document["paths"].values(), *document.get("webhooks", {}).values()):
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


_TAGS = [
    {"name": "Storefront", "description": "Carts and orders. Needs a storefront or operator key when keys are set."},
    {"name": "Seller callbacks", "description": "Called by the Seller, below the order's marketplaceServicesEndpoint."},
    {"name": "SKU change notification", "description": "Called by the Seller, at its affiliate endpoint."},
    {"name": "Catalog", "description": "Offers as last read at their Sellers, decisions about them, and imports."},
    {"name": "Operator", "description": "Parked orders, exchange log, webhooks, health and metrics."},
    {"name": "Webhooks", "description": "Sent to the storefront, when it has an address for them."},
]
