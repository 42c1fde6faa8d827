"""Stands between the engine and its Seller, and makes something wrong of a share of the Seller's answers."""

import json
import random
from collections import Counter

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.fuzz.mutations import mutate, written

_HOP = {"content-length", "content-encoding", "transfer-encoding", "connection", "date"}


class Distorter:
    """An ASGI app that distorts `share` of the answers, by a `seed`."""

    def __init__(self, url: str, seed: int, share: float = 0.4) -> None:
        self.share = share
        self.distorted: Counter[str] = Counter()
        self._url = url
        self._random = random.Random(seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in {"host", *_HOP}]
        url = f"{self._url}{request.url.path}?{request.url.query}"
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            got = await client.request(request.method, url, content=await request.body(), headers=headers)
        content, status = got.content, got.status_code
        if self._random.random() < self.share:
            self.distorted[request.url.path.rsplit("/", 1)[-1]] += 1
            content, status = self._distort(content, status)
        kept = {name: value for name, value in got.headers.items() if name not in _HOP}
        await Response(content, status, kept)(scope, receive, send)

    def _distort(self, content: bytes, status: int) -> tuple[bytes, int]:
        choose = self._random.choice
        if self._random.random() < 0.1:
            return content[: self._random.randint(0, len(content))], status
        value = json.loads(content) if content else {}
        for _ in range(self._random.randint(1, 3)):
            value = mutate(value, choose)
        return written(value), choose([status, status, status, 200, 201, 500])
