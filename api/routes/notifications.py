"""The affiliate endpoint: a Seller's VTEX account says that a SKU changed. Source: contract A1."""

from fastapi import APIRouter, Request, Response
from structlog.contextvars import bind_contextvars

from api.bodies import read_report
from api.deps import ServicesDep, desk_problems, stranger
from api.docs import EXAMPLE_NOTICE, body_docs, problem_docs
from api.notices import NoticeBody
from api.problems import Problem
from marketplace.seller.base import SellerConfig

router = APIRouter(prefix="/affiliates/{seller}/{token}", tags=["SKU change notification"])

_DOCS = body_docs(NoticeBody, EXAMPLE_NOTICE)
_ANSWERS = {
    202: {"description": "The notice is durable; the SKU is read soon"},
    **problem_docs(400, 404, 413, 429, 503),
}


@router.post("", status_code=202, include_in_schema=False)
@router.post(
    "/api/notification",
    status_code=202,
    summary="A SKU changed",
    response_class=Response,
    openapi_extra=_DOCS,
    responses=_ANSWERS,
)
async def take_notice(seller: str, token: str, request: Request, services: ServicesDep) -> Response:
    """Take a notice that a SKU's price, stock or data changed. It is a hint: the SKU is read at the Seller.

    Also at the affiliate endpoint itself, with or without a last slash, and in every documented spelling.
    """
    config = services.sellers.get(seller)
    # First of all, so that an unknown Seller takes no less time than a known one.
    valid = services.affiliates.valid(seller, token)
    if not valid or config is None:
        await stranger(request)
        raise _unknown()
    await services.limits.notice.take(seller)
    async with services.limits.notices[seller].place():
        return await _take(config, request, services)


async def _take(config: SellerConfig, request: Request, services: ServicesDep) -> Response:
    body = await read_report(request, NoticeBody)
    if body.account_name.lower() != config.account.lower() or body.affiliate.lower() != config.affiliate_id.lower():
        raise _unknown()
    bind_contextvars(seller=config.account, sku_id=body.sku_id)
    async with desk_problems():
        await services.catalog.take_notice(config.account, body.sku_id, body.notice())
    return Response(status_code=202)


def _unknown() -> Problem:
    return Problem(404, "no such affiliate endpoint")
