"""What a connection to the API may cost before its request is there, and after its answer: bytes, lines and time.

Uvicorn bounds none of them: one header without an end would fill the memory, and a client that sends or reads a byte a
minute keeps its connection for ever. The body's size is `middleware.py`'s.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.problems import MEDIA_TYPE, Problem, document

MAX_HEAD: Final = 32 * 1024
"""Bytes of the request line and all headers."""
MAX_HEADERS: Final = 100
MAX_PIPELINED: Final = 8
"""Requests that may wait on a connection for the answer to an earlier one."""
HEAD_TIME: Final = 10.0
"""Seconds from a connection's opening, or a request's first byte, to the end of its headers."""
BODY_TIME: Final = 30.0
"""Seconds from there to the end of the body."""
READ_TIME: Final = 60.0
"""Seconds in which a client must have read what is more of an answer than the system's buffers hold."""


class Connection(HttpToolsProtocol):
    """A client's connection, closed with 408 or 431 when it takes too long or its headers are too large."""

    head_time = HEAD_TIME
    body_time = BODY_TIME
    read_time = READ_TIME

    _clock: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    """Runs while the client does not take what is written."""
    _refusal: Problem | None = None
    _begun = False
    """Whether a request has begun whose headers have not ended."""
    _parsed = 0
    """Bytes of its request line and of the headers that have ended."""
    _received = 0
    """Bytes that have come without the end of its headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._allow(self.head_time)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        self._stop_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        # The parser tells of a header when it has ended, and keeps until then what has come of it.
        if self._begun:
            self._received += len(data)
            if self._received > MAX_HEAD:
                self._refuse(_too_large())
        elif not self._answering():
            # Line feeds before a request begin none, but have stopped uvicorn's clock for idle connections.
            self._allow(self.head_time)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._parsed, self._received = True, 0, 0
        self._allow(self.head_time)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._begun = False
        self._allow(self.body_time)
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            raise self._doubt(Problem(400, "too many requests at once on one connection"))

    def on_message_complete(self) -> None:
        self._stop_clock()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_reading()
        # Not closed: that would wait for what is not read.
        self._reading = self.loop.call_later(self.read_time, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_reading()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or what a callback of the parser above has refused."""
        self._refuse(self._refusal or Problem(400, msg))

    def _count(self, more: int) -> None:
        self._parsed += more
        if self._parsed > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            raise self._doubt(_too_large())

    def _doubt(self, problem: Problem) -> Problem:
        # What a callback raises reaches uvicorn as an error of the parser, which it answers by `send_400_response`.
        self._refusal = problem
        return problem

    def _refuse(self, problem: Problem) -> None:
        self._stop_clock()
        # With an answer under way, this one would be taken for it, or for a part of it.
        taken = self._answering() and (self._begun or self.cycle.response_started)
        if not (taken or self.pipeline):
            self._write(problem)
        self.transport.close()

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | Any = self.cycle  # None before the first request, which uvicorn leaves unsaid
        return cycle is not None and not cycle.response_complete

    def _write(self, problem: Problem) -> None:
        content = document(problem, "")
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + content)

    def _allow(self, seconds: float) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self._late, seconds)

    def _late(self, seconds: float) -> None:
        if self.flow.read_paused:  # it is the engine that does not read on, being busy with an earlier request
            self._allow(seconds)
        elif self._begun or self._answering():
            self._refuse(Problem(408, f"the request was not there within {seconds:g} seconds"))
        else:
            self.transport.close()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def _too_large() -> Problem:
    return Problem(431, f"the headers are over {MAX_HEAD} bytes or {MAX_HEADERS} lines")
