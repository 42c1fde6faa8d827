"""What `order-engine doctor --json` has found."""

import json

from tests.cli.terminal import Ran


def findings(ran: Ran) -> dict[str, tuple[str, str]]:
    """State and detail of each check."""
    assert ran.err == ""
    # The worker in this process writes its log to the same stream.
    body = json.loads(ran.out.splitlines()[-1])
    found = {check["check"]: (check["state"], check["detail"]) for check in body["checks"]}
    failed = any(state == "problem" for state, _ in found.values())
    assert (body["ok"], ran.code) == (not failed, int(failed))
    return found


def of(found: dict[str, tuple[str, str]], state: str) -> set[str]:
    return {check for check, (was, _) in found.items() if was == state}
