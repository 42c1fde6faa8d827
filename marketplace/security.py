"""Who may call: tokens for the Seller's callbacks, keys of the storefront and the operators, keys for payloads.

No Seller signs its callbacks (contract section 0, "Authentication, seller to marketplace"), so the only proof is the
URL itself: each order's callback base holds a token that nobody can compute without the engine's secret key.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from itsdangerous import Signer
from pydantic import SecretStr

_CALLBACK_SALT = b"order-engine.callback"
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_BYTES = 32


class CallbackTokens:
    """Mints and checks the token in an order's callback URL.

    `keys`: at least one secret key; the first signs, all verify, so that a new key put in front leaves the URLs of
    running orders valid.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        if not keys:
            raise ValueError("callback tokens need at least one secret key")
        self._signers = [
            Signer(
                key.get_secret_value(),
                salt=_CALLBACK_SALT,
                key_derivation="hmac",
                digest_method=staticmethod(hashlib.sha256),
            )
            for key in keys
        ]

    def mint(self, seller: str, marketplace_order_id: str) -> str:
        """The token for this Seller's callbacks about this order: 43 characters that may stand in a URL."""
        return self._signers[0].get_signature(_bound(seller, marketplace_order_id)).decode()

    def valid(self, seller: str, marketplace_order_id: str, token: str) -> bool:
        """Whether `token` was minted for this Seller and order with any of the keys. As slow for every token."""
        value = _bound(seller, marketplace_order_id)
        # The texts are compared, not what they decode to: base64 has several spellings for the same bytes.
        return _among(token, [signer.get_signature(value) for signer in self._signers])

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


class Role(StrEnum):
    """On whose behalf a request comes. An operator may do everything that the storefront may."""

    STOREFRONT = "storefront"
    OPERATOR = "operator"


class ApiKeys:
    """The keys that open the API. With none at all it stands open, which only a loopback address may do."""

    def __init__(self, storefront: Sequence[SecretStr], operator: Sequence[SecretStr]) -> None:
        self._keys = {
            Role.STOREFRONT: [key.get_secret_value().encode() for key in storefront],
            Role.OPERATOR: [key.get_secret_value().encode() for key in operator],
        }

    @property
    def required(self) -> bool:
        """Whether requests must bring a key."""
        return any(self._keys.values())

    def role_of(self, bearer: str) -> Role | None:
        """The role that a bearer key stands for, None for an unknown one. As slow for every key."""
        found = {role: _among(bearer, keys) for role, keys in self._keys.items()}
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


def _bound(seller: str, marketplace_order_id: str) -> bytes:
    # As JSON no two pairs give the same text, whatever characters a caller has put into the path.
    return json.dumps([seller, marketplace_order_id]).encode()


def _among(given: str, known: Sequence[bytes]) -> bool:
    candidate = given.encode(errors="replace")
    # Every one is compared: stopping at the first match would tell by time which key it was.
    return sum([hmac.compare_digest(candidate, one) for one in known]) > 0
