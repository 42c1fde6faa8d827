"""Reads what the marketplace sends and refuses what VTEX would, with VTEX's codes.

Sources: contract sections 0, B1-B4 and G2. Two codes are not in the contract's list and come from the same VTEX
article on checkout error codes: ORD006 and ORD007 name a bad field of the address and of the client profile.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from sandbox.base import DURATION

Json = dict[str, Any]
SELLER = "1"
"""In calls to a VTEX seller an item's seller is always the account itself (contract section 0)."""

_REQUIRED_OF_CLIENT = ("email", "firstName", "lastName", "documentType", "document")
_REQUIRED_OF_COMPANY = ("corporateName", "corporateDocument")
_REQUIRED_OF_ADDRESS = (
    "addressType", "receiverName", "postalCode", "city", "state", "country", "street", "number",
)  # fmt: skip
_AFFILIATE_LENGTH = 3
_COUNTRY_LENGTH = 3


class ProtocolError(Exception):
    """A refusal: VTEX's `code`, words for people, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the Seller is: what a caller must name."""

    affiliate_id: str
    sales_channel: int
    app_key: str
    app_token: str


@dataclass(frozen=True)
class CartLine:
    sku_id: str
    quantity: int


@dataclass(frozen=True)
class Cart:
    """A cart to simulate. Without `postal_code` no SLAs are answered."""

    lines: list[CartLine]
    postal_code: str | None = None
    country: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlacementLine(CartLine):
    """A line of an order and its shipping. `price` a unit and `shipping` for the line, in cents."""

    price: int
    shipping: int
    sla_id: str
    channel: str | None = None
    window: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, kw_only=True)
class Placement:
    """An order that is well formed; whether it can be sold is the ledger's question."""

    marketplace_order_id: str
    affiliate_id: str
    endpoint: str
    payment_value: int
    created_async: bool
    lines: list[PlacementLine]
    postal_code: str
    received: Json = field(repr=False)


def check_keys(headers: Mapping[str, str], identity: Identity) -> None:
    """Refuse a private call without keys (401) or with wrong ones (403). Header names are in lower case."""
    key, token = headers.get("x-vtex-api-appkey"), headers.get("x-vtex-api-apptoken")
    if not key or not token:
        raise ProtocolError("ORD062", "Unauthorized: app key or app token is missing", 401)
    right_key = hmac.compare_digest(key.encode(), identity.app_key.encode())
    if not (hmac.compare_digest(token.encode(), identity.app_token.encode()) and right_key):
        raise ProtocolError("ORD062", "Access denied: app key or app token is wrong", 403)


def check_affiliate(query: Mapping[str, str], identity: Identity, *, channel_required: bool) -> str:
    """Refuse an unknown affiliate (FMT0021, FMT0031) or sales channel (FMT0036). Answers the affiliate."""
    affiliate = query.get("affiliateId", "")
    if affiliate and len(affiliate) != _AFFILIATE_LENGTH:
        raise ProtocolError("FMT0031", "Affiliate id must have 3 characters")
    if affiliate != identity.affiliate_id:
        raise ProtocolError("FMT0021", "Invalid affiliate id")
    channel = query.get("sc")
    if (channel is None and channel_required) or (channel is not None and channel != str(identity.sales_channel)):
        raise ProtocolError("FMT0036", "Invalid sales channel")
    return affiliate


def read_cart(body: object, max_items: int) -> Cart:
    """Read a simulation request (contract section B1)."""
    document = _object(body)
    items = document.get("items")
    if not isinstance(items, list) or not items:
        raise ProtocolError("ORD005", "The purchase cannot be done without items")
    if len(items) > max_items:
        raise ProtocolError("FMT0104", "Too many items in request")
    lines = []
    for item in items:
        sku_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(sku_id, str) or not sku_id:
            raise ProtocolError("ORD005", "Item id is missing or no string")
        if not _is_count(item.get("quantity")):
            raise ProtocolError("CHK0023", f"Invalid quantity for item {sku_id}")
        if item.get("seller") != SELLER:
            raise ProtocolError("CHK0024", f"Invalid seller for item {sku_id}")
        lines.append(CartLine(sku_id, item["quantity"]))
    postal_code, country = document.get("postalCode"), document.get("country")
    if (postal_code is None) != (country is None):
        raise ProtocolError("ORD006", "postalCode and country go together")
    if postal_code is not None:
        _filled(document, ("postalCode",), "ORD006", "shipping")
        _check_country(country)
    return Cart(lines, postal_code, country)


def read_placement(body: object, affiliate_id: str, max_items: int) -> Placement:
    """Read an order to place: an array of one (contract section B2)."""
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], dict):
        raise ProtocolError("FMT0026", "The body must be an array of one order")
    order: Json = body[0]
    marketplace_order_id = order.get("marketplaceOrderId")
    if not isinstance(marketplace_order_id, str) or not marketplace_order_id.strip():
        raise ProtocolError("FMT015", "Marketplace order id has not been provided")
    endpoint = order.get("marketplaceServicesEndpoint")
    if not isinstance(endpoint, str) or not _is_endpoint(endpoint):
        raise ProtocolError("FMT0070", "The endpoint to marketplace's service has not been provided")
    _check_client(order.get("clientProfileData"))
    items = _items(order.get("items"), max_items)
    shipping = order.get("shippingData")
    if not isinstance(shipping, dict) or not isinstance(shipping.get("address"), dict):
        raise ProtocolError("FMT001", "Cannot reserve items without shipping data")
    if shipping.get("updateStatus") == "outdated":
        raise ProtocolError("ORD022", "Shipping data is outdated")
    _check_address(shipping["address"])
    lines = _with_shipping(items, shipping.get("logisticsInfo"))
    value = order.get("marketplacePaymentValue")
    if not _is_cents(value):
        raise ProtocolError("FMT0042", "Invalid marketplace payment value")
    return Placement(
        marketplace_order_id=marketplace_order_id,
        affiliate_id=affiliate_id,
        endpoint=endpoint,
        payment_value=value,
        created_async=order.get("isCreatedAsync") is True,
        lines=lines,
        postal_code=shipping["address"]["postalCode"],
        received=order,
    )


def read_marketplace_order_id(body: object, expected: str) -> None:
    """Refuse a dispatch or cancel body that does not name the order in its path (FMT015, FMT0071)."""
    named = _object(body).get("marketplaceOrderId")
    if not isinstance(named, str) or not named:
        raise ProtocolError("FMT015", "Marketplace order id has not been provided")
    if named != expected:
        raise ProtocolError("FMT0071", "Marketplace order id does not match the original order")


def read_cancellation(body: object) -> tuple[str | None, bool]:
    """Read the reason and whether the customer asked, from a cancel request that must have a reason (OMS route)."""
    document = _object(body)
    reason = document.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise ProtocolError("CHK00308", "The reason is missing")
    return reason, document.get("requestedByUser") is True


def _object(body: object) -> Json:
    if not isinstance(body, dict):
        raise ProtocolError("CHK00308", "Bad Request: the body must be a JSON object")
    return body


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value > 0


def _is_cents(value: object) -> TypeGuard[int]:
    # bool is an int to Python, and a price with a decimal point or in quotes is no price to VTEX.
    return type(value) is int and value >= 0


def _is_endpoint(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _filled(document: Json, names: tuple[str, ...], code: str, what: str) -> None:
    for name in names:
        value = document.get(name)
        if not isinstance(value, str) or not value.strip():
            raise ProtocolError(code, f"The {name} field in the {what} attachment is invalid")


def _check_country(country: object) -> None:
    if not (isinstance(country, str) and len(country) == _COUNTRY_LENGTH and country.isalpha() and country.isupper()):
        raise ProtocolError("ORD006", "The country field in the shipping attachment is invalid")


def _check_client(client: object) -> None:
    if not isinstance(client, dict):
        raise ProtocolError("FMT0045", "The purchase cannot be done without a profile")
    _filled(client, _REQUIRED_OF_CLIENT, "ORD007", "client profile")
    if "@" not in client["email"]:
        raise ProtocolError("ORD007", "The email field in the client profile attachment is invalid")
    if client.get("isCorporate"):
        _filled(client, _REQUIRED_OF_COMPANY, "ORD007", "client profile")


def _check_address(address: Json) -> None:
    if not address.get("postalCode"):
        raise ProtocolError("FMT0074", "Addresses must have a postal code")
    _filled(address, _REQUIRED_OF_ADDRESS, "ORD006", "shipping")
    _check_country(address["country"])


def _items(items: object, max_items: int) -> list[Json]:
    if not isinstance(items, list) or not items:
        raise ProtocolError("FMT0026", "An order without items cannot be created")
    if len(items) > max_items:
        raise ProtocolError("FMT0104", "Too many items in request")
    for item in items:
        sku_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(sku_id, str) or not sku_id:
            raise ProtocolError("FMT0039", "Invalid id for item")
        if not _is_count(item.get("quantity")):
            raise ProtocolError("FMT0038", f"Invalid quantity for item {sku_id}")
        if item.get("seller") != SELLER:
            raise ProtocolError("FMT0040", f"Invalid seller for item {sku_id}")
        if not _is_cents(item.get("price")):
            raise ProtocolError("FMT0041", f"Invalid price for item {sku_id}")
    return items


def _with_shipping(items: list[Json], infos: object) -> list[PlacementLine]:
    """Pair each item with its entry of `logisticsInfo`, which must have exactly one for each."""
    if not isinstance(infos, list) or not infos:
        raise ProtocolError("FMT001", "Cannot reserve items without shipping data")
    by_index: dict[int, Json] = {}
    for info in infos:
        index = info.get("itemIndex") if isinstance(info, dict) else None
        if type(index) is not int or not 0 <= index < len(items):
            raise ProtocolError("FMT0057", "Invalid item index")
        if index in by_index:
            raise ProtocolError("FMT0089", "Duplicated item index")
        by_index[index] = info
    lines = []
    for index, item in enumerate(items):
        if index not in by_index:
            raise ProtocolError("FMT003", f"There is no SLA for item {item['id']}")
        lines.append(_line(item, by_index[index]))
    return lines


def _line(item: Json, info: Json) -> PlacementLine:
    sku_id = item["id"]
    sla_id = info.get("selectedSla")
    if not isinstance(sla_id, str) or not sla_id:
        raise ProtocolError("FMT004", f"There is no selected SLA for item {sku_id}")
    _check_duration(info.get("lockTTL"), "FMT017", "FMT0077", "reservation period (lockTTL)")
    _check_duration(info.get("shippingEstimate"), "FMT0078", "FMT0079", "shipping estimate")
    if not _is_cents(info.get("price")):
        raise ProtocolError("FMT0041", f"Invalid shipping price for item {sku_id}")
    return PlacementLine(
        sku_id,
        item["quantity"],
        price=item["price"],
        shipping=info["price"],
        sla_id=sla_id,
        channel=info.get("selectedDeliveryChannel"),
        window=_window(info.get("deliveryWindow")),
    )


def _check_duration(value: object, missing: str, invalid: str, what: str) -> None:
    if value is None or value == "":
        raise ProtocolError(missing, f"Cannot reserve items without {what}")
    if not isinstance(value, str) or not DURATION.match(value):
        raise ProtocolError(invalid, f"Invalid {what}")


def _window(window: object) -> tuple[datetime, datetime] | None:
    if window is None:
        return None
    try:
        if isinstance(window, dict):
            return _utc(window["startDateUtc"]), _utc(window["endDateUtc"])
    except (KeyError, TypeError, ValueError):
        pass
    raise ProtocolError("ORD047", "Invalid delivery window")


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
