"""VTEX's answers in every documented variant, read and translated."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marketplace.checkout import UNAVAILABLE, Simulation, Total
from marketplace.orders import CartItem, SellerOrderPhase
from marketplace.seller import translate, wire
from marketplace.seller.base import CancelState, Cart
from tests.seller.samples import CART, EXAMPLES, LINES, REF, data, order, placement


def read(name: str) -> wire.Simulation:
    return wire.Simulation.model_validate(wire.read_json(data(name)))


def simulate(answer: dict[str, Any], *lines: CartItem) -> Simulation:
    return translate.simulation("acme", lines, wire.Simulation.model_validate(answer))


def item(sku: str, **more: object) -> dict[str, object]:
    return {"id": sku, "quantity": 1, "price": 100, "availability": "available", **more}


def info(index: int | None, stock: int, **more: object) -> dict[str, object]:
    return {"itemIndex": index, "stockBalance": stock, **more}


A, B, C = (CartItem(id=sku, quantity=1) for sku in "ABC")


class TestJson:
    @pytest.mark.parametrize("body", [b"", b" \r\n", b"null", b"\xef\xbb\xbf", b"[null]"])
    def test_an_empty_body_is_none(self, body: bytes) -> None:
        assert wire.read_json(body) is None

    @pytest.mark.parametrize(("body", "value"), [(b'[{"a":1}]', {"a": 1}), (b"[]", []), (b"[1,2]", [1, 2])])
    def test_an_array_of_one_is_unwrapped(self, body: bytes, value: object) -> None:
        assert wire.read_json(body) == value

    @pytest.mark.parametrize("body", [b"<html>", b"[" * 9000, b'"\\ud800"', b"NaN", b"\xff", b"1" * 9000, b"{"])
    def test_what_is_not_json_is_a_value_error(self, body: bytes) -> None:
        with pytest.raises(ValueError, match="line 1"):
            wire.read_json(body)


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "cents"), [(0, 0), (12990, 12990), (12990.0, 12990), ("12990", 12990), (None, None), ("", None)]
    )
    def test_cents_are_read_in_each_form(self, value: object, cents: int | None) -> None:
        assert wire.SellingPrice.model_validate({"value": value}).value == cents

    @pytest.mark.parametrize("value", [True, -1, 129.9, "129,90", "x", [], {}, 10**14, "9" * 5000, 1e300])
    def test_cents_that_make_no_sense_are_refused(self, value: object) -> None:
        with pytest.raises(ValidationError):
            wire.SellingPrice.model_validate({"value": value})

    @pytest.mark.parametrize("key", ["stockBalance", "StockBalance", "logisticsStockBalance"])
    def test_stock_is_found_under_each_name(self, key: str) -> None:
        assert wire.Logistics.model_validate({key: "7"}).stock_balance == 7

    def test_oversold_stock_is_zero_and_no_stock_is_unknown(self) -> None:
        assert wire.Logistics.model_validate({"stockBalance": -4}).stock_balance == 0
        assert wire.Logistics.model_validate({}).stock_balance is None

    def test_stock_that_is_a_boolean_is_refused(self) -> None:
        with pytest.raises(ValidationError):
            wire.Logistics.model_validate({"stockBalance": True})


class TestSimulation:
    def test_prices_stock_and_shipping_are_carried_over(self) -> None:
        simulation = translate.simulation("acme", LINES, read("simulation"))
        first, second = simulation.items
        assert (first.price, first.list_price, first.selling_price, first.total) == (3334, 3990, 3333, 10000)
        assert (first.stock_balance, first.quantity, first.availability) == (12, 3, "available")
        assert [(sla.id, sla.price, sla.lock_ttl, sla.shipping_estimate) for sla in first.slas] == [
            ("Express", 1900, "4d", "1bd"),
            ("Evening", 1200, "4d", "2bd"),
        ]
        assert [window.price for window in first.slas[1].available_delivery_windows] == [300]
        assert (second.total, second.slas[0].delivery_channel) == (2500, "pickup-in-point")
        assert simulation.totals == [Total(id="Items", value=12500), Total(id="Shipping", value=1200)]

    def test_every_spelling_is_understood_and_a_missing_line_is_answered(self) -> None:
        simulation = translate.simulation("acme", LINES, read("simulation.variants"))
        missing, found = simulation.items
        assert (missing.id, missing.availability, missing.stock_balance, missing.quantity) == ("501", UNAVAILABLE, 0, 3)
        assert (found.price, found.list_price, found.selling_price, found.total) == (2500, 2990, None, 2500)
        assert found.stock_balance == 4
        (sla,) = found.slas
        assert (sla.id, sla.name, sla.price, sla.lock_ttl) == ("Next day", "Next day", 990, None)
        (window,) = sla.available_delivery_windows
        assert window.price == 150
        assert window.start_date_utc is not None
        assert window.start_date_utc.isoformat() == "2026-05-04T21:00:00+00:00"
        assert simulation.totals == [Total(id="Items", value=2500)]
        assert [(message.code, message.text, message.status) for message in simulation.messages] == [
            ("ORD027", "Item 501 not found", "error"),
            ("m-1", "Prices include taxes", "info"),
        ]

    def test_no_items_at_all_leaves_every_line_unavailable(self) -> None:
        simulation = simulate({"items": None, "logisticsInfo": None, "messages": None}, A, B)
        assert [entry.availability for entry in simulation.items] == [UNAVAILABLE, UNAVAILABLE]
        assert simulation.totals == [Total(id="Items", value=0)]

    def test_an_answer_without_items_is_no_simulation(self) -> None:
        with pytest.raises(ValidationError):
            wire.Simulation.model_validate({})

    def test_an_answer_without_logistics_means_unavailable(self) -> None:
        simulation = simulate({"items": [item("A"), item("B", availability="withoutStock")]}, A, B)
        assert [entry.availability for entry in simulation.items] == [UNAVAILABLE, "withoutStock"]
        assert [entry.stock_balance for entry in simulation.items] == [0, 0]

    def test_an_item_without_availability_is_unavailable(self) -> None:
        simulation = simulate({"items": [item("A", availability=None)], "logisticsInfo": [info(0, 1)]}, A)
        assert simulation.items[0].availability == UNAVAILABLE

    def test_stock_that_is_not_told_stays_unknown(self) -> None:
        answer = {"items": [item("A", quantity=None), item("B")], "logisticsInfo": [{"itemIndex": 0}]}
        simulation = simulate(answer, A, B)
        assert [(entry.stock_balance, entry.sellable) for entry in simulation.items] == [(None, True), (None, True)]
        assert simulation.items[0].quantity == 1

    def test_an_item_without_any_price_has_no_total(self) -> None:
        simulation = simulate({"items": [item("A", price=None)], "logisticsInfo": [info(0, 1)]}, A)
        assert (simulation.items[0].total, simulation.items[0].sellable) == (None, False)

    @pytest.mark.parametrize(
        ("prices", "total"),
        [
            ({"priceDefinition": {"total": 5, "sellingPrices": [{"value": 1, "quantity": 1}]}}, 5),
            ({"priceDefinition": {"sellingPrices": [{"value": 3, "quantity": 2}, {"value": 4, "quantity": 1}]}}, 10),
            ({"priceDefinition": {"sellingPrices": [{"value": 3}, {"value": 4, "quantity": 1}]}}, 300),
            ({"priceDefinition": {"calculatedSellingPrice": 90}, "sellingPrice": 91}, 270),
            ({"sellingPrice": 95}, 285),
            ({"sellingPrice": 0}, 0),
            ({}, 300),
        ],
    )
    def test_a_line_total_comes_from_the_most_exact_source(self, prices: dict[str, Any], total: int) -> None:
        answer = {"items": [item("A", quantity=3, **prices)], "logisticsInfo": [info(0, 9)]}
        assert simulate(answer, CartItem(id="A", quantity=3)).items[0].total == total

    def test_an_sla_without_name_or_price_is_left_out(self) -> None:
        slas = [{"price": 1}, {"id": "X"}, {"id": "Y", "price": 0, "availableDeliveryWindows": {}}]
        windows = [{"startDateUtc": "yesterday", "endDateUtc": "2026-05-04", "price": 1}]
        slas.append({"id": "Z", "price": 1, "availableDeliveryWindows": windows})
        simulation = simulate({"items": [item("A")], "logisticsInfo": [info(0, 1, slas=slas)]}, A)
        offered = simulation.items[0].slas
        assert [(sla.id, sla.available_delivery_windows) for sla in offered] == [("Y", []), ("Z", [])]

    def test_the_body_names_both_parts_of_the_destination_or_neither(self) -> None:
        lines = [
            {"id": "501", "quantity": 3, "seller": "1"},
            {"id": "777", "quantity": 1, "seller": "1"},
        ]
        assert translate.simulation_body(CART) == {"items": lines, "postalCode": "88010-000", "country": "BRA"}
        assert translate.simulation_body(Cart(items=LINES, postal_code="88010-000")) == {"items": lines}


class TestMatching:
    def ids(self, answer: dict[str, Any], *lines: CartItem) -> list[int | None]:
        return [entry.stock_balance for entry in simulate(answer, *lines).items]

    def prices(self, answer: dict[str, Any], *lines: CartItem) -> list[int | None]:
        return [entry.price for entry in simulate(answer, *lines).items]

    def test_the_request_index_tells_two_lines_of_one_sku_apart(self) -> None:
        items = [item("A", requestIndex=1, price=1), item("A", requestIndex=0, price=2)]
        assert self.prices({"items": items}, A, A) == [2, 1]

    def test_a_request_index_that_contradicts_the_id_is_not_believed(self) -> None:
        items = [item("B", requestIndex=0, price=2), item("A", requestIndex=7, price=1)]
        assert self.prices({"items": items}, A, B) == [1, 2]

    def test_without_request_index_two_lines_of_one_sku_are_taken_in_order(self) -> None:
        assert self.prices({"items": [item("A", price=1), item("A", price=2)]}, A, A) == [1, 2]

    def test_items_that_were_not_asked_for_are_ignored(self) -> None:
        items = [item("GIFT", price=0), item("A", price=1), item("A", requestIndex=0, price=2), item("A", price=3)]
        assert self.prices({"items": items}, A) == [2]

    @pytest.mark.parametrize(
        ("why", "answered", "infos", "stock"),
        [
            ("both readings agree", "ABC", [(0, 1), (1, 2), (2, 3)], [1, 2, 3]),
            ("index 0 can only be the answer's: the first line has no answer", "BC", [(0, 2), (1, 3)], [0, 2, 3]),
            ("index 2 can only be the request's: the answer has two items", "BC", [(1, 2), (2, 3)], [0, 2, 3]),
            ("logistics of all lines, with those left out", "BC", [(0, 1), (1, 2), (2, 3)], [0, 2, 3]),
            ("one item answered, under its place in the answer", "C", [(0, 3)], [0, 0, 3]),
            ("one item answered, under its place in the request", "C", [(2, 3)], [0, 0, 3]),
            ("the order is another and nothing tells: the answer's place", "CBA", [(0, 3), (1, 2), (2, 1)], [1, 2, 3]),
            ("without an index its own place counts", "BC", [(None, 2), (None, 3)], [0, 2, 3]),
            ("the same place twice: the first counts", "ABC", [(0, 1), (0, 9), (2, 3)], [1, None, 3]),
        ],
    )
    def test_item_index_is_read_as_the_rest_of_the_answer_allows(
        self, why: str, answered: str, infos: list[tuple[int | None, int]], stock: list[int | None]
    ) -> None:
        items = [item(sku, requestIndex="ABC".index(sku)) for sku in answered]
        answer = {"items": items, "logisticsInfo": [info(index, balance) for index, balance in infos]}
        assert self.ids(answer, A, B, C) == stock, why

    @pytest.mark.parametrize(("quantity", "stock"), [(5, [0, None, 7]), (2, [0, 7, None]), (None, [0, None, 7])])
    def test_the_quantity_decides_where_both_readings_are_possible(
        self, quantity: int | None, stock: list[int | None]
    ) -> None:
        lines = [A, CartItem(id="B", quantity=2), CartItem(id="C", quantity=5)]
        items = [item("B", quantity=2, requestIndex=1), item("C", quantity=5, requestIndex=2)]
        answer = {"items": items, "logisticsInfo": [info(1, 7, quantity=quantity)]}
        assert self.ids(answer, *lines) == stock


class TestOrder:
    def test_the_placed_order_is_read_from_array_and_envelope(self) -> None:
        for name in ("placed", "placed.envelope"):
            placed = wire.PlacedOrder.model_validate(wire.read_json(data(name)))
            assert (placed.order_id, placed.marketplace_order_id) == ("MKP-A-1001", "A-1001")
            assert translate.divergences(order(), placed) == []

    def test_the_envelope_itself_wins_over_what_it_holds(self) -> None:
        placed = wire.PlacedOrder.model_validate({"orderId": 17, "orderData": {"orderId": "inner", "items": None}})
        assert placed.order_id == "17"

    @pytest.mark.parametrize("order_id", [None, "", "  ", "..", "/", True, [], "x" * 251])
    def test_an_order_without_a_usable_id_is_refused(self, order_id: object) -> None:
        with pytest.raises(ValidationError):
            wire.PlacedOrder.model_validate({"orderId": order_id})

    @pytest.mark.parametrize("answer", ["OK", 5, True, [], [1, 2]])
    def test_an_answer_that_is_no_object_is_refused(self, answer: object) -> None:
        with pytest.raises(ValidationError):
            wire.PlacedOrder.model_validate(answer)

    def test_details_that_make_no_sense_do_not_spoil_a_placed_order(self) -> None:
        placed = wire.PlacedOrder.model_validate(
            {"orderId": "MKP-1", "items": "none", "shippingData": {"logisticsInfo": [{"itemIndex": "x"}]}}
        )
        assert translate.divergences(order(), placed) == []

    def test_an_error_about_an_answer_does_not_quote_it(self) -> None:
        with pytest.raises(ValidationError) as caught:
            wire.Order.model_validate({"orderId": "1", "status": {"firstName": "Vera"}})
        assert "status" in str(caught.value)
        assert "Vera" not in str(caught.value)

    def test_everything_the_seller_changed_is_told(self) -> None:
        answer = {
            "orderId": "MKP-A-1001",
            "items": [{"id": "501", "quantity": 2, "price": 3400}],
            "shippingData": {
                "logisticsInfo": [
                    {"itemIndex": 0, "price": 1700, "shippingEstimate": "9bd"},
                    {"itemIndex": 1, "price": None, "shippingEstimate": "0d"},
                ]
            },
        }
        assert translate.divergences(order(), wire.PlacedOrder.model_validate(answer)) == [
            "item 501: 3 sent, 2 at the Seller",
            "item 501: 33.34 sent, 34.00 at the Seller",
            "item 777 is not in the Seller's order",
            "shipping of item 501: 15.00 sent, 17.00 at the Seller",
            "shipping estimate of item 501: 2bd sent, 9bd at the Seller",
        ]

    def test_an_estimate_that_was_not_sent_is_told_as_none(self) -> None:
        sent = order()
        infos = [entry.model_copy(update={"shipping_estimate": None}) for entry in sent.shipping_data.logistics_info]
        sent = sent.model_copy(
            update={"shipping_data": sent.shipping_data.model_copy(update={"logistics_info": infos})}
        )
        answer = {"orderId": "1", "shippingData": {"logisticsInfo": [{"itemIndex": 1, "shippingEstimate": "1d"}]}}
        assert translate.divergences(sent, wire.PlacedOrder.model_validate(answer)) == [
            "shipping estimate of item 777: none sent, 1d at the Seller"
        ]

    def test_the_body_has_every_parameter_in_the_seller_s_form(self) -> None:
        (body,) = translate.order_body(placement())
        assert body["isCreatedAsync"] is False
        assert "marketplaceOrderGroup" not in body
        assert (body["paymentData"], body["marketingData"], body["openTextField"]) == (None, None, None)
        assert body["shippingData"]["address"]["geoCoordinates"] == ["-27.5969", "-48.5495"]
        assert body["shippingData"]["address"]["complement"] is None
        assert body["clientProfileData"]["corporateName"] is None
        first, second = body["shippingData"]["logisticsInfo"]
        assert (first["itemIndex"], second["itemIndex"]) == (0, 1)
        assert first["deliveryWindow"] == {
            "startDateUtc": "2026-05-04T21:00:00+00:00",
            "endDateUtc": "2026-05-04T23:30:00+00:00",
            "price": 300,
            "lisPrice": 300,
            "tax": 0,
        }
        assert second["deliveryWindow"] is None
        assert [(line["id"], line["seller"], line["price"]) for line in body["items"]] == [
            ("501", "1", 3334),
            ("777", "1", 2500),
        ]

    def test_the_body_carries_group_list_price_and_tiny_coordinates(self) -> None:
        request = placement(prices_may_diverge=True).model_copy(
            update={"order": order().model_copy(update={"marketplace_order_group": "G-9"})}
        )
        shipping = request.order.shipping_data
        shipping.address.geo_coordinates[:] = [0.00001, -1e-7]
        window = shipping.logistics_info[1].delivery_window
        assert window is not None
        priced = window.model_copy(update={"list_price": 450, "tax": 9})
        shipping.logistics_info[1] = shipping.logistics_info[1].model_copy(update={"delivery_window": priced})
        (body,) = translate.order_body(request)
        assert (body["marketplaceOrderGroup"], body["isCreatedAsync"]) == ("G-9", True)
        assert body["shippingData"]["address"]["geoCoordinates"] == ["-0.0000001", "0.00001"]
        sent = body["shippingData"]["logisticsInfo"][0]["deliveryWindow"]
        assert (sent["lisPrice"], sent["tax"]) == (450, 9)

    def test_the_body_has_the_shape_of_the_contract_s_example(self) -> None:
        path = EXAMPLES / "place-order-request.json"
        if not path.exists():
            pytest.skip("the contract is not beside this repository")
        (example,), (body,) = json.loads(path.read_text()), translate.order_body(placement())
        assert set(body) == set(example)
        assert set(body["items"][0]) == set(example["items"][0])
        shipping, sample = body["shippingData"], example["shippingData"]
        assert set(shipping["logisticsInfo"][0]) == set(sample["logisticsInfo"][0])
        assert set(shipping["address"]) == set(sample["address"])
        assert set(body["clientProfileData"]) == set(example["clientProfileData"])

    def test_the_customer_s_values_are_listed_but_not_the_short_ones(self) -> None:
        values = translate.personal_values(order())
        assert {"vera.lucia@mail.example", "Vera", "52998224725", "Rua do Principe", "88010-000"} <= set(values)
        assert "7" not in values
        assert "cpf" not in values


class TestCancelAndRead:
    @pytest.mark.parametrize(
        ("body", "state"),
        [
            (data("canceled"), CancelState.CONFIRMED),
            (b'[{"orderId": "MKP-A-1001", "receipt": null, "isCancelled": null}]', CancelState.CONFIRMED),
            (b'{"receipt": "r-1"}', CancelState.CONFIRMED),
            (b'{"isCancelled": true}', CancelState.CONFIRMED),
            (b'{"orderId": "MKP-A-1001", "receipt": "r-1", "isCancelled": false}', CancelState.DECIDING),
            (b'{"date": "2026-05-02"}', CancelState.DECIDING),
            (b"{}", CancelState.DECIDING),
        ],
    )
    def test_a_cancel_answer_confirms_only_when_it_says_so(self, body: bytes, state: CancelState) -> None:
        canceled = wire.Canceled.model_validate(wire.read_json(body))
        assert translate.cancel_answer("fulfillment", canceled).state is state
        assert translate.cancel_answer("oms", canceled).state is CancelState.DECIDING

    def test_the_cancel_body_follows_the_route(self) -> None:
        by_fulfillment = translate.cancel_body("fulfillment", REF, "too late", requested_by_user=True)
        by_oms = translate.cancel_body("oms", REF, "too late", requested_by_user=True)
        assert by_fulfillment == {"marketplaceOrderId": "A-1001"}
        assert by_oms == {"reason": "too late", "requestedByUser": True}

    @pytest.mark.parametrize(
        ("status", "phase"),
        [
            ("order-accepted", SellerOrderPhase.PLACED),
            ("on-order-completed-ffm", SellerOrderPhase.PLACED),
            ("waiting-ffmt-authorization", SellerOrderPhase.PLACED),
            ("waiting-for-fulfillment", SellerOrderPhase.PLACED),
            ("waiting-for-manual-authorization", SellerOrderPhase.HELD),
            ("authorize-fulfillment", SellerOrderPhase.AUTHORIZED),
            ("window-to-cancel", SellerOrderPhase.AUTHORIZED),
            ("ready-for-handling", SellerOrderPhase.AUTHORIZED),
            ("start-handling", SellerOrderPhase.AUTHORIZED),
            ("handling", SellerOrderPhase.AUTHORIZED),
            ("invoice", SellerOrderPhase.AUTHORIZED),
            ("invoiced", SellerOrderPhase.INVOICED),
            ("cancellation-requested", SellerOrderPhase.CANCELING),
            ("cancel", SellerOrderPhase.CANCELING),
            ("canceled", SellerOrderPhase.CANCELED),
            ("order-create-error", SellerOrderPhase.UNKNOWN),
            ("something-new", SellerOrderPhase.UNKNOWN),
            (None, SellerOrderPhase.UNKNOWN),
        ],
    )
    def test_each_status_has_its_phase(self, status: str | None, phase: SellerOrderPhase) -> None:
        found = translate.seller_order(wire.Order.model_validate({"orderId": "MKP-1", "status": status}))
        assert (found.phase, found.status) == (phase, status)

    def test_an_order_is_read_with_its_value_and_date(self) -> None:
        found = translate.seller_order(wire.Order.model_validate(wire.read_json(data("order"))))
        assert (found.order_id, found.marketplace_order_id, found.value) == ("MKP-A-1001", "A-1001", 14002)
        assert found.created_at is not None
        assert found.created_at.isoformat() == "2026-05-02T09:59:58.123456+00:00"

    def test_an_order_with_a_strange_value_or_date_is_still_read(self) -> None:
        found = translate.seller_order(wire.Order.model_validate({"orderId": 1, "value": "?", "creationDate": "?"}))
        assert (found.order_id, found.value, found.created_at) == ("1", None, None)


@pytest.mark.parametrize("name", ["simulation-response", "simulation-response.item-missing"])
def test_the_contract_s_simulations_are_understood(name: str) -> None:
    path = EXAMPLES / f"{name}.json"
    if not path.exists():
        pytest.skip("the contract is not beside this repository")
    lines = [CartItem(id="88104", quantity=2), CartItem(id="88230", quantity=1)]
    answer = wire.Simulation.model_validate(wire.read_json(path.read_bytes()))
    first, second = translate.simulation("acme", lines, answer).items
    assert (first.total, first.stock_balance, [sla.price for sla in first.slas]) == (25980, 37, [1490, 1990])
    assert second.availability == (UNAVAILABLE if "missing" in name else "available")


SKUS = st.sampled_from(["A", "B", "C", "D"])
COUNTS = st.none() | st.integers(min_value=0, max_value=4)
ITEMS = st.fixed_dictionaries({"id": SKUS, "requestIndex": COUNTS, "quantity": COUNTS, "price": COUNTS})
INFOS = st.fixed_dictionaries({"itemIndex": COUNTS, "quantity": COUNTS, "stockBalance": COUNTS})


@given(
    asked=st.lists(SKUS, min_size=1, max_size=5),
    items=st.lists(ITEMS, max_size=5),
    infos=st.lists(INFOS, max_size=5),
)
def test_whatever_is_answered_each_line_gets_its_own_sku_once(
    asked: list[str], items: list[dict[str, Any]], infos: list[dict[str, Any]]
) -> None:
    lines = [CartItem(id=sku, quantity=1) for sku in asked]
    simulation = simulate({"items": items, "logisticsInfo": infos}, *lines)
    assert [entry.id for entry in simulation.items] == asked
    for sku in set(asked):
        priced = sorted(entry.price for entry in simulation.items if entry.id == sku and entry.price is not None)
        told = sorted(entry["price"] for entry in items if entry["id"] == sku and entry["price"] is not None)
        assert len(priced) <= len(told)
        assert all(told.count(price) >= priced.count(price) for price in priced)
