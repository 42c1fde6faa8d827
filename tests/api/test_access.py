"""Who may call what: storefront keys, operator keys, and the routes that need none."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.api.answers import problem
from tests.api.callback_line import INVOICE, Line
from tests.api.malformed import CANCEL, CART, PAYMENT, RESUME
from tests.support.engine import Engine, new_order

STOREFRONT, OTHER_STOREFRONT = "storefront-key-zqx-1", "storefront-key-zqx-2"
OPERATOR, OTHER_OPERATOR = "operator-key-zqx-1", "operator-key-zqx-2"

FOR_STOREFRONTS: list[tuple[str, str, Any]] = [
    ("POST", "/carts/simulation", CART),
    ("POST", "/orders", new_order()),
    ("GET", "/orders", None),
    ("GET", "/orders/T-1", None),
    ("POST", "/orders/T-1/payment", PAYMENT),
    ("POST", "/orders/T-1/cancel", CANCEL),
]
FOR_OPERATORS: list[tuple[str, str, Any]] = [
    ("POST", "/orders/T-1/resume", RESUME),
    ("POST", "/orders/T-1/erase", None),
    ("GET", "/metrics", None),
]
FOR_ALL = ["/health/live", "/health/ready", "/docs", "/openapi.json"]


@pytest.fixture(scope="module")
async def guarded(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    """An engine with keys."""
    keys = {"storefront_keys": [STOREFRONT, OTHER_STOREFRONT], "operator_keys": [OPERATOR, OTHER_OPERATOR]}
    async with Engine(temporal, seller.url, tmp_path_factory.mktemp("guarded"), **keys) as running:
        yield running


async def status_of(engine: Engine, call: tuple[str, str, Any], key: str) -> int:
    method, path, body = call
    answer = await engine.http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})
    return answer.status_code


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Bearer {STOREFRONT}x",
        f"Bearer {STOREFRONT[:-1]}",
        f"Bearer {STOREFRONT.upper()}",
        f"Bearer {STOREFRONT} {STOREFRONT}",
        f"Bearer {STOREFRONT},{OPERATOR}",
        f"Basic {STOREFRONT}",
        STOREFRONT,
        "Bearer \xff\xfe",
    ],
)
async def test_without_a_valid_key_every_guarded_route_is_a_401(guarded: Engine, header: str | None) -> None:
    headers = [] if header is None else [(b"Authorization", header.encode("latin-1"))]
    for method, path, body in FOR_STOREFRONTS + FOR_OPERATORS:
        answer = await guarded.http.request(method, path, json=body, headers=headers)
        assert "Authorization: Bearer" in problem(answer, 401)["detail"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", [STOREFRONT, OTHER_STOREFRONT])
async def test_every_storefront_key_opens_the_storefronts_routes_alone(guarded: Engine, key: str) -> None:
    assert not [call for call in FOR_STOREFRONTS if await status_of(guarded, call, key) in {401, 403}]
    for method, path, body in FOR_OPERATORS:
        answer = await guarded.http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})
        assert "operator key" in problem(answer, 403)["detail"]


@pytest.mark.parametrize("key", [OPERATOR, OTHER_OPERATOR])
async def test_every_operator_key_opens_everything(guarded: Engine, key: str) -> None:
    assert not [call for call in FOR_STOREFRONTS + FOR_OPERATORS if await status_of(guarded, call, key) in {401, 403}]


async def test_the_scheme_is_read_in_any_case(guarded: Engine) -> None:
    for scheme in ("bearer", "BEARER", "Bearer "):
        answer = await guarded.http.get("/orders", headers={"Authorization": f"{scheme} {STOREFRONT}"})
        assert answer.status_code == 200


async def test_a_body_or_a_parameter_is_not_looked_at_before_the_key(guarded: Engine) -> None:
    problem(await guarded.http.post("/orders", content=b"{"), 401)
    problem(await guarded.http.get("/orders?limit=0&colour=1"), 401)
    problem(await guarded.http.get("/orders/%00"), 401)
    problem(
        await guarded.http.post("/orders/T-1/resume", content=b"{", headers={"Authorization": f"Bearer {STOREFRONT}"}),
        403,
    )


@pytest.mark.parametrize("path", FOR_ALL)
async def test_health_and_documentation_need_no_key(guarded: Engine, path: str) -> None:
    assert (await guarded.http.get(path)).status_code == 200


async def test_callbacks_need_no_key_but_their_token(guarded: Engine) -> None:
    guarded.http.headers["Authorization"] = f"Bearer {STOREFRONT}"
    line = Line(guarded, await guarded.dispatched(), 0)
    del guarded.http.headers["Authorization"]
    assert (await line.send("/invoice", INVOICE)).status_code == 200
    key = {"Authorization": f"Bearer {OPERATOR}"}
    problem(await line.send("/invoice", INVOICE, base=f"/callbacks/acme/{line.id}/wrong", headers=key), 404)


async def test_without_configured_keys_no_key_is_needed(shared_engine: Engine) -> None:
    for method, path, body in FOR_STOREFRONTS + FOR_OPERATORS:
        for headers in ({}, {"Authorization": "Bearer anything"}):
            answer = await shared_engine.http.request(method, path, json=body, headers=headers)
            assert answer.status_code not in {401, 403}
