"""What the client makes of failures, silence and broken connections, and what it never tells."""

import asyncio
import logging
import socket

import pytest

from marketplace.errors import (
    Cause,
    SellerAlreadyDone,
    SellerCredentials,
    SellerError,
    SellerMisconfigured,
    SellerRateLimited,
    SellerRefused,
    SellerUnavailable,
    SellerUnknownOutcome,
    Verdict,
)
from marketplace.seller.client import Timeouts, VtexSeller
from tests.seller.calls import CALLS, EVERY_CALL, HASTY, WRITES, client, failure_of, unsure
from tests.seller.samples import REF, TOKEN, UNPLACED, data, placement
from tests.support.scripted_server import ScriptedServer, Step, answer, json_answer


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "writing", "reading"),
        [
            (302, SellerMisconfigured, SellerMisconfigured),
            (400, SellerRefused, SellerRefused),
            (401, SellerCredentials, SellerCredentials),
            (403, SellerCredentials, SellerCredentials),
            (404, SellerRefused, SellerRefused),
            (408, SellerUnknownOutcome, SellerUnavailable),
            (429, SellerRateLimited, SellerRateLimited),
            (500, SellerUnknownOutcome, SellerUnavailable),
            (503, SellerUnknownOutcome, SellerUnavailable),
        ],
    )
    @EVERY_CALL
    async def test_each_status_is_the_error_that_belongs_to_it(
        self,
        seller: VtexSeller,
        server: ScriptedServer,
        name: str,
        status: int,
        writing: type[SellerError],
        reading: type[SellerError],
    ) -> None:
        server.follow(answer(status, "Sorry", {"Retry-After": "9", "Location": f"{server.url}/elsewhere"}))
        error = await failure_of(CALLS[name](seller))
        assert type(error) is (writing if name in WRITES else reading)
        assert (error.failure.message, error.failure.retry_after) == ("Sorry", 9.0)
        assert len(server.requests) == 1

    @EVERY_CALL
    async def test_an_error_body_under_a_good_status_is_an_error(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.follow(answer(200, data("error")))
        error = await failure_of(CALLS[name](seller))
        assert type(error) is SellerRefused
        assert (error.failure.cause, error.failure.code) == (Cause.PRICE_DIVERGENCE, "FMT007")

    async def test_an_order_that_is_there_already_is_told_as_done(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        body = {"error": {"code": "1", "message": "exists"}}
        server.follow(json_answer(body, 400, {"x-vtex-error-code": "FMT009"}))
        assert type(await failure_of(seller.place(placement()))) is SellerAlreadyDone

    async def test_an_unknown_order_is_told_as_not_found(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(404, "Order not found"))
        error = await failure_of(seller.read(UNPLACED))
        assert (error.failure.verdict, error.failure.cause) == (Verdict.REFUSED, Cause.NOT_FOUND)

    @EVERY_CALL
    @pytest.mark.parametrize("page", ["<html><title>Not Found</title></html>", "  <!DOCTYPE html>"])
    async def test_a_page_of_the_edge_says_nothing_about_what_was_asked(
        self, seller: VtexSeller, server: ScriptedServer, name: str, page: str
    ) -> None:
        server.follow(answer(404, page))
        error = await failure_of(CALLS[name](seller))
        assert type(error) is (SellerUnknownOutcome if name in WRITES else SellerUnavailable)
        assert error.failure.cause is not Cause.NOT_FOUND

    async def test_the_customer_s_data_never_stands_in_an_error(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        text = "Vera Lucia (vera.lucia@mail.example, 52998224725) of Rua do Principe is blocked"
        server.follow(json_answer({"error": {"code": "CHK003", "message": text}}, 400))
        error = await failure_of(seller.place(placement()))
        assert error.failure.message == "[...] ([...], [...]) of [...] is blocked"

    async def test_a_failed_reservation_is_tried_again_and_may_succeed(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        failed = json_answer({"error": {"code": "FMT002", "message": "reservation failed"}}, 400)
        server.follow(failed, failed, answer(200, data("placed")))
        assert (await seller.place(placement())).order_id == "MKP-A-1001"

    async def test_a_reservation_that_keeps_failing_means_out_of_stock(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.always = json_answer({"error": {"code": "ORD012", "message": "reservation failed"}}, 400)
        error = await failure_of(seller.place(placement()))
        assert (type(error), error.failure.cause) == (SellerRefused, Cause.OUT_OF_STOCK)
        assert len(server.requests) == 3


class TestLostAnswers:
    @pytest.mark.parametrize(
        "step",
        [
            Step(then="close"),
            Step(then="reset"),
            Step(then="hang"),
            Step(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", then="close"),
            Step(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", then="reset"),
            Step(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", then="hang"),
            Step(b"this is not HTTP\r\n\r\n", then="close"),
            answer(200, b"not gzip", {"Content-Encoding": "gzip"}),
            answer(302, b"", {"Location": "http://[:::/"}),
        ],
        ids=["close", "reset", "silence", "cut", "cut by reset", "silence midway", "no HTTP", "no gzip", "no URL"],
    )
    @EVERY_CALL
    async def test_an_answer_that_does_not_come_whole_is_an_unknown_outcome(
        self, server: ScriptedServer, name: str, step: Step
    ) -> None:
        server.follow(step)
        async with client(server.url, HASTY) as seller:
            assert type(await failure_of(CALLS[name](seller))) is unsure(name)

    @EVERY_CALL
    async def test_an_answer_that_drips_is_ended_by_the_total_time(self, server: ScriptedServer, name: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
        server.follow(Step(head, then="hang"))
        async with client(server.url, Timeouts(total=0.2)) as seller:
            error = await failure_of(CALLS[name](seller))
        assert type(error) is unsure(name)
        assert error.failure.message == "timed out waiting for the whole answer"

    @pytest.mark.parametrize("name", ["simulate", "place"])
    async def test_reads_and_changes_wait_as_long_as_their_own_timeout_says(
        self, server: ScriptedServer, name: str
    ) -> None:
        body = data("placed") if name == "place" else data("simulation")
        server.follow(answer(200, body, delay=0.4))
        async with client(server.url, Timeouts(read=0.1, read_change=5)) as seller:
            if name == "place":
                await CALLS[name](seller)
            else:
                await failure_of(CALLS[name](seller))

    @EVERY_CALL
    async def test_nobody_listening_means_that_nothing_happened(self, name: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with client(url) as seller:
            error = await failure_of(CALLS[name](seller))
        assert (type(error), error.failure.message) == (SellerUnavailable, "could not connect")

    @EVERY_CALL
    async def test_a_connection_that_is_never_taken_means_that_nothing_happened(self, name: str) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            # The kernel completes a few handshakes by itself; once its queue is full, the next ones wait.
            address = full.getsockname()
            waiting = [socket.socket() for _ in range(4)]
            for other in waiting:
                other.setblocking(False)
                other.connect_ex(address)
            async with client(f"http://127.0.0.1:{address[1]}", HASTY) as seller:
                error = await failure_of(CALLS[name](seller))
            for other in waiting:
                other.close()
        assert (type(error), error.failure.message) == (SellerUnavailable, "timed out connecting")

    @EVERY_CALL
    async def test_no_free_connection_means_that_nothing_happened(self, server: ScriptedServer, name: str) -> None:
        server.follow(Step(then="hang"))
        async with client(server.url, Timeouts(pool=0.1, read=0.5), max_connections=1) as seller:
            busy = asyncio.create_task(failure_of(seller.read(REF)))
            await asyncio.sleep(0.05)
            error = await failure_of(CALLS[name](seller))
            await busy
        assert type(error) is SellerUnavailable
        assert error.failure.message == "timed out waiting for a free connection"
        assert len(server.requests) == 1

    @EVERY_CALL
    async def test_no_turn_in_time_means_that_nothing_happened(self, server: ScriptedServer, name: str) -> None:
        server.always = answer(200, data("order"))
        async with client(server.url, Timeouts(total=0.2), requests_per_second=0.1) as seller:
            await seller.read(REF)
            error = await failure_of(CALLS[name](seller))
        assert type(error) is SellerUnavailable
        assert error.failure.message == "not asked: no turn in time under the rate limit"
        assert error.failure.paused
        assert 5 < (error.failure.retry_after or 0) <= 10
        assert len(server.requests) == 1

    @EVERY_CALL
    async def test_a_key_that_cannot_be_sent_is_a_misconfiguration(self, server: ScriptedServer, name: str) -> None:
        async with client(server.url, app_key="line\nbreak") as seller:
            error = await failure_of(CALLS[name](seller))
        assert type(error) is SellerMisconfigured
        assert "line" not in str(error)

    async def test_a_base_url_of_another_protocol_is_a_misconfiguration(self) -> None:
        async with client("ftp://127.0.0.1") as seller:
            assert type(await failure_of(seller.read(REF))) is SellerMisconfigured

    async def test_a_canceled_task_is_canceled_and_leaves_the_client_usable(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(Step(then="hang"), answer(200, data("order")))
        task = asyncio.create_task(seller.read(REF))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await seller.read(REF)).order_id == "MKP-A-1001"


class TestSecrets:
    @EVERY_CALL
    async def test_nothing_of_the_keys_or_the_order_is_logged(
        self, server: ScriptedServer, caplog: pytest.LogCaptureFixture, name: str
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            async with client(server.url) as seller:
                server.follow(answer(500, "busy", {"Set-Cookie": "s=1"}))
                error = await failure_of(CALLS[name](seller))
        assert [record for record in caplog.records if record.name.startswith("http")] == []
        assert TOKEN not in repr(error) + str(error.failure)
