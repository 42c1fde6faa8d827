"""`order-engine demo`: an import, one order through its whole life, a changed price; all over the public HTTP API."""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.docs import EXAMPLE_ORDER
from cli.local import SANDBOX_ACCOUNT, Local, Ports, forget_elsewhere, prepare, settle_ports
from cli.output import clean, columns, console, pairs, show
from cli.supervisor import PartFailed, Supervisor
from marketplace.errors import EngineError
from marketplace.money import as_text
from marketplace.settings import PREFIX

ORDER_ID: Final = "DEMO-1"
STEP_SECONDS: Final = 30.0
"""How long one step may take before the demonstration gives up."""

_EXAMPLE: Final[dict[str, Any]] = dict(EXAMPLE_ORDER)
_POLL: Final = 0.05
_CART: Final = {"2001": 2, "2010": 3}
_CHANGED: Final = "2001"
_RISE: Final = 200
"""Cents by which the Seller raises a price."""
_WIDTH: Final = 100
_TITLE: Final = 20
_LOST: Final = {"rejected", "payment-denied", "expired", "canceled", "returned", "cancellation-requested"}


class DemoFailed(EngineError):  # noqa: N818 - it names what is the matter
    """The order did not go the way it should."""


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards, until Ctrl-C.")] = False,
    pace: Annotated[
        float, typer.Option(min=0, max=10, help="Factor on the Seller's delays: 0 is at once, 1 takes 20 seconds.")
    ] = 0.3,
) -> None:
    """Take one order through its whole life, and a changed price into the catalog; show each step as it happens.

    Runs beside everything else: on free ports where the usual ones are busy, with data that is thrown away afterwards.
    """
    forget_elsewhere()
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    out = console()
    data_dir = Path(tempfile.mkdtemp(prefix="order-engine-demo-"))
    useful = False
    try:
        local = prepare(data_dir, settle_ports(Ports(), any_free=True))
        supervisor = Supervisor(local.parts(pace), local.log_dir)
        tale = Tale(local, supervisor, out)
        asyncio.run(supervisor.lead(tale.tell(keep=keep)))
    except (DemoFailed, PartFailed) as error:
        useful = True
        raise DemoFailed(f"the demonstration has failed: {error}\nIts data and logs are kept in {data_dir}") from error
    finally:
        if not useful:
            shutil.rmtree(data_dir, ignore_errors=True)
    if not tale.told:
        raise DemoFailed("the demonstration was stopped before its end")
    if not keep:
        again = sys.argv[0] if sys.argv[0].endswith("order-engine") else "order-engine"
        out.print(f"Everything is stopped. To look around, keep it running:\n{again} demo --keep\n", soft_wrap=True)


class Tale:
    """The order's way, step by step. Each step is a line once it is done, and a spinner before, on a terminal."""

    def __init__(self, local: Local, supervisor: Supervisor, out: Console) -> None:
        self._local = local
        self._supervisor = supervisor
        self._out = out
        self._http = httpx.AsyncClient(base_url=local.api_url, trust_env=False, timeout=STEP_SECONDS)
        self.told = False

    async def tell(self, *, keep: bool) -> None:
        """Start the parts, import, take the order to its delivery, change a price; with `keep` wait until canceled."""
        self._out.print("\nOne order, from the cart to the customer's door\n", style="bold")
        with self._step("Parts started", "Starting Temporal, sandbox Seller, worker and API") as note:
            await self._supervisor.start()
            await self._local.tell_seller()
            note("Temporal, sandbox Seller, worker, API")
        async with self._http:
            await self._import()
            request = await self._simulate()
            await self._place(request)
            await self._pay()
            order = await self._fulfill()
            await self._change_price()
        self.told = True
        self._show_order(order)
        self._heading("Its workflow in Temporal's UI")
        self._out.print(self._local.workflow_url(ORDER_ID), style="cyan", soft_wrap=True)
        self._out.print()
        if keep:
            self._out.print(f"API documentation: {self._local.api_url}/docs", soft_wrap=True)
            self._out.print(f"Sandbox Seller:    {self._local.sandbox_url}/sandbox/docs", soft_wrap=True)
            self._out.print("Everything is left running. Ctrl-C stops it.\n")
            await asyncio.Event().wait()

    # --- the steps ---

    async def _import(self) -> None:
        path = f"/catalog/{SANDBOX_ACCOUNT}/import"
        with self._step("Catalog imported", "Reading what the Seller sells") as note:
            await self._post(path, None)
            report = await self._read_until(path, "the import runs still", lambda found: found["state"] != "running")
            if report["state"] != "completed" or report["failed"]:
                raise DemoFailed(f"the import is {report['state']}: {report['done']} read, {report['failed']} failed")
            note(f"{report['done']} SKUs of the Seller, with price and stock")

    async def _simulate(self) -> dict[str, Any]:
        with self._step("Cart simulated", "Asking the Seller for prices, stock and shipping") as note:
            address = _EXAMPLE["shippingData"]["address"]
            cart = {
                "seller": SANDBOX_ACCOUNT,
                "items": [{"id": sku, "quantity": quantity} for sku, quantity in _CART.items()],
                "postalCode": address["postalCode"],
                "country": address["country"],
            }
            request = order_request(await self._post("/carts/simulation", cart))
            items = " + ".join(f"{item['quantity']} x {as_text(item['price'])}" for item in request["items"])
            shipping = sum(info["price"] for info in request["shippingData"]["logisticsInfo"])
            note(f"{items} + shipping {as_text(shipping)}")
        return request

    async def _place(self, request: dict[str, Any]) -> None:
        with self._step("Order posted", "Simulating once more, then placing it with the Seller") as note:
            await self._post("/orders", request)
            order = await self._until("payment-pending")
            note(f"simulated again, placed as {order['orderId']}")

    async def _pay(self) -> None:
        with self._step("Paid", "Reporting the payment") as note:
            await self._post(f"/orders/{ORDER_ID}/payment", {"status": "approved", "transactionId": "pay-1"})
            note("the storefront reports it as approved")

    async def _fulfill(self) -> dict[str, Any]:
        with self._step("Dispatch authorized", "Telling the Seller that it may dispatch") as note:
            await self._until("handling")
            note("the Seller may pack it")
        with self._step("Invoiced", "The Seller packs the order and invoices it") as note:
            order = await self._until("invoiced")
            note(f"{order['invoices'][0]['invoiceNumber']} over {as_text(order['invoicedValue'])}")
        with self._step("Tracking", "The Seller hands the package to its courier") as note:
            package = (await self._until("shipped"))["packages"][0]
            note(f"shipped by {package['courier']} as {package['trackingNumber']}")
        with self._step("Delivered", "The package is on its way") as note:
            order = await self._until("delivered")
            note(order["packages"][0]["events"][-1]["description"])
        return order

    async def _change_price(self) -> None:
        path = f"/catalog/{SANDBOX_ACCOUNT}/skus/{_CHANGED}"
        with self._step("Price changed", "The Seller changes a price, and notifies") as note:
            old = (await self._call("GET", path))["price"]
            new = old + _RISE
            begun = time.monotonic()
            await self._call("PATCH", f"{self._local.sandbox_url}/sandbox/skus/{_CHANGED}", {"price": new})
            await self._read_until(path, "the price is the old one", lambda offer: offer["price"] == new)
            took = time.monotonic() - begun
            note(f"SKU {_CHANGED}: price {as_text(old)} is now {as_text(new)} in the catalog, {took:.1f} s later")

    # --- what the steps are made of ---

    @contextmanager
    def _step(self, title: str, doing: str) -> Iterator[Callable[[str], None]]:
        """One step: a spinner with what is being done, then a line with the note that the step leaves and its time."""
        notes: list[str] = []
        started = time.monotonic()
        mark, style = "✓", "green"
        try:
            with self._out.status(doing):
                yield notes.append
        except BaseException:
            mark, style = "✗", "red"
            notes.append("not done")
            raise
        finally:
            self._line(Text(mark, style), title, clean(" ".join(notes)), f"{time.monotonic() - started:.2f} s")

    def _line(self, mark: Text, title: str, note: str, took: str) -> None:
        if not self._out.is_terminal:
            self._out.print(f"{mark} {title:<{_TITLE}} {note} ({took})")
            return
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column()
        line.add_column(style="bold", width=_TITLE)
        line.add_column(ratio=1)
        line.add_column(style="dim", justify="right", no_wrap=True)
        line.add_row(mark, title, note, took)
        self._out.print(line, width=min(self._out.width, _WIDTH))

    async def _post(self, path: str, body: Any) -> dict[str, Any]:
        return await self._call("POST", path, body)

    async def _until(self, status: str) -> dict[str, Any]:
        """Read the order until it has had this status. Raises DemoFailed when it never will, or is late."""

        def has_had(order: dict[str, Any]) -> bool:
            if any(entry["status"] == status for entry in order["history"]):
                return True
            if order["needsAttention"] or order["status"] in _LOST:
                reason = order["reason"] or {"code": "no reason", "message": order["history"][-1]["detail"]}
                raise DemoFailed(f"the order is {order['status']}: {reason['code']}, {reason['message']}")
            return False

        return await self._read_until(f"/orders/{ORDER_ID}", f"the order is not {status}", has_had)

    async def _read_until(self, path: str, late: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read something until it is as wanted. Raises DemoFailed with the words of `late` when it is late."""
        deadline = time.monotonic() + STEP_SECONDS
        while not holds(found := await self._call("GET", path)):
            if time.monotonic() > deadline:
                raise DemoFailed(f"after {STEP_SECONDS:.0f} s {late}")
            await asyncio.sleep(_POLL)
        return found

    async def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DemoFailed(f"{method} {path}: no answer ({type(error).__name__})") from error
        if not answer.is_success:
            raise DemoFailed(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    # --- the end ---

    def _show_order(self, order: dict[str, Any]) -> None:
        package = order["packages"][0]
        self._heading(f"Order {ORDER_ID}")
        facts = [
            ("status", order["status"]),
            ("Seller", f"{order['seller']}, as {order['orderId']}"),
            ("items", ", ".join(f"{item['quantity']} x SKU {item['id']}" for item in order["items"])),
            ("value", f"{as_text(order['marketplacePaymentValue'])}, invoiced {as_text(order['invoicedValue'])}"),
            ("invoice", ", ".join(invoice["invoiceNumber"] for invoice in order["invoices"])),
            ("package", f"{package['courier']} {package['trackingNumber']}"),
        ]
        show(self._out, pairs(*facts))
        self._heading("Its history")
        history = columns("AFTER", "STATUS", "WHAT")
        begun = datetime.fromisoformat(order["history"][0]["at"])
        for entry in order["history"]:
            after = (datetime.fromisoformat(entry["at"]) - begun).total_seconds()
            history.add_row(f"{after:.2f} s", entry["status"], clean(entry["detail"]))
        show(self._out, history)

    def _heading(self, text: str) -> None:
        self._out.print(f"\n{text}", style="bold")


def order_request(simulation: dict[str, Any]) -> dict[str, Any]:
    """The order a storefront makes of a simulated cart: its prices, and each line's first shipping option."""
    items = [
        {"id": item["id"], "quantity": item["quantity"], "price": item["sellingPrice"]} for item in simulation["items"]
    ]
    slas = [item["slas"][0] for item in simulation["items"]]
    return {
        **_EXAMPLE,
        "marketplaceOrderId": ORDER_ID,
        "items": items,
        "shippingData": {
            **_EXAMPLE["shippingData"],
            "logisticsInfo": [
                {"itemIndex": index, "selectedSla": sla["id"], "price": sla["price"]} for index, sla in enumerate(slas)
            ],
        },
        "marketplacePaymentValue": sum(item["price"] * item["quantity"] for item in items)
        + sum(sla["price"] for sla in slas),
    }
