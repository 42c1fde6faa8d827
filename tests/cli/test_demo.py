"""`order-engine demo` as a newcomer runs it."""

import asyncio
import re
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cli.demo import ORDER_ID, DemoFailed, Tale, order_request
from cli.local import Local, Ports
from cli.supervisor import Supervisor
from marketplace.orders import OrderRequest
from tests.cli.processes import PATIENCE, environment, gone, running
from tests.conftest import MakeEngine
from tests.support.engine import new_order

STEPS = (
    "Parts started",
    "Catalog imported",
    "Cart simulated",
    "Order posted",
    "Paid",
    "Dispatch authorized",
    "Invoiced",
    "Tracking",
    "Delivered",
    "Price changed",
)


def _shell(tmp_path: Path, **changes: str) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    return environment(tmp_path / "unused", TMPDIR=str(tmp_path / "tmp"), **changes)


async def test_the_demo_shows_each_step_beside_somebody_else_on_the_usual_ports(tmp_path: Path) -> None:
    # Settings of the person's own engine must not matter either, right or wrong.
    env = _shell(tmp_path, ORDER_ENGINE_PORT="none", ORDER_ENGINE_STOREFRONT_KEYS="k", TEMPORAL_ADDRESS="127.0.0.1:1")
    with ExitStack() as others:
        usual = vars(Ports()).values()
        for port in usual:
            other = others.enter_context(socket.socket())
            with suppress(OSError):  # busy by somebody else is as good
                other.bind(("127.0.0.1", port))
                other.listen()
        async with running("demo", "--pace", "0", env=env, cwd=tmp_path) as demo:
            assert await demo.ends() == 0, demo.err
    told = [line.split("(")[0] for line in demo.out.splitlines() if line.startswith("✓")]
    assert [next(step for step in STEPS if line.startswith(f"✓ {step}")) for line in told] == list(STEPS)
    assert all(line.endswith(" s)") for line in demo.out.splitlines() if line.startswith("✓"))
    [price] = [line for line in told if "Price changed" in line]
    assert re.search(r"SKU 2001: price 39\.90 is now 41\.90 in the catalog, \d+\.\d s later", price), price
    assert "12 SKUs of the Seller" in demo.out
    assert "/namespaces/default/workflows/order%2Facme%2FDEMO-1" in demo.out
    assert not [port for port in usual if f":{port}/" in demo.out]
    assert "\x1b" not in demo.out
    assert demo.err == ""
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "unused").exists()


@pytest.mark.slow
async def test_a_kept_demo_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async with running("demo", "--pace", "0", "--keep", env=_shell(tmp_path), cwd=tmp_path) as demo:
        await demo.until_says("Everything is left running")
        documentation = next(line for line in demo.out.splitlines() if "API documentation" in line).split()[-1]
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(documentation)).status_code == 200
        children = demo.children
        assert await demo.stops(signal.SIGTERM) == 0
        assert await gone(children, 0)


async def test_a_demo_that_is_stopped_early_has_not_succeeded(tmp_path: Path) -> None:
    async with running("demo", env=_shell(tmp_path), cwd=tmp_path) as demo:
        await demo.until_says("One order")
        assert await demo.stops() == 1
    assert "stopped before its end" in demo.err
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_demo_whose_temporal_dies_says_so_and_keeps_its_logs(tmp_path: Path) -> None:
    async with running("demo", env=_shell(tmp_path), cwd=tmp_path) as demo:
        async with asyncio.timeout(PATIENCE):
            while not (found := [child for child in demo.children if "start-dev" in child.cmdline()]):
                await asyncio.sleep(0.02)
        children = demo.children
        found[0].kill()
        assert await demo.ends() == 1
        assert await gone(children, 0)
    assert "temporal was killed by SIGKILL" in demo.err
    [kept] = (tmp_path / "tmp").iterdir()
    assert f"kept in {kept}" in demo.err
    assert (kept / "logs" / "temporal.log").exists()


async def test_an_order_that_cannot_be_delivered_is_told_with_its_reason(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        await engine.post(
            new_order(
                marketplaceOrderId=ORDER_ID,
                items=[{"id": "2001", "quantity": 2, "price": 3991}],
                marketplacePaymentValue=9472,
            )
        )
        tale = Tale(Local(engine.settings, Ports()), Supervisor([], engine.settings.data_dir), Console())
        async with tale._http:
            with pytest.raises(DemoFailed, match=r"^the order is rejected: price-divergence, "):
                await tale._until("handling")


@pytest.mark.parametrize("shipping", [0, 1490])
def test_the_order_of_the_demo_is_what_the_cart_was_offered(shipping: int) -> None:
    sla = {"id": "Standard", "name": "Standard", "price": shipping}
    items = [
        {"id": "1", "quantity": 2, "price": 110, "sellingPrice": 100, "slas": [sla, {**sla, "id": "Express"}]},
        {"id": "2", "quantity": 1, "price": 50, "sellingPrice": 50, "slas": [sla]},
    ]
    order = OrderRequest.model_validate(order_request({"items": items}))
    assert order.marketplace_payment_value == 250 + 2 * shipping
    assert [info.selected_sla for info in order.shipping_data.logistics_info] == ["Standard", "Standard"]
