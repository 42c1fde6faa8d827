"""The Seller's answers about orders, in every form the settings ask for, and its error bodies.

Sources: contract sections 0 (errors), B2-B4, E, G1 rows 7 and 8.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from sandbox.base import after, now, vtex_date
from sandbox.catalog import Catalog
from sandbox.config import Settings
from sandbox.ledger import Ledger, Order, Status
from sandbox.protocol import Json, ProtocolError
from sandbox.reads import Reading


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `code` is VTEX's error code, for the request log; `tells` what it says about which SKU."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    tells: tuple[Reading, ...] = ()


def json_answer(document: Any, status: int = 200, tells: tuple[Reading, ...] = ()) -> Answer:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(status, body, {"content-type": "application/json; charset=utf-8"}, tells=tells)


def html_answer(status: int, title: str) -> Answer:
    """A page of the edge, as one gets for an unknown path or when nothing behind it answers."""
    body = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, body.encode(), {"content-type": "text/html; charset=utf-8"})


def error_answer(error: ProtocolError, settings: Settings, *, more_headers: dict[str, str] | None = None) -> Answer:
    """An error body with its headers (contract section 0). The message header is URL-encoded."""
    shown = "1" if settings.error_code_in == "header" else error.code
    document = {
        "error": {"code": shown, "message": error.message, "exception": None},
        "fields": {},
        "operationId": str(uuid4()),
    }
    answer = json_answer(document, error.status)
    if settings.error_code_in != "body":
        answer.headers["x-vtex-error-code"] = error.code
        answer.headers["x-vtex-error-message"] = quote(error.message)
    return Answer(answer.status, answer.body, answer.headers | (more_headers or {}), error.code)


def placed(order: Order, catalog: Catalog, settings: Settings, account: str) -> Answer:
    """The answer to a placed order."""
    received = order.received
    items = [_placed_item(item, catalog, settings) for item in received["items"]]
    if settings.place_answer == "envelope":
        data = {key: received.get(key) for key in ("marketplaceOrderId", "marketplacePaymentValue", "isCreatedAsync")}
        return json_answer(
            {
                "orderId": order.order_id,
                "status": "success",
                "message": "Order placed",
                "orderData": data | {"items": items},
            },
        )
    client = received["clientProfileData"]
    document = {
        "marketplaceOrderId": order.marketplace_order_id,
        "orderId": order.order_id,
        "followUpEmail": masked_email(f"{order.order_id} {client['email']}", account),
        "items": items,
        "clientProfileData": client | {"email": masked_email(client["email"], account)},
        "shippingData": _placed_shipping(received["shippingData"]),
        "paymentData": None,
        "customData": received.get("customData"),
    }
    return json_answer([document] if settings.place_answer == "array" else document)


def authorized(order: Order, receipt: str, settings: Settings) -> Answer:
    """The answer to a dispatch authorization."""
    at = order.authorized_at or now()
    if settings.dispatch_answer == "envelope":
        details = {"createdAt": vtex_date(at), "marketplaceOrderId": order.marketplace_order_id, "status": "pending"}
        return json_answer(
            {
                "status": "success",
                "message": "Order created",
                "orderId": order.marketplace_order_id,
                "details": details,
            },
            201,
        )
    infos = order.received["shippingData"]["logisticsInfo"]
    return json_answer(
        {
            "orderId": order.order_id,
            "marketplaceOrderId": order.marketplace_order_id,
            "receipt": receipt,
            "date": vtex_date(at),
            "items": [{"id": line.id} for line in order.lines],
            "shippingData": {
                "logisticsInfo": [
                    {
                        "itemIndex": info["itemIndex"],
                        "selectedSla": info["selectedSla"],
                        "selectedDeliveryChannel": info.get("selectedDeliveryChannel"),
                        "shippingEstimateDate": vtex_date(after(at, info["shippingEstimate"])),
                    }
                    for info in infos
                ],
            },
        },
    )


def cancellation(order: Order, receipt: str | None, settings: Settings, *, done: bool) -> Answer:
    """The answer to a cancel request of the fulfilment route that says something (contract section B4)."""
    return json_answer(
        {
            "orderId": order.order_id,
            "marketplaceOrderId": order.marketplace_order_id,
            "receipt": receipt if settings.cancel_receipt else None,
            "date": vtex_date(now()),
            "isCancelled": done,
        },
    )


def still_deciding(settings: Settings) -> Answer:
    """The empty answer of a Seller that decides later."""
    return json_answer({}) if settings.empty_answer == "object" else Answer()


def cancellation_noted(order: Order) -> Answer:
    """The answer of the OMS cancel route, which only says that the wish has arrived."""
    return json_answer({"date": vtex_date(now()), "orderId": order.order_id, "receipt": str(uuid4())})


def order_document(order: Order, ledger: Ledger, identity_channel: int) -> Answer:
    """The order as Get order answers it (contract section E)."""
    cancel = order.cancellation
    done = order.status is Status.CANCELED
    seller_asked = cancel is not None and cancel.by == "seller"
    return json_answer(
        {
            "orderId": order.order_id,
            "marketplaceOrderId": order.marketplace_order_id,
            "affiliateId": order.affiliate_id,
            "salesChannel": str(identity_channel),
            "origin": "Fulfillment",
            "status": order.status.value,
            "workflowIsInError": False,
            "value": order.value,
            "creationDate": vtex_date(order.placed_at),
            "lastChange": vtex_date(order.history[-1].at),
            "authorizedDate": vtex_date(order.authorized_at) if order.authorized_at else None,
            "allowCancellation": ledger.may_cancel(order),
            "items": [
                {"id": line.id, "quantity": line.quantity, "price": line.price, "seller": "1"} for line in order.lines
            ],
            "totals": [
                {"id": "Items", "name": "Items total", "value": sum(i.price * i.quantity for i in order.lines)},
                {"id": "Shipping", "name": "Shipping total", "value": sum(i.shipping for i in order.lines)},
            ],
            "cancellationData": {
                "RequestedByUser": cancel.requested_by_user,
                "RequestedBySystem": not cancel.requested_by_user and not seller_asked,
                "RequestedBySellerNotification": seller_asked,
                "RequestedByPaymentNotification": False,
                "Reason": cancel.reason,
                "CancellationDate": vtex_date(cancel.canceled_at) if cancel.canceled_at else None,
            }
            if cancel and done
            else None,
            "packageAttachment": {"packages": [_package(invoice) for invoice in order.invoices]},
        },
    )


def masked_email(email: str, account: str) -> str:
    """The address under which the Seller's account sees a customer: never the real one."""
    return f"{hashlib.sha256(email.encode()).hexdigest()[:16]}@ct.{account}.example"


def _package(invoice: Any) -> Json:
    return {
        "type": invoice.type,
        "invoiceNumber": invoice.invoice_number,
        "invoiceValue": invoice.value,
        "items": invoice.items,
        "courier": invoice.courier,
        "trackingNumber": invoice.tracking_number,
        "trackingUrl": invoice.tracking_url,
        "courierStatus": {"status": "delivered" if invoice.delivered else "", "finished": invoice.delivered},
    }


def _placed_item(item: Json, catalog: Catalog, settings: Settings) -> Json:
    sku = catalog.get(item["id"])
    price = sku.price if sku is not None and settings.answered_prices == "seller" else item["price"]
    return {
        "id": item["id"],
        "quantity": item["quantity"],
        "seller": item["seller"],
        "commission": 0,
        "freightCommission": 0,
        "price": price,
        "bundleItems": [],
        "priceTags": [],
        "measurementUnit": sku.measurement_unit if sku else "un",
        "unitMultiplier": 1,
        "isGift": False,
    }


def _placed_shipping(shipping: Json) -> Json:
    address = shipping["address"]
    infos = [
        {
            "itemIndex": info["itemIndex"],
            "selectedSla": info["selectedSla"],
            "addressId": address.get("addressId"),
            "selectedDeliveryChannel": info.get("selectedDeliveryChannel"),
            "deliveryIds": [{"warehouseId": "wh-1", "dockId": "dock-1"}],
            "lockTTL": info["lockTTL"],
            "shippingEstimate": info["shippingEstimate"],
            "price": info["price"],
            "deliveryWindow": info.get("deliveryWindow"),
        }
        for info in shipping["logisticsInfo"]
    ]
    return {
        "isFOB": bool(shipping.get("isFob")),
        "address": address,
        "selectedAddresses": [address],
        "logisticsInfo": infos,
        "trackingHints": [],
    }
