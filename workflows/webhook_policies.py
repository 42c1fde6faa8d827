"""Names, timeouts and retries of the storefront's workflow, each with its reason."""

from datetime import timedelta
from typing import Any

from temporalio.common import (
    RetryPolicy,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from workflows.policies import MARKETPLACE_ORDER_ID, SELLER
from workflows.webhook_messages import TellInput

WEBHOOK_WORKFLOW = "WebhookWorkflow"
PENDING_EVENTS = "pending_events"
DELIVER_EVENT = "deliver_event"
GIVE_UP_EVENT = "give_up_event"

NOT_DELIVERED = "NotDelivered"
"""Type of the error of an event that the storefront has not taken."""

EVENTS_A_LOOK = 50
"""Events that are looked up at a time."""
LONGEST_BACKOFF = timedelta(minutes=30)
"""Between two tries: a storefront that was away for hours hears of everything within this time."""
AROUND_A_CALL = timedelta(seconds=10)
"""What a try needs beside the storefront's answer: two queries and a write."""


def webhook_queue(task_queue: str) -> str:
    """The task queue of the webhooks: a slow storefront must not stand before anybody's order."""
    return f"{task_queue}-webhooks"


def webhook_workflow_id(seller: str, marketplace_order_id: str) -> str:
    """The id under which an operator finds in the Temporal UI what an order's storefront is being told."""
    return f"storefront/{seller}/{marketplace_order_id}"


def delivery_retry(backoff: timedelta) -> RetryPolicy:
    """Tries of one event, without a limit to their number: its time ends them."""
    return RetryPolicy(
        initial_interval=backoff, backoff_coefficient=2.0, maximum_interval=max(LONGEST_BACKOFF, backoff)
    )


def tell_options(order: TellInput, task_queue: str) -> dict[str, Any]:
    """Arguments of `start_workflow` beside the workflow and its input: wake the order's workflow, or start it."""
    return {
        "id": webhook_workflow_id(order.seller, order.marketplace_order_id),
        "task_queue": webhook_queue(task_queue),
        "start_signal": "tell",
        # Running: the signal goes to it. Closed: a new run begins with it. Never is it lost between the two.
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        "search_attributes": TypedSearchAttributes(
            [
                SearchAttributePair(SELLER, order.seller),
                SearchAttributePair(MARKETPLACE_ORDER_ID, order.marketplace_order_id),
            ]
        ),
        "static_summary": f"tells the storefront of order {order.marketplace_order_id}",
    }
