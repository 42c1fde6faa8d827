"""The Marketplace Services Endpoint: the Seller's invoices, trackings and cancellations. Source: contract B5.

The answer is given when the report is durable in Temporal, never before. `middleware.py` has already brought
doubled slashes to single ones.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic.config import JsonDict
from starlette.convertors import PathConvertor, register_url_convertor
from structlog.contextvars import bind_contextvars

from api.bodies import read_report
from api.deps import ServicesDep, desk_problems, stranger
from api.docs import (
    EXAMPLE_DELIVERY,
    EXAMPLE_INVOICE,
    EXAMPLE_RECEIPT,
    EXAMPLE_SELLER_CANCEL,
    EXAMPLE_TRACKING,
    body_docs,
    problem_docs,
)
from api.problems import Problem
from api.seller_reports import NOT_BLANK, CancelBody, DeliveryBody, InvoiceBody, TrackingBody
from api.temporal_calls import OrderUnknown
from workflows.messages import SellerReport

_LONGEST = 128


class CallbackOrder:
    """The order that a callback is about: its token is right, and the id in the path is one of its ids."""

    def __init__(self, seller: str, order_id: str, receipt_id: str) -> None:
        self.seller = seller
        self.marketplace_order_id = order_id
        self.receipt_id = receipt_id


async def callback_order(
    request: Request, seller: str, order: str, token: str, scope: str, path_id: str, services: ServicesDep
) -> AsyncIterator[CallbackOrder]:
    """Find the order, for as long as this Seller's limits allow it; what does not fit looks like an unknown order."""
    config = services.sellers.get(seller)
    # First of all, so that an unknown Seller takes no less time than a known one.
    valid = services.tokens.valid(seller, order, token)
    if not valid or config is None or scope not in {"pvt", "pub"}:
        await stranger(request)
        raise _unknown()
    bind_contextvars(seller=seller, order=order)
    await services.limits.callback.take(seller)
    async with services.limits.callbacks[seller].place():
        usual = f"{config.affiliate_id}-{order}"
        known = await services.desk.seller_order_id(order)
        # Before the placement has answered, the Seller's own id for the order is not known: its callback may be early.
        if path_id not in {order, usual, known} and known is not None:
            raise _unknown()
        yield CallbackOrder(seller, order, known or usual)


def _unknown() -> Problem:
    return Problem(404, "no such order")


OrderDep = Annotated[CallbackOrder, Depends(callback_order)]
# For the document alone: what does not fit is a 400, as in the bodies.
_NUMBER: JsonDict = {"minLength": 1, "maxLength": _LONGEST, "pattern": NOT_BLANK}
Number = Annotated[str, Path(description="The invoice's number, slashes included", json_schema_extra=_NUMBER)]


class _InvoiceNumber(PathConvertor):
    # It may hold slashes. But a PATCH of the courier's events is no tracking of an invoice "NF-1/tracking".
    regex = "(?!.*/tracking$).*"


register_url_convertor("invoice", _InvoiceNumber())

router = APIRouter(
    prefix="/callbacks/{seller}/{order}/{token}/{scope}/orders/{path_id}",
    tags=["Seller callbacks"],
    responses={
        200: {
            "description": "The event is durable; the same event gets the same receipt",
            "content": {"application/json": {"example": EXAMPLE_RECEIPT}},
        },
        **problem_docs(400, 404, 409, 413, 429, 503),
    },
)
# Two routes each, and not one with two methods: every operation of the OpenAPI document has a name of its own.
_DELIVERY: dict[str, Any] = {
    "summary": "The courier's events of a package",
    "openapi_extra": body_docs(DeliveryBody, EXAMPLE_DELIVERY),
}
_TRACKING: dict[str, Any] = {
    "summary": "Tracking of a package",
    "openapi_extra": body_docs(TrackingBody, EXAMPLE_TRACKING),
}


@router.post(
    "/invoice",
    summary="A sale or return invoice, perhaps with tracking",
    openapi_extra=body_docs(InvoiceBody, EXAMPLE_INVOICE),
)
async def take_invoice(request: Request, order: OrderDep, services: ServicesDep) -> JSONResponse:
    body = await read_report(request, InvoiceBody)
    return await _take(services, order, "invoice", body.report())


@router.post("/invoice/{invoice_number:path}/tracking", **_DELIVERY)
@router.put("/invoice/{invoice_number:path}/tracking", **_DELIVERY)
async def take_delivery(
    request: Request, order: OrderDep, invoice_number: Number, services: ServicesDep
) -> JSONResponse:
    body = await read_report(request, DeliveryBody)
    return await _take(services, order, "delivery", body.report(_number(invoice_number)))


@router.post("/invoice/{invoice_number:invoice}", **_TRACKING)
@router.patch("/invoice/{invoice_number:invoice}", **_TRACKING)
async def take_tracking(
    request: Request, order: OrderDep, invoice_number: Number, services: ServicesDep
) -> JSONResponse:
    body = await read_report(request, TrackingBody)
    return await _take(services, order, "tracking", body.report(_number(invoice_number)))


@router.post(
    "/cancel",
    summary="The Seller canceled the order",
    openapi_extra=body_docs(CancelBody, EXAMPLE_SELLER_CANCEL, required=False),
)
async def take_cancel(request: Request, order: OrderDep, services: ServicesDep) -> JSONResponse:
    empty = (await request.body()).strip() in {b"", b"null"}
    body = CancelBody() if empty else await read_report(request, CancelBody)
    return await _take(services, order, "seller_cancel", body.report())


def _number(invoice_number: str) -> str:
    number = invoice_number.strip()
    if not number or len(number) > _LONGEST:
        raise Problem(400, "the invoice number in the path must have 1 to 128 characters")
    return number


async def _take(services: ServicesDep, order: CallbackOrder, kind: str, report: SellerReport) -> JSONResponse:
    async with desk_problems():
        try:
            await services.desk.take_report(order.seller, order.marketplace_order_id, kind, report)
        except OrderUnknown:
            raise _unknown() from None
    return JSONResponse(
        {
            "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "orderId": order.receipt_id,
            "receipt": services.tokens.receipt(order.seller, order.marketplace_order_id, report.event_id),
        }
    )
