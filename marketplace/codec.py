"""Encryption of everything that Temporal keeps: inputs, results, signals and failure texts.

Customers' names and addresses travel through the workflow's history. With this codec the server and its UI see bytes.
Workflow ids, search attributes, memo keys and type names are not payloads and stay readable.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from marketplace.errors import EngineError
from marketplace.security import EncryptionKey

_ENCODING = b"binary/encrypted"
_KEY_ID = "encryption-key-id"
_NONCE_BYTES = 12


class PayloadUnreadable(EngineError):  # noqa: N818 - it names what is the matter
    """A payload cannot be decrypted. A worker that meets it retries its workflow task until the key is there."""


class EncryptionCodec(PayloadCodec):
    """AES-256-GCM over the whole payload, its metadata included.

    `keys`: the first encrypts, all decrypt. A key may go only when no order that used it is kept any more. Payloads
    from before encryption was switched on are read as they are.
    """

    def __init__(self, keys: Sequence[EncryptionKey]) -> None:
        if not keys:
            raise ValueError("encryption needs at least one key")
        self._first = keys[0].id
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload with the first key."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each payload with the key it names. Raises PayloadUnreadable."""
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        # Random nonces are safe for 2**32 payloads a key: some hundred million orders. Rotate the key before.
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), self._first.encode())
        return Payload(metadata={"encoding": _ENCODING, _KEY_ID: self._first.encode()}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCODING:
            return payload
        key_id = payload.metadata.get(_KEY_ID, b"").decode(errors="replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise PayloadUnreadable(
                f"a payload is encrypted with key {key_id!r}, which this process does not have:"
                " add it to ORDER_ENGINE_ENCRYPTION_KEYS"
            )
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, key_id.encode()))
        except (InvalidTag, ValueError):
            raise PayloadUnreadable(
                f"a payload does not open with key {key_id!r}: it was damaged, or the key under that id was changed"
            ) from None
