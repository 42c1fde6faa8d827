"""What a watched engine tells of its orders: in lines of log, in metrics, and in one trace from end to end."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from marketplace.security import AffiliateTokens
from marketplace.settings import secret_keys
from marketplace.tracing import ALLOWED
from sandbox.server import SandboxServer
from tests.observability.collector import attributes_of
from tests.observability.run import Json, Run, running, value
from tests.observability.test_alerts import asked_metrics
from tests.support.engine import new_order

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FOREIGN = "11112222333344445555666677778888"
STRANGE = "order/acme/STRANGE-1"
CUSTOMER = {"email": "quinzinho@mail.example", "firstName": "Quinzinho", "document": "52998224725"}


def order_of_somebody() -> Json:
    order = new_order(payment={"status": "approved", "transactionId": "t-1"})
    order["clientProfileData"] |= CUSTOMER
    return order


async def follow_one(run: Run) -> Json:
    """An order that its storefront traces, from its cart to its delivery."""
    order = order_of_somebody()
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "baggage": "who=Quinzinho", "x-request-id": "shop-7"}
    answer = await run.engine.http.post("/orders", json=order, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["x-request-id"] == "shop-7"
    await run.engine.until(order, status="handling")
    for what in ("invoice", "tracking", "delivery"):
        await run.engine.seller_sends(order, what)
    await run.engine.callback(
        order, "/pvt/orders/unknown/invoice", {}, headers={"traceparent": f"00-{FOREIGN}-00f067aa0ba902b7-01"}
    )
    await run.engine.until(order, status="delivered")
    return order


async def park_one(run: Run) -> Json:
    order = order_of_somebody()
    await run.engine.fault("place", "forbidden", order)
    assert (await run.engine.post(order, wait=0)).status_code == 202
    return await run.engine.until(order, needsAttention=True)


async def give_what_cannot_be_read(run: Run) -> None:
    """An order's workflow whose input is of no version that its worker knows."""
    queue = run.engine.settings.task_queue
    strange = await run.engine.client.start_workflow("OrderWorkflow", CUSTOMER, id=STRANGE, task_queue=queue)
    await run.worker.until_logged("Failed decoding arguments")
    await strange.terminate()


async def tell_of_a_change(run: Run) -> str:
    """The address at which the Seller tells it, with its token."""
    settings = run.engine.settings
    token = AffiliateTokens(secret_keys(settings)).mint("acme")
    notice = {"IdSku": "2002", "An": "acme", "IdAffiliate": "MKP", "PriceModified": True}
    assert (await run.engine.http.post(f"/affiliates/acme/{token}/api/notification", json=notice)).status_code == 202
    async with asyncio.timeout(20):
        while (await run.engine.http.get("/catalog/acme/skus/2002")).status_code != 200:
            await asyncio.sleep(0.05)
    return token


@pytest.mark.slow
async def test_a_run_is_told_by_logs_metrics_and_traces(
    fresh_seller: SandboxServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with running(fresh_seller.url, tmp_path) as run:
        order, parked = await follow_one(run), await park_one(run)
        affiliate_token = await tell_of_a_change(run)
        await give_what_cannot_be_read(run)
        callback_token = (await run.engine.ledger(order))["endpoint"].rsplit("/", 1)[1]
        secrets = [*CUSTOMER.values(), affiliate_token, callback_token, "sandbox-key", "sandbox-token", "baggage"]
        with subtests.test("metrics"):
            await check_metrics(run)
        with subtests.test("the SDK's metrics"):
            sdk = await run.samples("sdk")
            assert value(sdk, "temporal_workflow_task_execution_failed_total", workflow_type="OrderWorkflow") > 0
            assert value(sdk, "temporal_num_pollers") > 0
            latency = "temporal_activity_schedule_to_start_latency_seconds_count"
            assert value(sdk, latency, task_queue=run.engine.settings.task_queue) > 0
        with subtests.test("what alerts and dashboard ask for is there"):
            pages = [await run.page(name) for name in run.pages]
            assert {name for name in asked_metrics() if not any(f"# TYPE {name} " in page for page in pages)} == set()
        with subtests.test("liveness"):
            async with httpx.AsyncClient() as client:
                for name in ("worker", "api"):
                    assert (await client.get(run.pages[name].replace("/metrics", "/live"))).text == "ok\n"
        with subtests.test("traces"):
            await check_traces(run, order)
        pages = [await run.page(name) for name in run.pages]
        logs = [process.log.read_text() for process in (run.worker, run.api)]
        with subtests.test("nothing of a customer and no secret is told"):
            told = [*pages, *logs, run.collector.received.decode(errors="replace")]
            assert [secret for secret in secrets for text in told if secret in text] == []
            assert order["marketplaceOrderId"] not in "".join(pages)
        with subtests.test("logs"):
            await check_logs(run, parked)


async def check_metrics(run: Run) -> None:
    async with asyncio.timeout(40):
        while not value(await run.samples("worker"), "order_engine_parked_orders", reason="seller-credentials"):
            await asyncio.sleep(0.3)
    worker, api = await run.samples("worker"), await run.samples("api")
    counted = "order_engine_order_status_changes_total"
    for status in ("simulating", "placing", "handling", "invoiced", "shipped", "delivered"):
        assert value(worker, counted, seller="acme", status=status) == (2 if status in {"simulating", "placing"} else 1)
    assert value(worker, "order_engine_order_status_seconds_count", status="handling") == 1
    assert value(worker, "order_engine_orders", seller="acme", status="placing") == 1
    assert value(worker, "order_engine_orders", seller="acme", status="handling") == 0
    assert value(worker, "order_engine_seller_request_seconds_count", call="place", outcome="ok") == 1
    assert value(worker, "order_engine_seller_request_seconds_count", call="place", outcome="credentials") == 1
    assert value(worker, "order_engine_seller_errors_total", seller="acme") == 1
    assert [(have["seller"], number) for have, number in worker["order_engine_seller_down"]] == [("acme", 0)]
    assert value(worker, "order_engine_notice_lag_seconds_count", seller="acme") == 1
    assert 0 < value(worker, "order_engine_notice_lag_seconds_sum") < 20
    assert value(worker, "order_engine_record_lag_seconds_count") > 5
    assert value(worker, "order_engine_imported_skus_total", source="sold") == 0
    assert value(api, "http_requests_total", handler="/orders", status="2xx") == 2


async def check_traces(run: Run, order: Json) -> None:
    collector = run.collector
    last = ("order-engine-worker", "RunActivity:authorize_dispatch")
    await collector.until(
        lambda: last in collector.of(TRACE) and ("order-engine-api", "POST /orders") in collector.of(TRACE)
    )
    spans = collector.of(TRACE)
    way = [
        ("order-engine-api", "POST /orders"),
        ("order-engine-api", "StartUpdateWithStartWorkflow:OrderWorkflow"),
        ("order-engine-worker", "StartActivity:place_order"),
        ("order-engine-worker", "RunActivity:place_order"),
        ("order-engine-worker", "Seller:place"),
    ]
    assert spans[way[0]].parent_span_id.hex() == "00f067aa0ba902b7"
    for above, below in pairwise(way):
        assert spans[below].parent_span_id == spans[above].span_id, (above, below)
    # The workflow's own spans are moments, not times: each lies below the request that started it, beside the others.
    for name in ("RunWorkflow:OrderWorkflow", "HandleUpdate:await_placement", "StartActivity:authorize_dispatch"):
        assert spans["order-engine-worker", name].parent_span_id == spans[way[1]].span_id, name
    assert attributes_of(spans[way[4]]) == {"order_engine.seller": "acme", "order_engine.call": "place"}
    workflow_id = f"order/acme/{order['marketplaceOrderId']}"
    assert attributes_of(spans[way[3]])["temporalWorkflowID"] == workflow_id
    assert attributes_of(spans[way[0]])["http.route"] == "/orders"
    told = {name for _, span in collector.spans for name in attributes_of(span)}
    assert told <= ALLOWED
    # Sellers' calls belong to no trace of their choice.
    assert collector.of(FOREIGN) == {}


async def check_logs(run: Run, parked: Json) -> None:
    number = parked["marketplaceOrderId"]
    worker, api = run.lines("worker"), run.lines("api")
    assert {"timestamp", "level", "logger", "event"} <= set.intersection(*(set(line) for line in [*worker, *api]))
    [refused] = [line for line in worker if line["event"] == "the Seller's answer was no success"]
    told = {name: refused[name] for name in ("order", "seller", "workflow_id", "call", "attempt", "verdict")}
    assert told == {
        "order": number,
        "seller": "acme",
        "workflow_id": f"order/acme/{number}",
        "call": "place_order",
        "attempt": 1,
        "verdict": "credentials",
    }
    assert len(refused["trace_id"]) == 32
    failing = [line for line in worker if line["event"].startswith("Failed activation")]
    assert {(line["workflow_id"], line["order"], line["seller"]) for line in failing} == {
        (STRANGE, "STRANGE-1", "acme")
    }
    assert "Failed decoding arguments" in failing[0]["exception"]
    for line in [*worker, *api]:
        if number in json.dumps(line):
            assert (line["order"], line["seller"]) == (number, "acme")
