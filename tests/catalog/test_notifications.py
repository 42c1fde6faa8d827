"""The affiliate endpoint takes a notice in every documented form, and refuses whatever is none or not its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from api.middleware import MAX_BODY
from marketplace.security import AffiliateTokens
from marketplace.settings import Settings, secret_keys
from marketplace.temporal import connect
from tests.api.answers import SENT, problem
from tests.api.malformed import NO_JSON, NO_OBJECT
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Shop
from tests.support.processes import TemporalServer

PATHS = ["", "/", "/api/notification", "/api/notification/", "//api//notification//", "//"]
FIELDS = ("IdSku", "ProductId", "An", "IdAffiliate", "IsActive", "StockModified", "PriceModified")


def notice_of(shop: Shop, sku_id: str, **changes: Any) -> dict[str, Any]:
    """The ten fields as VTEX's newest page has them."""
    return {
        "IdSku": sku_id,
        "ProductId": 9,
        "An": shop.account,
        "IdAffiliate": "MKP",
        "DateModified": "2026-03-09T13:22:41.1234567Z",
        "IsActive": True,
        "StockModified": False,
        "PriceModified": True,
        "HasStockKeepingUnitModified": False,
        "HasStockKeepingUnitRemovedFromAffiliate": False,
        **changes,
    }


# --- what is taken ---


@pytest.mark.parametrize("form", ["pascal", "camel", "five", "full"])
async def test_each_documented_form_is_taken_at_each_spelling_of_the_endpoint(shop: Shop, form: str) -> None:
    ways = [("string", "integer", "given"), ("integer", "string", "absent"), ("string", "absent", "given")]
    told: list[str] = []
    for number, (sku_form, product_form, date) in enumerate(ways):
        await shop.switch(noticeProductId=product_form, noticeDate=date, unknownFields=number % 2 == 0)
        sku_id = await shop.add()
        path = PATHS[(number + len(form)) % 4]
        report = {"form": form, "skuIdForm": sku_form, "path": path, "priceModified": True}
        [sent] = await shop.tell(sku_id, **report)
        assert isinstance(next(iter(sent["body"].values())), str if sku_form == "string" else int)
        told.append(sku_id)
    for sku_id in told:
        offer = await shop.until(sku_id, status="listed")
        assert (offer["id"], offer["price"], offer["seller"]) == (sku_id, 1000, shop.account)


async def test_the_endpoint_is_taken_with_and_without_its_path_and_slashes(shop: Shop) -> None:
    sku_ids = {path: await shop.add() for path in PATHS}
    for path, sku_id in sku_ids.items():
        answer = await shop.http.post(f"{shop.endpoint}{path}", json=notice_of(shop, sku_id))
        assert (path, answer.status_code, answer.content) == (path, 202, b"")
    for sku_id in sku_ids.values():
        await shop.until(sku_id, status="listed")


SPELLINGS: dict[str, dict[str, Any]] = {
    "idSKU": {"IdSku": None, "idSKU": "{sku}"},
    "idSku": {"IdSku": None, "idSku": "{sku}"},
    "IDSKU, and an empty second spelling": {"IdSku": "", "IDSKU": "{sku}"},
    "blanks and leading zeros": {"IdSku": " 00{sku} "},
    "flags as words": {"PriceModified": "True", "IsActive": "true", "StockModified": "FALSE"},
    "flags that are null": {"PriceModified": None, "IsActive": None, "StockModified": None},
    "flags that are blank": {"IsActive": "", "HasStockKeepingUnitModified": " "},
    "no product": {"ProductId": 0},
    "the product as a blank text": {"ProductId": ""},
    "the account with a domain": {"An": "{account}.myvtex"},
    "the account with a whole domain": {"An": "{account}.vtexcommercestable.com.br"},
    "the account in capitals": {"An": "{ACCOUNT}"},
    "the affiliate in small letters": {"IdAffiliate": "mkp"},
    "a date that is none": {"DateModified": "yesterday"},
    "unknown fields": {"Version": "1.0", "Future": {"Nested": [1, None]}},
}


async def test_every_spelling_of_a_field_is_read(shop: Shop) -> None:
    sku_ids = {spelling: await shop.add() for spelling in SPELLINGS}
    for spelling, sku_id in sku_ids.items():
        answer = await shop.http.post(shop.endpoint, json=spelt(shop, sku_id, SPELLINGS[spelling]))
        assert answer.status_code == 202, (spelling, answer.text)
    for sku_id in sku_ids.values():
        await shop.until(sku_id, status="listed")


def spelt(shop: Shop, sku_id: str, spelling: dict[str, Any]) -> dict[str, Any]:
    words = {"{sku}": sku_id, "{account}": shop.account, "{ACCOUNT}": shop.account.upper()}

    def filled(value: Any) -> Any:
        for word, text in words.items():
            value = value.replace(word, text) if isinstance(value, str) else value
        return value

    changes = {name: filled(value) for name, value in spelling.items()}
    return {
        name: value for name, value in notice_of(shop, sku_id, **changes).items() if (name, value) != ("IdSku", None)
    }


# --- what is refused ---


def test_there_are_enough_malformed_bodies() -> None:
    assert sum(len(values) for values in WRONG.values()) + len(NO_JSON) + len(NO_OBJECT) >= 25


_MISSING = object()
_NO_ID: list[Any] = ["x", "-1", "1.5", "12345678901", 1.5, -1, True, [], {}, 10**30, "１２"]
_NO_FLAG: list[Any] = ["yes", SENT, 1, 0, 2.5, [], {}]
_NO_WORD: list[Any] = [_MISSING, None, "", "  ", 1, True, [], {}, SENT * 43]
WRONG: dict[str, list[Any]] = {
    "IdSku": [_MISSING, None, "", "0", 0, *_NO_ID],
    "ProductId": _NO_ID,
    "An": _NO_WORD,
    "IdAffiliate": _NO_WORD,
    "IsActive": _NO_FLAG,
    "StockModified": _NO_FLAG,
    "PriceModified": _NO_FLAG,
    "HasStockKeepingUnitModified": _NO_FLAG,
    "HasStockKeepingUnitRemovedFromAffiliate": _NO_FLAG,
}


@pytest.mark.parametrize("field", WRONG)
async def test_a_malformed_notice_is_a_400_that_names_the_field_as_vtex_spells_it(shop: Shop, field: str) -> None:
    for value in WRONG[field]:
        body = notice_of(shop, "7001", **{field: value})
        body = {name: one for name, one in body.items() if one is not _MISSING}
        problem(await shop.http.post(shop.endpoint, json=body), 400, f"/{field}", body)
    assert await shop.offer("7001") is None


@pytest.mark.parametrize("what", [*NO_JSON, *NO_OBJECT])
async def test_a_body_that_is_no_json_object_is_a_400(shop: Shop, what: str) -> None:
    problem(await shop.http.post(shop.endpoint, content={**NO_JSON, **NO_OBJECT}[what]), 400, "")


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(17):
        yield b" " * 65536


async def test_a_notice_over_the_limit_is_413(shop: Shop) -> None:
    problem(await shop.http.post(shop.endpoint, content=b" " * (MAX_BODY + 1)), 413)
    problem(await shop.http.post(shop.endpoint, content=_chunks()), 413)


async def test_a_wrong_token_account_or_affiliate_is_404_and_nothing_is_read(shop: Shop) -> None:
    token = shop.endpoint.rsplit("/", 1)[1]
    acme = AffiliateTokens(secret_keys(shop.engine.settings)).endpoint(shop.engine.settings.public_url, "acme")
    other = acme.rsplit("/", 1)[1]
    base = f"/affiliates/{shop.account}"
    body = notice_of(shop, "7002")
    endpoints = [
        *(f"{base}/{wrong}" for wrong in ("wrong", token[:-1], f"{token}A", token.swapcase(), other, "%00", "%20")),
        f"/affiliates/acme/{token}",
        f"/affiliates/nobody/{token}",
        f"/affiliates/%00/{token}",
        acme,
    ]
    for endpoint in endpoints:
        problem(await shop.http.post(f"{endpoint}/api/notification/", json=body), 404, sent=endpoint)
    for change in ({"An": "acme"}, {"An": f"{shop.account}x"}, {"IdAffiliate": "ABC"}, {"IdAffiliate": "MKPX"}):
        answer = await shop.http.post(shop.endpoint, json={**body, **change})
        problem(answer, 404, sent=change)
        assert token not in answer.text
    assert await shop.offer("7002") is None
    assert await shop.calls("7002") == {}


async def test_another_method_is_405_and_says_which_is_allowed(shop: Shop) -> None:
    for path in ("", "/api/notification/"):
        answer = await shop.http.get(f"{shop.endpoint}{path}")
        problem(answer, 405)
        assert answer.headers["allow"] == "POST"


# --- durable, and cheap ---


async def test_a_notice_taken_without_a_worker_is_read_when_one_comes_back(make_shop: MakeShop) -> None:
    async with make_shop(run_worker=False) as shop:
        sku_id = await shop.add()
        [sent] = await shop.tell(sku_id)
        assert sent["status"] == 202
        assert await shop.calls(sku_id) == {}
        await shop.engine.start_worker()
        await shop.until(sku_id, status="listed")


async def test_without_temporal_a_notice_is_503_and_what_was_taken_is_read_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with TemporalServer(tmp_path / "temporal") as server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
        client = await connect(Settings(), lazy=True)
        async with Shop(client, tmp_path, run_worker=False) as shop:
            sku_id = await shop.add()
            body = notice_of(shop, sku_id)
            refused = problem(await shop.http.post(shop.endpoint, json=body), 503)
            assert "Temporal" in refused["detail"]
            await server.start()
            assert (await shop.http.post(shop.endpoint, json=body)).status_code == 202
            shop.engine.client = await server.client()
            await shop.engine.start_worker()
            await shop.until(sku_id, status="listed")
            await shop.engine.stop_worker()


async def test_notices_of_one_sku_that_arrive_together_travel_together(shop: Shop) -> None:
    sku_id = await shop.listed()
    burst = 100
    await shop.switch(noticeConcurrency=burst)
    sent = await shop.tell(sku_id, priceModified=True, times=burst, together=True)
    assert len(sent) == burst
    await shop.settled(sku_id)
    signals = await shop.signals(sku_id)
    print(f"{burst} notices of one SKU at once: {signals} signals")  # noqa: T201 - a figure to be seen with -s
    assert signals <= burst / 5


async def test_callers_that_hang_up_take_nobody_elses_notice_with_them(shop: Shop) -> None:
    sku_id = await shop.listed()
    await shop.put(sku_id, price=1234)
    body = json.dumps(notice_of(shop, sku_id))
    posts = [asyncio.create_task(shop.http.post(shop.endpoint, content=deepcopy(body))) for _ in range(20)]
    await asyncio.sleep(0.01)
    for post in posts[:10]:
        post.cancel()
    answers = await asyncio.gather(*posts[10:])
    assert {answer.status_code for answer in answers} == {202}
    await shop.until(sku_id, price=1234)
