"""What the Seller promises for shipping goes into the order as it stands, so it is looked at like all it says."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.server import SandboxServer
from tests.conftest import MakeEngine
from tests.support.engine import new_order
from tests.support.http_server import free_port, http_server

PROMISES = {"lockTTL": '"lockTTL":"soon"', "shippingEstimate": '"lockTTL":"7d","shippingEstimate":"in time"'}


class Promising:
    """Passes on to a Seller, and puts `word` into its answers where it promises to keep the stock for seven days."""

    def __init__(self, seller_url: str) -> None:
        self.word = '"lockTTL":"7d"'
        self.http = httpx.AsyncClient(base_url=seller_url, trust_env=False)
        self.app = Starlette(routes=[Route("/{path:path}", self.pass_on, methods=["GET", "POST"])])

    async def pass_on(self, request: Request) -> Response:
        headers = {
            name: value for name, value in request.headers.items() if name.startswith(("x-vtex", "content-type"))
        }
        path, query = request.url.path, request.query_params
        answer = await self.http.request(
            request.method, path, params=query, content=await request.body(), headers=headers
        )
        content = answer.text.replace('"lockTTL":"7d"', self.word)
        return Response(content, answer.status_code, media_type=answer.headers["content-type"])


@pytest.fixture
async def promising(fresh_seller: SandboxServer) -> AsyncIterator[tuple[Promising, str]]:
    between = Promising(fresh_seller.url)
    async with between.http, http_server(between.app, free_port()) as url:
        yield between, url


@pytest.mark.parametrize("field", PROMISES)
async def test_a_promise_that_makes_no_sense_parks_the_order(
    make_engine: MakeEngine, promising: tuple[Promising, str], field: str
) -> None:
    between, url = promising
    async with make_engine(seller={"base_url": url}) as engine:
        order = new_order()
        between.word = PROMISES[field]
        assert (await engine.post(order, wait=0)).status_code == 202
        parked = await engine.until(order, needsAttention=True)
        assert "of the chosen SLA" in parked["reason"]["message"]
        assert parked["status"] == "simulating"

        between.word = '"lockTTL":"7d"'
        assert (await engine.resume(order, "retry")).status_code == 200
        await engine.until(order, status="payment-pending")
