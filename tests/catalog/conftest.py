"""Shops: an engine that keeps a catalog, beside a Seller of its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.catalog.shop import Shop

MakeShop = Callable[..., Shop]


@pytest.fixture(scope="session")
async def shared_shop(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with Shop(temporal, tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture
async def shop(shared_shop: Shop) -> Shop:
    """The one shop that most tests share. Each uses SKUs of its own, which `add` and `listed` give it."""
    known = {"notificationEndpoint": shared_shop.endpoint}
    (await shared_shop.sandbox.post("/reset")).raise_for_status()
    (await shared_shop.sandbox.put("/settings", json=known)).raise_for_status()
    return shared_shop


@pytest.fixture
def make_shop(temporal: Client, tmp_path: Path) -> MakeShop:
    """Makes shops with other settings, such as seller={"assortment": "approval"}."""

    def make(client: Client = temporal, **changes: Any) -> Shop:
        return Shop(client, tmp_path, **changes)

    return make
