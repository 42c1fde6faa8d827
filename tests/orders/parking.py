"""Orders parked on purpose, by faults that are over once they are."""

from typing import Any

from tests.support.engine import Engine, new_order

DOWN: dict[str, Any] = {"kind": "server-error", "httpStatus": 503, "times": 3}
NO_ENTRY: dict[str, Any] = {"kind": "forbidden"}
OTHER_AFFILIATE: dict[str, Any] = {"kind": "error", "code": "FMT0021", "message": "Invalid affiliate id"}
REFUSED: dict[str, Any] = {"kind": "error", "code": "FMT0085", "message": "Time limit to retry reached"}
DONE_UNTOLD: dict[str, Any] = {"kind": "server-error", "commit": True, "times": 3}

STATUS = {
    "simulate": "simulating",
    "place": "placing",
    "dispatch": "authorizing-fulfillment",
    "cancel": "cancellation-requested",
}


async def parked(engine: Engine, step: str, fault: dict[str, Any]) -> dict[str, Any]:
    """An order parked in a step by a fault that lasts no longer."""
    if step in {"simulate", "place"}:
        order = new_order()
        if step == "simulate" and fault["kind"] == "server-error":
            # The first try, within a workflow task, is beside those of the policy.
            fault = {**fault, "times": fault.get("times", 1) + 1}
        await engine.fault(step, order=order if step == "place" else None, **fault)
        assert (await engine.post(order, wait=0)).status_code == 202
    else:
        order = await engine.placed()
        await engine.fault(step, order=order, **fault)
        if step == "dispatch":
            assert (await engine.pay(order)).status_code == 200
        else:
            assert (await engine.cancel(order)).status_code == 202
    order = await engine.until(order, needsAttention=True)
    assert (order["status"], order["allowedActions"]) == (STATUS[step], ["retry", "abort"])
    assert order["history"][-1]["detail"] == f"needs attention: {order['reason']['message']}"
    return order
