"""What was exchanged with a Seller, in VTEX's log vocabulary. Source: contract section D."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.deps import AS_READ, ServicesDep, operator
from api.docs import problem_docs
from api.problems import FieldError, Problem
from marketplace.journal import JournalStatus, LogMessage, LogMessages
from marketplace.orders import Identifier
from marketplace.store.base import BadCursor

router = APIRouter(prefix="/logs", tags=["Operator"], dependencies=[Depends(operator)])


_WORD = rf"\s*(all|{'|'.join(JournalStatus)})?\s*"
_STATUSES: JsonDict = {"pattern": f"^{_WORD}(,{_WORD})*$"}


class LogFilter(BaseModel):
    """Which entries to list."""

    model_config = ConfigDict(extra="forbid")

    seller: Identifier
    day: date | None = Field(default=None, alias="date", description="a day in UTC, such as 2026-11-23")
    date_at: date | None = Field(default=None, alias="DateAt", description="the same, as VTEX spells it")
    status: str = Field(
        default="all", max_length=100, description="all, or some statuses with commas", json_schema_extra=_STATUSES
    )
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=400)


@router.get(
    "",
    summary="The exchange log",
    dependencies=[AS_READ],
    responses={200: {"model": LogMessages}, **problem_docs(401, 403, 404, 422, 429, 503)},
)
async def list_logs(services: ServicesDep, wanted: Annotated[LogFilter, Query()]) -> Response:
    """What came in and went out for each SKU and order, newest first. Personal data is masked."""
    if wanted.seller not in services.sellers:
        raise Problem(404, f"seller {wanted.seller} is not configured")
    statuses = _statuses(wanted.status)
    try:
        page = await services.journal.page(
            wanted.seller, wanted.day or wanted.date_at, statuses, wanted.limit, wanted.cursor
        )
    except BadCursor as error:
        raise Problem(422, str(error), errors=[FieldError(pointer="/query/cursor", detail=str(error))]) from None
    messages = LogMessages(messages=[LogMessage.of(entry) for entry in page.entries], next_cursor=page.next_cursor)
    return Response(messages.model_dump_json(), media_type="application/json")


def _statuses(text: str) -> set[JournalStatus]:
    words = {word.strip() for word in text.split(",")} - {"", "all"}
    try:
        return {JournalStatus(word) for word in words}
    except ValueError:
        known = ", ".join(JournalStatus)
        detail = f"must be all, or some of {known} with commas"
        raise Problem(
            422, "a parameter is invalid", errors=[FieldError(pointer="/query/status", detail=detail)]
        ) from None
