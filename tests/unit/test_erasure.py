"""What of an order remains when its customer's data is erased."""

from datetime import UTC, datetime
from typing import Any

from marketplace.erasure import erase_order, erase_payment
from marketplace.orders import Order, PaymentReport, PaymentStatus

AT = datetime(2026, 5, 1, tzinfo=UTC)
WORD = "Quinzinho"
"""Stands in every text that somebody else has written."""

FULL: dict[str, Any] = {
    "marketplaceOrderId": "MKP-1",
    "seller": "acme",
    "orderId": "v-1",
    "status": "canceled",
    "reason": {"code": "canceled-by-customer", "message": f"{WORD} has changed his mind"},
    "needsAttention": True,
    "allowedActions": ["retry"],
    "expiresAt": "2026-03-01T12:30:00Z",
    "items": [{"id": "2001", "quantity": 2, "price": 3990}],
    "marketplacePaymentValue": 7980,
    "invoicedValue": 7980,
    "invoices": [
        {
            "type": kind,
            "invoiceNumber": f"{WORD}-{kind}",
            "invoiceValue": 7980,
            "issuanceDate": "2026-03-02T12:00:00Z",
            "items": [{"id": "2001", "quantity": 2, "price": 3990}, {"id": WORD, "quantity": 1, "price": 0}],
            "invoiceUrl": f"https://invoices.example/{WORD}",
            "invoiceKey": f"{WORD}-key",
        }
        for kind in ("Output", "Input")
    ],
    "packages": [
        {
            "invoiceNumber": f"{WORD}-Output",
            "courier": WORD,
            "trackingNumber": WORD,
            "trackingUrl": f"https://courier.example/{WORD}",
            "dispatchedDate": "2026-03-03T12:00:00Z",
            "isDelivered": True,
            "events": [{"city": WORD, "state": WORD, "description": WORD, "date": "2026-03-04T12:00:00Z"}],
        }
    ],
    "history": [
        {"at": "2026-03-01T12:00:00Z", "status": "simulating", "detail": f"received from {WORD}"},
        {"at": "2026-03-05T12:00:00Z", "status": "canceled", "detail": f"reason: {WORD}"},
    ],
}


def erased() -> dict[str, Any]:
    answer: dict[str, Any] = erase_order(Order.model_validate(FULL), AT).model_dump(mode="json")
    return answer


def test_no_text_of_others_remains() -> None:
    assert str(FULL).count(WORD) == 18
    assert WORD not in str(erased())
    assert WORD not in str(erase_payment(PaymentReport(status=PaymentStatus.APPROVED, transaction_id=WORD)))
    assert erase_payment(None) is None


def test_what_accounts_need_remains() -> None:
    answer = erased()
    for name in ("marketplaceOrderId", "seller", "orderId", "status", "items", "marketplacePaymentValue"):
        assert answer[name] == FULL[name]
    assert answer["reason"] == {"code": "canceled-by-customer", "message": "erased"}
    assert [(one["type"], one["invoiceValue"], one["issuanceDate"]) for one in answer["invoices"]] == [
        ("Output", 7980, "2026-03-02T12:00:00Z"),
        ("Input", 7980, "2026-03-02T12:00:00Z"),
    ]
    assert [one["items"] for one in answer["invoices"]] == [[{"id": "2001", "quantity": 2, "price": 3990}]] * 2
    [package] = answer["packages"]
    assert package["isDelivered"]
    assert package["invoiceNumber"] == answer["invoices"][0]["invoiceNumber"] != answer["invoices"][1]["invoiceNumber"]


def test_the_history_keeps_its_times_and_tells_of_the_erasure() -> None:
    told = [(line["at"], line["status"], line["detail"]) for line in erased()["history"]]
    assert told == [
        ("2026-03-01T12:00:00Z", "simulating", "erased"),
        ("2026-03-05T12:00:00Z", "canceled", "erased"),
        ("2026-05-01T00:00:00Z", "canceled", "the customer's data was erased"),
    ]


def test_nobody_is_to_decide_about_it_any_more() -> None:
    assert (erased()["needsAttention"], erased()["allowedActions"]) == (False, [])
