"""`order-engine doctor` about the catalog: its schedules, offers that were given up, imports that failed."""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import ScheduleActionExecutionStartWorkflow, ScheduleOverlapPolicy

from activities.schedules import ensure_schedules
from tests.cli.findings import findings
from tests.cli.terminal import enter, order_engine
from tests.support.engine import Engine
from workflows.catalog_messages import Source
from workflows.catalog_policies import import_workflow_id


async def test_a_refresh_that_is_paused_is_a_warning_and_one_that_is_missing_a_problem(examined: Engine) -> None:
    schedule = examined.client.get_schedule_handle(import_workflow_id("acme", Source.SOLD))
    try:
        await schedule.pause()
        found = findings(await order_engine("doctor", "--json"))
        assert found["schedules"] == ("warning", "paused: catalog-refresh/acme; unpause in Temporal's UI")
        await schedule.delete()
        found = findings(await order_engine("doctor", "--json"))
        assert found["schedules"] == ("problem", "missing: catalog-refresh/acme; start a worker, it makes them")
    finally:
        await ensure_schedules(examined.client, examined.settings, examined.sellers)


async def test_a_seller_without_refreshes_needs_no_schedule(
    examined: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    enter(monkeypatch, examined, tmp_path, refresh_interval='"off"')
    found = findings(await order_engine("doctor", "--json"))
    assert found["schedules"] == ("ok", f"journal-retention/{examined.settings.task_queue}")


async def test_offers_and_imports_that_failed_are_told_until_they_are_made_good(examined: Engine) -> None:
    await examined.fault("sku", "error", code="ORD005", skuId="2011")
    assert (await order_engine("catalog", "import", "acme")).code == 0
    refresh = examined.client.get_schedule_handle(import_workflow_id("acme", Source.SOLD))
    await examined.stop_worker()
    try:
        assert (await order_engine("catalog", "import", "acme", "--source", "sold", "--no-wait")).code == 0
        await refresh.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
        async with asyncio.timeout(15):
            while not (runs := (await refresh.describe()).info.recent_actions):
                await asyncio.sleep(0.05)
        scheduled = runs[-1].action
        assert isinstance(scheduled, ScheduleActionExecutionStartWorkflow)
        for workflow_id in (import_workflow_id("acme", Source.SOLD), scheduled.workflow_id):
            await examined.client.get_workflow_handle(workflow_id).terminate()
        found = findings(await order_engine("doctor", "--json"))
    finally:
        await examined.start_worker()
    names = f"catalog-refresh/acme (terminated), {scheduled.workflow_id} (terminated)"
    again = "see Temporal's UI; `order-engine catalog import acme --source sold` starts it again"
    assert found["failed imports"] == ("warning", f"{names}: {again}")
    told = "1 of acme: `order-engine catalog list acme --status failed` tells why"
    assert found["failed offers"] == ("warning", told)

    for source in ("sold", "failed"):
        assert (await order_engine("catalog", "import", "acme", "--source", source)).code == 0
    await refresh.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    async with asyncio.timeout(30):
        while "warning" in {found["failed imports"][0], found["failed offers"][0]}:
            found = findings(await order_engine("doctor", "--json"))
