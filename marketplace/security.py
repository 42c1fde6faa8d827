"""Who may call: tokens for the Seller's callbacks and notices, keys of storefront and operators, keys for payloads.

No Seller signs its callbacks or notices (contract section 0, "Authentication, seller to marketplace"), so the only
proof is the URL itself: each order's callback base, and each Seller's affiliate endpoint, holds a token that nobody
can compute without the engine's secret key.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from itsdangerous import Signer
from pydantic import SecretStr

# One for each kind of token: with the same key and text, neither opens what the other is for.
_CALLBACK_SALT = b"order-engine.callback"
_AFFILIATE_SALT = b"order-engine.affiliate"
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_HASH = re.compile(r"[0-9a-fA-F]{64}")
_HASH_PREFIX = "sha256:"
_NEW_KEY_PREFIX = "oek_"
MIN_KEY: Final = 22
"""Characters that a key must have where others can reach the API: so many take 128 random bits in base64."""
_MIN_DISTINCT = 8
_FAMILIAR = re.compile(
    r"change_?me|password|passw0rd|default|example|insecure|placeholder|replace_?me|secret_?key|api_?key|your_?key"
    r"|qwert|12345678|abcdefgh|filled_?in"
)
_KEY_BYTES = 32


class CallbackTokens:
    """Mints and checks the token in an order's callback URL.

    `keys`: at least one secret key; the first signs, all verify, so that a new key put in front leaves the URLs of
    running orders valid.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._stamp = _Stamp(keys, _CALLBACK_SALT)

    def mint(self, seller: str, marketplace_order_id: str) -> str:
        """The token for this Seller's callbacks about this order: 43 characters that may stand in a URL."""
        return self._stamp.mint(seller, marketplace_order_id)

    def valid(self, seller: str, marketplace_order_id: str, token: str) -> bool:
        """Whether `token` was minted for this Seller and order with any of the keys. As slow for every token."""
        return self._stamp.valid(token, seller, marketplace_order_id)

    def endpoint(self, public_url: str, seller: str, marketplace_order_id: str) -> str:
        """The `marketplaceServicesEndpoint` of an order: the base below which the Seller calls back.

        The Seller puts its path behind it, so it has no query string and no last slash. Source: contract section B5.
        """
        token = self.mint(seller, marketplace_order_id)
        return f"{public_url.rstrip('/')}/callbacks/{seller}/{marketplace_order_id}/{token}"

    @staticmethod
    def receipt(seller: str, marketplace_order_id: str, event_id: str) -> str:
        """The receipt of a callback: 32 hex digits, the same whenever the same event comes again.

        It proves nothing and opens nothing, so it needs no key, and stays the same when keys are rotated.
        """
        value = json.dumps([seller, marketplace_order_id, event_id]).encode()
        return hashlib.sha256(b"order-engine.receipt" + value).hexdigest()[:32]


class AffiliateTokens:
    """Mints and checks the token in a Seller's affiliate endpoint, to which it sends its SKU change notices.

    `keys` as for `CallbackTokens`. The endpoint is typed into VTEX's admin by hand: after a rotation the one typed in
    stays valid until its key is removed.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._stamp = _Stamp(keys, _AFFILIATE_SALT)

    def mint(self, seller: str) -> str:
        """The token for this Seller's notices: 43 characters that may stand in a URL."""
        return self._stamp.mint(seller)

    def valid(self, seller: str, token: str) -> bool:
        """Whether `token` was minted for this Seller with any of the keys. As slow for every token."""
        return self._stamp.valid(token, seller)

    def endpoint(self, public_url: str, seller: str) -> str:
        """The search endpoint of the affiliate in this Seller's VTEX admin, without a last slash.

        Source: contract section A1.
        """
        return f"{public_url.rstrip('/')}/affiliates/{seller}/{self.mint(seller)}"


class Role(StrEnum):
    """On whose behalf a request comes. An operator may do everything that the storefront may."""

    STOREFRONT = "storefront"
    OPERATOR = "operator"


def weakness(key: str) -> str:
    """Why somebody could guess this key: "is too short (...)" and the like; empty for one that looks random."""
    if len(key) < MIN_KEY:
        return f"is too short (use {MIN_KEY} random characters or more)"
    if len(set(key)) < _MIN_DISTINCT or _FAMILIAR.search(re.sub(r"[^a-z0-9]+", "_", key.lower())):
        return "does not look random"
    return ""


@dataclass(frozen=True)
class KeyHash:
    """What is kept of an API key: its SHA-256, by which it is known again and which opens nothing.

    `weakness` tells why the key itself could be guessed (see `weakness`); empty for one that was given as a hash.
    """

    digest: bytes = field(repr=False)
    weakness: str = field(default="", compare=False)

    @classmethod
    def of(cls, key: str) -> Self:
        """The hash of a plain key."""
        return cls(_digest(key), weakness(key))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:` and 64 hex digits, or hash a plain key. Raises ValueError that does not repeat the text."""
        if not text.startswith(_HASH_PREFIX):
            return cls.of(text)
        written = text.removeprefix(_HASH_PREFIX)
        if not _KEY_HASH.fullmatch(written):
            raise ValueError(f"a hash is written {_HASH_PREFIX} and 64 hexadecimal digits")
        return cls(bytes.fromhex(written))

    def __str__(self) -> str:
        return f"{_HASH_PREFIX}{self.digest.hex()}"


def new_api_key() -> str:
    """A key of 256 random bits. Its beginning tells scanners for leaked secrets what it is."""
    return _NEW_KEY_PREFIX + secrets.token_urlsafe(32)


def new_encryption_key(key_id: str) -> str:
    """A random key for Temporal's payloads, as `EncryptionKey.parse` reads it."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


class ApiKeys:
    """The keys that open the API. With none at all it stands open, which only a loopback address may do."""

    def __init__(self, storefront: Sequence[KeyHash], operator: Sequence[KeyHash]) -> None:
        self._keys = {
            Role.STOREFRONT: [key.digest for key in storefront],
            Role.OPERATOR: [key.digest for key in operator],
        }

    @property
    def required(self) -> bool:
        """Whether requests must bring a key."""
        return any(self._keys.values())

    def role_of(self, bearer: str) -> Role | None:
        """The role that a bearer key stands for, None for an unknown one. As slow for every key."""
        # Not one loop that ends early: an operator's key must take as long as no key at all.
        digest = _digest(bearer)
        found = {role: _among(digest, keys) for role, keys in self._keys.items()}
        if found[Role.OPERATOR]:
            return Role.OPERATOR
        return Role.STOREFRONT if found[Role.STOREFRONT] else None


@dataclass(frozen=True)
class EncryptionKey:
    """A 256-bit key for the payloads kept by Temporal. `id` is stored beside each payload, in plain text."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `id:base64`. Raises ValueError that says what is wrong, without the key."""
        key_id, colon, encoded = text.partition(":")
        if not colon:
            raise ValueError("each key is written id:base64")
        if not _KEY_ID.fullmatch(key_id):
            raise ValueError("a key's id is 1 to 64 characters of A-Z a-z 0-9 . _ -")
        try:
            secret = base64.b64decode(encoded, altchars=b"-_" if set(encoded) & set("-_") else None, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"key {key_id} is not base64") from None
        if len(secret) != _KEY_BYTES:
            raise ValueError(f"key {key_id} has {len(secret)} bytes, {_KEY_BYTES} are needed")
        return cls(key_id, secret)


class _Stamp:
    """HMAC-SHA256 over some texts: by the first key, and known again by each of them."""

    def __init__(self, keys: Sequence[SecretStr], salt: bytes) -> None:
        if not keys:
            raise ValueError("tokens need at least one secret key")
        self._signers = [
            Signer(
                key.get_secret_value(),
                salt=salt,
                key_derivation="hmac",
                digest_method=staticmethod(hashlib.sha256),
            )
            for key in keys
        ]

    def mint(self, *parts: str) -> str:
        return self._signers[0].get_signature(_bound(parts)).decode()

    def valid(self, token: str, *parts: str) -> bool:
        value = _bound(parts)
        # The texts are compared, not what they decode to: base64 has several spellings for the same bytes.
        return _among(token.encode(errors="replace"), [signer.get_signature(value) for signer in self._signers])


def _bound(parts: Sequence[str]) -> bytes:
    # As JSON no two sequences give the same text, whatever characters a caller has put into the path.
    return json.dumps(parts).encode()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()


def _among(candidate: bytes, known: Sequence[bytes]) -> bool:
    # Every one is compared: stopping at the first match would tell by time which key it was.
    return sum([hmac.compare_digest(candidate, one) for one in known]) > 0
