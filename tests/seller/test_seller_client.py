"""The client against a real server: what it sends, and what it makes of every answer, failure and silence."""

import asyncio
import gzip
import json
import time
from typing import Any

import jsonschema
import pytest

from marketplace.checkout import Total
from marketplace.errors import (
    SellerCredentials,
    SellerUnavailable,
    SellerUnknownOutcome,
    UnknownSeller,
)
from marketplace.orders import SellerOrderPhase
from marketplace.seller.base import CancelState
from marketplace.seller.client import SellerPool, VtexSeller, build_seller
from marketplace.seller.exchange import MAX_BODY
from tests.seller.calls import CALLS, EVERY_CALL, QUICK, WRITES, client, failure_of, unsure
from tests.seller.samples import ACCEPT, CART, ENDPOINT, KEY, REF, TOKEN, UNPLACED, config, data, placement
from tests.support.scripted_server import ScriptedServer, Step, answer, json_answer


def check_schema(name: str, body: Any) -> None:
    path = ACCEPT / f"{name}.json"
    if path.exists():
        jsonschema.validate(body, json.loads(path.read_text()))


class TestRequests:
    @EVERY_CALL
    async def test_every_call_carries_the_keys_and_says_who_asks(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.follow(answer(400))
        await failure_of(CALLS[name](seller))
        headers = server.last.headers
        assert (headers["x-vtex-api-appkey"], headers["x-vtex-api-apptoken"]) == (KEY, TOKEN)
        assert headers["accept"] == "application/json"
        assert headers["user-agent"].startswith("marketplace-order-engine/")
        assert headers.get("content-type") == (None if name == "read" else "application/json")

    @pytest.mark.parametrize(
        ("route", "path"),
        [
            ("checkout", "/api/checkout/pub/orderForms/simulation"),
            ("fulfillment", "/api/fulfillment/pvt/orderForms/simulation"),
        ],
    )
    async def test_a_simulation_goes_by_the_seller_s_route(self, server: ScriptedServer, route: str, path: str) -> None:
        server.follow(answer(200, data("simulation")))
        async with client(server.url, simulation_route=route) as seller:
            simulation = await seller.simulate(CART)
        sent = server.last
        assert (sent.method, sent.path, sent.query) == ("POST", path, "sc=3&affiliateId=MKP")
        check_schema("simulation-request", sent.json)
        assert simulation.seller == "acme"
        assert simulation.totals == [Total(id="Items", value=12500), Total(id="Shipping", value=1200)]

    async def test_an_order_is_placed_as_an_array_of_one(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(200, data("placed")))
        placed = await seller.place(placement())
        sent = server.last
        assert (sent.method, sent.path, sent.query) == ("POST", "/api/fulfillment/pvt/orders", "sc=3&affiliateId=MKP")
        check_schema("place-order-request", sent.json)
        (body,) = sent.json
        assert body["marketplaceServicesEndpoint"] == ENDPOINT
        assert body["marketplacePaymentValue"] == 14002
        assert (placed.order_id, placed.divergences) == ("MKP-A-1001", [])

    async def test_dispatch_is_authorized_under_the_seller_s_order_id(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(200, data("dispatched")))
        receipt = await seller.authorize_dispatch(REF)
        sent = server.last
        assert (sent.method, sent.path) == ("POST", "/api/fulfillment/pvt/orders/MKP-A-1001/fulfill")
        assert (sent.query, sent.json) == ("sc=3&affiliateId=MKP", {"marketplaceOrderId": "A-1001"})
        check_schema("authorize-dispatch-request", sent.json)
        assert (receipt.order_id, receipt.receipt) == ("MKP-A-1001", "4f7a5b62-0a52-4c7e-8a35-8a1f24b07c11")

    async def test_a_cancel_goes_by_the_fulfillment_route(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(200, data("canceled")))
        canceled = await seller.cancel(REF, "changed my mind", requested_by_user=True)
        sent = server.last
        assert (sent.method, sent.path) == ("POST", "/api/fulfillment/pvt/orders/MKP-A-1001/cancel")
        assert (sent.query, sent.json) == ("sc=3&affiliateId=MKP", {"marketplaceOrderId": "A-1001"})
        check_schema("seller-cancel-request", sent.json)
        assert canceled.state is CancelState.CONFIRMED
        assert canceled.receipt == "b3a4d3e9-6c11-4a0e-9f39-ff0f3f7d2f10"

    async def test_a_cancel_by_the_oms_route_is_never_confirmed_at_once(self, server: ScriptedServer) -> None:
        server.follow(answer(200, data("canceled")))
        async with client(server.url, cancel_route="oms") as seller:
            canceled = await seller.cancel(REF, "changed my mind", requested_by_user=False)
        sent = server.last
        assert (sent.method, sent.path, sent.query) == ("POST", "/api/oms/pvt/orders/MKP-A-1001/cancel", "")
        assert sent.json == {"reason": "changed my mind", "requestedByUser": False}
        assert (canceled.state, canceled.receipt is None) == (CancelState.DECIDING, False)

    async def test_an_order_is_read_by_the_oms_route(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(200, data("order")))
        found = await seller.read(REF)
        sent = server.last
        assert (sent.method, sent.path, sent.query) == ("GET", "/api/oms/pvt/orders/MKP-A-1001", "")
        assert sent.body == b""
        assert (found.phase, found.value) == (SellerOrderPhase.PLACED, 14002)

    async def test_an_order_without_its_seller_s_id_is_read_under_the_composed_one(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(200, data("order")))
        await seller.read(UNPLACED)
        assert server.last.path == "/api/oms/pvt/orders/MKP-A-1001"

    async def test_an_order_id_cannot_lead_to_another_path(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(404), answer(404))
        for order_id in ("../x?y=1#z", "a b/é"):
            await failure_of(seller.read(REF.model_copy(update={"order_id": order_id})))
        assert [request.path for request in server.requests] == [
            "/api/oms/pvt/orders/..%2Fx%3Fy%3D1%23z",
            "/api/oms/pvt/orders/a%20b%2F%C3%A9",
        ]

    async def test_a_base_url_may_have_a_path(self, server: ScriptedServer) -> None:
        server.follow(answer(200, data("order")))
        async with client(f"{server.url}/sellers/acme/") as seller:
            await seller.read(REF)
        assert server.last.path == "/sellers/acme/api/oms/pvt/orders/MKP-A-1001"

    async def test_many_calls_share_one_connection(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(*[answer(200, data("order"))] * 5, answer(404), answer(200, data("simulation")))
        for _ in range(5):
            await seller.read(REF)
        await failure_of(seller.read(REF))
        await seller.simulate(CART)
        assert (len(server.requests), server.connections) == (7, 1)

    async def test_a_seller_s_cookies_are_not_sent_back(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(200, data("order"), {"Set-Cookie": "session=1; Path=/"}), answer(200, data("order")))
        await seller.read(REF)
        await seller.read(REF)
        assert "cookie" not in server.last.headers

    async def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
        self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        server.follow(answer(200, data("order")))
        async with client(server.url) as seller:
            assert (await seller.read(REF)).order_id == "MKP-A-1001"

    async def test_the_rate_of_a_seller_is_kept(self, server: ScriptedServer) -> None:
        server.always = answer(200, data("order"))
        async with client(server.url, requests_per_second=20) as seller:
            started = time.monotonic()
            await asyncio.gather(*(seller.read(REF) for _ in range(6)))
        assert time.monotonic() - started >= 0.24


class TestAnswers:
    @pytest.mark.parametrize("name", ["placed", "placed.envelope"])
    async def test_each_form_of_a_placed_order_is_read(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.follow(answer(201, data(name)))
        assert (await seller.place(placement())).order_id == "MKP-A-1001"

    @pytest.mark.parametrize("name", ["dispatched", "dispatched.envelope"])
    async def test_each_form_of_a_dispatch_answer_keeps_the_known_order_id(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.follow(answer(201, data(name)))
        assert (await seller.authorize_dispatch(REF)).order_id == "MKP-A-1001"

    @pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"orderId": "MKP-A-1001", "isCancelled": false}'])
    async def test_a_cancel_answer_without_confirmation_means_deciding(
        self, seller: VtexSeller, server: ScriptedServer, body: bytes
    ) -> None:
        server.follow(answer(200, body))
        assert (await seller.cancel(REF, "why", requested_by_user=True)).state is CancelState.DECIDING

    async def test_a_cancel_answer_without_content_means_deciding(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(Step(b"HTTP/1.1 204 No Content\r\n\r\n"))
        assert (await seller.cancel(REF, "why", requested_by_user=True)).state is CancelState.DECIDING

    async def test_a_compressed_and_chunked_answer_is_read(self, seller: VtexSeller, server: ScriptedServer) -> None:
        packed = gzip.compress(data("order"))
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        server.follow(Step(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)))
        assert (await seller.read(REF)).value == 14002

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>busy</html>",
            b"not json",
            b"[]",
            b"5",
            b'"ok"',
            b"\xff\xfe",
            b"[" * 50_000,
            b'{"orderId": true}',
        ],
    )
    @EVERY_CALL
    async def test_an_answer_that_makes_no_sense_is_an_error_of_the_seller(
        self, seller: VtexSeller, server: ScriptedServer, name: str, body: bytes
    ) -> None:
        server.follow(answer(200, body))
        error = await failure_of(CALLS[name](seller))
        assert type(error) is unsure(name)

    @pytest.mark.parametrize("name", sorted(CALLS.keys() - {"cancel"}))
    async def test_an_empty_answer_makes_no_sense_but_to_a_cancel_request(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.follow(answer(200, b""))
        assert type(await failure_of(CALLS[name](seller))) is unsure(name)

    @pytest.mark.parametrize("name", WRITES)
    async def test_an_answer_about_another_order_is_not_believed(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.follow(json_answer({"orderId": "MKP-B-2", "marketplaceOrderId": "B-2", "receipt": "r"}))
        error = await failure_of(CALLS[name](seller))
        assert type(error) is SellerUnknownOutcome
        assert error.failure.message == "the answer is about another order"

    async def test_what_is_wrong_with_an_answer_is_named_without_its_content(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(json_answer({"items": [{"id": "501", "price": "Vera Lucia"}]}))
        error = await failure_of(seller.simulate(CART))
        assert error.failure.message == "unexpected answer: items.0.price"
        assert (error.__cause__, error.__context__) == (None, None)

    @pytest.mark.parametrize(("size", "kept"), [(MAX_BODY, True), (MAX_BODY + 1, False)])
    @EVERY_CALL
    async def test_an_answer_over_two_mebibytes_is_refused(
        self, seller: VtexSeller, server: ScriptedServer, name: str, size: int, kept: bool
    ) -> None:
        body = json.dumps({"orderId": "MKP-A-1001", "items": [], "filler": ""}).encode()
        body = body.replace(b'""', b'"' + b"x" * (size - len(body)) + b'"')
        server.follow(answer(200, body))
        if kept:
            await CALLS[name](seller)
            return
        error = await failure_of(CALLS[name](seller))
        assert type(error) is unsure(name)
        assert "larger than" in error.failure.message

    async def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(200, gzip.compress(b" " * (MAX_BODY + 1)), {"Content-Encoding": "gzip"}))
        assert type(await failure_of(seller.read(REF))) is SellerUnavailable

    async def test_a_large_error_page_is_still_judged_by_its_status(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(403, b"x" * (MAX_BODY + 1)))
        error = await failure_of(seller.read(REF))
        assert (type(error), error.failure.message) == (SellerCredentials, "Forbidden")


class TestPool:
    async def test_each_account_has_one_client_built_when_first_asked_for(self, server: ScriptedServer) -> None:
        server.always = answer(200, data("order"))
        pool = SellerPool({"acme": config(server.url), "other": config(server.url)}, QUICK)
        first = pool.get("acme")
        assert pool.get("acme") is first
        assert pool.get("other") is not first
        assert (await first.read(REF)).order_id == "MKP-A-1001"
        await pool.aclose()
        assert pool.get("acme") is not first
        await pool.aclose()

    def test_an_account_that_is_not_configured_is_an_error_with_its_name(self) -> None:
        with pytest.raises(UnknownSeller, match="no Seller 'nobody' is configured") as caught:
            SellerPool({}).get("nobody")
        assert caught.value.account == "nobody"

    async def test_a_seller_is_built_from_its_settings_alone(self) -> None:
        seller = build_seller(config())
        await seller.aclose()
