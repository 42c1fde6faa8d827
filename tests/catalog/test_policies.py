"""Which SKUs are sold here: by policy, and by decision, which stands."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from marketplace.catalog import OfferStatus
from sandbox.catalog import numbered_skus
from tests.api.answers import problem
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Shop
from workflows.catalog_messages import READ_ANEW, SkuInput, SkuPolicy, SkuState
from workflows.catalog_policies import SKU_WORKFLOW, catalog_queue

RULES = """
allowed_categories = ["5"]
denied_brands = ["Rust"]
minimum_stock = 3
minimum_price = 500
maximum_price = 100000
"""
BAD: dict[str, Any] = {"price": 100, "stock": 1, "categories": {"7": "Toys"}, "brandId": 9, "brandName": "rust"}
GOOD: dict[str, Any] = {"price": 900, "stock": 5, "categories": {"5": "Home", "52": "Vases"}, "brandName": "Harbor"}


@pytest.fixture(scope="module")
async def approving(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    directory = tmp_path_factory.mktemp("approving")
    async with Shop(temporal, directory, seller={"assortment": "approval"}, skus=numbered_skus(5)) as running:
        yield running


async def pending(shop: Shop, **fields: Any) -> str:
    sku_id = await shop.add(**fields)
    await shop.tell(sku_id)
    await shop.until(sku_id, status="pending")
    return sku_id


async def decided(shop: Shop, sku_id: str, *, include: bool) -> SkuState:
    """As the Temporal UI sends it."""
    state: SkuState = await shop.workflow(sku_id).execute_update("decide", {"include": include}, result_type=SkuState)
    return state


# --- approval ---


async def test_a_new_sku_waits_open_and_is_read_whenever_it_changes(approving: Shop) -> None:
    sku_id = await pending(approving)
    assert await approving.is_open(sku_id)
    await approving.change(sku_id, price=4321)
    offer = await approving.until(sku_id, price=4321)
    assert offer["status"] == "pending"
    assert await approving.is_open(sku_id)
    assert [one["id"] for one in await approving.offers(status="pending")] == [sku_id]
    [entry] = [one for one in await approving.logs(status="pending") if one["Subject"] == sku_id]
    assert entry["Operation"] == "Offer creation"
    assert (await approving.decide(sku_id, include=False)).status_code == 200


@pytest.mark.parametrize("by_api", [True, False], ids=["API", "Temporal UI"])
@pytest.mark.parametrize("include", [True, False])
async def test_a_decision_ends_the_waiting_and_stands(approving: Shop, by_api: bool, include: bool) -> None:
    sku_id = await pending(approving)
    await approving.put(sku_id, price=8888)
    status = "listed" if include else "excluded"
    if by_api:
        answer = await approving.decide(sku_id, include=include)
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    else:
        assert (await decided(approving, sku_id, include=include)).status == status
    offer = await approving.settled(sku_id)
    assert offer is not None
    # What was changed while it waited is seen too.
    assert (offer["status"], offer["price"], offer["decidedBy"]) == (status, 8888, "operator")
    assert [one["code"] for one in offer["objections"]] == ([] if include else ["decided-by-operator"])
    await approving.change(sku_id, name="Another name", stock=99)
    later = await approving.until(sku_id, lambda found: found["data"]["name"] == "Another name")
    assert (later["status"], later["decidedBy"]) == (status, "operator")
    codes = [one["Code"] for one in await approving.logs() if one["Subject"] == sku_id]
    assert ("S1" in codes) is include
    # An operator may change their mind.
    again = await approving.decide(sku_id, include=not include)
    assert again.json()["status"] == ("excluded" if include else "listed")


async def test_pending_skus_of_an_import_can_be_decided_like_all_others(approving: Shop) -> None:
    await approving.imported()
    waiting = [one["id"] for one in await approving.offers(status="pending")]
    assert len(waiting) == 5
    assert [await approving.is_open(sku_id) for sku_id in waiting] == [True] * 5
    by_ui, by_api = waiting[:2], waiting[2:]
    for sku_id in by_ui:
        assert (await decided(approving, sku_id, include=True)).status == "listed"
    for sku_id in by_api:
        assert (await approving.decide(sku_id, include=True)).json()["status"] == "listed"
    for sku_id in waiting:
        offer = await approving.settled(sku_id)
        assert offer is not None
        assert offer["status"] == "listed"
    # They are sold now: another import asks nobody.
    assert (await approving.imported())["failed"] == 0
    assert await approving.offers(status="pending") == []


async def test_a_sku_decided_before_its_workflow_began_to_wait_is_not_waited_for(approving: Shop) -> None:
    sku_id = await pending(approving)
    assert (await decided(approving, sku_id, include=True)).status == "listed"
    await approving.settled(sku_id)
    policy = SkuPolicy.of(approving.engine.settings)
    await approving.engine.client.start_workflow(
        SKU_WORKFLOW,
        SkuInput(seller=approving.account, sku_id=sku_id, policy=policy, status=OfferStatus.PENDING),
        id=approving.workflow(sku_id).id,
        task_queue=catalog_queue(approving.engine.settings.task_queue),
    )
    assert await approving.settled(sku_id) == await approving.offer(sku_id)
    assert not await approving.is_open(sku_id)


async def test_a_decision_about_an_unknown_sku_is_404_and_a_wrong_one_422(approving: Shop) -> None:
    for sku_id in ("8888888", "x", "12345678901", "%00"):
        problem(await approving.decide(sku_id, include=True), 404, sent=sku_id)
        problem(await approving.http.get(f"/catalog/{approving.account}/skus/{sku_id}"), 404, sent=sku_id)
    path = f"/catalog/{approving.account}/skus/8888888/decision"
    problem(await approving.http.post("/catalog/nobody/skus/1/decision", json={"include": True}), 404)
    problem(await approving.http.post(path, json={"include": "yes"}), 422, "/include")
    problem(await approving.http.post(path, json={}), 422, "/include")
    problem(await approving.http.post(path, json={"include": True, "note": "x"}), 422, "/note")
    problem(await approving.http.post(path, content=b"{"), 400)


async def test_the_update_refuses_to_decide_about_what_was_never_read(approving: Shop) -> None:
    sku_id = await approving.add()
    await approving.fault("sku", "slow", sku_id, seconds=0.7)
    await approving.tell(sku_id)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decided(approving, sku_id, include=True)
    assert isinstance(refused.value.cause, ApplicationError)
    assert "not been read yet" in refused.value.cause.message
    await approving.until(sku_id, status="pending")
    await approving.workflow(sku_id).signal("notify", READ_ANEW)
    assert (await decided(approving, sku_id, include=False)).status == "excluded"


# --- rules ---


async def test_rules_name_every_problem_at_once_and_a_mended_sku_is_sold(make_shop: MakeShop, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    async with make_shop(seller={"assortment": "rules", "assortment_rules": rules}) as shop:
        sku_id = await shop.add(**BAD)
        await shop.tell(sku_id)
        offer = await shop.until(sku_id, status="excluded")
        found = [one["code"] for one in offer["objections"]]
        assert found == ["category-not-allowed", "brand-not-allowed", "stock-too-low", "price-out-of-range"]
        [entry] = [one for one in await shop.logs() if one["Subject"] == sku_id]
        assert (entry["Code"], entry["Status"]) == ("E4", "error")
        assert all(problem["message"] in entry["BusinessMessage"] for problem in offer["objections"])
        # A part of it mended: the rest is told, again at once.
        await shop.change(sku_id, price=900, stock=5)
        left = await shop.until(sku_id, lambda one: len(one["objections"]) == 2)
        assert left["status"] == "excluded"
        await shop.change(sku_id, **GOOD)
        await shop.until(sku_id, status="listed", objections=[])
        assert next(one["Code"] for one in await shop.logs() if one["Operation"] == "Offer creation") == "S1"
        # What is sold stays sold, whatever the rules say of it now.
        await shop.change(sku_id, price=100)
        assert (await shop.until(sku_id, price=100))["status"] == "listed"
        # And an operator is above the rules.
        other = await shop.add(**BAD)
        await shop.tell(other)
        await shop.until(other, status="excluded")
        assert (await shop.decide(other, include=True)).json()["status"] == "listed"


async def test_rules_may_leave_the_rest_to_approval(make_shop: MakeShop, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(f'{RULES}otherwise = "approval"\n')
    async with make_shop(seller={"assortment": "rules", "assortment_rules": rules}) as shop:
        bad, good = await shop.add(**BAD), await shop.add(**GOOD)
        for sku_id in (bad, good):
            await shop.tell(sku_id)
        await shop.until(bad, status="excluded")
        await shop.until(good, status="pending")
        assert (await shop.decide(good, include=True)).json()["status"] == "listed"
