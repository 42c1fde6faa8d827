"""Temporal behind TLS: a real server behind a TLS proxy, reached by what the SDK's variables and file say."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from marketplace.settings import Settings, SettingsError
from marketplace.temporal import TemporalUnreachable, connect, reaching
from marketplace.temporal_trouble import START_IT, diagnose
from sandbox.server import SandboxServer
from tests.support.engine import Engine
from tests.support.tls import HOST, Authority, TlsProxy

# Of letters alone whose code in HTTP/2's header compression is known below.
API_KEY = "tasetoi012012aceiost"

# RFC 7541, appendix B: the bits of each character in a compressed header.
HUFFMAN = {symbol: f"{code:05b}" for code, symbol in enumerate("012aceiost")}
HUFFMAN |= {"B": "1011101", "r": "101100", " ": "010100"}


class Place:
    """Where everything is that a row of a table may name."""

    def __init__(self, authority: Authority, plain: str, proxy: TlsProxy, expired: TlsProxy, mutual: TlsProxy) -> None:
        self.proxy = proxy
        directory = authority.directory
        self.words = {
            "ca": authority.certificate,
            "ca_data": authority.certificate.read_text(),
            "other_ca": Authority(_made(directory / "other")).certificate,
            "client": directory / "client.pem",
            "client_key": directory / "client.key",
            "plain": plain,
            "tls": proxy.address,
            "expired": expired.address,
            "mutual": mutual.address,
            "by_number": f"127.0.0.1:{proxy.port}",
        }

    def enter(self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"TEMPORAL_{name}", value.format(**self.words))


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
async def place(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    plain = temporal.service_client.config.target_host
    authority.issue("client")
    server = authority.issue("server")
    async with (
        TlsProxy(plain, server) as proxy,
        TlsProxy(plain, authority.issue("expired", timedelta(days=-1))) as expired,
        TlsProxy(plain, server, clients=authority.certificate) as mutual,
    ):
        yield Place(authority, plain, proxy, expired, mutual)


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the developer has set for Temporal must not matter here."""
    for name in os.environ:
        if name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "variables",
    [
        {"ADDRESS": "{tls}", "TLS_SERVER_CA_CERT_PATH": "{ca}"},
        {"ADDRESS": "{tls}", "TLS_SERVER_CA_CERT_DATA": "{ca_data}"},
        {"ADDRESS": "{by_number}", "TLS_SERVER_CA_CERT_PATH": "{ca}", "TLS_SERVER_NAME": HOST},
        {
            "ADDRESS": "{mutual}",
            "TLS_SERVER_CA_CERT_PATH": "{ca}",
            "TLS_CLIENT_CERT_PATH": "{client}",
            "TLS_CLIENT_KEY_PATH": "{client_key}",
        },
        {"ADDRESS": "{plain}", "TLS": "false"},
    ],
    ids=["ca-file", "ca-text", "other-name", "client-certificate", "without"],
)
async def test_a_server_behind_tls_is_reached(
    place: Place, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    place.enter(monkeypatch, variables)
    client = await connect(Settings())
    assert await client.service_client.check_health()


async def test_a_profile_of_the_configuration_file_says_it_all(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text(
        f'[profile.orders]\naddress = "{place.words["mutual"]}"\nnamespace = "default"\n[profile.orders.tls]\n'
        f'server_ca_cert_path = "{place.words["ca"]}"\n'
        f'client_cert_path = "{place.words["client"]}"\nclient_key_path = "{place.words["client_key"]}"\n'
    )
    place.enter(monkeypatch, {"CONFIG_FILE": str(file), "PROFILE": "orders"})
    client = await connect(Settings())
    assert await client.service_client.check_health()
    assert client.service_client.config.target_host == place.words["mutual"]


async def call(*, lazy: bool) -> None:
    client = await connect(Settings(), lazy=lazy)
    with reaching(client):
        await client.service_client.check_health(retry=False)


@pytest.mark.parametrize(
    ("variables", "cause", "cure"),
    [
        ({"ADDRESS": "{tls}"}, "hangs up", "set TEMPORAL_TLS=true"),
        ({"ADDRESS": "{plain}", "TLS": "true"}, "does not speak TLS", "its TLS port in TEMPORAL_ADDRESS"),
        ({"ADDRESS": "{plain}", "API_KEY": API_KEY}, "does not speak TLS", "TEMPORAL_TLS=false"),
        ({"ADDRESS": "{tls}", "TLS": "true"}, "not from a CA", "set TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
        ({"ADDRESS": "{tls}", "TLS_SERVER_CA_CERT_PATH": "{other_ca}"}, "not from a CA", "_CA_CERT_PATH"),
        ({"ADDRESS": "{by_number}", "TLS_SERVER_CA_CERT_PATH": "{ca}"}, "another name", "set TEMPORAL_TLS_SERVER_NAME"),
        ({"ADDRESS": "{expired}", "TLS_SERVER_CA_CERT_PATH": "{ca}"}, "has expired", "renew it"),
        (
            {"ADDRESS": "{mutual}", "TLS_SERVER_CA_CERT_PATH": "{ca}"},
            "ends the TLS connection",
            "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH",
        ),
    ],
    ids=lambda value: "-".join(value).lower() if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("lazy", [False, True], ids=["at-once", "later"])
async def test_what_is_wrong_with_tls_is_told_in_one_line_with_its_cure(
    place: Place, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], cause: str, cure: str, lazy: bool
) -> None:
    place.enter(monkeypatch, variables)
    with pytest.raises(TemporalUnreachable) as caught:
        await call(lazy=lazy)
    told = str(caught.value)
    assert cause in told
    assert cure in told
    assert "\n" not in told
    assert API_KEY not in told


@pytest.mark.parametrize("alone", ["CERT", "KEY"])
async def test_half_of_a_client_certificate_is_told(place: Place, monkeypatch: pytest.MonkeyPatch, alone: str) -> None:
    half = {"CERT": "{client}", "KEY": "{client_key}"}[alone]
    place.enter(
        monkeypatch,
        {"ADDRESS": "{mutual}", "TLS_SERVER_CA_CERT_PATH": "{ca}", f"TLS_CLIENT_{alone}_PATH": half},
    )
    with pytest.raises(SettingsError, match="both client cert and private key"):
        await connect(Settings())


@pytest.mark.parametrize("code", ["Unauthenticated", "PermissionDenied"])
def test_a_server_that_refuses_the_api_key_is_told(code: str) -> None:
    """The development server asks for no key: the text is the SDK's for any refused call."""
    text = f'`get_system_info` call error after connection: Status {{ code: {code}, message: "no" }}'
    error = RuntimeError(f"Failed client connect: {text}")
    assert diagnose(error, tls=True).cure == "look at TEMPORAL_API_KEY and at TEMPORAL_NAMESPACE"
    assert diagnose(RuntimeError("nobody knows"), tls=True) == ("nobody knows", START_IT)


async def test_an_api_key_goes_to_the_server_as_a_bearer_token(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.enter(monkeypatch, {"ADDRESS": "{tls}", "TLS_SERVER_CA_CERT_PATH": "{ca}", "API_KEY": API_KEY})
    await connect(Settings())
    bits = "".join(HUFFMAN[character] for character in f"Bearer {API_KEY}")
    bits += "1" * (-len(bits) % 8)
    sent = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
    assert sent in place.proxy.received


async def test_an_order_is_placed_through_a_server_that_wants_client_certificates(
    place: Place, monkeypatch: pytest.MonkeyPatch, fresh_seller: SandboxServer, tmp_path: Path
) -> None:
    place.enter(
        monkeypatch,
        {
            "ADDRESS": "{mutual}",
            "TLS_SERVER_CA_CERT_PATH": "{ca}",
            "TLS_CLIENT_CERT_PATH": "{client}",
            "TLS_CLIENT_KEY_PATH": "{client_key}",
        },
    )
    async with Engine(await connect(Settings()), fresh_seller.url, tmp_path) as engine:
        order = await engine.dispatched()
        assert order["status"] == "handling"
