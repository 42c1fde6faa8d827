"""What schemathesis must know of the API beyond its document. Loaded into its process, by the name of this module."""

from itertools import count
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure, ServerError
from schemathesis.openapi.checks import RejectedPositiveData

# Rules about several fields at once, or about what was answered before: no JSON schema can tell them.
BEYOND_SCHEMAS = (
    "the cursor is not one of this list",
    "send postalCode and country together",
    "isCorporate needs",
    "send exactly one entry for each item",
    "items and shipping sum to",
    "send invoiceValue in cents, or items",
    "send courier, trackingNumber and trackingUrl",
)
SERVICE_UNAVAILABLE = 503
_NOTHING_WRONG = "Invalid component: positive test case"
"""What schemathesis says now and then of a step in a sequence of calls: that what is wrong about it is right."""
_numbers = count()


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Keep every failure but the refusal of a body that its schema allows and another documented rule does not.

    And but the one 503 that is a true answer: readiness, asked for while a busy machine lets Temporal wait. And but
    what is said to break the schema, while nothing in it does.
    """
    if _NOTHING_WRONG in failure.message:
        return False
    if isinstance(failure, ServerError):
        return case.operation.path != "/health/ready" or response.status_code != SERVICE_UNAVAILABLE
    if not isinstance(failure, RejectedPositiveData):
        return True
    found = response.json().get("errors") or []
    return not (found and all(error["detail"].startswith(BEYOND_SCHEMAS) for error in found))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Let orders add up that are right otherwise, or hardly one would get past the sum of its prices."""
    if case.meta is None or not case.meta.generation.mode.is_positive or not isinstance(case.body, dict):
        return
    # To a JSON schema 1.0 is an integer.
    body = case.body = _integers(case.body)
    if case.operation.label != "POST /orders":
        return
    lines, items = body["shippingData"]["logisticsInfo"], body["items"]
    # One for each item, and each time an order of its own: now and then the same id shows a conflict.
    lines = [{**lines[place % len(lines)], "itemIndex": place} for place in range(len(items))]
    body["shippingData"]["logisticsInfo"] = lines
    goods = sum(item["price"] * item["quantity"] for item in items)
    body["marketplacePaymentValue"] = goods + sum(line["price"] for line in lines)
    if next(_numbers) % 4:
        body["marketplaceOrderId"] = f"F-{uuid4().hex[:12]}"


def _integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _integers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_integers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
