"""Between VTEX's words and ours, both ways, without I/O. Money is in cents on both sides.

What is sent has every documented parameter, null when empty (contract section 0, "Conventions").
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from marketplace.catalog import Terms
from marketplace.checkout import AVAILABLE, UNAVAILABLE, Message, SimulatedItem, Simulation, Sla, Total, Window
from marketplace.money import as_text
from marketplace.orders import (
    Address,
    CartItem,
    DeliveryWindow,
    LogisticsInfo,
    OrderItem,
    OrderRequest,
    SellerOrderPhase,
)
from marketplace.seller import wire
from marketplace.seller.base import (
    CancelAnswer,
    CancelState,
    Cart,
    OrderRef,
    PlacementRequest,
    SellerOrder,
)

OWN_SELLER = "1"
"""In calls to a VTEX account its own offers are always of the seller "1". Source: contract section 0."""

CancelRoute = Literal["fulfillment", "oms"]

PHASES: Mapping[str, SellerOrderPhase] = MappingProxyType(
    {
        "order-accepted": SellerOrderPhase.PLACED,
        "on-order-completed-ffm": SellerOrderPhase.PLACED,
        "waiting-ffmt-authorization": SellerOrderPhase.PLACED,
        # Stores with a WMS: VTEX cancels from here without our authorization, so it still waits for it.
        "waiting-for-fulfillment": SellerOrderPhase.PLACED,
        "waiting-for-manual-authorization": SellerOrderPhase.HELD,
        "authorize-fulfillment": SellerOrderPhase.AUTHORIZED,
        "window-to-cancel": SellerOrderPhase.AUTHORIZED,
        "ready-for-handling": SellerOrderPhase.AUTHORIZED,
        "start-handling": SellerOrderPhase.AUTHORIZED,
        "handling": SellerOrderPhase.AUTHORIZED,
        # The invoice is being verified and may yet be found partial or wrong.
        "invoice": SellerOrderPhase.AUTHORIZED,
        "invoiced": SellerOrderPhase.INVOICED,
        "cancellation-requested": SellerOrderPhase.CANCELING,
        "cancel": SellerOrderPhase.CANCELING,
        "canceled": SellerOrderPhase.CANCELED,
    }
)
"""VTEX's states of an order at the Seller; any other is UNKNOWN. Source: contract section E."""


# --- simulation ---


def simulation_body(cart: Cart) -> dict[str, Any]:
    """Build the body of a simulation. Source: contract B1."""
    body: dict[str, Any] = {
        "items": [{"id": item.id, "quantity": item.quantity, "seller": OWN_SELLER} for item in cart.items]
    }
    if cart.postal_code and cart.country:
        body |= {"postalCode": cart.postal_code, "country": cart.country}
    return body


def simulation(seller: str, lines: Sequence[CartItem], answer: wire.Simulation) -> Simulation:
    """Answer every line of the request, in its order; a line the Seller left out is `unavailable` with stock 0.

    Source: contract A5 and B1.
    """
    positions = _match(lines, [(item.id, item.request_index) for item in answer.items])
    logistics = _logistics_by_line(positions, len(lines), answer)
    items = [
        _simulated(line, answer.items[positions[index]], logistics.get(index), told=bool(answer.logistics_info))
        if index in positions
        else SimulatedItem(id=line.id, quantity=line.quantity, availability=UNAVAILABLE, stock_balance=0)
        for index, line in enumerate(lines)
    ]
    return Simulation(seller=seller, items=items, totals=_totals(items), messages=list(_messages(answer.messages)))


def terms(sku_id: str, answer: wire.Simulation) -> Terms:
    """Read price and stock from the simulation of one unit of one SKU. Source: contract A5."""
    line = CartItem(id=sku_id, quantity=1)
    if not answer.logistics_info or all(item.id != sku_id for item in answer.items):
        return Terms(listed=False, availability=UNAVAILABLE, stock=0)
    (item,) = simulation("", [line], answer).items
    return Terms(
        availability=item.availability,
        price=item.price,
        list_price=item.list_price,
        stock=item.stock_balance,
        slas=item.slas,
    )


def _match(lines: Sequence[CartItem], answers: Sequence[tuple[str, int | None]]) -> dict[int, int]:
    """Match answered (id, position in the request if known) to requested lines: {line's index: answer's index}.

    A position counts only when the id there agrees. The rest goes by id, in order, for a SKU may fill two lines.
    """
    matched: dict[int, int] = {}
    rest: list[int] = []
    for position, (sku, line) in enumerate(answers):
        if line is not None and line < len(lines) and line not in matched and lines[line].id == sku:
            matched[line] = position
        else:
            rest.append(position)
    for position in rest:
        sku = answers[position][0]
        free = (index for index, line in enumerate(lines) if index not in matched and line.id == sku)
        if (index := next(free, None)) is not None:
            matched[index] = position
    return matched


def _logistics_by_line(positions: Mapping[int, int], lines: int, answer: wire.Simulation) -> dict[int, wire.Logistics]:
    """Find each line's logistics, by whichever reading of `itemIndex` agrees with the rest of the answer.

    VTEX's documents let `itemIndex` point into the answer's items or into the request's [D]. The readings differ only
    when the answer left a line out or changed the order. The one with fewer contradictions is taken: first indexes
    that point nowhere or twice to one place, then those that point to a line without an answer or to one of another
    quantity. When both agree, the answer's position is meant: it is what VTEX's own text on this call says, while the
    other reading stems from the reference of the opposite direction.
    """
    line_of = {position: line for line, position in positions.items()}
    indexes = [own if info.item_index is None else info.item_index for own, info in enumerate(answer.logistics_info)]

    def contradictions(reading: Mapping[int, int], size: int) -> tuple[int, int]:
        nowhere = sum(index >= size for index in indexes) + len(indexes) - len(set(indexes))
        astray = 0
        for index, info in zip(indexes, answer.logistics_info, strict=True):
            line = reading.get(index)
            quantity = None if line is None else answer.items[positions[line]].quantity
            astray += line is None or (None not in {info.quantity, quantity} and info.quantity != quantity)
        return nowhere, astray

    by_answer = (line_of, len(answer.items))
    by_request = ({line: line for line in positions}, lines)
    reading, _ = min(by_answer, by_request, key=lambda way: contradictions(*way))
    found: dict[int, wire.Logistics] = {}
    for index, info in zip(indexes, answer.logistics_info, strict=True):
        if index in reading:
            found.setdefault(reading[index], info)
    return found


def _simulated(line: CartItem, item: wire.SimulatedItem, info: wire.Logistics | None, *, told: bool) -> SimulatedItem:
    definition = item.price_definition or wire.PriceDefinition()
    # `sellingPrice` is prone to rounding; VTEX prefers the price definition's.
    calculated = definition.calculated_selling_price
    selling_price = item.selling_price if calculated is None else calculated
    quantity = line.quantity if item.quantity is None else item.quantity
    availability = item.availability or UNAVAILABLE
    if not told and availability == AVAILABLE:
        # Contract A5: an answer without any logistics means unavailable, whatever the item itself says.
        availability = UNAVAILABLE
    return SimulatedItem(
        id=line.id,
        quantity=quantity,
        availability=availability,
        price=item.price,
        list_price=item.list_price,
        selling_price=selling_price,
        total=_line_total(definition, selling_price if selling_price is not None else item.price, quantity),
        stock_balance=0 if not told else info.stock_balance if info else None,
        slas=list(_slas(info.slas)) if info else [],
    )


def _line_total(definition: wire.PriceDefinition, unit: int | None, quantity: int) -> int | None:
    if definition.total is not None:
        return definition.total
    parts = [
        part.value * part.quantity
        for part in definition.selling_prices
        if part.value is not None and part.quantity is not None
    ]
    if parts and len(parts) == len(definition.selling_prices):
        return sum(parts)
    return None if unit is None else unit * quantity


def _slas(slas: Sequence[wire.Sla]) -> Iterator[Sla]:
    for sla in slas:
        name = sla.id or sla.name
        # One that cannot be named cannot be chosen, and a price that is not told is not zero.
        if not name or sla.price is None:
            continue
        yield Sla(
            id=name,
            name=sla.name or name,
            delivery_channel=sla.delivery_channel,
            shipping_estimate=sla.shipping_estimate,
            price=sla.price,
            lock_ttl=sla.lock_ttl,
            available_delivery_windows=[
                Window(
                    start_date_utc=window.start_date_utc,
                    end_date_utc=window.end_date_utc,
                    price=(window.price if window.price is not None else window.list_price) or 0,
                )
                for window in sla.available_delivery_windows
                if window.start_date_utc and window.end_date_utc
            ],
        )


def _totals(items: Sequence[SimulatedItem]) -> list[Total]:
    goods = sum(item.total or 0 for item in items if item.availability == AVAILABLE)
    totals = [Total(id="Items", value=goods)]
    if all(item.slas for item in items):
        totals.append(Total(id="Shipping", value=sum(min(sla.price for sla in item.slas) for item in items)))
    return totals


def _messages(messages: Sequence[wire.Message | None]) -> Iterator[Message]:
    for message in messages:
        if message is None:
            continue
        code, text = message.code or message.message_id, message.text or message.message_text
        if code or text:
            yield Message(code=code, text=text or "", status=message.status or message.message_type)


# --- place order ---


def order_body(request: PlacementRequest) -> list[dict[str, Any]]:
    """Build the body of place order: an array of one. Source: contract B2, G1 rows 6, 15, 16 and 20."""
    order = request.order
    body: dict[str, Any] = {
        "marketplaceOrderId": order.marketplace_order_id,
        "marketplaceServicesEndpoint": request.marketplace_services_endpoint,
        "marketplacePaymentValue": order.marketplace_payment_value,
        "isCreatedAsync": request.prices_may_diverge,
        "items": [_item_body(item) for item in order.items],
        "clientProfileData": order.client_profile_data.model_dump(mode="json"),
        "shippingData": {
            "address": _address_body(order.shipping_data.address),
            "logisticsInfo": [_logistics_body(info) for info in _by_item(order)],
        },
        "paymentData": None,
        "marketingData": None,
        "openTextField": None,
    }
    if order.marketplace_order_group is not None:
        body["marketplaceOrderGroup"] = order.marketplace_order_group
    return [body]


def _by_item(order: OrderRequest) -> list[LogisticsInfo]:
    return sorted(order.shipping_data.logistics_info, key=lambda info: info.item_index)


def _item_body(item: OrderItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "quantity": item.quantity,
        "seller": OWN_SELLER,
        "commission": 0,
        "freightCommission": 0,
        "price": item.price,
        "bundleItems": [],
        "itemAttachment": {"name": None, "content": {}},
        "attachments": [],
        "priceTags": [],
        # The unit is the Seller's to know. A multiplier of null would be read as 0 there.
        "measurementUnit": None,
        "unitMultiplier": 1,
        "isGift": False,
    }


def _address_body(address: Address) -> dict[str, Any]:
    # Place order wants [latitude, longitude] as strings; ours are [longitude, latitude] as everywhere else.
    coordinates = [format(Decimal(str(number)), "f") for number in reversed(address.geo_coordinates)]
    return {**address.model_dump(mode="json"), "geoCoordinates": coordinates}


def _logistics_body(info: LogisticsInfo) -> dict[str, Any]:
    return {
        "itemIndex": info.item_index,
        "selectedSla": info.selected_sla,
        "selectedDeliveryChannel": info.selected_delivery_channel,
        "lockTTL": info.lock_ttl,
        "shippingEstimate": info.shipping_estimate,
        "price": info.price,
        "deliveryWindow": _window_body(info.delivery_window) if info.delivery_window else None,
    }


def _window_body(window: DeliveryWindow) -> dict[str, Any]:
    listed = next((price for price in (window.lis_price, window.list_price) if price is not None), window.price)
    return {
        "startDateUtc": window.start_date_utc.astimezone(UTC).isoformat(),
        "endDateUtc": window.end_date_utc.astimezone(UTC).isoformat(),
        "price": window.price,
        "lisPrice": listed,
        "tax": window.tax or 0,
    }


def personal_values(order: OrderRequest) -> list[str]:
    """List what tells who the customer is, so that it can be taken out of the Seller's messages.

    Values under four characters, such as a house number, are left: they would blot out half of any text.
    """
    profile = order.client_profile_data.model_dump(exclude={"document_type", "is_corporate"})
    address = order.shipping_data.address.model_dump(
        include={"receiver_name", "postal_code", "street", "number", "neighborhood", "complement", "reference"}
    )
    return [value for value in (*profile.values(), *address.values()) if value and len(value) >= 4]  # noqa: PLR2004 - see above


def divergences(order: OrderRequest, answer: wire.PlacedOrder) -> list[str]:
    """Tell, for people, where the Seller's order differs from what was sent; empty when it does not say or agrees.

    Source: contract B2, "Response".
    """
    texts: list[str] = []
    items = answer.items or []
    positions = _match(order.items, [(item.id, position) for position, item in enumerate(items)])
    for index, sent in enumerate(order.items if items else []):
        if index not in positions:
            texts.append(f"item {sent.id} is not in the Seller's order")
            continue
        placed = items[positions[index]]
        if placed.quantity not in {None, sent.quantity}:
            texts.append(f"item {sent.id}: {sent.quantity} sent, {placed.quantity} at the Seller")
        if placed.price is not None and placed.price != sent.price:
            texts.append(f"item {sent.id}: {as_text(sent.price)} sent, {as_text(placed.price)} at the Seller")
    shipping = {info.item_index: info for info in (answer.shipping_data or wire.PlacedShipping()).logistics_info}
    for info in _by_item(order):
        there, sku = shipping.get(info.item_index, wire.PlacedLogistics()), order.items[info.item_index].id
        if there.price is not None and there.price != info.price:
            texts.append(f"shipping of item {sku}: {as_text(info.price)} sent, {as_text(there.price)} at the Seller")
        if there.shipping_estimate and there.shipping_estimate != info.shipping_estimate:
            sent_estimate = info.shipping_estimate or "none"
            texts.append(
                f"shipping estimate of item {sku}: {sent_estimate} sent, {there.shipping_estimate} at the Seller"
            )
    return texts


# --- dispatch, cancel, read ---


def dispatch_body(ref: OrderRef) -> dict[str, Any]:
    """Build the body of authorize dispatch. Source: contract B3, G1 rows 8 and 9."""
    return {"marketplaceOrderId": ref.marketplace_order_id}


def cancel_body(route: CancelRoute, ref: OrderRef, reason: str, *, requested_by_user: bool) -> dict[str, Any]:
    """Build the body of a cancel request for its route. Source: contract B4, G1 row 10."""
    if route == "oms":
        return {"reason": reason, "requestedByUser": requested_by_user}
    return {"marketplaceOrderId": ref.marketplace_order_id}


def cancel_answer(route: CancelRoute, answer: wire.Canceled) -> CancelAnswer:
    """Read a cancel answer. By the oms route VTEX cancels only once our own cancel callback has answered it (B4)."""
    confirmed = route == "fulfillment" and answer.confirmed
    return CancelAnswer(state=CancelState.CONFIRMED if confirmed else CancelState.DECIDING, receipt=answer.receipt)


def seller_order(answer: wire.Order) -> SellerOrder:
    """Read an order of the Orders API. Source: contract section E."""
    return SellerOrder(
        order_id=answer.order_id,
        marketplace_order_id=answer.marketplace_order_id,
        phase=PHASES.get(answer.status or "", SellerOrderPhase.UNKNOWN),
        status=answer.status,
        value=answer.value,
        created_at=answer.creation_date,
    )
