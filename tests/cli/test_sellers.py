"""`order-engine sellers`: who is configured, without the secrets, and the endpoint for VTEX's admin."""

import json
from pathlib import Path

import pytest

from marketplace.security import AffiliateTokens
from marketplace.settings import load_settings, secret_keys
from tests.cli.terminal import enter, order_engine
from tests.support.engine import Engine

SECRETS = ("sandbox-key", "sandbox-token", "a secret key for tests")


@pytest.fixture
def entered(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    enter(
        monkeypatch,
        engine,
        tmp_path,
        ORDER_ENGINE_PUBLIC_URL="https://orders.example.com",
        base_url='"https://acme.example.com"',
        requests_per_second="2.5",
        price_tolerance="0.05",
        assortment='"approval"',
    )
    return engine


async def test_each_seller_is_told_with_its_affiliate_endpoint_and_without_secrets(entered: Engine) -> None:
    ran = await order_engine("sellers")
    assert (ran.code, ran.err) == (0, "")
    endpoint = f"https://orders.example.com/affiliates/acme/{AffiliateTokens(entered.settings.secret_key).mint('acme')}"
    rows = dict(line.split("  ", 1) for line in ran.out.splitlines() if "  " in line)
    assert {name.strip(): value.strip() for name, value in rows.items()} == {
        "base URL": "https://acme.example.com",
        "sales channel": "1",
        "affiliate id": "MKP",
        "simulation route": "checkout",
        "cancel route": "fulfillment",
        "rate": "2.5 requests a second",
        "price tolerance": "5 %",
        "assortment": "approval",
        "credentials": "present",
        "affiliate endpoint": endpoint,
    }
    assert not any(secret in ran.out for secret in SECRETS)


async def test_json_tells_the_same(entered: Engine) -> None:
    ran = await order_engine("sellers", "--json")
    [seller] = json.loads(ran.out)["sellers"]
    endpoint = seller.pop("affiliateEndpoint")
    assert AffiliateTokens(entered.settings.secret_key).valid("acme", endpoint.rpartition("/")[2])
    assert seller == {
        "account": "acme",
        "baseUrl": "https://acme.example.com",
        "salesChannel": 1,
        "affiliateId": "MKP",
        "simulationRoute": "checkout",
        "cancelRoute": "fulfillment",
        "requestsPerSecond": 2.5,
        "priceTolerance": 0.05,
        "assortment": "approval",
        "credentials": True,
    }


@pytest.mark.parametrize("name", ["ACME_APP_KEY", "ACME_APP_TOKEN"])
async def test_a_seller_is_listed_before_its_keys_are_there(
    entered: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    ran = await order_engine("sellers", "--json")
    [seller] = json.loads(ran.out)["sellers"]
    assert seller["credentials"] is False
    assert "missing" in (await order_engine("sellers")).out


async def test_a_key_of_this_machine_and_a_url_of_this_machine_are_pointed_out(
    entered: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ORDER_ENGINE_SECRET_KEY")
    monkeypatch.delenv("ORDER_ENGINE_PUBLIC_URL")
    monkeypatch.setenv("ORDER_ENGINE_DATA_DIR", str(tmp_path / "data"))
    ran = await order_engine("sellers")
    assert "set ORDER_ENGINE_PUBLIC_URL" in ran.out
    assert f"{tmp_path / 'data' / 'secret.key'}: keep that file, or set ORDER_ENGINE_SECRET_KEY" in ran.out
    # The worker's process finds the same key there.
    assert AffiliateTokens(secret_keys(load_settings())).mint("acme") in ran.out


async def test_a_sellers_file_that_is_not_there_is_told_in_one_line(
    entered: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORDER_ENGINE_SELLERS", str(tmp_path / "none.toml"))
    ran = await order_engine("sellers", "--json")
    assert "ORDER_ENGINE_SELLERS" in ran.problem
    assert "create it" in ran.problem
