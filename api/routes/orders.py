"""Orders, for storefronts and operators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from structlog.contextvars import bind_contextvars

from api.bodies import read_request
from api.deps import AS_CHANGE, AS_ORDER, AS_READ, OrderId, ServicesDep, WaitDep, desk_problems, operator, storefront
from api.desk import Outcome
from api.docs import (
    EXAMPLE_CANCEL,
    EXAMPLE_ORDER,
    EXAMPLE_PAYMENT,
    EXAMPLE_RESUME,
    body_docs,
    order_docs,
    problem_docs,
)
from api.problems import FieldError, Problem
from marketplace.orders import (
    CancelRequest,
    Identifier,
    Order,
    OrderRequest,
    OrderStatus,
    PaymentReport,
    ResumeRequest,
)
from marketplace.store.base import BadCursor, OrderPage

router = APIRouter(prefix="/orders", tags=["Storefront"], dependencies=[Depends(storefront)])
operators = APIRouter(prefix="/orders", tags=["Operator"], dependencies=[Depends(operator)])

_SUBMITTED = {Outcome.CREATED: 201, Outcome.DONE: 200, Outcome.ACCEPTED: 202}
_DECIDED = {Outcome.DONE: 200, Outcome.ACCEPTED: 202}


@router.post(
    "",
    summary="Place an order",
    dependencies=[AS_ORDER],
    openapi_extra=body_docs(OrderRequest, EXAMPLE_ORDER),
    responses={
        **order_docs(
            {201: "Placed or rejected", 200: "The same order was posted before", 202: "Durable; not answered yet"}
        ),
        **problem_docs(400, 401, 404, 409, 413, 422, 429, 503),
    },
)
async def post_order(request: Request, services: ServicesDep, wait: WaitDep) -> Response:
    """Start an order and wait until its Seller has taken it, or it is rejected (`status: "rejected"` and `reason`).

    Idempotent by marketplaceOrderId: repeat it after any doubt. `Prefer: wait=N` sets the seconds to wait, up to 30.
    """
    body = await read_request(request, OrderRequest)
    bind_contextvars(seller=body.seller, order=body.marketplace_order_id)
    async with services.limits.order_at(body.seller), desk_problems():
        answer = await services.desk.submit(body, wait)
    return _answer(answer.order, _SUBMITTED[answer.outcome], located=True)


@router.get(
    "/{marketplace_order_id}",
    summary="Read an order",
    dependencies=[AS_READ],
    responses={**order_docs({200: "The order"}), **problem_docs(401, 404, 429, 503)},
)
async def get_order(marketplace_order_id: OrderId, services: ServicesDep) -> Response:
    """The order as recorded; answered without a worker, and after the order has left Temporal."""
    async with desk_problems():
        return _answer(await services.desk.find(marketplace_order_id))


class OrderFilter(BaseModel):
    """Which orders to list. A misspelt filter is an error: without it the list would answer another question."""

    model_config = ConfigDict(extra="forbid")

    status: OrderStatus | None = None
    seller: Identifier | None = None
    needs_attention: bool | None = Field(default=None, alias="needsAttention")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=400)


@router.get(
    "",
    summary="List orders",
    dependencies=[AS_READ],
    responses={200: {"model": OrderPage}, **problem_docs(401, 422, 429, 503)},
)
async def list_orders(services: ServicesDep, wanted: Annotated[OrderFilter, Query()]) -> Response:
    """A page of orders, newest first; `nextCursor` leads to the next one."""
    try:
        page = await services.desk.page(
            wanted.status, wanted.seller, wanted.needs_attention, wanted.limit, wanted.cursor
        )
    except BadCursor as error:
        raise Problem(422, str(error), errors=[FieldError(pointer="/query/cursor", detail=str(error))]) from None
    return Response(page.model_dump_json(), media_type="application/json")


@router.post(
    "/{marketplace_order_id}/payment",
    summary="Report the payment",
    dependencies=[AS_CHANGE],
    openapi_extra=body_docs(PaymentReport, EXAMPLE_PAYMENT),
    responses={
        **order_docs({200: "Taken, or the same as before", 202: "Durable; no worker has answered yet"}),
        **problem_docs(400, 401, 404, 409, 413, 422, 429, 503),
    },
)
async def report_payment(marketplace_order_id: OrderId, request: Request, services: ServicesDep) -> Response:
    """Tell that the customer's payment was approved, which authorizes dispatch, or denied, which cancels the order."""
    body = await read_request(request, PaymentReport)
    async with desk_problems():
        answer = await services.desk.report_payment(marketplace_order_id, body)
    return _answer(answer.order, _DECIDED[answer.outcome])


@router.post(
    "/{marketplace_order_id}/cancel",
    summary="Cancel an order",
    dependencies=[AS_CHANGE],
    openapi_extra=body_docs(CancelRequest, EXAMPLE_CANCEL),
    responses={
        **order_docs({200: "Canceled", 202: "Asked for; the Seller, or a worker, has not answered yet"}),
        **problem_docs(400, 401, 404, 409, 413, 422, 429, 503),
    },
)
async def cancel_order(marketplace_order_id: OrderId, request: Request, services: ServicesDep) -> Response:
    """Ask to cancel. A 409 says why it is not possible any more, and what to do instead."""
    body = await read_request(request, CancelRequest)
    async with desk_problems():
        answer = await services.desk.cancel(marketplace_order_id, body)
    return _answer(answer.order, _DECIDED[answer.outcome])


@operators.post(
    "/{marketplace_order_id}/resume",
    summary="Resume a parked order",
    dependencies=[AS_CHANGE],
    openapi_extra=body_docs(ResumeRequest, EXAMPLE_RESUME),
    responses={
        **order_docs({200: "Resumed, or ended"}),
        **problem_docs(400, 401, 403, 404, 409, 413, 422, 429, 503),
    },
)
async def resume_order(marketplace_order_id: OrderId, request: Request, services: ServicesDep) -> Response:
    """Decide about an order with `needsAttention`: one of its `allowedActions`."""
    body = await read_request(request, ResumeRequest)
    async with desk_problems():
        order = await services.desk.resume(marketplace_order_id, body.action, body.note)
    return _answer(order)


@operators.post(
    "/{marketplace_order_id}/erase",
    summary="Erase the customer's data",
    dependencies=[AS_CHANGE],
    responses={**order_docs({200: "Erased, now or before"}), **problem_docs(401, 403, 404, 409, 429, 503)},
)
async def erase_order(marketplace_order_id: OrderId, services: ServicesDep) -> Response:
    """Take what is personal, or could be, out of an order that has ended, for ever. It needs no body.

    The order stays readable: its ids, statuses, items and values. A 409 says when it may be erased.
    """
    async with desk_problems():
        order = await services.desk.erase(marketplace_order_id)
    return _answer(order)


def _answer(order: Order, status: int = 200, *, located: bool = False) -> Response:
    headers = {"Location": f"/orders/{order.marketplace_order_id}"} if located else None
    return Response(order.model_dump_json(), status, headers=headers, media_type="application/json")
