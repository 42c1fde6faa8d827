"""Whatever a Seller sends to its callbacks and its affiliate endpoint: it is taken or refused, and nothing breaks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import MEDIA_TYPE
from marketplace.security import AffiliateTokens
from marketplace.settings import secret_keys
from tests.api.callback_line import DELIVERY, INVOICE, TRACKING, Line, dispatched_line
from tests.fuzz.mutations import broken, mutated, written
from tests.fuzz.thoroughness import some
from tests.support.engine import Engine

BODIES: dict[str, list[Any]] = {
    "/invoice": [INVOICE, {**INVOICE, **TRACKING}, {**INVOICE, "type": "Input"}],
    "/invoice/NF-1": [TRACKING, {**TRACKING, "dispatchedDate": "2026-03-11T09:00:00"}],
    "/invoice/NF-1/tracking": [DELIVERY, {**DELIVERY, "isDelivered": True}],
    "/cancel": [{"reason": "damaged"}, {}],
}
NOTICES: list[Any] = [
    {"IdSku": "2001", "An": "acme", "IdAffiliate": "MKP", "StockModified": True, "PriceModified": False},
    {
        "idSKU": 2002,
        "productId": 302,
        "an": "acme",
        "idAffiliate": "MKP",
        "DateModified": "2026-03-09T13:22:41.5170000Z",
        "isActive": True,
        "HasStockKeepingUnitModified": True,
        "HasStockKeepingUnitRemovedFromAffiliate": False,
        "Version": "2",
    },
]
PERSONAL = ("livia.andrade@mail.example", "39053344705")
PER_ORDER = {"/cancel": 10}
"""Reports after which another order takes their place, if not 60: a real one has hardly ten, and may be canceled."""


@dataclass
class Lines:
    """Orders at the Seller, one after another, so that none has to hold more reports than a real one."""

    engine: Engine
    lines: dict[str, Line] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)

    async def line(self, tail: str) -> Line:
        self.sent[tail] = self.sent.get(tail, 0) + 1
        if tail not in self.lines or self.sent[tail] % PER_ORDER.get(tail, 60) == 0:
            self.lines[tail] = await dispatched_line(self.engine)
        return self.lines[tail]


@pytest.fixture
async def lines(engine: Engine) -> AsyncIterator[Lines]:
    """Lines that still work when the test is over: each order takes a proper invoice."""
    made = Lines(engine)
    yield made
    for line in made.lines.values():
        order = await line.found()
        answer = await line.send("/invoice", {**INVOICE, "invoiceNumber": "LAST", "invoiceValue": 7})
        assert answer.status_code == (409 if order.status == "canceled" else 200), answer.text
        if answer.status_code == 200:
            await engine.until(
                line.order, lambda found: any(one["invoiceNumber"] == "LAST" for one in found["invoices"])
            )


def check(answer: httpx.Response, good: int = 200) -> None:
    """Taken, or refused with a problem that repeats nothing personal."""
    assert answer.status_code in {good, 400, 404, 409, 413}, answer.text
    if answer.status_code != good:
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert answer.json()["status"] == answer.status_code
        assert not [text for text in PERSONAL if text in answer.text]


@pytest.mark.parametrize("tail", BODIES)
@given(data=st.data())
@some(40)
async def test_a_callback_with_a_few_things_wrong_is_taken_or_refused(
    lines: Lines, tail: str, data: st.DataObject
) -> None:
    body = data.draw(mutated(data.draw(st.sampled_from(BODIES[tail])), PERSONAL))
    check(await (await lines.line(tail)).send(tail, content=written(body)))


@pytest.mark.parametrize("tail", BODIES)
@given(data=st.data())
@some(15)
async def test_a_callback_of_bytes_that_are_hardly_json_is_taken_or_refused(
    lines: Lines, tail: str, data: st.DataObject
) -> None:
    body = data.draw(broken(data.draw(st.sampled_from(BODIES[tail]))))
    check(await (await lines.line(tail)).send(tail, content=body))


@given(data=st.data())
@some(30)
async def test_a_notice_with_a_few_things_wrong_is_taken_or_refused(engine: Engine, data: st.DataObject) -> None:
    notice = data.draw(st.sampled_from(NOTICES))
    body = data.draw(mutated(notice, PERSONAL).map(written) | broken(notice))
    token = AffiliateTokens(secret_keys(engine.settings)).mint("acme")
    check(await engine.http.post(f"/affiliates/acme/{token}/api/notification", content=body), 202)


async def test_thousands_of_events_of_a_package_do_not_hold_up_their_order(lines: Lines) -> None:
    line = await lines.line("/invoice/NF-1/tracking")
    event = {"description": "x" * 300, "date": "2026-03-11T08:00:00Z"}
    events = [{**event, "city": str(number)} for number in range(2000)]
    for number in range(2):
        sent = await line.send("/invoice/NF-1/tracking", {"isDelivered": bool(number), "events": events})
        assert sent.status_code == 200, sent.text
    assert (await line.send("/invoice", INVOICE)).status_code == 200
    found = await line.engine.until(line.order, lambda order: bool(order["packages"]))
    assert len(found["packages"][0]["events"]) == 2000
