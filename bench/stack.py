"""The engine as it runs in production, but for the size: Temporal, worker, API and Sellers as separate processes."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench.bare import QUEUE
from cli.local import HOST, Ports, forget_elsewhere, settle_ports, temporal_command
from cli.supervisor import Part, Supervisor, answers, polls, temporal_answers
from marketplace.security import AffiliateTokens
from marketplace.settings import PREFIX, Settings, load_settings, secret_keys
from workflows.catalog_policies import catalog_queue

FREE: Final = "free"
LIMITED: Final = "limited"
RATE: Final = 200.0
"""Requests a second that the limited Seller allows."""


@dataclass(frozen=True)
class Stack:
    """A running stack's addresses. Seller `round-N` and `warm-up` are the same account under several names.

    So each import finds a catalog without a single offer, and nothing has to be deleted between the rounds.
    """

    settings: Settings
    sellers: dict[str, str]
    """The base URL of each Seller by name."""
    supervisor: Supervisor

    @property
    def api_url(self) -> str:
        return self.settings.public_url

    @property
    def database(self) -> Path:
        return self.settings.data_dir.absolute() / "orders.sqlite3"

    def affiliate_endpoint(self, seller: str) -> str:
        return AffiliateTokens(secret_keys(self.settings)).endpoint(self.api_url, seller)


def round_name(number: int) -> str:
    """The Seller of a round; 0 is the one that warms everything up."""
    return f"round-{number}" if number else "warm-up"


def build_stack(
    directory: Path, skus: int, limited_skus: int, rounds: int, changes: Mapping[str, str] = MappingProxyType({})
) -> Stack:
    """Set up this process's environment, which the parts inherit, and give the parts a supervisor.

    `changes` are settings by their names without the prefix.
    """
    forget_elsewhere()
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    ports = settle_ports(Ports(0, 0, 0, 0), any_free=True)
    limited = next(port for port in iter(_any_port, None) if port not in vars(ports).values())
    urls = {FREE: f"http://{HOST}:{ports.sandbox}", LIMITED: f"http://{HOST}:{limited}"}
    sellers = {round_name(number): urls[FREE] for number in range(rounds + 1)} | {LIMITED: urls[LIMITED]}
    file = directory / "sellers.toml"
    file.write_text("\n".join(_seller(name, url) for name, url in sellers.items()), encoding="utf-8")
    os.environ.update(
        {
            f"{PREFIX}DATA_DIR": str(directory),
            f"{PREFIX}SELLERS": str(file),
            f"{PREFIX}PORT": str(ports.api),
            "TEMPORAL_ADDRESS": f"{HOST}:{ports.temporal}",
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "BENCH_APP_KEY": "sandbox-key",
            "BENCH_APP_TOKEN": "sandbox-token",
            **{f"{PREFIX}{name}": value for name, value in changes.items()},
        }
    )
    settings = load_settings()
    parts = _parts(settings, ports, limited, {FREE: skus, LIMITED: limited_skus}, directory)
    return Stack(settings, sellers, Supervisor(parts, directory / "logs"))


def _any_port() -> int:
    return settle_ports(Ports(0, 0, 0, 0), any_free=True).sandbox


def _seller(name: str, url: str) -> str:
    lines = [
        f"[sellers.{name}]",
        'affiliate_id = "MKP"',
        "sales_channel = 1",
        'app_key_env = "BENCH_APP_KEY"',
        'app_token_env = "BENCH_APP_TOKEN"',
        f'base_url = "{url}"',
        # A refresh in the middle of a measurement would be measured too.
        'refresh_interval = "off"',
    ]
    return "\n".join([*lines, f"requests_per_second = {RATE}" if name == LIMITED else "", ""])


def _parts(settings: Settings, ports: Ports, limited: int, skus: dict[str, int], directory: Path) -> list[Part]:
    order_engine = [sys.executable, "-P", "-m", "cli.main"]
    ui_url = f"http://{HOST}:{ports.ui}"
    sandboxes = [(FREE, ports.sandbox), (LIMITED, limited)]
    return [
        Part(
            name="temporal",
            command=temporal_command(ports.temporal, ports.ui, directory / "temporal.sqlite3"),
            healthy=temporal_answers(ports.temporal, ui_url),
            grace=5,
        ),
        *(
            Part(
                name=name,
                command=[sys.executable, "-m", "bench.seller", str(port), str(skus[name]), name],
                healthy=answers(f"http://{HOST}:{port}/sandbox/settings"),
            )
            for name, port in sandboxes
        ),
        Part(
            name="worker",
            command=[*order_engine, "worker"],
            healthy=polls(ui_url, catalog_queue(settings.task_queue)),
            after="temporal",
        ),
        Part(name="api", command=[*order_engine, "api"], healthy=answers(f"{settings.public_url}/health/ready")),
        Part(
            name="bare",
            command=[sys.executable, "-m", "bench.bare", f"{HOST}:{ports.temporal}"],
            healthy=polls(ui_url, QUEUE),
            after="temporal",
        ),
    ]
