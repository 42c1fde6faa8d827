"""What a request is told that is cut short because the process stops."""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, render


class LastWords:
    """Answers 503 to requests that the server cancels at its end: what they asked for may be durable, or not.

    Without it they would find their connection closed, and the log a traceback for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            if begun:
                return
            detail = "the API stops, and what came of this is not known: send the same request again"
            problem = Problem(503, detail, headers={"Retry-After": "1", "Connection": "close"})
            await render(problem, Request(scope))(scope, receive, send)
