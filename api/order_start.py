"""How an order's workflow is started: its id, what operators see of it, and that it starts once for ever."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from marketplace.orders import OrderRequest, OrderStatus
from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings
from workflows.messages import OrderInput, OrderPolicy
from workflows.policies import (
    MARKETPLACE_ORDER_ID,
    NEEDS_ATTENTION,
    ORDER_STATUS,
    ORDER_WORKFLOW,
    SELLER,
    order_workflow_id,
    share_of,
)

DIGEST = "digest"
_FOR_OPERATORS = """**Needs attention**: update `retry` or `abort` (*More Actions*).

*Request Cancellation* undoes the order at its Seller, *Terminate* does **not**.
"""


def order_start(request: OrderRequest, seller: SellerConfig, settings: Settings) -> "OrderStart":
    """How an order of a Seller is started by these settings; each call is a submission of its own."""
    policy = OrderPolicy(
        payment_deadline=settings.payment_deadline,
        return_window=settings.return_window,
        price_tolerance=seller.price_tolerance,
        seller_attempts=settings.seller_attempts,
        seller_backoff=settings.seller_backoff,
        seller_patience=settings.seller_patience,
        cancel_check=settings.cancel_check,
    )
    order = OrderInput(request=request, policy=policy, submission_id=uuid4().hex)
    return OrderStart(order=order, task_queue=settings.task_queue, digest=request.digest())


@dataclass(frozen=True)
class OrderStart:
    """One submission of an order: what starts its workflow, if none runs or ran under its id."""

    order: OrderInput
    task_queue: str
    digest: str

    @property
    def submission_id(self) -> str:
        return self.order.submission_id

    def options(self) -> dict[str, Any]:
        """Arguments of `start_workflow` beside the workflow and its input."""
        request = self.order.request
        attributes: list[SearchAttributePair[Any]] = [
            SearchAttributePair(SELLER, request.seller),
            SearchAttributePair(MARKETPLACE_ORDER_ID, request.marketplace_order_id),
            SearchAttributePair(ORDER_STATUS, OrderStatus.SIMULATING),
            SearchAttributePair(NEEDS_ATTENTION, value=False),
        ]
        return {
            "id": order_workflow_id(request.seller, request.marketplace_order_id),
            "task_queue": self.task_queue,
            # One order for one id, for ever: a second run would be a second placement.
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
            "search_attributes": TypedSearchAttributes(attributes),
            "priority": share_of(request.seller),
            "memo": {DIGEST: self.digest},
            "static_summary": f"order {request.marketplace_order_id} at {request.seller}",
            "static_details": _FOR_OPERATORS,
        }

    def operation(self) -> WithStartWorkflowOperation[Any, Any]:
        return WithStartWorkflowOperation(ORDER_WORKFLOW, self.order, **self.options())
