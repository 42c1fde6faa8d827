"""Masking: nothing about a customer, no credential and no token is left, and what the people need still is."""

import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.masking import mask

TOKEN = "NDI.x7Yq-token_A"
ENDPOINT = f"https://shop.example.com/callbacks/acme/MKP-1/{TOKEN}"

ORDER: dict[str, Any] = {
    "marketplaceOrderId": "MKP-1",
    "marketplaceServicesEndpoint": ENDPOINT,
    "marketplacePaymentValue": 28160,
    "items": [{"id": "88104", "quantity": 2, "seller": "1", "price": 12990}],
    "clientProfileData": {
        "email": "livia.andrade@mail.example",
        "firstName": "Livia",
        "lastName": "Andrade",
        "documentType": "cpf",
        "document": "39053344705",
        "phone": "+5541990001122",
        "corporateName": None,
        "isCorporate": False,
    },
    "shippingData": {
        "address": {
            "addressType": "residential",
            "receiverName": "Livia Andrade",
            "addressId": "addr-77",
            "postalCode": "80240-210",
            "city": "Curitiba",
            "state": "PR",
            "country": "BRA",
            "street": "Rua das Palmeiras",
            "number": "58",
            "complement": "ap 402",
            "reference": "",
            "geoCoordinates": [-49.2, -25.4],
        },
        "logisticsInfo": [{"itemIndex": 0, "selectedSla": "Standard", "price": 2180}],
    },
    "openTextField": None,
}
PERSONAL = ["livia", "andrade", "39053344705", "990001122", "80240", "palmeiras", "402", "58", "49.2", "addr-77", TOKEN]


def test_of_an_order_all_is_left_but_who_it_is_for() -> None:
    before = deepcopy(ORDER)
    masked = mask(ORDER)

    assert before == ORDER
    assert masked == {
        **ORDER,
        "marketplaceServicesEndpoint": "https://shop.example.com/callbacks/acme/MKP-1/***",
        "clientProfileData": {
            **dict.fromkeys(["email", "firstName", "lastName", "document", "phone"], "***"),
            "documentType": "cpf",
            "corporateName": None,
            "isCorporate": False,
        },
        "shippingData": {
            "address": {
                "addressType": "residential",
                **dict.fromkeys(["receiverName", "addressId", "postalCode", "street", "number", "complement"], "***"),
                "city": "Curitiba",
                "state": "PR",
                "country": "BRA",
                "reference": "",
                "geoCoordinates": ["***", "***"],
            },
            "logisticsInfo": [{"itemIndex": 0, "selectedSla": "Standard", "price": 2180}],
        },
    }


def spelt(value: Any, change: Any) -> Any:
    """JSON with each key spelt otherwise."""
    if isinstance(value, dict):
        return {change(key): spelt(one, change) for key, one in value.items()}
    return [spelt(one, change) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "change",
    [str.upper, str.lower, lambda key: key[0].upper() + key[1:], lambda key: f"_{key}", "-".join],
)
@pytest.mark.parametrize(
    "wrap", [lambda one: [one], lambda one: {"a": {"b": [[one]]}}, json.dumps, lambda one: {"body": json.dumps(one)}]
)
def test_however_keys_are_spelt_and_wherever_they_stand(change: Any, wrap: Any) -> None:
    text = json.dumps(mask(wrap(spelt(ORDER, change)))).lower()

    assert [one for one in PERSONAL if one.lower() in text] == []
    assert "curitiba" in text
    assert "12990" in text


@pytest.mark.parametrize(
    "key",
    [
        "email", "followUpEmail", "corporatePhone", "homePhone", "corporateDocument", "tradeName", "stateInscription",
        "neighborhood", "number", "reference", "latitude", "userProfileId", "openTextField", "embeddedInvoice",
        "X-VTEX-API-AppKey", "X-VTEX-API-AppToken", "VtexIdclientAutCookie", "Authorization", "token", "cpf",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["secret", 4711, 47.11, True, ["secret", {"x": "secret"}], {"any": {"thing": 4711}}])
def test_a_personal_field_is_masked_whatever_it_holds(key: str, value: Any) -> None:
    text = json.dumps(mask({key: value}))

    assert "***" in text
    assert [one for one in ("secret", "4711", "47.11", "true") if one in text] == []


@pytest.mark.parametrize(
    "harmless",
    [
        {"IsActive": True, "ProductName": "Mug", "BrandName": "Casa Azul", "Images": [{"ImageName": "front"}]},
        {"invoiceNumber": "NF-10077", "trackingNumber": "BR1", "type": "Output", "invoiceValue": 28160},
        {"error": {"code": "FMT007", "message": "payment total differs", "exception": None}},
        {"selectedSla": "Standard", "shippingEstimate": "5bd", "name": "Standard"},
        {"marketplacePaymentReferenceValue": 1, "documentType": "cpf", "RefId": "R-1"},
        {"email": None, "phone": "", "geoCoordinates": [], "address": {}},
        [1, 2.5, True, None, "text"],
        "[not JSON] at all",
        "{0} is not JSON either",
        "[1, 2",
        88104,
        None,
    ],
)
def test_what_is_about_nobody_stays(harmless: Any) -> None:
    assert mask(harmless) == harmless


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to livia.andrade+1@mail.example!", "write to ***!"),
        ("cpf 390.533.447-05, cnpj 12.345.678/0001-90", "cpf ***, cnpj ***"),
        (f"no answer from {ENDPOINT}/pvt", "no answer from https://shop.example.com/callbacks/acme/MKP-1/***/pvt"),
        ('refused: {"firstName": "Livia", "id": "7"}', 'refused: {"firstName": "***", "id": "7"}'),
        ("{'street': 'Rua A', 'price': 12}", "{'street': '***', 'price': 12}"),
        ('{"phone": 5541990001122, "geoCoordinates": [-49.2, -2', '{"phone": "***", "geoCoordinates": "***"'),
        ('{"id": "7", "lastName": "Andr', '{"id": "7", "lastName": "***"'),
        ('{"id": "7", "lastName": "An\\"dr\\', '{"id": "7", "lastName": "***"'),
        ('"complement": "ap\n402"', '"complement": "***"'),
    ],
)
def test_in_a_text_what_can_be_recognized_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask({"message": [text]}) == {"message": [masked]}


def test_keys_that_hold_something_personal_are_masked_too() -> None:
    assert mask({"livia@mail.example": 1}) == {"***": 1}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_what_is_nested_without_end_is_cut_off_and_breaks_nothing(opening: str) -> None:
    deep: Any = "Livia"
    for _ in range(2000):
        deep = [deep] if opening == "[" else {"a": deep}

    assert "***" in repr(mask(deep))
    assert "Livia" not in repr(mask(deep))
    text = opening * 100_000
    assert mask(text) == text


def test_a_long_text_takes_no_long_time() -> None:
    before = time.monotonic()
    for text in ("a" * 1_000_000, "@" * 100_000, '"email' * 100_000, "/callbacks" * 50_000, '"a": "' * 100_000):
        mask(text)
    # By a pattern that begins anew at each character it would take hours.
    assert time.monotonic() - before < 30


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one), max_leaves=8
    )
)
def test_masking_twice_is_masking_once(value: Any) -> None:
    masked = mask(value)

    assert mask(masked) == masked


EXAMPLES = Path(__file__).parents[3] / "shared" / "vtex" / "examples"


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="VTEX's examples are not at hand")
def test_no_example_of_vtex_tells_who_the_customer_is() -> None:
    for file in sorted(EXAMPLES.glob("*.json")):
        text = json.dumps(mask(json.loads(file.read_text(encoding="utf-8"))), ensure_ascii=False).lower()
        found = [one for one in ("livia", "andrade", "39053344705", "990001122", "palmeiras", "80240") if one in text]
        assert found == [], file.name
