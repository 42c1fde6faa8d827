"""Which SKUs are included: each policy, and how a rule file is read."""

from pathlib import Path
from typing import Any

import pytest

from marketplace.assortment import Approval, IncludeAll, InclusionPolicy, Rules, RulesInvalid, load_rules, policy_of
from marketplace.catalog import Brand, Category, Decision, SkuData, Terms


def data(**changes: Any) -> SkuData:
    good: dict[str, Any] = {
        "id": "7",
        "product_id": "1",
        "name": "Mug",
        "is_active": True,
        "brand": Brand(id="20", name="Casa Azul"),
        "categories": [Category(id="1", name="Home"), Category(id="12", name="Kitchen")],
    }
    return SkuData(**{**good, **changes})


def terms(**changes: Any) -> Terms:
    good: dict[str, Any] = {"availability": "available", "price": 9990, "list_price": 11990, "stock": 5}
    return Terms(**{**good, **changes})


@pytest.mark.parametrize(
    ("policy", "decision"),
    [(IncludeAll(), Decision.INCLUDED), (Approval(), Decision.PENDING), (Rules(), Decision.INCLUDED)],
)
def test_a_sku_to_which_nothing_objects(policy: InclusionPolicy, decision: Decision) -> None:
    verdict = policy.decide(data(), terms())

    assert (verdict.decision, verdict.objections) == (decision, [])


def test_what_the_rules_allow_may_still_wait_for_somebody() -> None:
    assert Rules(otherwise="approval").decide(data(), terms()).decision is Decision.PENDING


@pytest.mark.parametrize(
    ("rules", "told", "allowed"),
    [
        ({"allowed_categories": ["12"]}, {}, True),
        ({"allowed_categories": ["1"]}, {}, True),
        ({"allowed_categories": ["2", "1"]}, {}, True),
        ({"allowed_categories": ["2"]}, {}, False),
        ({"allowed_categories": ["1"]}, {"categories": []}, False),
        ({"denied_categories": ["1"]}, {}, False),
        ({"denied_categories": ["12"]}, {}, False),
        ({"denied_categories": ["2"]}, {}, True),
        ({"denied_categories": ["1"]}, {"categories": []}, True),
        ({"allowed_categories": ["1"], "denied_categories": ["12"]}, {}, False),
        ({"allowed_brands": ["casa azul"]}, {}, True),
        ({"allowed_brands": ["20"]}, {}, True),
        ({"allowed_brands": ["Other"]}, {}, False),
        ({"allowed_brands": ["Casa Azul"]}, {"brand": None}, False),
        ({"denied_brands": ["CASA AZUL"]}, {}, False),
        ({"denied_brands": ["20"]}, {"brand": Brand(id="20")}, False),
        ({"denied_brands": ["Other"]}, {}, True),
        ({"denied_brands": ["Other"]}, {"brand": None}, True),
        ({"allowed_brands": ["20"], "denied_brands": ["casa azul"]}, {}, False),
    ],
)
def test_a_rule_about_a_skus_data(rules: dict[str, Any], told: dict[str, Any], allowed: bool) -> None:
    verdict = Rules(**rules).decide(data(**told), terms())

    assert verdict.decision is (Decision.INCLUDED if allowed else Decision.EXCLUDED)
    codes = [] if allowed else [f"{'category' if 'categories' in next(iter(rules)) else 'brand'}-not-allowed"]
    assert [problem.code for problem in verdict.objections] == codes


@pytest.mark.parametrize(
    ("rules", "told", "objection"),
    [
        ({"minimum_stock": 5}, {}, None),
        ({"minimum_stock": 6}, {}, "stock of 5 is below the minimum of 6"),
        ({"minimum_stock": 1}, {"stock": None}, None),
        ({"minimum_stock": 2}, {"stock": None}, "stock of 1 is below the minimum of 2"),
        ({"minimum_stock": 1}, {"stock": 0}, "stock of 0 is below the minimum of 1"),
        ({"minimum_price": 9990, "maximum_price": 9990}, {}, None),
        ({"minimum_price": 9991}, {}, "price of 99.90 is below the minimum of 99.91"),
        ({"maximum_price": 9989}, {}, "price of 99.90 is above the maximum of 99.89"),
        ({"maximum_price": 0}, {"price": 0}, None),
        ({}, {"price": None}, "the Seller gave no price"),
    ],
)
def test_a_rule_about_stock_or_price(rules: dict[str, Any], told: dict[str, Any], objection: str | None) -> None:
    verdict = Rules(**rules).decide(data(), terms(**told))

    assert [problem.message for problem in verdict.objections] == ([objection] if objection else [])
    assert verdict.decision is (Decision.EXCLUDED if objection else Decision.INCLUDED)


def test_all_objections_are_named_at_once_for_the_sellers_people_to_read() -> None:
    rules = Rules(
        allowed_categories=["9"], denied_brands=["casa azul"], minimum_stock=9, maximum_price=100, otherwise="approval"
    )
    verdict = rules.decide(data(), terms())

    assert verdict.decision is Decision.EXCLUDED
    assert [(problem.code.value, problem.message) for problem in verdict.objections] == [
        ("category-not-allowed", "category not sold here: Home > Kitchen"),
        ("brand-not-allowed", "brand not sold here: Casa Azul"),
        ("stock-too-low", "stock of 5 is below the minimum of 9"),
        ("price-out-of-range", "price of 99.90 is above the maximum of 1.00"),
    ]


def test_a_sku_without_names_is_objected_to_by_its_ids() -> None:
    bare = data(brand=Brand(id="20"), categories=[Category(id="1"), Category(id="12")])
    nothing = data(brand=None, categories=[])
    rules = Rules(allowed_categories=["9"], allowed_brands=["9"])

    assert [problem.message for problem in rules.decide(bare, terms()).objections] == [
        "category not sold here: 1 > 12",
        "brand not sold here: 20",
    ]
    assert [problem.message for problem in rules.decide(nothing, terms()).objections] == [
        "category not sold here: none",
        "brand not sold here: none",
    ]


# --- rule files ---


def test_a_rule_file_says_what_is_sold(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('denied_brands = ["Ação"]\nminimum_price = 500\notherwise = "approval"\n', encoding="utf-8")

    expected = Rules(denied_brands=["Ação"], minimum_price=500, otherwise="approval")
    assert load_rules(file) == expected
    assert policy_of("rules", file) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"minimum_prise = 5", "minimum_prise: Extra inputs are not permitted"),
        (b"minimum_price = 5.5", "minimum_price: Input should be a valid integer"),
        (b"minimum_price = -1", "minimum_price: Input should be greater than or equal to 0"),
        (b"allowed_brands = [1]", "allowed_brands.0: Input should be a valid string"),
        (b'otherwise = "maybe"', "otherwise: Input should be 'include' or 'approval'"),
        (b"minimum_price = 9\nmaximum_price = 8", "rules: Value error, maximum_price is below minimum_price"),
        (b"minimum_stock = -1\nx = 1", "minimum_stock: Input should be greater than or equal to 0; x: Extra"),
        (b"minimum_price =", "Invalid value"),
        (b"\xff", "can't decode"),
        (None, "No such file or directory"),
    ],
)
def test_a_wrong_rule_file_is_told_in_one_line(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "rules.toml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(RulesInvalid) as caught:
        load_rules(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sellers_settings_name_its_policy() -> None:
    assert isinstance(policy_of("all"), IncludeAll)
    assert isinstance(policy_of("approval"), Approval)
    with pytest.raises(RulesInvalid, match="assortment_rules, the path of a rule file"):
        policy_of("rules")
