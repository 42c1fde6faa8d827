"""Logging: one look for all, and no token in any line."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from marketplace.masking import mask_tokens
from marketplace.telemetry import configure_logging, get_logger

TOKEN = "t0ken-T0KEN_abcdefghijklmnopqrstuvwxyz0123456"
URL = f"https://shop.example.com/callbacks/acme/MKP-1/{TOKEN}"

LOGGERS = ("", "httpx", "httpcore", "alembic", "uvicorn", "uvicorn.error", "uvicorn.access")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give the process's loggers back as they were."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers = handlers
        logger.propagate = propagate
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def configured(log_format: Literal["text", "json"]) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(log_format, stream=stream)
    return stream


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(message: str) -> None:
    _customer = "ana@example.com"  # what a traceback with local variables would show
    raise RuntimeError(message)


def test_json_is_one_object_a_line_with_time_level_and_logger() -> None:
    stream = configured("json")

    get_logger("engine.orders", seller="acme").info("placed", order="MKP-1")
    logging.getLogger("temporalio.worker").warning("polling %s failed", "queue")

    ours, theirs = lines_of(stream)
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "placed", "level": "info", "logger": "engine.orders", "seller": "acme", "order": "MKP-1",
    }  # fmt: skip
    assert theirs.pop("timestamp").endswith("Z")
    assert theirs == {"event": "polling queue failed", "level": "warning", "logger": "temporalio.worker"}


def test_a_traceback_stays_within_its_json_line() -> None:
    stream = configured("json")
    try:
        fail("boom")
    except RuntimeError:
        get_logger("engine").exception("failed")
        logging.getLogger("temporalio").exception("failed too")

    ours, theirs = lines_of(stream)
    assert "RuntimeError: boom" in ours["exception"]
    assert "RuntimeError: boom" in theirs["exception"]


def test_text_is_readable_and_uncolored_when_nobody_watches() -> None:
    stream = configured("text")

    get_logger("engine.orders").info("placed", order="MKP-1")

    line = stream.getvalue()
    assert "placed" in line
    assert "order=MKP-1" in line
    assert "\x1b" not in line


def test_text_is_colored_on_a_terminal() -> None:
    stream = Terminal()
    configure_logging("text", stream=stream)

    get_logger("engine").info("placed")

    assert "\x1b" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_no_local_variables(log_format: Literal["text", "json"]) -> None:
    stream = configured(log_format)
    try:
        fail("boom")
    except RuntimeError:
        get_logger("engine").exception("failed")

    assert "RuntimeError: boom" in stream.getvalue()
    assert "ana@" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_line_holds_a_callback_token(log_format: Literal["text", "json"]) -> None:
    stream = configured(log_format)
    logger = get_logger("engine", endpoint=URL)

    logger.info("called %s", f"{URL}/pvt/orders/MKP-1/cancel")
    logger.info("nested", request={"url": [URL], "path": f"/callbacks/acme/MKP-1/{TOKEN}/pub"})
    logging.getLogger("temporalio").warning("failed at %s", URL)
    try:
        fail(f"no answer from {URL}")
    except RuntimeError:
        logger.exception("failed")

    assert stream.getvalue().count("/callbacks/acme/MKP-1/***") >= 7
    assert TOKEN not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (URL, "https://shop.example.com/callbacks/acme/MKP-1/***"),
        (f"{URL}/pvt/orders/1/invoice?a=1", "https://shop.example.com/callbacks/acme/MKP-1/***/pvt/orders/1/invoice?a=1"),
        (f"{URL} and {URL}", "{0} and {0}".format("https://shop.example.com/callbacks/acme/MKP-1/***")),
        (f"//callbacks//acme//MKP-1//{TOKEN}//pub", "//callbacks//acme//MKP-1//***//pub"),
        (f"/callbacks/acme/MKP%2D1/{TOKEN}", "/callbacks/acme/MKP%2D1/***"),
        (f"/callbacks/acme/MKP-1/%74{TOKEN}", "/callbacks/acme/MKP-1/***"),
        (f"?next=%2Fcallbacks%2facme%2FMKP-1%2F{TOKEN}&x=1", "?next=%2Fcallbacks%2facme%2FMKP-1%2F***&x=1"),
        (f"https://shop.example.com/affiliates/acme/{TOKEN}/api/notification", "https://shop.example.com/affiliates/acme/***/api/notification"),
        (f"?next=%2Fcallbacks%2Facme%2FMKP-1%2F{TOKEN}%2Fpvt%2Forders", "?next=%2Fcallbacks%2Facme%2FMKP-1%2F***"),
        ("/callbacks/acme/MKP-1", "/callbacks/acme/MKP-1"),
        ("/orders/MKP-1/payment", "/orders/MKP-1/payment"),
    ],
)  # fmt: skip
def test_only_the_token_of_a_url_is_masked(text: str, masked: str) -> None:
    assert mask_tokens(text) == masked


def test_what_others_tell_of_each_request_is_left_out() -> None:
    stream = configured("json")

    logging.getLogger("httpx").info("HTTP Request: POST %s", URL)
    logging.getLogger("uvicorn.access").info("POST %s", URL)
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("httpx").warning("odd")
    get_logger("engine").debug("detail")

    assert [line["event"] for line in lines_of(stream)] == ["Started", "odd"]
    assert not logging.getLogger("uvicorn.access").hasHandlers()


def test_the_last_configuration_counts_and_each_line_comes_once() -> None:
    first = configured("text")
    logger = get_logger("engine")
    logger.info("one")
    second = configured("json")
    logger.info("two")

    assert "two" not in first.getvalue()
    assert [line["event"] for line in lines_of(second)] == ["two"]


def test_standard_error_is_used_when_no_stream_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")

    get_logger("engine").info("hello")

    assert json.loads(capsys.readouterr().err)["event"] == "hello"
