"""What a connection may cost before its request is there, and requests that two servers would read differently."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send

from api.connection import MAX_HEAD, MAX_HEADERS, MAX_PIPELINED, Connection
from tests.support.http_server import api_server, free_port

HEAD = b"POST /first HTTP/1.1\r\nHost: x\r\n"
BODY = b"Content-Length: 5\r\n\r\nhello"
LARGE = 20_000_000
"""Bytes, more than sockets buffer."""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


class Impatient(Connection):
    head_time = 0.3
    body_time = 0.6
    read_time = 1.0


@dataclass
class Site:
    """An application that answers 200 and remembers what it was asked."""

    port: int = 0
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.asked.append((scope["path"], body))
        if scope["path"] == "/held":
            await self.hold.wait()
        answer = b"y" * LARGE if scope["path"] == "/large" else b"ok"
        length = b"%d" % len(answer)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site(port=free_port())
    async with api_server(site, site.port, Impatient):
        yield site


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    @classmethod
    async def to(cls, site: Site) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", site.port))

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        got = bytearray()
        try:
            async with asyncio.timeout(20):
                while chunk := await self.reader.read(65536):
                    got += chunk
        except ConnectionError:
            pass
        finally:
            self._writer.close()
        return bytes(got)


async def answered(site: Site, data: bytes) -> bytes:
    client = await Client.to(site)
    await client.say(data)
    return await client.rest()


def check_refused(answer: bytes, status: int) -> None:
    """One answer, a problem, with the headers of all answers."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert head.startswith(b"HTTP/1.1 %d " % status)
    for header in (b"content-type: application/problem+json", b"connection: close", b"cache-control: no-store"):
        assert header in head.lower()
    assert json.loads(body)["status"] == status


# --- size ---


@pytest.mark.parametrize(
    ("lines", "size"),
    [(MAX_HEADERS + 1, 8), (10_000, 8), (1, MAX_HEAD + 1), (1, 1_000_000), (50, MAX_HEAD // 40)],
)
async def test_headers_that_are_too_many_or_too_large_are_a_431(site: Site, lines: int, size: int) -> None:
    headers = b"".join(b"x-%d: %b\r\n" % (line, b"y" * size) for line in range(lines))
    check_refused(await answered(site, HEAD + headers + BODY), 431)
    check_refused(await answered(site, b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"y" * MAX_HEAD)), 431)
    assert site.asked == []


async def test_headers_below_the_limits_are_taken(site: Site) -> None:
    headers = b"".join(b"x-%d: %b\r\n" % (line, b"y" * 200) for line in range(MAX_HEADERS - 3))
    client = await Client.to(site)
    for part in (HEAD[:9], HEAD[9:], *(headers[at : at + 5000] for at in range(0, len(headers), 5000))):
        await client.say(part)
    await client.say(b"Connection: close\r\n" + BODY)
    assert (await client.rest()).startswith(b"HTTP/1.1 200 ")
    assert site.asked == [("/first", b"hello")]


@pytest.mark.parametrize("begin", [b"x", b"GET /", HEAD + b"X-Endless: ", HEAD + b"Endless"])
async def test_a_head_without_an_end_is_not_read_on(site: Site, begin: bytes) -> None:
    """Kept until it ends, it would fill the memory."""
    client = await Client.to(site)
    taken = 0
    try:
        await client.say(begin)
        while taken < 50_000_000:
            await client.say(b"y" * 65536)
            taken += 65536
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    await client.rest()
    # What the sockets of both sides buffer is some megabytes.
    assert taken < 20_000_000
    assert site.asked == []


# --- time ---


@pytest.mark.parametrize(
    "sent",
    [b"G", b"POST /first HT", HEAD, HEAD + b"X-Slow: ", HEAD + b"Content-Length: 5\r\n\r\n"],
    ids=["a letter", "half a line", "no end of headers", "half a header", "no body"],
)
async def test_a_request_that_does_not_come_is_a_408(site: Site, sent: bytes) -> None:
    check_refused(await answered(site, sent), 408)
    assert site.asked == []


@pytest.mark.parametrize("part", ["head", "length", "chunks"])
async def test_a_request_that_comes_by_drops_is_a_408_all_the_same(site: Site, part: str) -> None:
    start, drop = {
        "head": (HEAD, b"x-%d: y\r\n"),
        "length": (HEAD + b"Content-Length: 100000\r\n\r\n", b"%d"),
        "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n%x\r\n"),
    }[part]
    client = await Client.to(site)
    reading = asyncio.create_task(client.rest())
    await client.say(start)
    for number in range(10_000):
        if reading.done():
            break
        try:
            await client.say(drop % (number % 10))
        except ConnectionError:
            break
        await asyncio.sleep(0.05)
    check_refused(await reading, 408)
    assert site.asked == []


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n"])
async def test_a_connection_without_a_request_is_closed_without_a_word(site: Site, sent: bytes) -> None:
    assert await answered(site, sent) == b""


async def test_line_feeds_do_not_keep_an_idle_connection(site: Site) -> None:
    client = await Client.to(site)
    await client.say(HEAD + BODY)
    assert (await client.reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    await client.say(b"\r\n")
    assert await client.rest() == b""


async def test_an_answer_may_take_longer_than_a_request(site: Site) -> None:
    client = await Client.to(site)
    await client.say(HEAD.replace(b"/first", b"/held") + b"Connection: close\r\n" + BODY)
    await asyncio.sleep(2 * Impatient.body_time)
    site.hold.set()
    assert (await client.rest()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("prompt", [True, False])
async def test_an_answer_that_is_not_read_is_not_kept_for_ever(site: Site, prompt: bool) -> None:
    client = await Client.to(site)
    await client.say(HEAD.replace(b"/first", b"/large") + b"Connection: close\r\n" + BODY)
    if not prompt:
        await asyncio.sleep(1.5 * Impatient.read_time)
    assert (len(await client.rest()) > LARGE) == prompt


# --- one connection, several requests ---


async def test_some_requests_may_follow_each_other_at_once_and_not_thousands(site: Site) -> None:
    few = await answered(site, (HEAD + BODY) * 3 + HEAD + b"Connection: close\r\n" + BODY)
    assert few.count(b"HTTP/1.1 200 ") == 4
    site.asked.clear()
    many = await answered(site, (HEAD + BODY) * 1000)
    assert many.count(b"HTTP/1.1 ") <= MAX_PIPELINED + 1
    assert len(site.asked) <= MAX_PIPELINED + 1


@pytest.mark.parametrize("second", [HEAD + b"x: " + b"y" * MAX_HEAD, b"GET\0", HEAD + b"x: "])
async def test_a_refusal_is_never_taken_for_the_answer_to_another_request(site: Site, second: bytes) -> None:
    """A proxy that shares its connection between clients would give one the other's."""
    held = HEAD.replace(b"/first", b"/held") + BODY
    answer = await answered(site, held + second)
    site.hold.set()
    assert answer == b""


# --- what two servers would read differently ---


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
        b"Content-Length: 0, %d\r\n\r\n" % len(SMUGGLED),
        b"Content-Length: +0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x0\r\n\r\n",
        b"Content-Length : 0\r\n\r\n",
        b"Content-Length: 0\r\n X-Folded: y\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nAB0\r\n\r\n",
        b"X-Bare: a\rContent-Length: 3\r\n\r\n",
        b"X-Null: a\0b\r\n\r\n",
    ],
)
async def test_a_request_that_can_be_read_in_two_ways_is_refused(site: Site, framing: bytes) -> None:
    answer = await answered(site, HEAD + framing + SMUGGLED)
    assert [path for path, _ in site.asked if path == "/smuggled"] == []
    check_refused(answer, 400)


async def test_nothing_behind_the_last_request_of_a_connection_is_served(site: Site) -> None:
    answer = await answered(site, HEAD + b"Connection: close\r\n" + BODY + SMUGGLED)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert site.asked == [("/first", b"hello")]
