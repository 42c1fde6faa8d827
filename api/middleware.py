"""What happens to every request before its route: no body is too large, and callback paths are brought to one form."""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, render

MAX_BODY = 1024 * 1024
_SLASHES = re.compile(r"/{2,}")


class BodyLimit:
    """Refuses bodies over MAX_BODY with 413, whether announced or only sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > MAX_BODY:
            await _refuse(scope, receive, send)
            return
        # Read before the route runs: nothing may be half done when the body turns out to be too large.
        chunks: list[Message] = []
        size, more = 0, True
        while more:
            message = await receive()
            chunks.append(message)
            size += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
            if size > MAX_BODY:
                await _refuse(scope, receive, send)
                return

        async def replay() -> Message:
            return chunks.pop(0) if chunks else await receive()

        await self._app(scope, replay, send)


class OneSlash:
    """Takes doubled and trailing slashes out of callback paths: Sellers append theirs to a base that may end in one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := _SLASHES.sub("/", scope["path"])).startswith("/callbacks/"):
            scope = {**scope, "path": path.rstrip("/")}
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    problem = Problem(413, f"the body is over {MAX_BODY} bytes", headers={"Connection": "close"})
    await render(problem, Request(scope))(scope, receive, send)
