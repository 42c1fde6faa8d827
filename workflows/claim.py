"""The order record's first write, which the placement itself does when there is nothing to tell but that it begins.

So most orders need no write of its own before their placement. What is written follows from the request alone, and is
worked out where it is written instead of being sent there.
"""

from datetime import datetime

from marketplace.orders import OrderRequest
from workflows.messages import Claim, SaveCall
from workflows.order_events import PlacementStarted, Simulated
from workflows.order_state import OrderState, apply, new_order, to_order


def being_placed(request: OrderRequest, received_at: datetime, at: datetime) -> OrderState:
    """The state of an order of which nothing was heard since it was received, and whose placement begins."""
    return apply(apply(new_order(request, received_at), Simulated(), at), PlacementStarted(), at)


def first_record(request: OrderRequest, claim: Claim) -> SaveCall:
    """What the record tells of an order that is about to be placed."""
    state = being_placed(request, claim.received_at, claim.placing_at)
    return SaveCall(
        order=to_order(state),
        digest=claim.digest,
        version=claim.version,
        payment=state.payment,
        event_ids=state.event_ids,
        created_at=claim.received_at,
        updated_at=claim.placing_at,
    )
