"""How a real server is left alone: the pause after a 429, and the rest that it gets when it is down."""

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from marketplace.errors import (
    SellerError,
    SellerMisconfigured,
    SellerRateLimited,
    SellerUnavailable,
    Verdict,
)
from marketplace.seller.client import Manners, SellerPool, Timeouts, VtexSeller
from tests.seller.calls import CALLS, CATALOG_CALLS, QUICK, client, failure_of, took
from tests.seller.samples import REF, config, data
from tests.support.scripted_server import ScriptedServer, Step, answer

BRISK = Manners(failures_to_open=3, probe_every=0.4, first_pause=0.1, longest_pause=5)
STUBBORN = Manners(failures_to_open=3, probe_every=60, first_pause=30, longest_pause=60)
PATIENT = Timeouts(total=20)
GOOD = answer(200, data("order"))
DOWN = answer(503, "<html><title>Service Unavailable</title></html>")
ALL_CALLS = {**CALLS, **CATALOG_CALLS}


async def bring_down(seller: VtexSeller, server: ScriptedServer) -> None:
    server.follow(DOWN, DOWN, DOWN)
    for _ in range(3):
        await failure_of(seller.read(REF))
    server.follow()


def is_held_back(error: SellerError) -> bool:
    return type(error) is SellerUnavailable and error.failure.paused


class TestPause:
    async def test_nothing_leaves_before_a_retry_after_is_over_and_then_only_at_the_rate(
        self, server: ScriptedServer
    ) -> None:
        server.follow(answer(429, headers={"Retry-After": "1"}), *[GOOD] * 5)
        async with client(server.url, PATIENT, requests_per_second=10) as seller:
            limited = asyncio.create_task(failure_of(seller.read(REF)))
            await asyncio.sleep(0)
            waiting = [asyncio.create_task(took(seller.read(REF))) for _ in range(3)]
            await limited
            times = await asyncio.gather(*waiting, *(took(seller.read(REF)) for _ in range(2)))
        assert min(times) >= 0.98
        assert max(times) >= 1.38
        assert len(server.requests) == 6

    @pytest.mark.parametrize("name", ALL_CALLS)
    async def test_a_call_that_would_wait_too_long_fails_at_once_without_a_request(
        self, server: ScriptedServer, name: str
    ) -> None:
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
        server.follow(answer(429, headers={"Retry-After": later}))
        async with client(server.url) as seller:
            await failure_of(seller.read(REF))
            error = await failure_of(ALL_CALLS[name](seller))
        assert (type(error), error.failure.paused) == (SellerRateLimited, True)
        assert 500 < (error.failure.retry_after or 0) <= 600
        assert len(server.requests) == 1

    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}, {"Retry-After": "soon"}])
    async def test_a_429_that_names_no_time_makes_a_short_pause(
        self, server: ScriptedServer, headers: dict[str, str]
    ) -> None:
        server.follow(answer(429, headers=headers), GOOD)
        async with client(server.url, PATIENT, BRISK) as seller:
            started = time.monotonic()
            await failure_of(seller.read(REF))
            await seller.read(REF)
        assert time.monotonic() - started >= 0.1

    async def test_a_burst_that_is_refused_together_makes_one_pause(self, server: ScriptedServer) -> None:
        server.follow(*[answer(429, delay=0.1)] * 20)
        manners = Manners(first_pause=0.1, longest_pause=1000)
        async with client(server.url, PATIENT, manners) as seller:
            await asyncio.gather(*(failure_of(seller.read(REF)) for _ in range(20)))
            server.follow(GOOD)
            # After twenty doublings it would be refused at once.
            assert await took(seller.read(REF)) < 5

    async def test_who_waits_for_a_turn_when_the_pause_begins_is_told_at_once(self, server: ScriptedServer) -> None:
        server.follow(answer(429, headers={"Retry-After": "30"}))
        async with client(server.url, PATIENT, requests_per_second=0.5) as seller:
            calls = [asyncio.create_task(failure_of(seller.read(REF))) for _ in range(4)]
            taken = await took(asyncio.gather(*calls))
        assert taken < 1.5
        assert [error.result().failure.paused for error in calls] == [False, True, True, True]
        assert len(server.requests) == 1

    async def test_a_rate_limit_seen_through_the_checkout_is_one_too(self, server: ScriptedServer) -> None:
        server.follow(answer(500, '{"error": {"code": "ORD021.3", "message": "rate"}}'))
        async with client(server.url, QUICK, STUBBORN) as seller:
            assert type(await failure_of(seller.read(REF))) is SellerRateLimited
            assert (await failure_of(seller.read(REF))).failure.paused


class TestDown:
    @pytest.mark.parametrize(
        "step",
        [
            DOWN,
            answer(500, '{"error": {"code": "ORD008", "message": "unexpected"}}'),
            Step(then="close"),
            Step(then="reset"),
            Step(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", then="hang"),
        ],
        ids=["503", "500 with a code", "close", "reset", "silence"],
    )
    async def test_after_enough_failures_in_a_row_nothing_is_sent(self, server: ScriptedServer, step: Step) -> None:
        server.follow(*[step] * 3)
        async with client(server.url, Timeouts(read=0.1), STUBBORN) as seller:
            for _ in range(3):
                assert not seller.is_down
                assert not (await failure_of(seller.read(REF))).failure.paused
            assert seller.is_down
            for call in ALL_CALLS.values():
                error = await failure_of(call(seller))
                assert is_held_back(error)
                assert 30 < (error.failure.retry_after or 0) <= 60
        assert len(server.requests) == 3

    async def test_a_seller_that_cannot_be_reached_is_down(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with client(url, QUICK, STUBBORN) as seller:
            for _ in range(3):
                await failure_of(seller.read(REF))
            assert seller.is_down

    @pytest.mark.parametrize(
        "step",
        [
            *(answer(status, "no") for status in (302, 400, 401, 404, 408)),
            answer(500, '{"error": {"code": "FMT007", "message": "price"}}'),
            answer(200, "no JSON"),
            answer(200, b"no gzip", {"Content-Encoding": "gzip"}),
        ],
        ids=["302", "400", "401", "404", "408", "500 that decides", "no JSON", "no gzip"],
    )
    async def test_a_seller_that_answers_is_not_down(self, server: ScriptedServer, step: Step) -> None:
        server.follow(*[step] * 4)
        async with client(server.url, QUICK, STUBBORN) as seller:
            for _ in range(4):
                await failure_of(seller.read(REF))
            assert not seller.is_down
        assert len(server.requests) == 4

    async def test_a_mistake_of_our_own_does_not_make_the_seller_look_down(self, server: ScriptedServer) -> None:
        async with client(server.url, QUICK, STUBBORN, app_key="line\nbreak") as seller:
            for _ in range(4):
                assert type(await failure_of(seller.read(REF))) is SellerMisconfigured
            assert not seller.is_down

    async def test_one_answer_between_failures_starts_the_count_anew(self, server: ScriptedServer) -> None:
        server.follow(DOWN, DOWN, answer(404), DOWN, DOWN, GOOD)
        async with client(server.url, QUICK, STUBBORN) as seller:
            for _ in range(5):
                await failure_of(seller.read(REF))
            await seller.read(REF)

    async def test_one_call_at_a_time_looks_whether_it_is_back_and_its_success_opens_the_way(
        self, server: ScriptedServer
    ) -> None:
        async with client(server.url, PATIENT, BRISK) as seller:
            await bring_down(seller, server)
            await asyncio.sleep(0.45)
            server.follow(answer(200, data("order"), delay=0.1), GOOD, GOOD)
            probe = asyncio.create_task(seller.read(REF))
            await asyncio.sleep(0.02)
            assert is_held_back(await failure_of(seller.read(REF)))
            await probe
            assert not seller.is_down
            await asyncio.gather(seller.read(REF), seller.read(REF))
        assert len(server.requests) == 3

    async def test_a_probe_that_fails_keeps_it_down_for_another_while(self, server: ScriptedServer) -> None:
        async with client(server.url, PATIENT, BRISK) as seller:
            await bring_down(seller, server)
            await asyncio.sleep(0.45)
            server.follow(DOWN)
            assert not (await failure_of(seller.read(REF))).failure.paused
            error = await failure_of(seller.read(REF))
        assert is_held_back(error)
        assert 0 < (error.failure.retry_after or 0) <= 0.4
        assert len(server.requests) == 1

    async def test_of_those_who_wait_for_the_end_of_a_pause_only_one_looks_whether_it_is_back(
        self, server: ScriptedServer
    ) -> None:
        server.follow(answer(429, headers={"Retry-After": "1"}), answer(503, delay=0.1))
        async with client(server.url, PATIENT, Manners(failures_to_open=1, probe_every=0.2)) as seller:
            await asyncio.gather(*(failure_of(seller.read(REF)) for _ in range(2)))
            await asyncio.sleep(0.25)
            server.follow(answer(503, delay=0.1))
            errors = await asyncio.gather(*(failure_of(seller.read(REF)) for _ in range(3)))
        assert sorted(error.failure.paused for error in errors) == [False, True, True]
        assert len(server.requests) == 1

    async def test_who_waits_for_a_turn_when_it_goes_down_is_told_at_once(self, server: ScriptedServer) -> None:
        server.always = DOWN
        async with client(server.url, PATIENT, Manners(failures_to_open=1), requests_per_second=0.5) as seller:
            errors: list[SellerError] = []
            taken = await took(asyncio.gather(*(_collect(seller, errors) for _ in range(4))))
        assert taken < 1.5
        assert [is_held_back(error) for error in errors] == [False, True, True, True]

    async def test_going_down_and_coming_back_are_logged_once_each(self, server: ScriptedServer) -> None:
        with capture_logs() as lines:
            async with client(server.url, PATIENT, BRISK) as seller:
                await bring_down(seller, server)
                await failure_of(seller.read(REF))
                await asyncio.sleep(0.45)
                server.follow(GOOD, GOOD)
                await seller.read(REF)
                await seller.read(REF)
        told = [(line["log_level"], line["event"], line["seller"]) for line in lines]
        assert told == [
            ("warning", "the Seller is down: calls are held back", "acme"),
            ("info", "the Seller answers again", "acme"),
        ]

    async def test_the_pool_tells_which_seller_is_down(self, server: ScriptedServer) -> None:
        server.always = DOWN
        pool = SellerPool({"acme": config(server.url), "other": config(server.url)}, QUICK, Manners(failures_to_open=1))
        await failure_of(pool.catalog("acme").read_sku("501"))
        assert (pool.is_down("acme"), pool.is_down("other"), pool.is_down("nobody")) == (True, False, False)
        error = await failure_of(pool.get("acme").read(REF))
        assert (error.failure.verdict, error.failure.paused, len(server.requests)) == (Verdict.RETRY, True, 1)
        await pool.aclose()


async def _collect(seller: VtexSeller, errors: list[SellerError]) -> None:
    errors.append(await failure_of(seller.read(REF)))
