"""Errors as RFC 9457 problem details: every answer that is not a success says what is wrong and what to do."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match
from structlog.contextvars import get_contextvars

from marketplace.store.base import StoreUnavailable
from marketplace.telemetry import get_logger

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100
"""How many findings an answer lists: a small body must not draw a huge one."""

_TITLES = {
    400: "Malformed request",
    401: "Key missing or unknown",
    403: "Key not allowed here",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict with the order's state",
    413: "Body too large",
    422: "Invalid request",
    429: "Too many requests",
    431: "Headers too large",
    500: "Internal error",
    502: "Seller failed",
    503: "Temporarily unavailable",
    504: "Seller too late",
}


_SECRET = re.compile(r"callbacks|affiliates", re.IGNORECASE)
_CURES = {
    "extra_forbidden": "unknown field: remove it or correct its spelling",
    "missing": "required: add this field",
}


class FieldError(BaseModel):
    """One thing that is wrong: a JSON pointer into the body (or query), and how to mend it."""

    pointer: str
    detail: str


class ProblemBody(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """Ends a request with a problem. `kind` is a stable word, part of the problem's `type`; `more`: extra members."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        errors: Sequence[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.errors = errors
        self.headers = headers
        self.more = more


def unavailable(what: str, retry_after: int = 5) -> Problem:
    """A 503: something the engine needs is away. What was asked may have been taken all the same, so it must be safe
    to ask again: every call here that changes something is.
    """
    cure = "send the same request again, which does nothing twice"
    return Problem(503, f"{what}; {cure}", headers={"Retry-After": str(retry_after)})


def render(problem: Problem, request: Request) -> Response:
    """Write a problem as an answer."""
    return Response(
        document(problem, _instance(request)), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def document(problem: Problem, instance: str) -> bytes:
    """A problem as JSON. `instance` is the path it is about, without any token."""
    body: dict[str, Any] = {
        "type": f"urn:order-engine:problem:{problem.kind}" if problem.kind else "about:blank",
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
    }
    body.update(problem.more or {})
    if problem.errors is not None:
        body["errors"] = [error.model_dump() for error in problem.errors]
    # ASCII escapes: a client may have sent half a surrogate pair as a field name, and UTF-8 cannot hold it.
    return json.dumps(body, ensure_ascii=True).encode()


def field_errors(findings: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Translate the first of pydantic's findings. Values that were sent are not repeated: they may be personal."""
    found = []
    for one in islice(findings, MAX_ERRORS):
        pointer = "".join(f"/{_escape(part)}" for part in one["loc"])
        # A rule about several fields is broken at their model; its context names the field to mend.
        field = one.get("ctx", {}).get("field")
        text = _CURES.get(one["type"], one["msg"])
        found.append(FieldError(pointer=f"{pointer}/{field}" if field else pointer, detail=text[:300]))
    return found


def _escape(part: int | str) -> str:
    return str(part)[:200].replace("~", "~0").replace("/", "~1")


def _instance(request: Request) -> str:
    # Paths below these hold tokens, wherever a mistyped one has them; a problem may be logged by whoever receives it.
    path: str = request.scope["path"]
    secret = _SECRET.search(path)
    return quote(path[: min(secret.end(), 500) if secret else 500])


def _allowed(app: FastAPI, request: Request) -> str:
    # The framework names the methods of the first route on this path alone.
    fitting = {
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in app.router.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    return ", ".join(sorted(fitting))


def install(app: FastAPI) -> None:
    """Make every error of an app a problem."""
    log = get_logger("api")

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return render(error, request)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:  # noqa: PLR2004
            return render(Problem(404, "no such address; /docs lists them"), request)
        if error.status_code == 405:  # noqa: PLR2004
            allowed = _allowed(app, request)
            return render(Problem(405, f"allowed here: {allowed}", headers={"Allow": allowed}), request)
        return render(Problem(error.status_code, str(error.detail), headers=error.headers), request)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return render(Problem(422, "a parameter is invalid", errors=field_errors(error.errors())), request)

    @app.exception_handler(StoreUnavailable)
    async def _no_store(request: Request, error: StoreUnavailable) -> Response:
        log.error("database away", error=str(error))
        return render(unavailable("the database cannot be reached"), request)

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        log.error("unexpected error", exc_info=error, path=_instance(request))
        # Answered outside of all middleware: nobody else would tell the id by which the line is found.
        headers = {"X-Request-ID": str(get_contextvars().get("request_id", ""))}
        return render(Problem(500, "an error of the engine's own; it is in its log", headers=headers), request)
