"""The affiliate endpoint: a Seller's VTEX account says that a SKU changed. Source: contract A1."""

from fastapi import APIRouter, Request, Response

from api.bodies import read_report
from api.deps import ServicesDep, desk_problems
from api.docs import EXAMPLE_NOTICE, body_docs, problem_docs
from api.notices import NoticeBody
from api.problems import Problem

router = APIRouter(prefix="/affiliates/{seller}/{token}", tags=["SKU change notification"])

_DOCS = body_docs(NoticeBody, EXAMPLE_NOTICE)
_ANSWERS = {202: {"description": "The notice is durable; the SKU is read soon"}, **problem_docs(400, 404, 413, 503)}


@router.post("", status_code=202, include_in_schema=False)
@router.post("/api/notification", status_code=202, summary="A SKU changed", openapi_extra=_DOCS, responses=_ANSWERS)
async def take_notice(seller: str, token: str, request: Request, services: ServicesDep) -> Response:
    """Take a notice that a SKU's price, stock or data changed. It is a hint: the SKU is read at the Seller.

    Also at the affiliate endpoint itself, with or without a last slash, and in every documented spelling.
    """
    unknown = Problem(404, "no such affiliate endpoint")
    config = services.sellers.get(seller)
    if config is None or not services.affiliates.valid(seller, token):
        raise unknown
    body = await read_report(request, NoticeBody)
    if body.account_name.lower() != config.account.lower() or body.affiliate.lower() != config.affiliate_id.lower():
        raise unknown
    async with desk_problems():
        await services.catalog.take_notice(seller, body.sku_id, body.notice())
    return Response(status_code=202)
