"""The catalog: offers, decisions about them, and imports. For storefronts and operators."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.bodies import read_request
from api.catalog_desk import ImportReport, ImportRuns, ImportUnknown, OfferUnknown
from api.deps import AS_CHANGE, AS_READ, ServicesDep, desk_problems, storefront
from api.docs import EXAMPLE_DECISION, body_docs, problem_docs
from api.problems import FieldError, Problem
from marketplace.catalog import Offer, OfferStatus, SkuId
from marketplace.store.base import BadCursor, OfferPage
from workflows.catalog_messages import SkuDecision, Source

router = APIRouter(prefix="/catalog/{seller}", tags=["Catalog"], dependencies=[Depends(storefront)])

Seller = Annotated[str, Path(description="The Seller's VTEX account name")]

_sku_id = TypeAdapter[str](SkuId)


def sku_id(sku_id: Annotated[str, Path(description="The SKU's id at the Seller")]) -> str:
    """The SKU id in the path. What is no id is no SKU's."""
    try:
        return _sku_id.validate_python(sku_id)
    except ValidationError:
        raise Problem(404, "no such SKU: an id is 1 to 10 digits") from None


Sku = Annotated[str, Depends(sku_id)]
Kind = Annotated[Source, Query(description="the sales channel, what is sold, or what failed")]


@router.get(
    "/skus/{sku_id}",
    summary="Read an offer",
    dependencies=[AS_READ],
    responses={200: {"model": Offer}, **problem_docs(401, 404, 429, 503)},
)
async def get_offer(seller: Seller, sku_id: Sku, services: ServicesDep) -> Response:
    """The offer: data, price, stock and SLAs as last read at the Seller, and its `status`."""
    async with desk_problems(), _catalog_problems():
        return _answer(await services.catalog.find(seller, sku_id))


class OfferFilter(BaseModel):
    """Which offers to list. A misspelt filter is an error: without it the list would answer another question."""

    model_config = ConfigDict(extra="forbid")

    status: OfferStatus | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=400)


@router.get(
    "/skus",
    summary="List offers",
    dependencies=[AS_READ],
    responses={200: {"model": OfferPage}, **problem_docs(401, 404, 422, 429, 503)},
)
async def list_offers(seller: Seller, services: ServicesDep, wanted: Annotated[OfferFilter, Query()]) -> Response:
    """A page of offers by SKU id; `nextCursor` leads to the next one."""
    try:
        async with desk_problems():
            return _answer(await services.catalog.page(seller, wanted.status, wanted.limit, wanted.cursor))
    except BadCursor as error:
        raise Problem(422, str(error), errors=[FieldError(pointer="/query/cursor", detail=str(error))]) from None


@router.post(
    "/skus/{sku_id}/decision",
    summary="Decide about a SKU",
    dependencies=[AS_CHANGE],
    openapi_extra=body_docs(SkuDecision, EXAMPLE_DECISION),
    responses={200: {"model": Offer}, **problem_docs(400, 401, 404, 413, 422, 429, 503)},
)
async def decide(seller: Seller, sku_id: Sku, request: Request, services: ServicesDep) -> Response:
    """Say whether a SKU is sold here. It stands until it is decided otherwise."""
    body = await read_request(request, SkuDecision)
    async with desk_problems(), _catalog_problems():
        return _answer(await services.catalog.decide(seller, sku_id, include=body.include))


@router.post(
    "/import",
    status_code=202,
    summary="Start an import",
    dependencies=[AS_CHANGE],
    responses=problem_docs(401, 404, 409, 422, 429, 503),
)
async def start_import(seller: Seller, services: ServicesDep, source: Kind = Source.ASSORTMENT) -> dict[str, str]:
    """Read many SKUs: the Seller's whole sales channel, or with `source` what is sold here, or what failed."""
    async with desk_problems(), _catalog_problems():
        return {"importId": await services.catalog.start_import(seller, source)}


@router.get(
    "/import",
    summary="How far an import is",
    dependencies=[AS_READ],
    responses={200: {"model": ImportReport}, **problem_docs(401, 404, 422, 429, 503)},
)
async def get_import(seller: Seller, services: ServicesDep, source: Kind = Source.ASSORTMENT) -> Response:
    """The newest import of this kind, running or ended."""
    async with desk_problems(), _catalog_problems():
        return _answer(await services.catalog.import_report(seller, source))


@asynccontextmanager
async def _catalog_problems() -> AsyncIterator[None]:
    """Tell the catalog desk's errors as problems."""
    try:
        yield
    except (OfferUnknown, ImportUnknown) as error:
        raise Problem(404, str(error)) from None
    except ImportRuns as error:
        raise Problem(409, str(error)) from None


def _answer(model: Offer | OfferPage | ImportReport) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
