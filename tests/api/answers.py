"""What every refusal must look like, whichever route it comes from."""

from typing import Any

import httpx

from api.problems import MEDIA_TYPE

SENT = "zqx"
"""Stands in every wrong text that the tests send, so that an answer that repeats it is found out."""
_PERSONAL = ("livia", "andrade", "39053344705", "41990001122", "palmeiras", SENT)


def problem(answer: httpx.Response, status: int, pointer: str | None = None, sent: object = "") -> dict[str, Any]:
    """Check that an answer is a problem with this status, and that it names the field at `pointer`; its body.

    `sent` tells a failing check's reader what was sent.
    """
    assert answer.status_code == status, f"{sent}: {answer.text}"
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail", "instance"))
    assert not [text for text in _PERSONAL if text in answer.text.lower()], f"{sent}: {answer.text}"
    if pointer is not None:
        cures = {error["pointer"]: error["detail"] for error in body["errors"]}
        assert cures.get(pointer), f"{sent}: {pointer} is not among {cures}"
    return body
