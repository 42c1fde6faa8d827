"""The delivery log of the webhooks, for operators, and in the document what is sent."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.deps import AS_CHANGE, AS_READ, ServicesDep, desk_problems, operator
from api.docs import problem_docs
from api.problems import FieldError, Problem
from api.webhook_desk import WebhooksOff, WebhookUnknown
from marketplace.orders import Identifier
from marketplace.store.base import BadCursor, DeliveryPage
from marketplace.webhooks import Delivery, DeliveryState, EventType, WebhookEvent

router = APIRouter(prefix="/webhooks", tags=["Operator"], dependencies=[Depends(operator)])
sent = APIRouter()
"""What the engine calls, and does not serve: the document's webhooks."""

_event_id = TypeAdapter[str](Identifier)


def event_id(event_id: Annotated[str, Path(description="The event's `webhook-id`")]) -> str:
    """The event's id in the path. What is no id is no event's."""
    try:
        return _event_id.validate_python(event_id)
    except ValidationError:
        raise Problem(404, "no such webhook") from None


EventId = Annotated[str, Depends(event_id)]


class DeliveryFilter(BaseModel):
    """Which events to list. A misspelt filter is an error: without it the list would answer another question."""

    model_config = ConfigDict(extra="forbid")

    order: Identifier | None = Field(default=None, description="a marketplaceOrderId")
    state: DeliveryState | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=400)


@router.get(
    "",
    summary="List webhooks",
    dependencies=[AS_READ],
    responses={200: {"model": DeliveryPage}, **problem_docs(401, 403, 422, 429, 503)},
)
async def list_webhooks(services: ServicesDep, wanted: Annotated[DeliveryFilter, Query()]) -> Response:
    """What the storefront was told, or is to be told, newest first; `nextCursor` leads to the next page."""
    try:
        page = await services.webhooks.page(wanted.order, wanted.state, None, wanted.limit, wanted.cursor)
    except BadCursor as error:
        raise Problem(422, str(error), errors=[FieldError(pointer="/query/cursor", detail=str(error))]) from None
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/{event_id}",
    summary="Read a webhook",
    dependencies=[AS_READ],
    responses={200: {"model": Delivery}, **problem_docs(401, 403, 404, 429, 503)},
)
async def get_webhook(event_id: EventId, services: ServicesDep) -> Response:
    """One event, and what became of telling it."""
    try:
        return _answer(await services.webhooks.find(event_id))
    except WebhookUnknown as error:
        raise Problem(404, str(error)) from None


@router.post(
    "/{event_id}/resend",
    status_code=202,
    summary="Send a webhook anew",
    dependencies=[AS_CHANGE],
    responses={
        202: {"model": Delivery, "description": "To be sent"},
        **problem_docs(401, 403, 404, 409, 429, 503),
    },
)
async def resend_webhook(event_id: EventId, services: ServicesDep) -> Response:
    """Have the event sent once more, under the same id and sequence, delivered before or not."""
    async with desk_problems():
        try:
            return _answer(await services.webhooks.resend(event_id), 202)
        except WebhookUnknown as error:
            raise Problem(404, str(error)) from None
        except WebhooksOff as error:
            raise Problem(409, str(error)) from None


def _answer(event: Delivery, status: int = 200) -> Response:
    return Response(event.model_dump_json(), status, media_type="application/json")


_TOLD = {
    EventType.STATUS_CHANGED: "An order's status changed",
    EventType.NEEDS_ATTENTION: "An order needs an operator, or needs one for another reason",
    EventType.ATTENTION_RESOLVED: "An order needs no operator any more",
}


def _describe(event: EventType, summary: str) -> None:
    @sent.post(event.value, operation_id=event.value, summary=summary, status_code=204, tags=["Webhooks"])
    async def received(_event: WebhookEvent) -> None:
        """Sent to the storefront's address, signed by Standard Webhooks; see docs/webhooks.md.

        Any 2xx takes it, 410 refuses it for good, everything else is tried again for a day.
        """


for _type, _summary in _TOLD.items():
    _describe(_type, _summary)
