"""The answer to a cart simulation, in every form the settings ask for (contract sections B1 and G1 rows 2-4)."""

from datetime import timedelta
from typing import Any

from sandbox.base import now, vtex_date
from sandbox.catalog import Catalog, Sku
from sandbox.config import Settings
from sandbox.ledger import is_undeliverable
from sandbox.protocol import SELLER, Cart, Json
from sandbox.slas import Sla

_MAY_BE_NULL = frozenset(
    {
        "additionalInfo", "address", "availableDeliveryWindows", "country", "courierId", "courierName",
        "deliveryChannels", "deliveryIds", "friendlyName", "geoCoordinates", "listPrice", "measurementUnit",
        "messages", "offerings", "pickupDistance", "pickupPoints", "pickupStoreInfo", "postalCode",
        "priceDefinition", "priceTags", "priceValidUntil", "rewardValue", "sellerChain", "sellingPrice", "shipsTo",
        "tax", "totals", "transitTime", "unitMultiplier",
    },
)  # fmt: skip


def simulate(cart: Cart, catalog: Catalog, settings: Settings) -> Json:
    """Answer a cart. Unknown SKUs are left out of `items` and named in `messages` (ORD027).

    So are those that are inactive or not in the sales channel, unless the setting `unsellable` says otherwise.
    """
    left: dict[str, int] = {}
    items: list[Json] = []
    logistics: list[Json] = []
    messages: list[Json] = []
    deliverable = cart.postal_code is not None and not is_undeliverable(cart.postal_code, settings)
    for request_index, line in enumerate(cart.lines):
        sku = catalog.sellable(line.sku_id)
        shown = catalog.get(line.sku_id)
        if sku is None and shown is not None and settings.unsellable in {"unavailable", "no-logistics"}:
            items.append(_item(shown, request_index, line.quantity, "unavailableItemFulfillment", settings))
            if settings.unsellable == "unavailable":
                index = len(items) - 1 if settings.logistics_index == "answer" else request_index
                logistics.append(_logistics(shown, index, line.quantity, 0, [], settings))
            continue
        if sku is None:
            if shown is None or settings.unsellable == "missing":
                text = f"Item {line.sku_id} not found or unavailable"
                messages.append(_message("ORD027", text, "error", line.sku_id, settings))
            continue
        stock = left.setdefault(sku.id, sku.available)
        quantity = min(line.quantity, stock) if stock else line.quantity
        left[sku.id] = max(0, stock - line.quantity)
        if quantity < line.quantity:
            text = f"The desired quantity for item {sku.id} is not available"
            messages.append(_message("itemQuantityNotAvailable", text, "warning", sku.id, settings))
        availability = "available" if stock else "withoutStock"
        if stock and cart.postal_code is not None and not deliverable:
            availability = "cannotBeDelivered"
        availability = sku.availability or availability
        index = len(items) if settings.logistics_index == "answer" else request_index
        slas = sku.slas if deliverable and stock else []
        items.append(_item(sku, request_index, quantity, availability, settings))
        logistics.append(_logistics(sku, index, quantity, stock, slas, settings))
    answer: Json = {
        "items": items,
        "postalCode": cart.postal_code,
        "country": cart.country,
        "geoCoordinates": [],
        "logisticsInfo": logistics,
        "messages": messages,
        "pickupPoints": _pickup_points(logistics, catalog, cart),
        "totals": _totals(items, logistics),
    }
    return _nulled(answer) if settings.null_heavy else answer


def _item(sku: Sku, request_index: int, quantity: int, availability: str, settings: Settings) -> Json:
    item: Json = {
        "id": sku.id,
        "requestIndex": request_index,
        "quantity": quantity,
        "seller": SELLER,
        "sellerChain": [SELLER],
        "tax": 0,
        "priceValidUntil": vtex_date(now() + timedelta(days=1)),
        "price": sku.price,
        "listPrice": sku.price if sku.list_price is None else sku.list_price,
        "rewardValue": 0,
        "sellingPrice": sku.price,
        "offerings": [],
        "priceTags": [],
        "measurementUnit": sku.measurement_unit,
        "unitMultiplier": sku.unit_multiplier,
        "parentItemIndex": None,
        "parentAssemblyBinding": None,
        "availability": availability,
    }
    if settings.price_definition:
        item["priceDefinition"] = {
            "calculatedSellingPrice": sku.price,
            "total": sku.price * quantity,
            "sellingPrices": [{"value": sku.price, "quantity": quantity}],
        }
    return item


def _logistics(sku: Sku, index: int, quantity: int, stock: int, slas: list[Sla], settings: Settings) -> Json:
    channels = dict.fromkeys(sla.delivery_channel for sla in sku.slas)
    info: Json = {
        "itemIndex": index,
        "addressId": None,
        "selectedSla": None,
        "selectedDeliveryChannel": None,
        "quantity": quantity,
        "shipsTo": ["BRA"],
        "slas": [_sla(sla, quantity, settings) for sla in slas],
        "deliveryChannels": [{"id": channel, "stockBalance": stock} for channel in channels],
    }
    if settings.stock_balance == "absent":
        # A Seller that does not tell its balance must not tell it by the back door either.
        info["deliveryChannels"] = [{"id": channel} for channel in channels]
    else:
        info[settings.stock_balance] = stock
    return info


def _sla(sla: Sla, quantity: int, settings: Settings) -> Json:
    windows: Any = [
        {
            "startDateUtc": start.isoformat(),
            "endDateUtc": end.isoformat(),
            "price": price,
            "lisPrice": price,
            "tax": 0,
        }
        for start, end, price in sla.offered_windows()
    ]
    if settings.delivery_windows == "object":
        windows = windows[0] if windows else None
    point = sla.pickup_point
    return {
        "id": sla.id,
        "deliveryChannel": sla.delivery_channel,
        "name": sla.name,
        "deliveryIds": [
            {
                "courierId": "rota-1",
                "warehouseId": "wh-1",
                "dockId": "dock-1",
                "courierName": "Rota Sul",
                "quantity": quantity,
            },
        ],
        "shippingEstimate": sla.shipping_estimate,
        "shippingEstimateDate": None,
        "lockTTL": sla.lock_ttl,
        "availableDeliveryWindows": windows,
        "deliveryWindow": None,
        "price": sla.price,
        "listPrice": sla.price,
        "tax": 0,
        "pickupStoreInfo": {
            "isPickupStore": point is not None,
            "friendlyName": point.friendly_name if point else None,
            "address": None,
            "additionalInfo": None,
            "dockId": None,
        },
        "pickupPointId": point.id if point else None,
        "pickupDistance": 0,
        "polygonName": None,
        "transitTime": sla.shipping_estimate,
    }


def _message(code: str, text: str, status: str, sku_id: str, settings: Settings) -> Json:
    if settings.messages == "messageId":
        return {"messageId": code, "messageText": text, "messageType": status}
    return {"code": code, "text": text, "status": status, "fields": {"id": sku_id}}


def _pickup_points(logistics: list[Json], catalog: Catalog, cart: Cart) -> list[Json]:
    offered = {sla["pickupPointId"] for info in logistics for sla in info["slas"]} - {None}
    points = {
        sla.pickup_point.id: sla.pickup_point
        for line in cart.lines
        if offered and (sku := catalog.sellable(line.sku_id))
        for sla in sku.slas
        if sla.pickup_point and sla.pickup_point.id in offered
    }
    return [
        {
            "pickupPointId": point.id,
            "friendlyName": point.friendly_name,
            "address": {"country": cart.country, "postalCode": cart.postal_code},
            "additionalInfo": "",
            "dockId": "dock-1",
        }
        for point in points.values()
    ]


def _totals(items: list[Json], logistics: list[Json]) -> list[Json]:
    totals = [{"id": "Items", "name": "Items total", "value": sum(i["price"] * i["quantity"] for i in items)}]
    if logistics and all(info["slas"] for info in logistics):
        cheapest = sum(min(sla["price"] for sla in info["slas"]) for info in logistics)
        totals.append({"id": "Shipping", "name": "Shipping total", "value": cheapest})
    return totals


def _nulled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: None if key in _MAY_BE_NULL else _nulled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_nulled(inner) for inner in value]
    return value
