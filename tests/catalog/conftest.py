"""An engine that keeps a catalog, beside a Seller that tells it what changes."""

from collections.abc import AsyncIterator

import pytest

from marketplace.security import AffiliateTokens
from marketplace.settings import secret_keys
from tests.conftest import MakeEngine
from tests.support.engine import Engine


@pytest.fixture
async def shop(make_engine: MakeEngine) -> AsyncIterator[Engine]:
    async with make_engine(catalog=True, notice_debounce="50ms") as engine:
        await tell_the_seller(engine)
        yield engine


async def tell_the_seller(engine: Engine) -> str:
    """Type the affiliate endpoint into the Seller's admin."""
    endpoint = AffiliateTokens(secret_keys(engine.settings)).endpoint(engine.settings.public_url, "acme")
    await engine.switch(notificationEndpoint=endpoint)
    return endpoint
