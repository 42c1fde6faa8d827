"""Keys are rotated without a moment in which somebody who is right is refused.

Each test goes through the starts of an API that a rotation takes: the old key alone, both, the new one alone.
"""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from marketplace.security import KeyHash, new_api_key
from tests.api.answers import problem
from tests.conftest import MakeEngine
from tests.security.forgery import Mint


@pytest.mark.parametrize("role", ["storefront_keys", "operator_keys"])
@pytest.mark.parametrize("form", [str, lambda key: str(KeyHash.of(key))], ids=["plain", "hashed"])
async def test_an_api_key_is_replaced_while_the_old_one_still_opens(
    make_engine: MakeEngine, role: str, form: Callable[[str], str]
) -> None:
    old, new, other = new_api_key(), new_api_key(), new_api_key()
    other_role = ({"storefront_keys", "operator_keys"} - {role}).pop()

    async def opened(*configured: str) -> list[bool]:
        """Whether the old and the new key open the orders, with these keys configured."""
        keys = {role: [form(key) for key in configured], other_role: [form(other)]}
        async with make_engine(run_worker=False, **keys) as engine:
            found = []
            for key in (old, new):
                answer = await engine.http.get("/orders", headers={"Authorization": f"Bearer {key}"})
                if answer.status_code != 200:
                    assert key not in str(problem(answer, 401))
                found.append(answer.status_code == 200)
            return found

    assert await opened(old) == [True, False]
    assert await opened(old, new) == [True, True]
    assert await opened(new) == [False, True]


def callback(mint: Mint) -> str:
    return f"/callbacks/acme/T-1/{mint.callbacks.mint('acme', 'T-1')}/pvt/orders/T-1/invoice"


def notice(mint: Mint) -> str:
    return f"/affiliates/acme/{mint.affiliates.mint('acme')}/api/notification"


@pytest.mark.parametrize("url", [callback, notice])
async def test_urls_given_out_stay_open_until_their_key_is_taken_away(
    make_engine: MakeEngine, url: Callable[[Mint], str]
) -> None:
    old, new = "the old secret key of this test", "the new secret key of this test"

    async def opened(*configured: str) -> list[bool]:
        """Whether the URLs minted with the old and the new key are taken, with these keys configured."""
        async with make_engine(run_worker=False, secret_key=list(configured)) as engine:
            # An empty body is refused with 400 by whoever has let it in.
            codes = [(await engine.http.post(url(Mint.of([SecretStr(key)])))).status_code for key in (old, new)]
        assert set(codes) <= {400, 404}
        return [code == 400 for code in codes]

    assert await opened(old) == [True, False]
    assert await opened(new, old) == [True, True]
    assert await opened(new) == [False, True]


async def test_the_first_secret_key_signs_what_is_given_out_next(make_engine: MakeEngine) -> None:
    old, new = "the old secret key of this test", "the new secret key of this test"

    async with make_engine(secret_key=[new, old]) as engine:
        seller, order_id, token = (await engine.ledger(await engine.placed()))["endpoint"].split("/")[-3:]
        assert Mint.of([SecretStr(new)]).callbacks.valid(seller, order_id, token)
        assert not Mint.of([SecretStr(old)]).callbacks.valid(seller, order_id, token)
