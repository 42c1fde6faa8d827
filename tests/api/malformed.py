"""Bodies that storefronts must not send, each with the field that the answer must name."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.api.answers import SENT
from tests.sandbox.calls import MISSING, change
from tests.support.engine import ORDER, new_order


class Case(NamedTuple):
    """Changes by dotted path, such as `items.0.price`, that make a good body wrong at `pointer`."""

    changes: dict[str, Any]
    pointer: str

    def of(self, good: dict[str, Any]) -> dict[str, Any]:
        for path, value in self.changes.items():
            change(good, path, value)
        return good

    def __str__(self) -> str:
        path, value = next(iter(self.changes.items()))
        return f"{path}={'missing' if value is MISSING else ascii(value)[:30]}"


def by_field(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Cases grouped by the first field they change: a test for each value would take longer than the values do."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(next(iter(case.changes)), []).append(case)
    return groups


NO_IDS: list[Any] = [7, True, [], {}, "", f"{SENT} b", f"{SENT}/b", f"{SENT}\0", "..", "x" * 129, "é"]
NO_CENTS: list[Any] = ["3990", 39.9, 3990.0, True, None, -1, 2**53, 2**63, 10**30, float("nan"), float("inf"), [], {}]
NO_NAMES: list[Any] = ["", None, 5, ["a"], f"{SENT}\0", SENT * 84]
NO_DURATIONS: list[Any] = ["", 7, "7", "7w", "-1d", "1.5h", f"7d {SENT}", "1234567d"]
NO_DATES: list[Any] = [None, "", SENT, "2026-13-01T00:00:00Z", "2026-03-10T10:00:00", 1773136800]
NO_COUNTRIES: list[Any] = ["BR", "bra", "BRAZIL", 76, ""]
NO_OBJECTS: list[Any] = [None, [], SENT, 1]

_LINE = "shippingData.logisticsInfo.0"
WRONG_VALUES: dict[str, list[Any]] = {
    "marketplaceOrderId": [None, *NO_IDS],
    "seller": [None, *NO_IDS],
    "items": [None, [], {}, SENT, ORDER["items"] * 501],
    "items.0": NO_OBJECTS,
    "items.0.id": [None, *NO_IDS],
    "items.0.quantity": [0, -1, "2", 2.0, 1.5, True, None, 1_000_001, 2**64],
    "items.0.price": NO_CENTS,
    "clientProfileData": NO_OBJECTS,
    "clientProfileData.email": NO_NAMES,
    "clientProfileData.document": NO_NAMES,
    "clientProfileData.phone": [5, SENT * 334, f"{SENT}\0"],
    "clientProfileData.isCorporate": ["yes", 1, None],
    "shippingData": NO_OBJECTS,
    "shippingData.address": NO_OBJECTS,
    "shippingData.address.postalCode": [*NO_NAMES, 80240210],
    "shippingData.address.country": [*NO_COUNTRIES, None],
    "shippingData.address.geoCoordinates": [None, [1, 2, 3], {"latitude": 1}],
    "shippingData.address.geoCoordinates.0": ["1.5", True, None, float("nan"), 10**400],
    "shippingData.logisticsInfo": [None, [], {}, SENT, ORDER["shippingData"]["logisticsInfo"] * 2],
    _LINE: NO_OBJECTS,
    f"{_LINE}.itemIndex": [-1, 500, "0", 0.0, True, None],
    f"{_LINE}.selectedSla": NO_NAMES,
    f"{_LINE}.price": NO_CENTS,
    f"{_LINE}.lockTTL": NO_DURATIONS,
    f"{_LINE}.shippingEstimate": NO_DURATIONS,
    f"{_LINE}.selectedDeliveryChannel": [SENT, "", 1],
    f"{_LINE}.deliveryWindow": [SENT, [], 1],
    f"{_LINE}.deliveryWindow.startDateUtc": NO_DATES,
    f"{_LINE}.deliveryWindow.price": NO_CENTS,
    "marketplacePaymentValue": [*NO_CENTS, 9471, 0],
    "marketplaceOrderGroup": NO_IDS,
    "payment": [None, [], "approved"],
    "payment.status": ["paid", "denied", "APPROVED", None, 1, SENT],
    "payment.transactionId": NO_IDS,
}
REQUIRED = (
    *("marketplaceOrderId", "seller", "items", "clientProfileData", "shippingData", "marketplacePaymentValue"),
    *(f"items.0.{name}" for name in ("id", "quantity", "price")),
    *(f"clientProfileData.{name}" for name in ("email", "firstName", "lastName", "documentType", "document")),
    *(f"shippingData.{name}" for name in ("address", "logisticsInfo")),
    *(f"shippingData.address.{name}" for name in ORDER["shippingData"]["address"]),
    *(f"{_LINE}.{name}" for name in ("itemIndex", "selectedSla", "price")),
    *(f"{_LINE}.deliveryWindow.{name}" for name in ("startDateUtc", "endDateUtc")),
)
OBJECTS = (
    *("", "items.0.", "clientProfileData.", "shippingData.", "shippingData.address.", f"{_LINE}."),
    *(f"{_LINE}.deliveryWindow.", "payment."),
)


def _orders() -> Iterator[Case]:
    for path, values in WRONG_VALUES.items():
        yield from (Case({path: value}, _pointer(path)) for value in values)
    for path in REQUIRED:
        yield Case({path: MISSING}, _pointer(path))
    for path in OBJECTS:
        yield Case({f"{path}colour": SENT}, f"/{path.replace('.', '/')}colour")
    # The names of the code are no names of the wire.
    yield Case({"marketplaceOrderId": MISSING, "marketplace_order_id": "A"}, "/marketplaceOrderId")
    yield Case({"payment.transaction_id": "A"}, "/payment/transaction_id")
    yield Case({"clientProfileData.isCorporate": True}, "/clientProfileData/corporateName")
    named = {"clientProfileData.corporateName": "Andrade Ltda"}
    yield Case({"clientProfileData.isCorporate": True, **named}, "/clientProfileData/corporateDocument")
    # Each itemIndex is in range, but not one for each item.
    yield Case({f"{_LINE}.itemIndex": 1}, "/shippingData/logisticsInfo")
    yield Case({"items": ORDER["items"] * 2, "marketplacePaymentValue": 17450}, "/shippingData/logisticsInfo")
    two = {"items": ORDER["items"] * 2, "marketplacePaymentValue": 18940}
    yield Case(
        {**two, "shippingData.logisticsInfo": ORDER["shippingData"]["logisticsInfo"] * 2}, "/shippingData/logisticsInfo"
    )


def complete_order() -> dict[str, Any]:
    """A good order in which every optional object is there to be made wrong."""
    order = new_order(payment={"status": "pending"}, marketplaceOrderGroup="G-1")
    order["shippingData"]["address"]["geoCoordinates"] = [-49.27, -25.42]
    window = {"startDateUtc": "2026-03-10T10:00:00Z", "endDateUtc": "2026-03-10T12:00:00Z", "price": 0}
    order["shippingData"]["logisticsInfo"][0]["deliveryWindow"] = window
    return order


def _pointer(path: str) -> str:
    return f"/{path.replace('.', '/')}"


def _others(good: dict[str, Any], wrong: dict[str, list[Any]]) -> list[Case]:
    """Wrong values, each field of `good` left out, and a field too many."""
    values = [Case({path: value}, _pointer(path)) for path, values in wrong.items() for value in values]
    missing = [Case({path: MISSING}, _pointer(path)) for path in good]
    return [*values, *missing, Case({"colour": SENT}, "/colour")]


ORDERS = list(_orders())

CART: dict[str, Any] = {"seller": "acme", "items": [{"id": "2001", "quantity": 2}]}
CARTS = [
    *_others(
        CART,
        {
            "seller": [None, *NO_IDS],
            "items": [None, [], {}, CART["items"] * 501],
            "items.0.id": [None, *NO_IDS],
            "items.0.quantity": [0, -1, "2", 2.0, True, None],
            "items.0.price": [3990],
        },
    ),
    *(Case({"country": "BRA", "postalCode": value}, "/postalCode") for value in NO_NAMES if value is not None),
    *(Case({"country": value, "postalCode": "80240-210"}, "/country") for value in NO_COUNTRIES),
    Case({"country": "BRA"}, "/postalCode"),
    Case({"postalCode": "80240-210"}, "/country"),
]
PAYMENT: dict[str, Any] = {"status": "approved", "transactionId": "t-1"}
PAYMENTS = _others(
    PAYMENT, {"status": ["pending", "paid", "Approved", None, 1, [], SENT], "transactionId": [None, *NO_IDS]}
)
CANCEL: dict[str, Any] = {"reason": "changed mind", "requestedByUser": True}
CANCELS = _others(
    CANCEL, {"reason": ["", None, 5, SENT * 167, f"{SENT}\0"], "requestedByUser": ["true", 1, None, SENT]}
)
RESUME: dict[str, Any] = {"action": "retry"}
RESUMES = _others(RESUME, {"action": ["again", "RETRY", None, 1, SENT], "note": [None, 5, SENT * 167, f"{SENT}\0"]})

_GOOD = json.dumps(complete_order())
NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \r\n\t",
    "words": b"zqx",
    "a form": b"seller=zqx&items=1",
    "XML": b"<order>zqx</order>",
    "a truncated body": _GOOD.encode()[:-20],
    "something behind the body": _GOOD.encode() + b"}",
    "two bodies": _GOOD.encode() * 2,
    "a comma too many": _GOOD.encode()[:-1] + b",}",
    "single quotes": b"{'seller': 'zqx'}",
    "a comment": b"{/* zqx */}",
    "a byte order mark": b"\xef\xbb\xbf" + _GOOD.encode(),
    "UTF-16": _GOOD.encode("utf-16"),
    "UTF-32": _GOOD.encode("utf-32"),
    "Latin-1": '{"seller": "é"}'.encode("latin-1"),
    "a raw NUL": b'{"seller": "zqx\0"}',
    "NUL alone": b"\0\0\0",
    "a raw line feed in a text": b'{"seller": "zqx\n"}',
    "half a surrogate pair": b'{"seller": "\\ud800"}',
    "the other half": b'{"seller": "\\udc00"}',
    "half a pair as a name": b'{"\\ud800": 1}',
    "a wrong escape": b'{"seller": "\\x41"}',
    "a number of 5000 digits": b'{"marketplacePaymentValue": ' + b"9" * 5000 + b"}",
    "a leading zero": b'{"marketplacePaymentValue": 0123}',
    "100,000 open brackets": b"[" * 100_000,
    "endless nesting": b'{"items": ' * 50_000,
    "deep but closed nesting": b'{"items": ' + b"[" * 1000 + b"]" * 1000 + b"}",
}
NO_OBJECT: dict[str, bytes] = {
    "null": b"null",
    "an array": f"[{_GOOD}]".encode(),
    "an empty array": b"[]",
    "a text": b'"zqx"',
    "a number": b"1e400",
    "true": b"true",
}
TWICE: dict[str, str] = {
    "/seller": _GOOD[:-1] + ', "seller": "acme"}',
    "/items/0/price": _GOOD.replace('"price": 3990', '"price": 1, "price": 3990'),
    "/shippingData/logisticsInfo/0/price": _GOOD.replace('"price": 1490', '"price": 1, "price": 1490'),
    "/clientProfileData/email": _GOOD.replace('"email"', '"email": "zqx", "email"'),
}
