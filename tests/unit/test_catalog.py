"""Offers, notices and blocks: what follows from what a Seller says about a SKU."""

from typing import Any

import pytest
from pydantic import ValidationError

from marketplace.catalog import (
    ChangeNotice,
    DecidedBy,
    Decision,
    Offer,
    OfferStatus,
    Problem,
    ProblemCode,
    ProductData,
    SkuData,
    blocks_of,
    with_product,
)

BLOCK = Problem(code=ProblemCode.SKU_INACTIVE, message="inactive")


def data(**changes: Any) -> SkuData:
    good: dict[str, Any] = {"id": "7", "product_id": "1", "name": "Mug", "is_active": True, "sales_channels": [1, 3]}
    return SkuData(**{**good, **changes})


# --- offers ---


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, OfferStatus.BLOCKED),
        ({"decision": Decision.INCLUDED}, OfferStatus.LISTED),
        ({"decision": Decision.PENDING}, OfferStatus.PENDING),
        ({"decision": Decision.EXCLUDED}, OfferStatus.EXCLUDED),
        ({"decision": Decision.INCLUDED, "blocks": [BLOCK]}, OfferStatus.BLOCKED),
        ({"decision": Decision.PENDING, "blocks": [BLOCK]}, OfferStatus.BLOCKED),
        ({"decision": Decision.EXCLUDED, "blocks": [BLOCK]}, OfferStatus.EXCLUDED),
        ({"decision": Decision.INCLUDED, "failed": True}, OfferStatus.FAILED),
        ({"failed": True, "blocks": [BLOCK]}, OfferStatus.FAILED),
    ],
)
def test_an_offers_status_follows_from_its_facts(facts: dict[str, Any], status: OfferStatus) -> None:
    assert Offer(seller="acme", id="7", **facts).status is status


@pytest.mark.parametrize("decision", [None, *Decision])
def test_only_what_is_included_is_sold_whether_it_can_be_at_the_moment_or_not(decision: Decision | None) -> None:
    for facts in ({}, {"failed": True}, {"blocks": [BLOCK]}):
        offer = Offer.model_validate({"seller": "acme", "id": "7", "decision": decision, **facts})
        assert offer.sold is (decision is Decision.INCLUDED)


def test_an_offer_is_read_from_json_as_it_was_written_and_its_status_computed_anew() -> None:
    offer = Offer(
        seller="acme", id="7", decision=Decision.INCLUDED, decided_by=DecidedBy.POLICY, data=data(), stock=None
    )
    text = offer.model_dump_json()

    assert '"status":"listed"' in text
    assert Offer.model_validate_json(text) == offer
    assert Offer.model_validate({**offer.model_dump(), "status": "failed"}).status is OfferStatus.LISTED
    assert Offer.model_validate(offer) is offer


@pytest.mark.parametrize(("told", "kept"), [("7", "7"), ("007", "7"), ("0", "0"), ("2147483647", "2147483647")])
def test_one_sku_has_one_id_however_it_is_written(told: str, kept: str) -> None:
    assert Offer(seller="acme", id=told).id == kept


@pytest.mark.parametrize("told", ["", "a", "-1", "1.0", " 7", "7\n", "٧", "12345678901"])
def test_what_is_no_number_is_no_sku(told: str) -> None:
    with pytest.raises(ValidationError):
        Offer(seller="acme", id=told)


# --- blocks ---


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"is_active": False}, ["sku-inactive"]),
        ({"is_product_active": False}, ["product-inactive"]),
        ({"sales_channels": [3]}, ["outside-sales-channel"]),
        ({"sales_channels": []}, ["outside-sales-channel"]),
        ({"main_seller": False}, ["foreign-seller"]),
        (
            {"is_active": False, "is_product_active": False, "sales_channels": [], "main_seller": False},
            ["sku-inactive", "product-inactive", "outside-sales-channel", "foreign-seller"],
        ),
    ],
)
def test_everything_that_forbids_to_sell_a_sku_is_named_at_once(changes: dict[str, Any], codes: list[str]) -> None:
    blocks = blocks_of(data(**changes), 1)

    assert [block.code for block in blocks] == codes
    assert all(block.message for block in blocks)


@pytest.mark.parametrize(
    ("notice", "code"),
    [
        (None, ProblemCode.OUTSIDE_SALES_CHANNEL),
        (ChangeNotice(removed=False), ProblemCode.OUTSIDE_SALES_CHANNEL),
        (ChangeNotice(removed=True), ProblemCode.REMOVED_FROM_AFFILIATE),
    ],
)
def test_a_notice_words_why_a_sku_is_outside_the_trade_policy(notice: ChangeNotice | None, code: ProblemCode) -> None:
    assert [block.code for block in blocks_of(data(), 2, notice)] == [code]


def test_a_notice_of_removal_blocks_nothing_that_the_sellers_data_still_has() -> None:
    assert blocks_of(data(), 1, ChangeNotice(removed=True, is_active=False)) == []


# --- notices ---


@pytest.mark.parametrize(
    ("notice", "terms_only"),
    [
        ({}, False),
        ({"price_changed": True}, True),
        ({"stock_changed": True}, True),
        ({"price_changed": True, "stock_changed": False, "data_changed": False, "is_active": True}, True),
        ({"price_changed": False, "stock_changed": False}, False),
        ({"price_changed": True, "data_changed": True}, False),
        ({"stock_changed": True, "is_active": False}, False),
        ({"stock_changed": True, "removed": True}, False),
        ({"stock_changed": True, "removed": False}, True),
    ],
)
def test_a_notice_asks_for_price_and_stock_alone_only_when_it_says_nothing_else(
    notice: dict[str, Any], terms_only: bool
) -> None:
    assert ChangeNotice(**notice).terms_only is terms_only


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        ({"price_changed": True}, {"stock_changed": True}, {"price_changed": True, "stock_changed": True}),
        ({"price_changed": True}, {}, {"price_changed": True, "data_changed": True}),
        (
            {"data_changed": True, "product_id": "1"},
            {"stock_changed": True},
            {"data_changed": True, "stock_changed": True, "product_id": "1"},
        ),
        ({"product_id": "1", "stock_changed": True}, {"product_id": "2", "stock_changed": True}, {"product_id": "2"}),
    ],
)
def test_notices_in_one_ask_for_whatever_either_asks(
    first: dict[str, Any], second: dict[str, Any], merged: dict[str, Any]
) -> None:
    found = ChangeNotice(**first).merged(ChangeNotice(**second))

    assert {name: getattr(found, name) for name in merged} == merged
    assert found.terms_only is (ChangeNotice(**first).terms_only and ChangeNotice(**second).terms_only)


@pytest.mark.parametrize("flag", ["is_active", "removed"])
def test_of_two_notices_the_later_ones_word_counts_where_it_says_one(flag: str) -> None:
    def merged(first: Any, second: Any) -> object:
        both = ChangeNotice(**{flag: first}).merged(ChangeNotice(**{flag: second}))
        return getattr(both, flag)

    assert [merged(True, False), merged(False, True), merged(True, None), merged(None, False)] == [
        False,
        True,
        True,
        False,
    ]


# --- products ---


def test_a_product_is_asked_for_only_when_the_sku_did_not_tell_whether_it_is_active() -> None:
    assert data().needs_product
    assert not data(is_product_active=True).needs_product
    assert not with_product(data(), ProductData(id="1", is_active=True)).needs_product


def test_a_product_tells_whether_it_is_active_and_what_the_sku_left_out() -> None:
    product = ProductData(id="1", name="Mugs", is_active=False, description="Of clay", keywords="cup", link_id="mugs")

    bare = with_product(data(link_id="old"), product)
    assert (bare.is_product_active, bare.product_name, bare.description) == (False, "Mugs", "Of clay")
    assert (bare.keywords, bare.link_id) == ("cup", "mugs")
    told = data(product_name="Mug", description="Blue", keywords="mug", link_id="mug")
    full = with_product(told, ProductData(id="1", is_active=True))
    assert full == told.model_copy(update={"is_product_active": True})
