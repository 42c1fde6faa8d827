"""`order-engine codec`: the remote codec protocol as Temporal's UI and command line speak it, for operators alone."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import Client

from api.codec import COOKIE, MAX_BODY, create_codec_app
from marketplace.codec import EncryptionCodec
from marketplace.safety import check_codec_safety
from marketplace.security import EncryptionKey
from marketplace.settings import Settings, SettingsError
from marketplace.temporal import data_converter
from sandbox.server import SandboxServer
from tests.support.engine import TEMPORAL, Engine, new_order
from tests.support.http_server import api_server, free_port

Json = dict[str, Any]

KEY, OLD_KEY, LOST_KEY = (EncryptionKey(name, name.encode() * 16) for name in ("k2", "k1", "k0"))
OPERATOR, STOREFRONT = "operator-key-zqx-1", "storefront-key-zqx-1"
UI = "http://127.0.0.1:8233"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"firstName":"Quinzinho"}')


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    defaults = {"encryption_keys": (KEY, OLD_KEY), "operator_keys": [OPERATOR], "storefront_keys": [STOREFRONT]}
    app = create_codec_app(Settings(**{**defaults, **changes}))
    async with api_server(app, free_port()) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        yield http


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[httpx.AsyncClient]:
    async with running() as http:
        yield http


@pytest.fixture
def codec(shared: httpx.AsyncClient) -> httpx.AsyncClient:
    """A codec, and nobody signed in."""
    shared.cookies.clear()
    return shared


def written(*payloads: Payload) -> Json:
    found: Json = MessageToDict(Payloads(payloads=payloads))
    return found


def read(answer: httpx.Response) -> list[Payload]:
    assert answer.status_code == 200, answer.text
    return list(ParseDict(answer.json(), Payloads()).payloads)


async def encrypted(key: EncryptionKey, payload: Payload = PLAIN) -> Payload:
    [sealed] = await EncryptionCodec([key]).encode([payload])
    return sealed


async def ask(http: httpx.AsyncClient, body: Any, path: str = "/decode", **headers: str) -> httpx.Response:
    """Ask as Temporal's UI does, with an operator's key where no other is given."""
    sent = {"Origin": UI, "X-Namespace": "default", "Authorization": f"Bearer {OPERATOR}", **headers}
    return await http.post(f"{path}?preserveStorageRefs=true", json=body, headers={k: v for k, v in sent.items() if v})


# --- payloads ---


async def test_payloads_come_back_as_they_were_whichever_key_has_encrypted_them(codec: httpx.AsyncClient) -> None:
    sealed = [await encrypted(KEY), PLAIN, await encrypted(OLD_KEY)]
    assert PLAIN.data not in sealed[0].data
    assert read(await ask(codec, written(*sealed))) == [PLAIN, PLAIN, PLAIN]


async def test_what_no_key_opens_stays_as_it_is_and_hides_nothing_else(codec: httpx.AsyncClient) -> None:
    lost, good = await encrypted(LOST_KEY), await encrypted(KEY)
    damaged = Payload(metadata=good.metadata, data=good.data[:-1] + b"\0")
    assert read(await ask(codec, written(lost, good, damaged))) == [lost, PLAIN, damaged]


async def test_what_an_operator_types_is_encrypted_with_the_first_key(codec: httpx.AsyncClient) -> None:
    [sealed] = read(await ask(codec, written(PLAIN), "/encode"))
    assert await EncryptionCodec([KEY]).decode([sealed]) == [PLAIN]
    assert sealed.metadata["encryption-key-id"] == b"k2"


async def test_the_largest_payload_of_temporal_passes_and_more_is_a_413(codec: httpx.AsyncClient) -> None:
    large = Payload(metadata={"encoding": b"binary/plain"}, data=b"x" * 2 * 1024 * 1024)
    assert read(await ask(codec, written(await encrypted(KEY, large), await encrypted(KEY, large)))) == [large, large]
    too_much = await codec.post(
        "/decode", content=b"x" * (MAX_BODY + 1), headers={"Authorization": f"Bearer {OPERATOR}"}
    )
    assert too_much.status_code == 413


MALFORMED = [
    *(b"", b"Quinzinho", b"[]", b'"Quinzinho"', b"null", b'{"payloads": "Quinzinho"}'),
    *(b'{"payloads": [{"data": "%%Quinzinho"}]}', b'{"payloads": ' + b"[" * 5000, b"\xff{"),
]


@pytest.mark.parametrize("content", MALFORMED, ids=lambda content: content[:40])
async def test_what_is_malformed_is_a_400_that_repeats_nothing(codec: httpx.AsyncClient, content: bytes) -> None:
    answer = await codec.post("/decode", content=content, headers={"Authorization": f"Bearer {OPERATOR}"})
    assert (answer.status_code, "Quinzinho" in answer.text) == (400, False)
    assert answer.headers["content-type"] == "application/problem+json"


# --- who may ask ---


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Bearer {STOREFRONT}", f"Basic {OPERATOR}", OPERATOR]
)
async def test_nobody_but_operators_may_ask(codec: httpx.AsyncClient, header: str) -> None:
    sealed = written(await encrypted(KEY))
    for path in ("/decode", "/encode"):
        answer = await ask(codec, sealed, path, Authorization=header)
        assert (answer.status_code, "Quinzinho" in answer.text) == (401, False)
        # Without it the UI could not even tell what is the matter.
        assert answer.headers["access-control-allow-origin"] == UI


async def test_an_operator_who_has_signed_in_needs_no_key(codec: httpx.AsyncClient) -> None:
    sealed = written(await encrypted(KEY))
    assert "Operator key" in (await codec.get("/")).text
    wrong = await codec.post("/session", data={"key": STOREFRONT})
    assert (wrong.status_code, "This is no operator key." in wrong.text, wrong.cookies.get(COOKIE)) == (401, True, None)

    right = await codec.post("/session", data={"key": f" {OPERATOR} "})
    assert (right.status_code, right.headers["location"]) == (303, "./")
    assert right.headers["set-cookie"].endswith("; HttpOnly; Max-Age=28800; Path=/; SameSite=strict")
    assert OPERATOR not in right.headers["set-cookie"]
    assert "Signed in." in (await codec.get("/")).text
    answer = await ask(codec, sealed, Authorization="")
    assert read(answer) == [PLAIN]
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["cache-control"] == "no-store"

    assert (await codec.post("/session/end")).status_code == 303
    assert (await ask(codec, sealed, Authorization="")).status_code == 401


async def test_a_session_of_somebody_elses_making_is_none(codec: httpx.AsyncClient) -> None:
    await codec.post("/session", data={"key": OPERATOR})
    session = codec.cookies[COOKIE]
    codec.cookies.clear()
    for made in (session[:-1], session + "x", "x" + session, "operator", f"{session.split('.')[0]}.."):
        cookie = {"Cookie": f"{COOKIE}={made}"}
        assert (await ask(codec, written(PLAIN), Authorization="", **cookie)).status_code == 401
    async with running() as another:
        # As after a restart: sessions end with their process.
        cookie = {"Cookie": f"{COOKIE}={session}"}
        assert (await ask(another, written(PLAIN), Authorization="", **cookie)).status_code == 401


async def test_with_https_the_cookie_goes_over_https_alone() -> None:
    async with running(ui_origins=["https://temporal.example.com"]) as http:
        assert "; Secure" in (await http.post("/session", data={"key": OPERATOR})).headers["set-cookie"]


async def preflight(http: httpx.AsyncClient, origin: str) -> httpx.Response:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    return await http.options("/decode", headers={"Origin": origin, **asked})


@pytest.mark.parametrize("origin", ["http://localhost:8234", "https://127.0.0.1:8233", "null", "http://evil.example"])
async def test_no_page_but_the_uis_may_ask(codec: httpx.AsyncClient, origin: str) -> None:
    allowed, refused = await preflight(codec, UI), await preflight(codec, origin)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, UI)
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (400, None)
    # A browser would not even send this; with a valid session it would be of no use either.
    answer = await ask(codec, written(await encrypted(KEY)), Origin=origin)
    assert (answer.status_code, "Quinzinho" in answer.text) == (403, False)
    assert "access-control-allow-origin" not in answer.headers


async def test_without_operator_keys_the_ui_on_this_machine_may_ask_and_other_pages_may_not() -> None:
    async with running(operator_keys=(), storefront_keys=()) as http:
        assert read(await ask(http, written(await encrypted(KEY)), Authorization="")) == [PLAIN]
        assert (await ask(http, written(PLAIN), Authorization="", Origin="http://evil.example")).status_code == 403


async def test_guessing_keys_is_slowed() -> None:
    async with running(rate_limit=1) as http:
        codes = [(await http.post("/session", data={"key": f"guess-{number}"})).status_code for number in range(4)]
        assert codes == [401, 401, 429, 429]
        assert (await ask(http, written(PLAIN), Authorization="Bearer guess")).status_code == 429
        # Who has a key is not kept out by it.
        assert (await ask(http, written(PLAIN))).status_code == 200


# --- where it may run ---


@pytest.mark.parametrize(
    ("host", "settings", "problem"),
    [
        ("127.0.0.1", {"operator_keys": [OPERATOR]}, "ORDER_ENGINE_ENCRYPTION_KEYS is not set"),
        (
            "0.0.0.0",
            {"encryption_keys": (KEY,)},
            "ORDER_ENGINE_OPERATOR_KEYS is not set, and --host leads beyond this machine: set it as for the API",
        ),
        (
            "0.0.0.0",
            {"encryption_keys": (KEY,), "operator_keys": ["short"]},
            "OPERATOR_KEYS has a key that is too short .*: make one with 'order-engine keys new'",
        ),
        # A proxy on this machine lets others in, as the UI's origin tells, or the public URL of the API.
        (
            "127.0.0.1",
            {"encryption_keys": (KEY,), "ui_origins": ["http://127.0.0.1:8233", "https://temporal.example.com"]},
            "ORDER_ENGINE_OPERATOR_KEYS is not set, and ORDER_ENGINE_UI_ORIGINS leads",
        ),
        (
            "127.0.0.1",
            {"encryption_keys": (KEY,), "ui_origins": ["https://temporal.example.com"], "operator_keys": ["short"]},
            "OPERATOR_KEYS has a key that is too short",
        ),
        (
            "127.0.0.1",
            {"encryption_keys": (KEY,), "public_url": "https://orders.example.com"},
            "ORDER_ENGINE_OPERATOR_KEYS is not set, and ORDER_ENGINE_PUBLIC_URL leads",
        ),
        (
            "127.0.0.1",
            {"encryption_keys": (KEY,), "public_url": "https://orders.example.com", "operator_keys": ["short"]},
            "OPERATOR_KEYS has a key that is too short",
        ),
        (
            "127.0.0.1",
            {"encryption_keys": (KEY,), "public_url": "https://orders.example.com", "operator_keys": [OPERATOR * 2]},
            None,
        ),
        ("127.0.0.1", {"encryption_keys": (KEY,)}, None),
        ("::1", {"encryption_keys": (KEY,), "operator_keys": ["short"]}, None),
    ],
)
def test_it_serves_others_only_with_good_keys(host: str, settings: Json, problem: str | None) -> None:
    if problem is None:
        check_codec_safety(Settings(**settings), host)
    else:
        with pytest.raises(SettingsError, match=problem):
            check_codec_safety(Settings(**settings), host)


# --- with Temporal ---


async def test_temporals_command_line_reads_an_order_through_it(
    temporal: Client, fresh_seller: SandboxServer, tmp_path: Path
) -> None:
    config = temporal.config()
    config["data_converter"] = data_converter(Settings(encryption_keys=(KEY,)))
    client = Client(**config)
    posted = new_order()
    async with Engine(client, fresh_seller.url, tmp_path, encryption_keys=(KEY,)) as engine, running() as http:
        assert (await engine.post(posted)).status_code == 201
        target = client.service_client.config.target_host

        async def shown(*options: str) -> tuple[str, bool]:
            """How the order's input is encoded, and whether a customer's name can be read in it."""
            process = await asyncio.create_subprocess_exec(
                *(TEMPORAL, "workflow", "show", "--address", target, "--output", "json"),
                *("--workflow-id", engine.workflow(posted).id, *options),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate()
            attributes = json.loads(out)["events"][0]["workflowExecutionStartedEventAttributes"]
            payload: Json = attributes["input"]["payloads"][0]
            encoding, data = (base64.b64decode(text) for text in (payload["metadata"]["encoding"], payload["data"]))
            return encoding.decode(), b"Livia" in data

        assert await shown() == ("binary/encrypted", False)
        url = str(http.base_url).rstrip("/")
        opened = await shown("--codec-endpoint", url, "--codec-auth", f"Bearer {OPERATOR}")
        assert opened == ("json/plain", True)
        await engine.cancel(posted)
