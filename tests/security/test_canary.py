"""No URL that comes from outside is ever called: a server whose address stands everywhere it can gets no visitor."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from temporalio.client import Client

from tests.api.answers import problem
from tests.api.callback_line import DELIVERY, INVOICE, TRACKING, Line
from tests.catalog.shop import Shop
from tests.conftest import MakeEngine
from tests.support.engine import ORDER, new_order
from tests.support.http_server import free_port, http_server

Json = dict[str, Any]
PROFILE = (
    "firstName",
    "lastName",
    "documentType",
    "document",
    "phone",
    "tradeName",
    "corporateName",
    "stateInscription",
)
ADDRESS = (
    *("addressType", "receiverName", "city", "state", "street", "number", "neighborhood", "complement", "reference"),
    "addressId",
)


@dataclass
class Canary:
    """A server that nobody is to visit."""

    url: str
    visits: int = 0


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    canary = Canary(f"http://127.0.0.1:{(port := free_port())}")

    def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.visits += 1
        writer.close()

    async with await asyncio.start_server(visited, "127.0.0.1", port):
        yield canary


def headers(canary: Canary) -> dict[str, str]:
    """Headers that some servers believe about where a request came from, or should have gone."""
    host = canary.url.removeprefix("http://")
    return {
        "Host": host,
        "Origin": canary.url,
        "Referer": canary.url,
        "Forwarded": f"host={host};proto=http",
        "X-Forwarded-Host": host,
        "X-Original-URL": canary.url,
        "X-Callback-URL": canary.url,
        "X-Wap-Profile": f"{canary.url}/profile.xml",
        "Link": f"<{canary.url}>; rel=preload",
    }


def order_about(canary: Canary, seller: str) -> Json:
    order = new_order(seller=seller, payment={"status": "approved", "transactionId": "t-1"})
    # The names of the fields may hold no URL, and neither may ids.
    order["clientProfileData"] |= dict.fromkeys(PROFILE, canary.url) | {"email": f"a@{canary.url}"}
    order["shippingData"]["address"] |= dict.fromkeys(ADDRESS, canary.url)
    return order


def pointing(body: Json, canary: Canary, *names: str) -> Json:
    """A report with the URL in these fields, and in some that VTEX does not document."""
    unknown = dict.fromkeys(("url", "callbackUrl", "webhook", "image", "$ref", "@id", "xmlns"), canary.url)
    return {**deepcopy(body), **dict.fromkeys(names, canary.url), **unknown}


async def test_no_url_in_an_order_a_callback_a_notice_or_a_catalog_is_called(
    temporal: Client, tmp_path: Path, canary: Canary
) -> None:
    async with Shop(temporal, tmp_path) as shop:
        engine, url = shop.engine, canary.url
        engine.http.headers.update(headers(canary))
        # --- the storefront's
        order = order_about(canary, "acme")
        answer = await engine.post(order)
        assert answer.status_code == 201, answer.text
        order = await engine.until(order, status="handling")
        cart = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}], "postalCode": url, "country": "BRA"}
        await engine.http.post("/carts/simulation", json=cart)
        problem(await engine.post({**ORDER, "marketplaceOrderId": "T-1", "callbackUrl": url}), 422)
        problem(await engine.post({**ORDER, "marketplaceOrderId": "T-1", "seller": url}), 422)
        # --- the Seller's callbacks
        line = Line(engine, order, 0)
        texts = ("courier", "trackingNumber", "trackingUrl", "invoiceUrl", "invoiceKey", "invoiceNumber")
        invoice = {"invoiceValue": order["marketplacePaymentValue"], "embeddedInvoice": f'<!ENTITY x SYSTEM "{url}">'}
        for number in ("N-1", url):
            sent = {**pointing(INVOICE, canary, *texts), **invoice, "invoiceNumber": number}
            assert (await line.send("/invoice", sent)).status_code == 200
        tail = "/invoice/N-1"
        tracking = pointing(TRACKING, canary, "courier", "trackingNumber", "trackingUrl")
        assert (await line.send(tail, tracking)).status_code == 200
        event = dict.fromkeys(("city", "state", "description"), url)
        delivery = pointing({**DELIVERY, "events": [{**DELIVERY["events"][0], **event}]}, canary)
        assert (await line.send(f"{tail}/tracking", delivery)).status_code == 200
        assert (await line.send("/cancel", pointing({"reason": url}, canary))).status_code == 409
        # --- its catalog, and a notice about it
        pictures = [f"{url}/{number}.jpg" for number in range(3)]
        sku = await shop.listed(images=pictures, description=f'<img src="{url}/in-text.jpg">', name=url, brand_name=url)
        notice = {"IdSku": sku, "An": shop.account, "IdAffiliate": "MKP", "PriceModified": True, "ImageUrl": url}
        assert (await engine.http.post(f"{shop.endpoint}/api/notification", json=notice)).status_code == 202
        await shop.imported()
        assert url in (await engine.http.get(f"/catalog/{shop.account}/skus/{sku}")).text
        assert url in str(await engine.until(order, lambda found: bool(found["packages"][0]["events"])))
        # --- and for good measure a request line that names another server
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
        writer.write(f"GET {url}/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await reader.read()
        writer.close()
    assert canary.visits == 0


async def test_no_redirect_of_a_seller_is_followed(make_engine: MakeEngine, canary: Canary) -> None:
    asked = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked.append(scope["path"])
            status = 301 + len(asked) % 8
            await Response("", status, {"Location": f"{canary.url}{scope['path']}"})(scope, receive, send)

    async with (
        http_server(elsewhere, free_port()) as url,
        make_engine(seller={"base_url": url}, catalog=True) as engine,
    ):
        for _ in range(8):
            cart = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}]}
            problem(await engine.http.post("/carts/simulation", json=cart), 502)
    assert len(asked) == 8
    assert canary.visits == 0


async def test_the_canary_counts_who_visits(canary: Canary) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(canary.url)
    assert canary.visits == 1
