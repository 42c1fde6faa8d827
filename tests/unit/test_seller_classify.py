"""Each error code, status and broken connection has its verdict."""

import json
import re
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.errors import Cause, SellerFailure, Verdict
from marketplace.seller import classify
from tests.seller.samples import ROOT, data, order

RETRY, LIMITED, UNKNOWN = Verdict.RETRY, Verdict.RATE_LIMITED, Verdict.UNKNOWN_OUTCOME
REFUSED, DONE = Verdict.REFUSED, Verdict.ALREADY_DONE
NOW = datetime(2026, 5, 2, 10, 0, tzinfo=UTC)
CONTRACT = ROOT.parent / "shared" / "vtex" / "contract.md"


def judge(
    status: int = 400,
    body: object = b"",
    headers: dict[str, str] | None = None,
    *,
    writes: bool = True,
    personal: tuple[str, ...] = (),
) -> SellerFailure:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify.classify_answer(
        status, httpx.Headers(headers or {}), content, writes=writes, personal=personal, now=NOW
    )


def coded(code: object, message: str = "") -> dict[str, object]:
    return {"error": {"code": code, "message": message, "exception": None}}


def numbered(first: int, last: int) -> list[str]:
    return [f"FMT{number:04}" for number in range(first, last + 1)]


INVALID = [
    "FMT001",
    "FMT015",
    "FMT017",
    *numbered(36, 42),
    "FMT0043",
    "FMT0045",
    "FMT0057",
    "FMT0058",
    "FMT0067",
    "FMT0070",
    *numbered(73, 79),
    "FMT0085",
    *numbered(89, 96),
    "FMT0104",
    "FMT0024",
    "ORD005",
    "CHK0024",
    "CHK003",
    "CHK99999",
]
COMMUNICATION = [*numbered(48, 51), "ORD003", "ORD015", "ORD015.1", "ORD015.12", "ORD016", "ORD026", "ORD008"]
CODES = [
    *[(code, REFUSED, REFUSED, Cause.OTHER) for code in INVALID],
    *[(code, UNKNOWN, RETRY, Cause.OTHER) for code in [*COMMUNICATION, "FMT0055", "EOI010"]],
    *[(code, RETRY, RETRY, Cause.OTHER) for code in ["ORD021", "ORD021.1", "ORD021.4", "FMT0084", "FMT0056"]],
    ("ORD021.3", LIMITED, LIMITED, Cause.OTHER),
    *[(code, REFUSED, REFUSED, Cause.OUT_OF_STOCK) for code in ["FMT002", "ORD012", "ORD013"]],
    *[(code, REFUSED, REFUSED, Cause.OUT_OF_STOCK) for code in ["FMT005", "ORD027", "ORDER027", "ORD028"]],
    *[(code, REFUSED, REFUSED, Cause.SLA_UNAVAILABLE) for code in ["FMT003", "FMT004", "FMT010", "FMT0059"]],
    *[(code, REFUSED, REFUSED, Cause.SLA_UNAVAILABLE) for code in ["FMT0061", "CHK0171"]],
    *[(code, REFUSED, REFUSED, Cause.PRICE_DIVERGENCE) for code in ["FMT006", "FMT007", "ORD009", "EOI003"]],
    *[(code, DONE, DONE, Cause.OTHER) for code in ["FMT009", "FMT0064", "EOI007"]],
    ("FMT0060", REFUSED, REFUSED, Cause.ALREADY_CANCELED),
    *[(code, Verdict.CREDENTIALS, Verdict.CREDENTIALS, Cause.OTHER) for code in ["ORD062", "ORD021.5"]],
    *[(code, Verdict.MISCONFIGURED, Verdict.MISCONFIGURED, Cause.OTHER) for code in ["FMT0021", "FMT0031", "FMT0088"]],
]


@pytest.mark.parametrize("status", [200, 400, 404, 500, 503])
@pytest.mark.parametrize(("code", "writing", "reading", "cause"), CODES, ids=[row[0] for row in CODES])
def test_a_code_decides_whatever_the_status(
    code: str, writing: Verdict, reading: Verdict, cause: Cause, status: int
) -> None:
    for writes, verdict in ((True, writing), (False, reading)):
        in_body = judge(status, coded(code, "words"), writes=writes)
        in_header = judge(status, coded("1"), {"x-vtex-error-code": code}, writes=writes)
        assert (in_body.verdict, in_body.cause, in_body.code) == (verdict, cause, code)
        assert (in_header.verdict, in_header.cause, in_header.code) == (verdict, cause, code)


def test_each_code_of_the_contract_is_in_the_table() -> None:
    if not CONTRACT.exists():
        pytest.skip("the contract is not beside this repository")
    section = CONTRACT.read_text().partition("### G2")[2]
    codes = set(re.findall(r"\b(?:FMT|ORD|ORDER|CHK)\d+\b", section))
    assert len(codes) > 40
    assert {code for code in codes if classify.ruling_of(code) is None} == set()


@pytest.mark.parametrize(
    ("status", "writing", "reading", "cause"),
    [
        (301, Verdict.MISCONFIGURED, Verdict.MISCONFIGURED, Cause.OTHER),
        (400, REFUSED, REFUSED, Cause.OTHER),
        (401, Verdict.CREDENTIALS, Verdict.CREDENTIALS, Cause.OTHER),
        (403, Verdict.CREDENTIALS, Verdict.CREDENTIALS, Cause.OTHER),
        (404, REFUSED, REFUSED, Cause.NOT_FOUND),
        (408, UNKNOWN, RETRY, Cause.OTHER),
        (409, REFUSED, REFUSED, Cause.OTHER),
        (422, REFUSED, REFUSED, Cause.OTHER),
        (429, LIMITED, LIMITED, Cause.OTHER),
        (500, UNKNOWN, RETRY, Cause.OTHER),
        (502, UNKNOWN, RETRY, Cause.OTHER),
        (503, UNKNOWN, RETRY, Cause.OTHER),
        (504, UNKNOWN, RETRY, Cause.OTHER),
        (599, UNKNOWN, RETRY, Cause.OTHER),
        (200, UNKNOWN, RETRY, Cause.OTHER),
    ],
)
@pytest.mark.parametrize("code", ["", "1", "XYZ999", "ERROR"])
def test_without_a_known_code_the_status_decides(
    status: int, writing: Verdict, reading: Verdict, cause: Cause, code: str
) -> None:
    for writes, verdict in ((True, writing), (False, reading)):
        failure = judge(status, coded(code), writes=writes)
        assert (failure.verdict, failure.cause, failure.http_status) == (verdict, cause, status)
        assert failure.code == (code or None)


@pytest.mark.parametrize(
    ("status", "verdict"), [(401, Verdict.CREDENTIALS), (403, Verdict.CREDENTIALS), (429, LIMITED)]
)
def test_these_statuses_win_over_a_code_that_is_kept(status: int, verdict: Verdict) -> None:
    failure = judge(status, coded("FMT009"))
    assert (failure.verdict, failure.code) == (verdict, "FMT009")


@pytest.mark.parametrize(
    ("in_body", "in_header", "code"),
    [
        ("1", "FMT007", "FMT007"),
        ("FMT007", "1", "FMT007"),
        ("ERROR", "FMT007", "FMT007"),
        ("FMT007", "ORD062", "FMT007"),
        ("XYZ1", "1", "XYZ1"),
        ("1", "XYZ1", "XYZ1"),
        ("1", "", "1"),
        ("", "2", "2"),
        (7, " FMT006 ", "FMT006"),
        (None, "", None),
        ({"a": 1}, "FMT006", "FMT006"),
    ],
)
def test_the_better_of_both_codes_is_taken(in_body: object, in_header: str, code: str | None) -> None:
    assert judge(400, coded(in_body), {"X-VTEX-Error-Code": in_header}).code == code


def test_the_seller_s_words_and_its_operation_id_are_kept() -> None:
    failure = judge(400, data("error"))
    assert failure.message == "Payment total 14002 differs from 14500"
    assert failure.operation_id == "77d6b5d2-52b6-4c53-9e8c-1b8a8c7e1b60"
    assert str(failure) == "FMT007 Payment total 14002 differs from 14500 (HTTP 400)"
    inside = judge(400, {"error": {"code": "FMT006", "operationId": "op-1"}})
    assert inside.operation_id == "op-1"


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (coded("FMT1", ""), {"x-vtex-error-message": "No%20price%20%C3%A9"}, "No price é"),
        (coded("FMT1", ""), {"x-vtex-error-message": "No+price"}, "No price"),
        (coded("FMT1", ""), {"x-vtex-error-message": "1 + 1 is%202"}, "1 + 1 is 2"),
        (coded("FMT1", "in the body"), {"x-vtex-error-message": "in the header"}, "in the body"),
        ({"error": "just text"}, {}, "just text"),
        ({"message": "lower case"}, {}, "lower case"),
        ({"Message": "upper case"}, {}, "upper case"),
        ([coded("FMT1", "in an array")], {}, "in an array"),
        (b'"a string"', {}, "a string"),
        (b"[]", {}, "Bad Request"),
        (b"plain words", {}, "plain words"),
        (b"", {}, "Bad Request"),
        (b"<html><head><title>404 Not&nbsp;Found</title></head><body>x</body></html>", {}, "404 Not Found"),
        (b"<style>p{}</style><p>Gone &amp;<br/> away</p><script>x()</script><!-- secret -->", {}, "Gone & away"),
        (b"\xff\x00\x1b[31mred", {}, "� [31mred"),
        (b"1 < 2 and 3 > 2", {}, "1 < 2 and 3 > 2"),
    ],
)
def test_the_message_is_one_readable_line(body: object, headers: dict[str, str], message: str) -> None:
    assert judge(400, body, headers).message == message


def test_a_long_message_is_cut() -> None:
    message = judge(400, coded("FMT007", "ab " * 9000)).message
    assert len(message) == classify.MAX_MESSAGE
    assert message.endswith("...")


def test_hostile_markup_is_read_in_no_time() -> None:
    started = datetime.now(UTC)
    for piece in (b"<", b"<script", b"<!--", b"<title", b"1.", b"a@", b"aaaaaaaa", b"+1 ("):
        judge(400, piece * 50_000)
        judge(400, coded("FMT007", piece.decode() * 50_000))
    assert (datetime.now(UTC) - started).total_seconds() < 5


def test_the_customer_s_data_is_taken_out_of_the_message() -> None:
    customer = ("Vera", "Vera Lucia", "Rua do Principe")
    text = "VERA LUCIA, Rua do principe, other@mail.example, 529.982.247-25, +55 (48) 99123-4567, SKU 501 777"
    message = judge(400, coded("FMT0040", text), personal=customer).message
    assert message == "[...], [...], [email], [number], [number], SKU 501 777"


@pytest.mark.parametrize("said", ["refused: vera.lucia@mail.example", "vera.lucia@mail.example", "52998224725", "A B"])
def test_what_is_no_code_or_id_is_not_kept_as_one(said: str) -> None:
    failure = judge(body={**coded(said), "operationId": said}, headers={"x-vtex-error-code": said})
    assert (failure.code, failure.operation_id) == (None, None)


def test_a_document_number_is_taken_out_even_when_it_is_nobody_s_we_know() -> None:
    document = order().client_profile_data.document
    assert judge(400, coded("X", f"bad {document}")).message == "bad [number]"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("999999", 3600.0),
        ("9" * 5000, 3600.0),
        ("Sat, 02 May 2026 10:00:30 GMT", 30.0),
        ("Sat, 02 May 2026 10:00:30 -0000", 30.0),
        ("Sat, 02 May 2026 12:01:00 +0200", 60.0),
        ("Sun, 03 May 2026 10:00:00 GMT", 3600.0),
        ("Sat, 02 May 2026 09:00:00 GMT", 0.0),
        ("Sat, 02 May 99999999999999999999 09:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert classify.retry_after(value, NOW) == seconds


def test_retry_after_is_part_of_the_failure() -> None:
    assert judge(429, headers={"Retry-After": "17"}).retry_after == 17.0
    assert judge(429).retry_after is None


@given(st.text())
def test_no_retry_after_ever_breaks_anything(value: str) -> None:
    seconds = classify.retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= classify.MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("error", "writing", "reading"),
    [
        (httpx.ConnectError(""), RETRY, RETRY),
        (httpx.ConnectTimeout(""), RETRY, RETRY),
        (httpx.PoolTimeout(""), RETRY, RETRY),
        (httpx.ProxyError(""), RETRY, RETRY),
        (httpx.WriteTimeout(""), UNKNOWN, RETRY),
        (httpx.WriteError(""), UNKNOWN, RETRY),
        (httpx.ReadTimeout(""), UNKNOWN, RETRY),
        (httpx.ReadError(""), UNKNOWN, RETRY),
        (httpx.CloseError(""), UNKNOWN, RETRY),
        (httpx.RemoteProtocolError(""), UNKNOWN, RETRY),
        (httpx.DecodingError(""), UNKNOWN, RETRY),
        (TimeoutError(), UNKNOWN, RETRY),
        (httpx.LocalProtocolError(""), Verdict.MISCONFIGURED, Verdict.MISCONFIGURED),
        (httpx.UnsupportedProtocol(""), Verdict.MISCONFIGURED, Verdict.MISCONFIGURED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_broken_exchange_is_judged_by_how_far_it_came(error: Exception, writing: Verdict, reading: Verdict) -> None:
    assert classify.classify_exception(error, writes=True).verdict is writing
    failure = classify.classify_exception(error, writes=False)
    assert failure.verdict is reading
    assert failure.message


def test_an_answer_without_sense_may_have_worked() -> None:
    assert classify.nonsense("what", writes=True).verdict is UNKNOWN
    assert classify.nonsense("what", writes=False).verdict is RETRY
