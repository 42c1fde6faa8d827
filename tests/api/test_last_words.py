"""Requests that the server cancels when its time to stop is over."""

import asyncio
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.last_words import LastWords
from api.server import Server
from tests.support.http_server import free_port


async def never(_: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


async def half(_: Request) -> Response:
    async def body() -> Any:
        yield b"begun"
        await asyncio.Event().wait()

    return StreamingResponse(body())


@pytest.mark.parametrize("path", ["/never", "/half"])
async def test_a_request_cut_short_is_told_to_come_again(path: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Starlette(routes=[Route("/never", never), Route("/half", half)])
    app.add_middleware(LastWords)
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1, lifespan="off")
    server = Server(config)
    serving = asyncio.create_task(server._serve())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        asking = asyncio.create_task(client.get(path))
        async with asyncio.timeout(10):
            while not server.server_state.tasks:
                await asyncio.sleep(0.01)
        server.should_exit = True
        [answer] = await asyncio.gather(asking, return_exceptions=True)
        await serving
    if path == "/never":
        assert isinstance(answer, httpx.Response)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.headers["retry-after"] == "1"
        assert "send the same request again" in answer.json()["detail"]
    else:
        # What has begun cannot be taken back: it ends in the middle, which every client notices.
        assert isinstance(answer, httpx.RemoteProtocolError)
    assert not [one for one in caplog.records if one.exc_info], caplog.text
