"""Settings: what is read, and that a mistake is told in one line without giving a secret away."""

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from marketplace.safety import check_api_safety, check_encryption, check_worker_safety
from marketplace.security import KeyHash
from marketplace.settings import (
    SECRETS,
    Settings,
    SettingsError,
    _create_once,
    load_sellers,
    load_settings,
    parse_duration,
    secret_keys,
)

KEY = base64.b64encode(bytes(32)).decode()
NEW, OLD = "dWk7Qm2Lr9Xt4Vb8Nc1Zp6", "hJ5sYe3Gf8Ku2Wq7Ra9Mx4"
SHOP, APP, OPS = "tB6nCz1Vx8Lm3Kj7Hg5Fd2", "pQ9wEr4Ty7Ui2Op5As8Df1", "oL3kMn6Bv9Cx2Za5Sd8Fg1"

SELLERS = """
[sellers.acme]
affiliate_id = "MKP"
sales_channel = 1
app_key_env = "ACME_APP_KEY"
app_token_env = "ACME_APP_TOKEN"
requests_per_second = 20
price_tolerance = 0

[sellers.local]
affiliate_id = "LOC"
sales_channel = 2
base_url = "http://127.0.0.1:9000/"
simulation_route = "fulfillment"
cancel_route = "oms"
assortment = "approval"
refresh_interval = "off"
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test starts in an empty directory, without any variable of the engine."""
    for name in os.environ:
        if name.startswith("ORDER_ENGINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def setenv(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"ORDER_ENGINE_{name}", value)


def problem_of(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    setenv(monkeypatch, **values)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert "\n" not in message
    return message


def sellers_file(content: str) -> Settings:
    Path("sellers.toml").write_text(content, encoding="utf-8")
    return load_settings()


def sellers_problem(content: str) -> str:
    settings = sellers_file(content)
    with pytest.raises(SettingsError) as caught:
        load_sellers(settings)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("ORDER_ENGINE_SELLERS: sellers.toml")
    return message


def test_without_any_variable_the_engine_runs_on_this_machine_alone(tmp_path: Path) -> None:
    settings = load_settings()

    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert settings.database_url.get_secret_value() == f"sqlite+aiosqlite:///{tmp_path}/.order-engine/orders.sqlite3"
    assert (settings.payment_deadline, settings.return_window) == (timedelta(minutes=30), timedelta(days=30))
    assert (settings.seller_attempts, settings.seller_backoff) == (10, timedelta(seconds=1))
    assert (settings.task_queue, settings.log_format) == ("order-engine", "text")
    assert (settings.cancel_check, settings.log_retention) == (timedelta(hours=1), timedelta(days=30))
    assert (settings.rate_limit, settings.seller_rate_limit, settings.max_requests) == (200, 500, 64)
    assert settings.seller_orders_at_once == 2
    check_api_safety(settings)


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(
        monkeypatch,
        SELLERS="/etc/sellers.toml",
        PUBLIC_URL="https://orders.example.com/base/",
        HOST="0.0.0.0",
        PORT="9090",
        DATABASE_URL="postgres://user:pw@db/orders",
        DATA_DIR="/var/lib/engine",
        SECRET_KEY=f"{NEW}, {OLD}",
        STOREFRONT_KEYS=f" {SHOP} , {KeyHash.of(APP)} ,",
        OPERATOR_KEYS=OPS,
        ENCRYPTION_KEYS=f"k2:{KEY}, k1:{KEY}",
        PAYMENT_DEADLINE="500ms",
        RETURN_WINDOW="0d",
        TASK_QUEUE="other",
        LOG_FORMAT="json",
        SELLER_ATTEMPTS="3",
        SELLER_BACKOFF="2s",
        SELLER_PATIENCE="2h",
        CANCEL_CHECK="10m",
        LOG_RETENTION="90d",
        RATE_LIMIT="0",
        SELLER_RATE_LIMIT="50",
        SELLER_ORDERS_AT_ONCE="4",
        MAX_REQUESTS="8",
    )

    settings = load_settings()

    assert settings.sellers == Path("/etc/sellers.toml")
    assert settings.public_url == "https://orders.example.com/base"
    assert (settings.host, settings.port, settings.data_dir) == ("0.0.0.0", 9090, Path("/var/lib/engine"))
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://user:pw@db/orders"
    assert settings.storefront_keys == (KeyHash.of(SHOP), KeyHash.of(APP))
    assert settings.operator_keys == (KeyHash.of(OPS),)
    assert [key.id for key in settings.encryption_keys] == ["k2", "k1"]
    assert (settings.payment_deadline, settings.return_window) == (timedelta(milliseconds=500), timedelta(0))
    assert (settings.task_queue, settings.log_format, settings.seller_attempts) == ("other", "json", 3)
    assert (settings.seller_backoff, settings.cancel_check) == (timedelta(seconds=2), timedelta(minutes=10))
    assert settings.seller_patience == timedelta(hours=2)
    assert settings.log_retention == timedelta(days=90)
    assert (settings.rate_limit, settings.seller_rate_limit, settings.max_requests) == (0, 50, 8)
    assert settings.seller_orders_at_once == 4
    assert [key.get_secret_value() for key in secret_keys(settings)] == [NEW, OLD]
    check_api_safety(settings)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    setenv(monkeypatch, PORT="", SECRET_KEY="", PUBLIC_URL="", ENCRYPTION_KEYS="")

    assert load_settings().port == 8080


def test_keys_may_also_be_given_as_objects() -> None:
    settings = Settings(secret_key=(SecretStr("a"),), database_url=SecretStr("sqlite:////tmp/x.db"))

    assert Settings(encryption_keys=settings.encryption_keys).encryption_keys == ()
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:////tmp/x.db"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("shop.internal", "http://shop.internal:8080"),
    ],
)
def test_without_a_public_url_the_api_is_where_it_listens(host: str, url: str) -> None:
    assert Settings(host=host).public_url == url


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("90s", timedelta(seconds=90)),
        (" 30 m ", timedelta(minutes=30)),
        ("48h", timedelta(hours=48)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration
    assert parse_duration(duration) == duration


@pytest.mark.parametrize("text", ["", "30", "m", "-1s", "1.5h", "1w", "1h30m", "9999999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "abc", "valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("HOST", "  ", "at least 1 character"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
        ("PAYMENT_DEADLINE", "30", "such as 90s"),
        ("PAYMENT_DEADLINE", "0s", "from 1ms to 365d"),
        ("RETURN_WINDOW", "3651d", "from 0d to 3650d"),
        ("SELLER_BACKOFF", "61s", "from 1ms to 60s"),
        ("SELLER_ATTEMPTS", "0", "greater than or equal to 1"),
        ("CANCEL_CHECK", "31d", "from 1ms to 30d"),
        ("LOG_RETENTION", "0d", "from 1h to 3650d"),
        ("RATE_LIMIT", "-1", "greater than or equal to 0"),
        ("SELLER_RATE_LIMIT", "1.5", "valid integer"),
        ("MAX_REQUESTS", "0", "greater than or equal to 1"),
        ("PUBLIC_URL", "ftp://host", "https://"),
        ("PUBLIC_URL", "https://[host", "https://"),
        ("PUBLIC_URL", "https://user@host", "no user"),
        ("PUBLIC_URL", "https://host/?a=1", "no user, query or fragment"),
        ("DATABASE_URL", "mysql://host/db", "postgresql:// or sqlite:///"),
        ("DATABASE_URL", "sqlite", "postgresql:// or sqlite:///"),
        ("DATABASE_URL", "sqlite://", "must name a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "must name a file"),
        ("DATABASE_URL", "sqlite://host/x.db", "must name a file"),
        ("ENCRYPTION_KEYS", KEY, "id:base64"),
        ("UI_ORIGINS", "https://temporal.example.com/ui", "scheme and host"),
        ("UI_ORIGINS", "*", "must be a URL"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_what_to_set(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    message = problem_of(monkeypatch, **{name: value})

    assert message.startswith(f"ORDER_ENGINE_{name}: ")
    assert expected in message


def test_several_problems_are_told_together_and_only_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem_of(monkeypatch, PORT="abc", LOG_FORMAT="xml")

    assert [part.split(":")[0] for part in message.split("; ")] == ["ORDER_ENGINE_PORT", "ORDER_ENGINE_LOG_FORMAT"]


def test_no_message_and_no_print_of_the_settings_holds_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2-hunter2-hunter2"
    assert secret not in problem_of(monkeypatch, DATABASE_URL=f"mysql://root:{secret}@db/orders")
    assert secret not in problem_of(monkeypatch, ENCRYPTION_KEYS=f"k1:{secret}")
    assert secret not in problem_of(monkeypatch, STOREFRONT_KEYS=secret, OPERATOR_KEYS=secret)
    for name in ("DATABASE_URL", "ENCRYPTION_KEYS", "STOREFRONT_KEYS"):
        monkeypatch.delenv(f"ORDER_ENGINE_{name}")
    setenv(
        monkeypatch,
        SECRET_KEY=secret,
        DATABASE_URL=f"postgresql://root:{secret}@db/orders",
        ENCRYPTION_KEYS=f"k1:{base64.b64encode(secret.ljust(32).encode()).decode()}",
    )
    printed = repr(load_settings())
    assert secret not in printed


def test_one_key_cannot_stand_for_two_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem_of(monkeypatch, STOREFRONT_KEYS="a,b", OPERATOR_KEYS="b")

    assert message.startswith("ORDER_ENGINE_STOREFRONT_KEYS and ORDER_ENGINE_OPERATOR_KEYS share a key")


def test_two_encryption_keys_cannot_have_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "an id twice" in problem_of(monkeypatch, ENCRYPTION_KEYS=f"k1:{KEY},k1:{KEY}")


# --- safety ---


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LocalHost"])
def test_a_loopback_address_needs_no_keys(host: str) -> None:
    check_api_safety(Settings(host=host))


PROXIED: dict[str, Any] = {"host": "127.0.0.1", "public_url": "https://orders.example.com"}
"""A proxy on this machine lets others in."""


@pytest.mark.parametrize(
    "places", [{"host": "0.0.0.0"}, {"host": "192.168.1.7"}, {"host": "::"}, {"host": "shop.internal"}, PROXIED]
)
def test_any_other_address_needs_all_keys(places: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        check_api_safety(Settings(**places))

    names = [part.split()[0] for part in str(caught.value).split("; ")]
    kinds = ("STOREFRONT_KEYS", "OPERATOR_KEYS", "SECRET_KEY", "ENCRYPTION_KEYS")
    assert names == [f"ORDER_ENGINE_{kind}" for kind in kinds]


LAPTOP = "127.0.0.1:7233"


@pytest.mark.parametrize(
    ("temporal", "changes", "named"),
    [
        (LAPTOP, {}, None),
        ("localhost:7233", {"host": "::1", "public_url": "http://localhost:8080"}, None),
        ("[::1]:7233", {"host": "localhost"}, None),
        ("temporal:7233", {}, "TEMPORAL_ADDRESS leads"),
        ("shop.acct.tmprl.cloud:7233", {}, "TEMPORAL_ADDRESS leads"),
        (LAPTOP, {"public_url": "https://orders.example.com"}, "ORDER_ENGINE_PUBLIC_URL leads"),
        (LAPTOP, {"host": "0.0.0.0", "public_url": "http://127.0.0.1"}, "ORDER_ENGINE_HOST leads"),
        ("temporal", {"host": "10.0.0.1"}, "TEMPORAL_ADDRESS and ORDER_ENGINE_HOST and ORDER_ENGINE_PUBLIC_URL lead"),
    ],
)
def test_what_leads_beyond_this_machine_needs_encryption(
    temporal: str, changes: dict[str, Any], named: str | None
) -> None:
    check_encryption(Settings(**{**changes, "encryption_keys": f"k1:{KEY}"}), temporal)
    if named is None:
        check_encryption(Settings(**changes), temporal)
        return
    with pytest.raises(SettingsError) as caught:
        check_encryption(Settings(**changes), temporal)
    assert str(caught.value) == (
        f"ORDER_ENGINE_ENCRYPTION_KEYS is not set, and {named} beyond this machine: set it, the same in every process,"
        " to what 'order-engine keys encryption' prints, and keep that safe"
    )


@pytest.mark.parametrize("places", [{"HOST": "0.0.0.0"}, {"PUBLIC_URL": "https://orders.example.com"}])
@pytest.mark.parametrize("name", ["STOREFRONT_KEYS", "OPERATOR_KEYS", "SECRET_KEY"])
@pytest.mark.parametrize(
    ("weak", "expected"),
    [
        ("short", "has a key that is too short (use 22 random characters or more): make one with"),
        ("change-me-before-production", "has a key that does not look random: make one with"),
    ],
)
def test_a_key_that_can_be_guessed_is_refused_where_others_can_reach_the_api(
    monkeypatch: pytest.MonkeyPatch, places: dict[str, str], name: str, weak: str, expected: str
) -> None:
    keys = {"STOREFRONT_KEYS": SHOP, "OPERATOR_KEYS": OPS, "SECRET_KEY": NEW, "ENCRYPTION_KEYS": f"k1:{KEY}"}
    setenv(monkeypatch, **places, **{**keys, name: f"{keys[name]},{weak}"})

    with pytest.raises(SettingsError) as caught:
        check_api_safety(load_settings())
    assert str(caught.value) == f"ORDER_ENGINE_{name} {expected} 'order-engine keys new'"
    if name == "SECRET_KEY":
        with pytest.raises(SettingsError, match="ORDER_ENGINE_SECRET_KEY has a key that"):
            check_worker_safety(load_settings())
    else:
        check_worker_safety(load_settings())
    setenv(monkeypatch, HOST="127.0.0.1", PUBLIC_URL="http://127.0.0.1:8080")
    check_api_safety(load_settings())
    check_worker_safety(load_settings())


# --- secrets in files ---


def test_every_secret_can_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "DATABASE_URL": "postgresql://user:pw@db/orders",
        "SECRET_KEY": f"{NEW}\n{OLD}",
        "STOREFRONT_KEYS": f"{SHOP}\n{KeyHash.of(APP)}",
        "OPERATOR_KEYS": OPS,
        "ENCRYPTION_KEYS": f"k1:{KEY}",
        "WEBHOOK_SECRETS": f"whsec_{KEY}",
    }
    assert {name.lower() for name in values} == set(SECRETS)
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n")
        setenv(monkeypatch, **{f"{name}_FILE": str(tmp_path / name)})

    settings = load_settings()

    assert settings.database_url.get_secret_value() == "postgresql+psycopg://user:pw@db/orders"
    assert [key.get_secret_value() for key in settings.secret_key] == [NEW, OLD]
    assert settings.storefront_keys == (KeyHash.of(SHOP), KeyHash.of(APP))
    assert settings.operator_keys == (KeyHash.of(OPS),)
    assert [key.id for key in settings.encryption_keys] == ["k1"]
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == [f"whsec_{KEY}"]


def test_a_secret_file_that_cannot_be_used_is_told_by_its_variable_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The path may be the secret itself, put there by mistake."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    cases = {NEW: "cannot be read: No such file", "empty": "is empty", "binary": "holds no text", ".": "cannot be read"}
    for path, expected in cases.items():
        message = problem_of(monkeypatch, SECRET_KEY_FILE=path)
        assert message.startswith("ORDER_ENGINE_SECRET_KEY_FILE names a file that ")
        assert expected in message
        assert NEW not in message


def test_a_secret_is_given_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    message = problem_of(monkeypatch, SECRET_KEY=NEW, SECRET_KEY_FILE="file")

    assert message == "ORDER_ENGINE_SECRET_KEY and ORDER_ENGINE_SECRET_KEY_FILE are both set: keep one of them"


def test_what_a_file_holds_is_checked_as_the_variable_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("k1:hunter2hunter2")

    message = problem_of(monkeypatch, ENCRYPTION_KEYS_FILE="key")

    assert message.startswith("ORDER_ENGINE_ENCRYPTION_KEYS: key k1 ")
    assert "hunter2" not in message


def test_a_sellers_secret_can_be_a_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-of-acme\n")
    monkeypatch.setenv("ACME_APP_KEY", "vtexappkey-acme")
    monkeypatch.delenv("ACME_APP_TOKEN", raising=False)
    monkeypatch.setenv("ACME_APP_TOKEN_FILE", str(tmp_path / "token"))
    assert load_sellers(sellers_file(SELLERS))["acme"].app_token.get_secret_value() == "token-of-acme"

    monkeypatch.setenv("ACME_APP_TOKEN_FILE", str(tmp_path / "none"))
    assert "ACME_APP_TOKEN_FILE names a file that cannot be read" in sellers_problem(SELLERS)
    assert load_sellers(load_settings(), require_secrets=False)["acme"].app_token.get_secret_value() == ""


def test_without_a_secret_key_one_is_made_that_only_the_owner_can_read() -> None:
    (key,) = secret_keys(Settings())

    path = Path(".order-engine/secret.key")
    assert path.read_text(encoding="ascii") == key.get_secret_value()
    assert len(key.get_secret_value()) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]
    assert secret_keys(Settings()) == (key,)


def test_processes_that_start_at_once_agree_on_the_secret_key() -> None:
    code = (
        "import sys; from marketplace.settings import *; sys.stdin.readline();"
        "print(secret_keys(Settings())[0].get_secret_value())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0] for process in processes}

    assert len(keys) == 1
    assert len(keys.pop()) > 40


def test_the_slower_of_two_processes_takes_the_faster_ones_secret_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    _create_once(path, "the faster one's")
    _create_once(path, "the slower one's")

    assert path.read_text(encoding="ascii") == "the faster one's"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("places", [{"host": "0.0.0.0"}, PROXIED])
@pytest.mark.parametrize("check", [secret_keys, check_worker_safety])
def test_no_secret_key_is_made_up_where_others_can_reach_the_api(
    check: Callable[[Settings], object], places: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match="ORDER_ENGINE_SECRET_KEY is not set"):
        check(Settings(**places))
    assert not Path(".order-engine").exists()


def test_a_data_directory_that_cannot_be_written_is_named() -> None:
    Path("file").touch()
    with pytest.raises(SettingsError, match=r"ORDER_ENGINE_DATA_DIR: cannot keep a secret key at file/dir/secret.key"):
        secret_keys(Settings(data_dir=Path("file/dir")))


def test_an_empty_secret_key_file_is_not_used() -> None:
    Path("secret.key").touch()
    with pytest.raises(SettingsError, match="holds no secret key"):
        secret_keys(Settings(data_dir=Path()))


# --- the sellers file ---


def test_the_sellers_file_is_read_with_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_APP_KEY", " vtexappkey-acme ")
    monkeypatch.setenv("ACME_APP_TOKEN", "token")

    sellers = load_sellers(sellers_file(SELLERS))

    assert list(sellers) == ["acme", "local"]
    acme, local = sellers["acme"], sellers["local"]
    assert (acme.account, acme.affiliate_id, acme.sales_channel) == ("acme", "MKP", 1)
    assert acme.base_url == "https://acme.vtexcommercestable.com.br"
    assert (acme.app_key.get_secret_value(), acme.app_token.get_secret_value()) == ("vtexappkey-acme", "token")
    assert (acme.requests_per_second, acme.price_tolerance) == (20, 0)
    assert (acme.simulation_route, acme.cancel_route, acme.assortment) == ("checkout", "fulfillment", "all")
    assert (acme.assortment_rules, acme.refresh_interval) == (None, timedelta(hours=1))
    assert (local.base_url, local.app_key.get_secret_value()) == ("http://127.0.0.1:9000", "")
    assert (local.simulation_route, local.cancel_route, local.assortment) == ("fulfillment", "oms", "approval")
    assert local.refresh_interval is None


def test_a_secret_that_is_not_in_the_environment_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_APP_KEY", raising=False)

    assert "sellers.acme.app_key_env: set the environment variable ACME_APP_KEY" in sellers_problem(SELLERS)


def test_who_does_not_call_sellers_needs_none_of_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_APP_KEY", raising=False)
    monkeypatch.setenv("ACME_APP_TOKEN", " token ")

    acme = load_sellers(sellers_file(SELLERS), require_secrets=False)["acme"]

    assert (acme.app_key.get_secret_value(), acme.app_token.get_secret_value()) == ("", "token")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('affiliate = "x"', "sellers.acme.affiliate: is not a known field"),
        ('affiliate_id = "MK"', "sellers.acme.affiliate_id: must be exactly 3"),
        ('affiliate_id = "MKPX"', "sellers.acme.affiliate_id: must be exactly 3"),
        ('sales_channel = "1"', "sellers.acme.sales_channel: input should be a valid integer"),
        ("sales_channel = 0", "sellers.acme.sales_channel: input should be greater than or equal to 1"),
        ('base_url = "acme.example.com"', "sellers.acme.base_url: must be a URL"),
        ("requests_per_second = 0", "sellers.acme.requests_per_second: input should be greater than 0"),
        ("requests_per_second = inf", "sellers.acme.requests_per_second: input should be a finite number"),
        ("price_tolerance = 1.1", "sellers.acme.price_tolerance: input should be less than or equal to 1"),
        ('assortment = "some"', "sellers.acme.assortment: input should be 'all', 'approval' or 'rules'"),
        ('refresh_interval = "often"', "sellers.acme.refresh_interval: must be off or a duration such as 30m"),
        ("refresh_interval = 1800", "sellers.acme.refresh_interval: must be off or a duration such as 30m"),
        ('refresh_interval = "0s"', "sellers.acme.refresh_interval: must be from 1s to 30d"),
        ('simulation_route = "x"', "sellers.acme.simulation_route: input should be 'checkout' or 'fulfillment'"),
        ('cancel_route = "x"', "sellers.acme.cancel_route: input should be 'fulfillment' or 'oms'"),
        ("", "sellers.acme.app_key_env: is missing"),
    ],
)
def test_a_wrong_field_is_told_by_its_place_in_the_file(line: str, expected: str) -> None:
    fields = {"affiliate_id": '"MKP"', "sales_channel": "1"}
    if line:
        name, value = line.split(" = ")
        fields[name] = value
    table = "\n".join(f"{field} = {content}" for field, content in fields.items())

    assert expected in sellers_problem(f"[sellers.acme]\n{table}\n")


RULED = """
[sellers.local]
affiliate_id = "LOC"
sales_channel = 2
base_url = "http://127.0.0.1:9000/"
"""


def test_a_rule_file_is_found_from_where_the_sellers_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "etc" / "rules").mkdir(parents=True)
    (tmp_path / "etc" / "rules" / "local.toml").write_text("minimum_stock = 3\n")
    lines = 'assortment = "rules"\nassortment_rules = "rules/local.toml"\nrefresh_interval = "30m"\n'
    (tmp_path / "etc" / "sellers.toml").write_text(RULED + lines)
    setenv(monkeypatch, SELLERS="etc/sellers.toml")

    local = load_sellers(load_settings())["local"]

    assert (local.assortment, local.assortment_rules) == ("rules", Path("etc/rules/local.toml"))
    assert local.refresh_interval == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('assortment = "rules"', "is missing, set it to the path of a rule file"),
        ('assortment_rules = "rules.toml"', "has no effect, set assortment to"),
        ('assortment = "rules"\nassortment_rules = "none.toml"', "none.toml: No such file"),
        ('assortment = "rules"\nassortment_rules = "rules.toml"', "rules.toml: minimum_stock: Input should be"),
    ],
)
def test_a_rule_file_that_cannot_be_used_is_told_at_the_start(lines: str, expected: str) -> None:
    Path("rules.toml").write_text("minimum_stock = -1\n")

    assert f"sellers.local.assortment_rules: {expected}" in sellers_problem(f"{RULED}{lines}\n")


def test_a_required_field_that_is_left_out_is_named() -> None:
    message = sellers_problem("[sellers.acme]\n[sellers.other]\n")

    for field in ("acme.affiliate_id", "acme.sales_channel", "other.affiliate_id", "other.sales_channel"):
        assert f"sellers.{field}: is missing" in message


@pytest.mark.parametrize("secret", ["vtexappkey-acme-QWERTY", "QWERTYUIOP" * 13])
def test_a_secret_in_place_of_its_variables_name_is_refused_without_telling_it(secret: str) -> None:
    message = sellers_problem(f'[sellers.acme]\naffiliate_id = "MKP"\nsales_channel = 1\napp_token_env = "{secret}"\n')

    assert "app_token_env: must be the name of an environment variable, not the secret itself" in message
    assert "QWERTY" not in message


def test_a_sellers_name_must_be_able_to_stand_in_a_url() -> None:
    assert "sellers.a b: a Seller is named by its VTEX account" in sellers_problem('[sellers."a b"]\n')


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "has no Sellers"),
        ("sellers = 1", "has no Sellers"),
        ("[seller.acme]\n", "has unknown tables: seller"),
        ("[sellers", "is not valid TOML"),
        ("[sellers]\nacme = 1\n", "sellers.acme: input should be"),
    ],
)
def test_a_file_that_is_no_sellers_file_is_told_so(content: str, expected: str) -> None:
    assert expected in sellers_problem(content)


def test_a_file_in_another_encoding_is_told_so() -> None:
    Path("sellers.toml").write_bytes(b"# \xff\n")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        load_sellers(load_settings())


def test_a_missing_sellers_file_is_told_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"^ORDER_ENGINE_SELLERS: sellers.toml does not exist: create it"):
        load_sellers(load_settings())


def test_a_sellers_file_that_cannot_be_read_is_told_with_the_reason() -> None:
    Path("sellers.toml").mkdir()
    with pytest.raises(SettingsError, match=r"sellers.toml cannot be read: Is a directory"):
        load_sellers(load_settings())
