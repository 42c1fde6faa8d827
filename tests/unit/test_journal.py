"""Journal entries: what they keep, and how they are answered in VTEX's words."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from marketplace.catalog import Problem, ProblemCode
from marketplace.journal import (
    CONTENT_LIMIT,
    MESSAGE_LIMIT,
    Direction,
    JournalEntry,
    JournalStatus,
    LogMessage,
    LogMessages,
    MessageCode,
    Operation,
    content,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(**changes: Any) -> JournalEntry:
    values: dict[str, Any] = {
        "at": AT,
        "seller": "acme",
        "operation": Operation.CATALOG_CHANGE,
        "direction": Direction.FROM_SELLER,
        "subject": "7",
        "status": JournalStatus.SUCCESS,
    }
    return JournalEntry(**{**values, **changes})


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        (None, None),
        ("", ""),
        ("Not found", "Not found"),
        ({"IdSku": "7", "n": 1, "x": None}, '{"IdSku": "7", "n": 1, "x": null}'),
        ([{"email": "livia@mail.example"}], '[{"email": "***"}]'),
        ('{"email":"livia@mail.example"}', '{"email": "***"}'),
        ({"ação": "日本"}, '{"ação": "日本"}'),
        ({"at": AT}, '{"at": "2026-03-01T12:00:00Z"}'),
        (Problem(code=ProblemCode.NO_PRICE, message="none"), '{"code": "no-price", "message": "none"}'),
        (b"bytes", "bytes"),
        (object, "<class 'object'>"),
        ("a\0b\ud800c", "ab?c"),
        ({"a": "\0"}, '{"a": "\\u0000"}'),
    ],
)
def test_a_content_is_json_or_text_that_any_database_takes(payload: Any, kept: str | None) -> None:
    assert content(payload) == kept
    assert entry(content_source=kept).content_source == kept


def test_a_long_content_is_cut_after_it_was_masked_and_says_how_long_it_was() -> None:
    kept = content({"items": ["7"] * 2000, "clientProfileData": {"firstName": "Livia" * 1000}})

    assert kept is not None
    assert len(kept) == CONTENT_LIMIT
    assert kept.startswith('{"items": ["7", "7"')
    assert kept.endswith("… (10054 characters)")
    assert entry(content_source=kept).content_source == kept


def test_no_way_of_making_an_entry_leaves_the_masking_out() -> None:
    raw = {"content_source": '{"phone": 5541990001122}', "business_message": "write to livia@mail.example"}
    made = entry(**raw)
    read = JournalEntry.model_validate_json(
        json.dumps(
            json.loads(made.model_dump_json())
            | {"contentSource": raw["content_source"], "businessMessage": raw["business_message"]}
        )
    )

    assert read == made
    assert (made.content_source, made.business_message) == ('{"phone": "***"}', "write to ***")


def test_a_long_message_is_cut() -> None:
    assert len(entry(business_message="x" * 5000).business_message) == MESSAGE_LIMIT


def test_entries_have_ids_of_their_own_unless_they_are_given_one() -> None:
    assert entry().id != entry().id
    assert entry(id="run-1.7").id == "run-1.7"


@pytest.mark.parametrize(
    "wrong",
    [{"subject": ""}, {"subject": "a b"}, {"seller": "a/b"}, {"id": "?"}, {"at": datetime(2026, 3, 1)}],  # noqa: DTZ001 - the mistake in question
)
def test_an_entry_that_could_not_be_found_again_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        entry(**wrong)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("success", JournalStatus.SUCCESS),
        ("sucess", JournalStatus.SUCCESS),
        ("Error", JournalStatus.ERROR),
        ("alert", JournalStatus.WARNING),
        (" warning ", JournalStatus.WARNING),
        ("PENDING", JournalStatus.PENDING),
    ],
)
def test_a_status_is_read_in_every_spelling_of_vtex(told: str, status: JournalStatus) -> None:
    assert JournalStatus(told) is status


@pytest.mark.parametrize("told", ["", "all", "done", 1])
def test_another_word_is_no_status(told: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid JournalStatus"):
        JournalStatus(told)


def test_an_entry_is_answered_with_vtexs_keys() -> None:
    known = entry(
        id="e-1",
        at=AT.astimezone(timezone(timedelta(hours=-3))),
        operation=Operation.PRICE_UPDATE,
        status=JournalStatus.ERROR,
        code=MessageCode.SKU_MISSING,
        content_source='{"IdSku": "7"}',
        content_translated="price 99.90",
        business_message="the SKU has no price: set one",
    )
    answer = LogMessages(messages=[LogMessage.of(known)], next_cursor="abc")

    expected = {
        "Messages": [
            {
                "id": "e-1",
                "Operation": "Price update",
                "Direction": "VTEX to Marketplace",
                "ContentSource": '{"IdSku": "7"}',
                "ContentTranslated": "price 99.90",
                "ContentTransalted": "price 99.90",
                "ContentDestination": "",
                "BusinessMessage": "the SKU has no price: set one",
                "Status": "error",
                "Date": "2026-03-01T12:00:00Z",
                "Subject": "7",
                "Code": "A1",
            }
        ],
        "nextCursor": "abc",
    }
    assert json.loads(answer.model_dump_json()) == expected
    assert LogMessages(messages=[]).model_dump() == {"Messages": [], "nextCursor": None}
