"""Hiding what must not be kept: personal data of customers, credentials, and the tokens in our own URLs. Pure.

What is kept for people to read (logs, the journal) passes here first. Field names are compared without regard to
case, hyphens and underscores, since VTEX spells them in several ways.
"""

import json
import re
from typing import Any, Final

MASK: Final = "***"

# Percent signs count too: a URL is also logged inside another one's query, and may spell any character as %XX.
_SLASH = r"(?:/|%2[Ff])+"
_PART = r"(?:[^/%\s\"'?#&<>\\]|%(?!2[Ff]))+"
_REST = r"[^/\s\"'?#&<>\\]+"
_CAPABILITY_URL = re.compile(
    rf"({_SLASH}callbacks{_SLASH}{_PART}{_SLASH}{_PART}{_SLASH}|{_SLASH}affiliates{_SLASH}{_PART}{_SLASH}){_REST}"
)

# Both have a bounded length: without it a long text without an @ would be scanned once from each of its characters.
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-][\w.-]{0,254}")
_TAX_ID = re.compile(r"\b(?:\d{3}\.\d{3}\.\d{3}-\d{2}|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2})\b")
_PAIR = re.compile(
    r"""(?P<start>(?P<quote>["'])(?P<key>[\w-]{1,64})(?P=quote)\s*:\s*)"""
    r"""(?:"(?:[^"\\]|\\.)*(?:"|\\?$)|'(?:[^'\\]|\\.)*(?:'|\\?$)|\[[^\]]*(?:\]|$)|[-+.\d]+)""",
    re.DOTALL,
)

_HOLDERS = {
    "address",
    "availableaddresses",
    "selectedaddresses",
    "clientprofiledata",
    "contactinformation",
    "customdata",
    "invoicedata",
}
"""Objects about a customer: all in them is masked but `_HARMLESS`, so that a field nobody knew of is masked too."""
_HARMLESS = {"addresstype", "city", "country", "documenttype", "iscorporate", "isdisposable", "state"}
_NAMES = {"cpf", "cnpj", "number", "opentextfield", "reference", "token"}
_PARTS = re.compile(
    "email|phone|document|receiver|street|complement|neighborhood|postalcode|zipcode|geocoordinates|latitude|longitude"
    "|firstname|lastname|fullname|clientname|customername|corporatename|tradename|stateinscription|profileid"
    "|birthdate|cardholder|cardnumber|embeddedinvoice"
    "|appkey|apptoken|authorization|cookie|password|secret"
)
_DEEPEST = 50


def mask_tokens(text: str) -> str:
    """Hide the tokens of callback and affiliate URLs: whoever reads a log must not be able to speak as the Seller."""
    return _CAPABILITY_URL.sub(rf"\1{MASK}", text)


def mask(value: Any) -> Any:
    """Hide personal data, credentials and tokens in JSON values at any depth; a new value of the same shape.

    A text that holds JSON is read, masked and written again. In any other text e-mail addresses, tax ids, tokens and
    the values of personal `"field": value` pairs are masked. What is empty stays so: that it was left out may be the
    cause of a trouble.
    """
    return _mask(value, personal=False, depth=0)


def _mask(value: Any, *, personal: bool, depth: int) -> Any:
    if value is None or value in ("", [], {}):
        return value
    if depth > _DEEPEST:
        return MASK
    if isinstance(value, dict):
        return {
            _text(str(key), depth): _mask(one, personal=_is_personal(str(key), within=personal), depth=depth + 1)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mask(one, personal=personal, depth=depth + 1) for one in value]
    if personal:
        return MASK
    return _text(value, depth) if isinstance(value, str) else value


def _is_personal(key: str, *, within: bool) -> bool:
    name = re.sub(r"[\W_]", "", key).lower()
    if name in _HARMLESS:
        return False
    return within or name in _HOLDERS or name in _NAMES or _PARTS.search(name) is not None


def _text(text: str, depth: int) -> str:
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass  # a text that only looks like JSON, or one that was cut
        else:
            return json.dumps(_mask(value, personal=False, depth=depth + 1), ensure_ascii=False)
    text = _PAIR.sub(_pair, mask_tokens(text))
    return _TAX_ID.sub(MASK, _EMAIL.sub(MASK, text))


def _pair(match: re.Match[str]) -> str:
    hidden = _is_personal(match["key"], within=False)
    return f"{match['start']}{match['quote']}{MASK}{match['quote']}" if hidden else match[0]
