"""Encryption of payloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from marketplace.codec import EncryptionCodec, PayloadUnreadable
from marketplace.security import EncryptionKey

ONE, TWO = EncryptionKey("one", b"1" * 32), EncryptionKey("two", b"2" * 32)
PLAIN = Payload(metadata={"encoding": b"json/plain", "messageType": b"Customer"}, data=b'"ana@example.com"')


@given(
    st.lists(st.builds(Payload, metadata=st.dictionaries(st.text(max_size=9), st.binary(max_size=9)), data=st.binary()))
)
async def test_what_was_encrypted_comes_back_as_it_was(payloads: list[Payload]) -> None:
    codec = EncryptionCodec([ONE])

    assert await codec.decode(await codec.encode(payloads)) == payloads


async def test_nothing_of_the_payload_can_be_read_not_even_its_metadata() -> None:
    (sealed,) = await EncryptionCodec([ONE]).encode([PLAIN])

    assert dict(sealed.metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"one"}
    for secret in (b"ana", b"Customer", b"json"):
        assert secret not in sealed.SerializeToString()


async def test_the_same_payload_never_looks_the_same_twice() -> None:
    first, second = await EncryptionCodec([ONE]).encode([PLAIN, PLAIN])

    assert first.data != second.data


async def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old = await EncryptionCodec([ONE]).encode([PLAIN])
    rotated = EncryptionCodec([TWO, ONE])

    assert await rotated.decode(old) == [PLAIN]
    assert (await rotated.encode([PLAIN]))[0].metadata["encryption-key-id"] == b"two"


async def test_payloads_from_before_encryption_are_read_as_they_are() -> None:
    assert await EncryptionCodec([ONE]).decode([PLAIN]) == [PLAIN]


async def test_a_payload_of_an_unknown_key_tells_the_keys_id_and_what_to_set() -> None:
    sealed = await EncryptionCodec([ONE]).encode([PLAIN])

    with pytest.raises(PayloadUnreadable, match=r"with key 'one', which .*ORDER_ENGINE_ENCRYPTION_KEYS"):
        await EncryptionCodec([TWO]).decode(sealed)


async def test_a_key_that_was_changed_under_its_id_is_told() -> None:
    sealed = await EncryptionCodec([ONE]).encode([PLAIN])

    with pytest.raises(PayloadUnreadable, match="does not open with key 'one'"):
        await EncryptionCodec([EncryptionKey("one", b"x" * 32)]).decode(sealed)


@pytest.mark.parametrize("keep", [0, 5, 12, 20])
async def test_a_cut_payload_is_told(keep: int) -> None:
    (sealed,) = await EncryptionCodec([ONE]).encode([PLAIN])
    cut = Payload(metadata=sealed.metadata, data=sealed.data[:keep])

    with pytest.raises(PayloadUnreadable, match="damaged"):
        await EncryptionCodec([ONE]).decode([cut])


async def test_a_payload_cannot_be_passed_off_under_another_keys_id() -> None:
    (sealed,) = await EncryptionCodec([ONE]).encode([PLAIN])
    renamed = Payload(metadata={**sealed.metadata, "encryption-key-id": b"two"}, data=sealed.data)

    with pytest.raises(PayloadUnreadable, match="does not open"):
        await EncryptionCodec([ONE, EncryptionKey("two", ONE.secret)]).decode([renamed])


def test_encryption_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one"):
        EncryptionCodec([])
