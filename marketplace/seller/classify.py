"""What a Seller's failure means for the caller: VTEX's error codes, HTTP statuses and transport errors, in tables.

A code wins over the HTTP status, but for 401, 403 and 429. Calls that change something at the Seller ("writes":
place, dispatch, cancel) may have worked whenever the answer did not come: the tables say UNKNOWN_OUTCOME, which is
RETRY for a call that only reads. Source: contract sections C2, F and G2.
"""

import html
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

import httpx

from marketplace.errors import Cause, SellerFailure, Verdict
from marketplace.masking import mask_tokens
from marketplace.seller import wire

MAX_MESSAGE = 300
_MAX_RAW = 8192
MAX_RETRY_AFTER = 3600.0
"""Seconds. A Seller that asks for more is asked again after this."""
RESERVATION_FAILED = frozenset({"FMT002", "ORD012", "ORD013"})
"""Codes that VTEX wants retried, but only a few times: `client.VtexSeller.place` does it."""


@dataclass(frozen=True, slots=True)
class Ruling:
    verdict: Verdict
    cause: Cause = Cause.OTHER


# A token is a code, a range `FMT0036-0042`, or a family `CHK*`. A code covers its sub-codes: ORD015 also ORD015.2.
_CODES: tuple[tuple[str, Ruling], ...] = (
    ("FMT006 FMT007 ORD009 EOI003", Ruling(Verdict.REFUSED, Cause.PRICE_DIVERGENCE)),
    ("FMT005 ORD027 ORDER027 ORD028", Ruling(Verdict.REFUSED, Cause.OUT_OF_STOCK)),
    # Older: no inventory; current: reservation failed. After the few tries that VTEX asks for the stock is gone, and
    # an order that waits for hours to be rejected is worse for the customer than one rejected now.
    ("FMT002 ORD012 ORD013", Ruling(Verdict.REFUSED, Cause.OUT_OF_STOCK)),
    ("FMT003 FMT004 FMT010 FMT0059 FMT0061 CHK0171", Ruling(Verdict.REFUSED, Cause.SLA_UNAVAILABLE)),
    ("FMT0060", Ruling(Verdict.REFUSED, Cause.ALREADY_CANCELED)),
    ("FMT001 FMT015 FMT017 FMT0036-0042 FMT0045 FMT0057 FMT0058 FMT0070", Ruling(Verdict.REFUSED)),
    ("FMT0073-0079 FMT0089-0096 FMT0043 FMT0067 FMT0104 ORD005 CHK*", Ruling(Verdict.REFUSED)),
    # FMT0024: the reservation was not authorized. FMT0085: VTEX's own time for retries is over.
    ("FMT0024 FMT0085", Ruling(Verdict.REFUSED)),
    ("FMT009 FMT0064 EOI007", Ruling(Verdict.ALREADY_DONE)),
    ("FMT0084 FMT0056 ORD021", Ruling(Verdict.RETRY)),
    ("ORD021.3", Ruling(Verdict.RATE_LIMITED)),
    # ORD008 is "unexpected creation error", FMT0055 "no receipt produced": either may have come after the deed.
    ("FMT0048-0051 ORD003 ORD015 ORD016 ORD026 ORD008 FMT0055 EOI010", Ruling(Verdict.UNKNOWN_OUTCOME)),
    ("ORD062 ORD021.5", Ruling(Verdict.CREDENTIALS)),
    ("FMT0021 FMT0031 FMT0088", Ruling(Verdict.MISCONFIGURED)),
)

_STATUSES: dict[int, Ruling] = {
    401: Ruling(Verdict.CREDENTIALS),
    403: Ruling(Verdict.CREDENTIALS),
    404: Ruling(Verdict.REFUSED, Cause.NOT_FOUND),
    408: Ruling(Verdict.UNKNOWN_OUTCOME),
    429: Ruling(Verdict.RATE_LIMITED),
    # Whole classes, by the first digit. An API that redirects is not at its base URL any more.
    3: Ruling(Verdict.MISCONFIGURED),
    4: Ruling(Verdict.REFUSED),
}
_ABOVE_CODES = frozenset({401, 403, 429})
"""Statuses that win over the code: they tell of the key or the rate, whatever the code in the body."""

_TRANSPORT: tuple[tuple[type[Exception], Verdict, str], ...] = (
    (httpx.ConnectTimeout, Verdict.RETRY, "timed out connecting"),
    (httpx.PoolTimeout, Verdict.RETRY, "timed out waiting for a free connection"),
    (httpx.ConnectError, Verdict.RETRY, "could not connect"),
    (httpx.ProxyError, Verdict.RETRY, "could not connect through the proxy"),
    (httpx.LocalProtocolError, Verdict.MISCONFIGURED, "the request could not be formed: check keys and base URL"),
    (httpx.UnsupportedProtocol, Verdict.MISCONFIGURED, "the base URL is neither http nor https"),
    (httpx.WriteTimeout, Verdict.UNKNOWN_OUTCOME, "timed out sending"),
    (httpx.ReadTimeout, Verdict.UNKNOWN_OUTCOME, "timed out waiting for the answer"),
    (TimeoutError, Verdict.UNKNOWN_OUTCOME, "timed out waiting for the whole answer"),
    (httpx.DecodingError, Verdict.UNKNOWN_OUTCOME, "the answer could not be decompressed"),
    (Exception, Verdict.UNKNOWN_OUTCOME, "connection lost before the answer was complete"),
)

_OWN_FAULTS = (httpx.PoolTimeout, httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.DecodingError)
"""Transport errors that say nothing about whether the Seller is up."""

_RANGE = re.compile(r"([A-Z]+)([0-9]+)-([0-9]+)")
_LOOKS_LIKE_A_CODE = re.compile(r"[A-Z]{3}")
_WORD = re.compile(r"[A-Za-z0-9._:-]+")
_INVISIBLE = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^<>]*>([^<]*)</title", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z!][^<>]*>", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,190}")
_LONG_NUMBER = re.compile(r"\+[0-9](?:[ ().-]{0,2}[0-9]){9,16}|[0-9](?:[./-]?[0-9]){10,16}")


def _expand(tokens: str) -> Iterator[str]:
    for token in tokens.split():
        if found := _RANGE.fullmatch(token):
            letters, first, last = found.groups()
            yield from (f"{letters}{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
        else:
            yield token


_BY_CODE: dict[str, Ruling] = {code: ruling for tokens, ruling in _CODES for code in _expand(tokens)}


def ruling_of(code: str | None) -> Ruling | None:
    """Look up a code, else the code it is a sub-code of, else its family; None for a code not in the table."""
    known = known_code(code)
    return None if known is None else _BY_CODE[known]


def known_code(code: str | None) -> str | None:
    """What stands for a code in the table: the code, the one it is a sub-code of, or its family, such as `CHK*`."""
    if not code:
        return None
    return next((key for key in (code, code.partition(".")[0], f"{code[:3]}*") if key in _BY_CODE), None)


def classify_answer(
    status: int,
    headers: httpx.Headers,
    body: bytes,
    *,
    writes: bool,
    personal: Collection[str] = (),
    now: datetime | None = None,
) -> SellerFailure:
    """Tell what an answer that is an error means: an HTTP status of failure, or a 200 with an error envelope.

    `personal` are the customer's values that the Seller may quote: they are taken out of the message. `now` is the
    time from which a Retry-After date counts.
    """
    detail = _detail(body)
    code = _pick_code(_word(detail.code), _word(headers.get("x-vtex-error-code")))
    ruling = _STATUSES.get(status) if status in _ABOVE_CODES else ruling_of(code)
    ruling = ruling or _STATUSES.get(status) or _STATUSES.get(status // 100) or Ruling(Verdict.UNKNOWN_OUTCOME)
    if ruling.verdict is Verdict.REFUSED and not code and _is_page(headers, body):
        # VTEX's edge, which comes and goes; the Seller has said nothing (contract 0, "Error bodies").
        ruling = Ruling(Verdict.UNKNOWN_OUTCOME)
    text = detail.message or _decoded(headers.get("x-vtex-error-message", "")) or httpx.codes.get_reason_phrase(status)
    return SellerFailure(
        verdict=_verdict(ruling.verdict, writes=writes),
        cause=ruling.cause,
        code=code or None,
        message=_readable(text, personal),
        http_status=status,
        retry_after=retry_after(headers.get("retry-after"), now or datetime.now(UTC)),
        operation_id=_word(detail.operation_id) or None,
    )


def classify_exception(error: Exception, *, writes: bool) -> SellerFailure:
    """Tell what a failed exchange means, by how far it had come when it failed."""
    verdict, text = next((verdict, text) for kind, verdict, text in _TRANSPORT if isinstance(error, kind))
    return SellerFailure(verdict=_verdict(verdict, writes=writes), message=text)


def means_down(error: Exception) -> bool:
    """Whether a failed exchange is the Seller's fault: not reached, silent, or cut off."""
    return not isinstance(error, _OWN_FAULTS)


def nonsense(what: str, *, writes: bool) -> SellerFailure:
    """Judge a successful answer that cannot be understood: the Seller may have done what it was asked to."""
    verdict = _verdict(Verdict.UNKNOWN_OUTCOME, writes=writes)
    return SellerFailure(verdict=verdict, cause=Cause.NONSENSE, message=what[:MAX_MESSAGE])


def retry_after(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, delta-seconds or HTTP date, in seconds from `now`; None when absent or nonsense."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _verdict(verdict: Verdict, *, writes: bool) -> Verdict:
    return Verdict.RETRY if verdict is Verdict.UNKNOWN_OUTCOME and not writes else verdict


def _is_page(headers: httpx.Headers, body: bytes) -> bool:
    return "html" in headers.get("content-type", "").lower() or body.lstrip()[:1] == b"<"


def _detail(body: bytes) -> wire.ErrorDetail:
    try:
        value: Any = wire.read_json(body)
    except ValueError:
        # Not JSON: the edge's HTML page or a proxy's plain text. Its beginning says enough.
        return wire.ErrorDetail(message=body[:_MAX_RAW].decode(errors="replace"))
    return wire.error_of(value) or wire.ErrorDetail(message=value if isinstance(value, str) else None)


def _word(text: str | None) -> str:
    """A code or id of the Seller; "" for anything else, which may be a sentence about the customer."""
    word = (text or "").strip()[:64]
    return word if _WORD.fullmatch(word) and not _LONG_NUMBER.fullmatch(word) else ""


def _pick_code(body_code: str, header_code: str) -> str:
    """Choose between the two places of a code: known, then shaped like one (the other may be a generic "1")."""
    codes = [code for code in (body_code, header_code) if code]
    codes.sort(key=lambda code: (ruling_of(code) is None, _LOOKS_LIKE_A_CODE.match(code) is None))
    return codes[0] if codes else ""


def _decoded(text: str) -> str:
    return unquote(text) if " " in text else unquote_plus(text)


def _readable(text: str, personal: Collection[str]) -> str:
    """Bring a Seller's words to one short line without markup, the customer's data and the tokens of our URLs."""
    text = text[:_MAX_RAW]
    title = _TITLE.search(text)
    text = _TAG.sub(" ", title[1] if title else _INVISIBLE.sub(" ", text))
    text = " ".join("".join(char if char.isprintable() else " " for char in html.unescape(text)).split())
    for value in sorted(personal, key=len, reverse=True):
        text = re.sub(re.escape(value), "[...]", text, flags=re.IGNORECASE)
    # VTEX likes to tell which address it could not reach: that of our callbacks, with its token.
    text = _LONG_NUMBER.sub("[number]", _EMAIL.sub("[email]", mask_tokens(text)))
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 3]}..."
