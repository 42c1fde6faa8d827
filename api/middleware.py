"""What happens to every request before its route: no body is too large, and Sellers' paths are brought to one form."""

import re
from uuid import uuid4

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from api.problems import Problem, render

MAX_BODY = 1024 * 1024
_MOST_THROWN_AWAY = 64 * MAX_BODY
_SLASHES = re.compile(r"/{2,}")
_SELLERS_PATHS = ("/callbacks/", "/affiliates/")
_REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACE_HEADERS = {b"traceparent", b"tracestate"}


class BodyLimit:
    """Refuses bodies over `limit` bytes with 413, whether announced or only sent."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        size = int(announced) if announced.isdigit() else 0
        if size > _MOST_THROWN_AWAY or (size > self._limit and b"expect" in headers):
            await _refuse(self._limit, scope, receive, send)
            return
        # Read before the route runs: nothing may be half done when the body turns out to be too large.
        chunks: list[Message] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size <= self._limit:
                chunks.append(message)
            elif not more or size > _MOST_THROWN_AWAY:
                # Not before all has come: a client that is still sending sees a lost connection, and no answer.
                await _refuse(self._limit, scope, receive, send)
                return

        async def replay() -> Message:
            return chunks.pop(0) if chunks else await receive()

        await self._app(scope, replay, send)


class RequestId:
    """Gives each request an id, the client's own if it sent one: in the answer, and in every line that is logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _REQUEST_ID), b"")
        request_id = given if _ID.fullmatch(given) else uuid4().hex.encode()
        # Not taken back at the end: an error that nobody expected is logged outside of this.
        clear_contextvars()
        bind_contextvars(request_id=request_id.decode())

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (_REQUEST_ID, request_id)]}
            await send(message)

        await self._app(scope, receive, answer)


class OwnTraces:
    """Lets no Seller, nor anybody who calls its addresses, say to which trace a call belongs or that it be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _SLASHES.sub("/", scope["path"]).startswith(_SELLERS_PATHS):
            headers = [header for header in scope["headers"] if header[0] not in _TRACE_HEADERS]
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)


class OneSlash:
    """Takes doubled and trailing slashes out of paths that Sellers call: theirs begin where ours may end in one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := _SLASHES.sub("/", scope["path"])).startswith(_SELLERS_PATHS):
            scope = {**scope, "path": path.rstrip("/")}
        await self._app(scope, receive, send)


async def _refuse(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(413, f"the body is over {limit} bytes", headers={"Connection": "close"})
    await render(problem, Request(scope))(scope, receive, send)
