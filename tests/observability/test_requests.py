"""The id of a request: in its answer, whatever that is, and in the lines that are logged about it."""

import io
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api import problems
from api.deps import OrderId
from api.middleware import RequestId
from marketplace.telemetry import configure_logging
from tests.support.engine import Engine
from tests.support.http_server import free_port, http_server

GIVEN = {"X-Request-ID": "shop.7_a-B"}


@pytest.fixture
async def failing() -> AsyncIterator[httpx.AsyncClient]:
    """An API with a bug: each order's page raises what it was not to."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestId)

    @app.get("/orders/{marketplace_order_id}")
    async def order(marketplace_order_id: OrderId) -> None:
        raise KeyError(marketplace_order_id)

    async with http_server(app, free_port()) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def test_a_bug_is_answered_with_the_id_by_which_its_line_is_found(failing: httpx.AsyncClient) -> None:
    log = io.StringIO()
    configure_logging("json", stream=log)
    try:
        answers = [await failing.get("/orders/1001", headers=GIVEN), await failing.get("/orders/1002")]
    finally:
        configure_logging("text")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = [(line["request_id"], line["order"]) for line in lines if line["event"] == "unexpected error"]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert told == [("shop.7_a-B", "1001"), (answers[1].headers["X-Request-ID"], "1002")]


async def test_every_answer_has_an_id_that_is_the_clients_own_where_it_is_one(engine: Engine) -> None:
    given = await engine.http.get("/orders/none", headers=GIVEN)
    assert (given.status_code, given.headers.get_list("X-Request-ID")) == (404, ["shop.7_a-B"])
    for strange in ("", "a b", "x" * 65, "{jndi}", "é"):
        answer = await engine.http.get("/health/live", headers={b"X-Request-ID": strange.encode()})
        [made_up] = answer.headers.get_list("X-Request-ID")
        assert len(made_up) == 32
