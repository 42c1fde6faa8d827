"""Tokens, receipts and keys."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from marketplace.security import (
    AffiliateTokens,
    ApiKeys,
    CallbackTokens,
    EncryptionKey,
    KeyHash,
    Role,
    new_api_key,
    weakness,
)

OLD, NEW = SecretStr("old-secret-key-0001"), SecretStr("new-secret-key-0001")
TOKENS = CallbackTokens([NEW])
AFFILIATES = AffiliateTokens([NEW])
IDS = st.text(alphabet="abcXYZ019._-", min_size=1, max_size=12)


@given(IDS, IDS)
def test_a_token_is_valid_for_its_own_order_and_can_stand_in_a_url(seller: str, order: str) -> None:
    token = TOKENS.mint(seller, order)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert TOKENS.valid(seller, order, token)


@given(IDS, IDS, IDS, IDS)
def test_a_token_is_valid_for_no_other_order(seller: str, order: str, other_seller: str, other_order: str) -> None:
    token = TOKENS.mint(seller, order)

    assert TOKENS.valid(other_seller, other_order, token) == ((seller, order) == (other_seller, other_order))


@given(st.integers(0, 42), st.characters())
def test_no_changed_token_is_valid(place: int, character: str) -> None:
    token = TOKENS.mint("acme", "MKP-1")
    changed = token[:place] + character + token[place + 1 :]

    assert TOKENS.valid("acme", "MKP-1", changed) == (changed == token)


def test_another_spelling_of_the_same_bytes_is_no_token() -> None:
    token = TOKENS.mint("acme", "MKP-1")
    # The last of 43 characters carries four bits of the signature and two that base64 ignores.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]

    assert base64.urlsafe_b64decode(other + "=") == base64.urlsafe_b64decode(token + "=")
    assert not TOKENS.valid("acme", "MKP-1", other)
    assert not TOKENS.valid("acme", "MKP-1", token + "=")


@pytest.mark.parametrize("token", ["", "x", "=" * 43, "\udcff" * 43, "é" * 43])
def test_nonsense_is_no_token(token: str) -> None:
    assert not TOKENS.valid("acme", "MKP-1", token)


def test_seller_and_order_cannot_be_shifted_into_each_other() -> None:
    assert not TOKENS.valid("acme", "b/c", TOKENS.mint("acme/b", "c"))
    assert not TOKENS.valid('a", "b', "c", TOKENS.mint("a", 'b", "c'))


def test_a_new_key_in_front_leaves_the_old_tokens_valid() -> None:
    old, rotated = CallbackTokens([OLD]), CallbackTokens([NEW, OLD])

    assert rotated.valid("acme", "MKP-1", old.mint("acme", "MKP-1"))
    assert rotated.mint("acme", "MKP-1") == TOKENS.mint("acme", "MKP-1")
    assert not TOKENS.valid("acme", "MKP-1", old.mint("acme", "MKP-1"))


def test_the_endpoint_holds_seller_order_and_token_and_no_doubled_slash() -> None:
    endpoint = TOKENS.endpoint("https://orders.example.com/", "acme", "MKP-1")

    assert endpoint == f"https://orders.example.com/callbacks/acme/MKP-1/{TOKENS.mint('acme', 'MKP-1')}"


@pytest.mark.parametrize("kind", [CallbackTokens, AffiliateTokens])
def test_tokens_need_a_key(kind: type[CallbackTokens | AffiliateTokens]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        kind([])


def test_tokens_once_given_stay_the_same_in_every_later_version() -> None:
    assert TOKENS.mint("acme", "MKP-1") == "aO7csOKKMtt1KZfJnCunf6F1DHwii9wg2B7wuqinEIA"
    assert AFFILIATES.mint("acme") == "qMRY1jtG_2uYuYlhyu2XTgn-bD5rtAAOnSOxX1rHh48"


@given(IDS, IDS)
def test_an_affiliate_token_is_valid_for_its_own_seller_alone(seller: str, other: str) -> None:
    token = AFFILIATES.mint(seller)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert AFFILIATES.valid(seller, token)
    assert AFFILIATES.valid(other, token) == (other == seller)


@pytest.mark.parametrize("token", ["", "x", "=" * 43, "\udcff" * 43, AFFILIATES.mint("acme") + "="])
def test_nonsense_is_no_affiliate_token(token: str) -> None:
    assert not AFFILIATES.valid("acme", token)


@pytest.mark.parametrize("order", ["", "acme", "MKP-1"])
def test_callback_and_affiliate_tokens_do_not_open_each_others_doors(order: str) -> None:
    assert not AFFILIATES.valid("acme", TOKENS.mint("acme", order))
    assert not TOKENS.valid("acme", order, AFFILIATES.mint("acme"))


def test_a_new_key_in_front_leaves_the_old_affiliate_tokens_valid() -> None:
    old, rotated = AffiliateTokens([OLD]), AffiliateTokens([NEW, OLD])

    assert rotated.valid("acme", old.mint("acme"))
    assert rotated.mint("acme") == AFFILIATES.mint("acme")
    assert not AFFILIATES.valid("acme", old.mint("acme"))


def test_the_affiliate_endpoint_holds_seller_and_token_and_no_doubled_slash() -> None:
    endpoint = AFFILIATES.endpoint("https://orders.example.com/", "acme")

    assert endpoint == f"https://orders.example.com/affiliates/acme/{AFFILIATES.mint('acme')}"


def test_the_same_event_gets_the_same_receipt_whatever_the_key() -> None:
    receipt = TOKENS.receipt("acme", "MKP-1", "invoice-1")

    assert re.fullmatch(r"[0-9a-f]{32}", receipt)
    assert CallbackTokens([OLD]).receipt("acme", "MKP-1", "invoice-1") == receipt
    # Kept as text: a receipt once given must stay the same in every later version.
    assert receipt == "19ee6cd362bd537b2aa4d4b42045e09d"


def test_other_events_get_other_receipts() -> None:
    events = [("acme", "1", "a"), ("acme", "1", "b"), ("acme", "2", "a"), ("other", "1", "a"), ("acme1", "", "a")]

    assert len({TOKENS.receipt(*event) for event in events}) == len(events)


def test_a_key_stands_for_its_role() -> None:
    keys = ApiKeys([KeyHash.of("shop"), KeyHash.of("app")], [KeyHash.of("ops")])

    assert keys.required
    assert [keys.role_of(key) for key in ("shop", "app", "ops")] == [Role.STOREFRONT, Role.STOREFRONT, Role.OPERATOR]


@pytest.mark.parametrize("bearer", ["", "sho", "shop ", "SHOP", "é", "\udcff"])
def test_any_other_key_stands_for_none(bearer: str) -> None:
    assert ApiKeys([KeyHash.of("shop")], [KeyHash.of("ops")]).role_of(bearer) is None


def test_without_keys_none_is_required_and_none_is_known() -> None:
    keys = ApiKeys([], [])

    assert not keys.required
    assert keys.role_of("") is None


def test_a_hash_knows_its_key_again_and_opens_nothing_itself() -> None:
    key = new_api_key()
    written = str(KeyHash.of(key))
    keys = ApiKeys([], [KeyHash.parse(written), KeyHash.parse(written.upper().replace("SHA", "sha"))])

    assert keys.role_of(key) is Role.OPERATOR
    assert KeyHash.parse(key) == KeyHash.parse(written)
    assert keys.role_of(written) is None
    assert keys.role_of(written.removeprefix("sha256:")) is None


def test_nothing_keeps_a_plain_key_or_shows_its_hash() -> None:
    key = new_api_key()
    kept = KeyHash.parse(key)

    assert key not in repr(kept) + str(kept) + repr(vars(kept)) + repr(vars(ApiKeys([kept], [])))
    assert kept.digest.hex() not in repr(kept)


@pytest.mark.parametrize("text", ["sha256:", "sha256:ab", f"sha256:{'g' * 64}", f"sha256:{'a' * 65}", "sha256: abc"])
def test_half_a_hash_is_no_key(text: str) -> None:
    """Taken for a plain key it would open the API to whoever sees the setting."""
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        KeyHash.parse(text)


def test_new_keys_differ_and_are_strong() -> None:
    keys = {new_api_key() for _ in range(100)}

    assert len(keys) == 100
    assert {weakness(key) for key in keys} == {""}
    assert all(key.startswith("oek_") and len(key) == 47 for key in keys)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("", "too short"),
        ("Zk3v9Qp1Lx7Rt5Wm2Bn8C", "too short"),
        ("Zk3v9Qp1Lx7Rt5Wm2Bn8Cd", ""),
        ("0b41c0f2-9e0c-4e0a-9b0e-2f1d7c1f6a55", ""),
        ("a" * 64, "does not look random"),
        ("abababababababababababab", "does not look random"),
        ("please-change-me-before-production", "does not look random"),
        ("CHANGEME-1-CHANGEME-2-CHANGEME", "does not look random"),
        ("super.Secret.Key.of.the.shop", "does not look random"),
        ("1234567890123456789012345678", "does not look random"),
        ("your-key-goes-here-0000000000", "does not look random"),
    ],
)
def test_a_key_that_can_be_guessed_is_told(key: str, expected: str) -> None:
    assert weakness(key).startswith(f"is {expected}" if expected == "too short" else expected)
    assert bool(weakness(key)) == bool(expected)
    assert KeyHash.parse(key).weakness == weakness(key)


@pytest.mark.parametrize("secret", [bytes(range(32)), b"\xff" * 32, b"\xfb\xef" * 16])
def test_an_encryption_key_is_read_in_both_base64_alphabets(secret: bytes) -> None:
    for encoded in (base64.b64encode(secret), base64.urlsafe_b64encode(secret)):
        assert EncryptionKey.parse(f"k1:{encoded.decode()}") == EncryptionKey("k1", secret)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("QUJD", "written id:base64"),
        (":QUJD", "a key's id is"),
        ("a b:QUJD", "a key's id is"),
        ("k1:QUJD!", "key k1 is not base64"),
        ("k1:QUJ", "key k1 is not base64"),
        ("k1:é", "key k1 is not base64"),
        ("k1:QUJD", "key k1 has 3 bytes, 32 are needed"),
    ],
)
def test_a_wrong_encryption_key_is_told_without_the_key(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        EncryptionKey.parse(text)
    assert "QUJ" not in str(caught.value)


def test_a_printed_encryption_key_hides_its_secret() -> None:
    assert repr(EncryptionKey("k1", b"s" * 32)) == "EncryptionKey(id='k1')"
