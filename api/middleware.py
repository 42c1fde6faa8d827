"""What happens to every request before its route: no body is too large, and Sellers' paths are brought to one form."""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, render

MAX_BODY = 1024 * 1024
_MOST_THROWN_AWAY = 64 * MAX_BODY
_SLASHES = re.compile(r"/{2,}")
_SELLERS_PATHS = ("/callbacks/", "/affiliates/")


class BodyLimit:
    """Refuses bodies over MAX_BODY with 413, whether announced or only sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        size = int(announced) if announced.isdigit() else 0
        if size > _MOST_THROWN_AWAY or (size > MAX_BODY and b"expect" in headers):
            await _refuse(scope, receive, send)
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
            if size <= MAX_BODY:
                chunks.append(message)
            elif not more or size > _MOST_THROWN_AWAY:
                # Not before all has come: a client that is still sending sees a lost connection, and no answer.
                await _refuse(scope, receive, send)
                return

        async def replay() -> Message:
            return chunks.pop(0) if chunks else await receive()

        await self._app(scope, replay, send)


class OneSlash:
    """Takes doubled and trailing slashes out of paths that Sellers call: theirs begin where ours may end in one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := _SLASHES.sub("/", scope["path"])).startswith(_SELLERS_PATHS):
            scope = {**scope, "path": path.rstrip("/")}
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(413, f"the body is over {MAX_BODY} bytes", headers={"Connection": "close"})
    await render(problem, Request(scope))(scope, receive, send)
