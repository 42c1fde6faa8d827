"""How an order lives on in a new run of its workflow when the history of the present one has grown long.

Temporal ends a run by force at 51,200 events, 10,000 signals or 2,000 updates, and suggests a new one long before. An
order that is told thousands of things follows the suggestion, and takes along all that it knows.
"""

import base64
import zlib

from workflows.fulfillment import fold
from workflows.order_state import OrderState

RENEWED = "order-renewed"
"""Name of the patch: runs from before it, perhaps with a longer history already, go on as they began."""


def pack(state: OrderState) -> str:
    """Write a state down in little space, without what can be computed from it."""
    content = state.model_dump_json(exclude={"fulfillment", "status"})
    return base64.b64encode(zlib.compress(content.encode())).decode()


def unpack(packed: str) -> OrderState:
    """Read a state that was written by `pack`."""
    state = OrderState.model_validate_json(zlib.decompress(base64.b64decode(packed)))
    return state.model_copy(update={"fulfillment": fold(state.reports, state.items, state.value)})
