"""Requests as bytes, with everything wrong that HTTP allows and some things that it does not: never a 5xx."""

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import MEDIA_TYPE
from marketplace.security import AffiliateTokens
from marketplace.settings import secret_keys
from tests.api.callback_line import INVOICE, Line, dispatched_line
from tests.fuzz.mutations import broken
from tests.fuzz.openapi import OPERATOR
from tests.fuzz.test_reports import NOTICES
from tests.fuzz.thoroughness import some
from tests.support.engine import ORDER, Engine

IDS = [
    *(
        "own",
        "own",
        "own",
        "MKP-own",
        "NONE-1",
        "%6Fwn",
        "own%00",
        "own%20",
        "%2e%2e",
        "..",
        ".",
        "%2F",
        "a%2Fb",
        "own;v=1",
    ),
    *("%", "%zz", "%ff%fe", "%F0%9F%92%A9", "~", "own%0d%0aX-Injected:%20yes", "x" * 5000, "%00" * 300, "9" * 400, "*"),
]
SLASHES = st.sampled_from(["/", "/", "/", "//", "///", "/./", "/%2F"])
TAILS = st.sampled_from(
    [
        *(
            "invoice",
            "invoice/N",
            "invoice/N/tracking",
            "cancel",
            "invoice/N%2F1/tracking",
            "invoice//tracking",
            "invoice/",
        ),
        *("", "INVOICE", "invoice/N/tracking/", "changes/1/send-agreement", "invoice/" + "n" * 200, "invoice/%0a"),
    ]
)
METHODS = st.sampled_from(
    ["POST", "POST", "POST", "PUT", "PATCH", "GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "post", "X"]
)
QUERIES = st.sampled_from(["", "", "?t=1", "?a=1&a=2&%00=%ff", "?", "?" + "q" * 4000, "?limit=0&status=%00"])
TYPES = st.sampled_from(
    [
        *(
            "application/json",
            "application/json; charset=utf-16",
            "text/plain",
            "application/xml",
            "",
            "\xff",
            "a/b;" * 50,
        ),
        *("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json;charset=nonsense"),
    ]
)
MORE: list[bytes] = [
    *(b"", b"", b"Accept: text/html\r\n", b"Accept-Encoding: \xff\r\n", b"X-Forwarded-Host: evil.example\r\n"),
    *(b"Cookie: a=%00; b\r\n", b"X: " + b"y" * 20_000 + b"\r\n", b"Content-Encoding: gzip\r\n", b"If-Match: *\r\n"),
    *(b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n", b"Range: bytes=0-9999999999\r\n"),
    *(b"Prefer: wait=99999999999999999999\r\n", b"Prefer: wait=-1, wait=, =\r\n", b"Authorization: Bearer\r\n"),
]
TRANSFERS = st.sampled_from(["length", "length", "chunked", "chunked", "short", "both", "neither", "negative", "twice"])


@pytest.fixture(scope="module")
async def line(fuzzed_engine: Engine) -> Line:
    return await dispatched_line(fuzzed_engine)


def _framed(body: bytes, transfer: str) -> bytes:
    """The header that says how long the body is, truly or not, with the body."""
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part) + b"0\r\n\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    return {
        "length": length + b"\r\n" + body,
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
        "short": b"Content-Length: %d\r\n\r\n" % half + body[:half],
        "both": length + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
        "neither": b"\r\n" + body,
        "negative": b"Content-Length: -1\r\n\r\n" + body,
        "twice": length + b"Content-Length: 3\r\n\r\n" + body,
    }[transfer]


async def exchange(engine: Engine, request: bytes) -> tuple[int, str, bytes]:
    """Send bytes; status, content type and body of the first answer. Status 0 when the connection is just closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
    try:
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(30):
            answer = await reader.read()
    except ConnectionError:
        answer = b""
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    kind = re.search(rb"content-type: ([^\r]*)", head, re.IGNORECASE)
    return int(head.split()[1]) if head else 0, kind[1].decode() if kind else "", body


def check(status: int, kind: str, body: bytes, secret: str) -> None:
    """Taken or refused, in words that repeat no token."""
    assert status < 500, body
    assert secret.encode() not in body
    if status >= 400 and kind == MEDIA_TYPE and body:
        assert json.loads(body)["status"] == status


@given(data=st.data())
@some(100)
async def test_no_callback_however_odd_is_a_5xx(line: Line, engine: Engine, data: st.DataObject) -> None:
    token = line.token()
    parts = [
        *("callbacks", "acme", line.id, token),
        *(data.draw(st.sampled_from(["pvt", "pub", "PVT", "%70vt", "x"])), "orders"),
        data.draw(st.sampled_from(IDS)).replace("own", line.id),
        data.draw(TAILS),
    ]
    if data.draw(st.integers(0, 3)) == 0:
        parts[data.draw(st.integers(1, 4))] = data.draw(st.sampled_from(IDS))
    path = "".join(f"{data.draw(SLASHES)}{part}" for part in parts)
    await send(engine, data, path, INVOICE, token)


@given(data=st.data())
@some(30)
async def test_no_notice_however_odd_is_a_5xx(engine: Engine, data: st.DataObject) -> None:
    token = AffiliateTokens(secret_keys(engine.settings)).mint("acme")
    seller = data.draw(st.sampled_from(["acme", "acme", "acme", "other", "%61cme", "acme%00", "ACME"]))
    parts = [
        "affiliates",
        seller,
        token,
        data.draw(st.sampled_from(["api/notification", "api/notification/", "", "api"])),
    ]
    path = "".join(f"{data.draw(SLASHES)}{part}" for part in parts)
    await send(engine, data, path, NOTICES[0], token)


@given(data=st.data())
@some(30)
async def test_no_request_of_a_storefront_however_odd_is_a_5xx(engine: Engine, data: st.DataObject) -> None:
    paths = ["/orders", "/orders/{id}", "/orders/{id}/payment", "/carts/simulation", "/logs", "/catalog/acme/skus/{id}"]
    path = data.draw(st.sampled_from([*paths, "/catalog/acme/skus", "/catalog/acme/import", "/health/ready", "/{id}"]))
    await send(engine, data, path.replace("{id}", data.draw(st.sampled_from(IDS))), ORDER, OPERATOR)


async def send(engine: Engine, data: st.DataObject, path: str, good: Any, secret: str) -> None:
    body = data.draw(st.just(json.dumps(good).encode()) | broken(good))
    head = f"{data.draw(METHODS)} {path}{data.draw(QUERIES)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    key = f"Authorization: Bearer {OPERATOR}\r\nContent-Type: {data.draw(TYPES)}\r\n"
    request = (head + key).encode("latin-1") + data.draw(st.sampled_from(MORE)) + _framed(body, data.draw(TRANSFERS))
    check(*await exchange(engine, request), secret)


async def test_after_all_of_this_an_order_takes_a_proper_invoice(line: Line, engine: Engine) -> None:
    answer = await line.send("/invoice", {**INVOICE, "invoiceNumber": "LAST"})
    assert answer.status_code in {200, 409}, answer.text
    assert answer.status_code == 200 or (await line.found()).status == "canceled"
