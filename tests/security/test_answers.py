"""What every answer tells, and what none of them tells: headers for browsers and proxies, nothing about the server."""

from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.api.callback_line import INVOICE
from tests.support.engine import Engine
from tests.support.http_server import api_server, free_port

SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "frame-ancestors 'none'",
}
CALLS: list[tuple[str, str, Any, int]] = [
    ("GET", "/orders", None, 200),
    ("GET", "/orders/NONE-1", None, 404),
    ("POST", "/orders", {}, 422),
    ("PATCH", "/orders", None, 405),
    ("OPTIONS", "/orders", None, 405),
    ("GET", "/nothing", None, 404),
    ("POST", "/callbacks/acme/T-1/x/pvt/orders/T-1/invoice", INVOICE, 404),
    ("POST", "/affiliates/acme/x/api/notification", {}, 404),
    ("GET", "/health/live", None, 200),
    ("GET", "/metrics", None, 200),
    ("GET", "/docs", None, 200),
    ("GET", "/openapi.json", None, 200),
]


def check_safe(answer: httpx.Response) -> None:
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    tells = {"server", "x-powered-by", "set-cookie", "via"} & set(answer.headers)
    assert tells == set()
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS, ids=lambda value: str(value)[:20])
async def test_every_answer_has_safe_headers_and_opens_itself_to_no_other_origin(
    shared_engine: Engine, method: str, path: str, body: Any, status: int
) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    answer = await shared_engine.http.request(method, path, json=body, headers=headers)
    assert answer.status_code == status
    check_safe(answer)


async def test_a_body_that_is_too_large_and_a_request_that_is_none_are_refused_with_them_too(
    shared_engine: Engine,
) -> None:
    check_safe(await shared_engine.http.post("/orders", content=b" " * (2**20 + 1)))
    answer = await shared_engine.http.get("/orders", headers={"X-Long": "y" * 40_000})
    assert answer.status_code == 431
    check_safe(answer)


async def test_a_bug_is_answered_with_them_too_and_with_nothing_of_it() -> None:
    async def broken(scope: Scope, _receive: Receive, _send: Send) -> None:
        if scope["type"] == "http":
            raise RuntimeError("the bug's own words")

    async with api_server(broken, free_port()) as url, httpx.AsyncClient() as client:
        answer = await client.get(url)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    check_safe(answer)


async def test_the_documentation_loads_nothing_from_elsewhere(shared_engine: Engine) -> None:
    page = (await shared_engine.http.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
