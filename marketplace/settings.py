"""The engine's settings: environment variables with the prefix ORDER_ENGINE_, and the sellers file.

Whatever is wrong is told in one line that names the variable or field and what to set; values are never repeated,
since one of them may be a secret. Temporal's own variables (TEMPORAL_ADDRESS and so on) are read in `temporal.py`.
"""

import ipaddress
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from marketplace.assortment import RulesInvalid, load_rules
from marketplace.errors import EngineError
from marketplace.orders import Identifier
from marketplace.security import MIN_KEY
from marketplace.seller.base import SellerConfig
from marketplace.setting_values import (
    Address,
    ApiKeyHashes,
    BaseUrl,
    DatabaseUrl,
    EncryptionKeys,
    Keys,
    Origins,
    WebhookSecrets,
    check_base_url,
    own_database,
    own_url,
    value_of_file,
)

PREFIX: Final = "ORDER_ENGINE_"
SECRETS: Final = (
    *("database_url", "secret_key", "storefront_keys", "operator_keys", "encryption_keys", "webhook_secrets"),
)
"""Settings that may also be given as a file, named by the variable with _FILE behind its name."""
_DURATION = re.compile(r"\s*(\d{1,9})\s*(ms|s|m|h|d)\s*")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class SettingsError(EngineError):
    """A setting is missing or wrong. The text is one line for the person who starts the process."""


# --- the parts ---


def parse_duration(value: Any) -> Any:
    """Read `500ms`, `90s`, `30m`, `48h` or `30d` as a timedelta; what is no text is left to the model.

    Raises ValueError for any other text.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("must be a number with ms, s, m, h or d, such as 90s, 30m, 48h or 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _between(least: str, most: str) -> Callable[[timedelta], timedelta]:
    low, high = parse_duration(least), parse_duration(most)

    def check(value: timedelta) -> timedelta:
        if not low <= value <= high:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return check


def _check_webhook_url(url: str) -> str:
    parts = urlsplit(check_base_url(url))
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// outside this machine")
    return url


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
WebhookUrl = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_check_webhook_url)]
Period = Annotated[timedelta, BeforeValidator(parse_duration)]


# --- the environment ---


class Settings(BaseSettings):
    """All settings, checked. An empty variable counts as not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    sellers: Path = Path("sellers.toml")
    """The sellers file; see `load_sellers`."""
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: Annotated[BaseUrl, Field(default_factory=own_url)]
    """Where Sellers reach the API, without a last slash. Left out: host and port."""
    data_dir: Path = Path(".order-engine")
    database_url: Annotated[DatabaseUrl, Field(default_factory=own_database)]
    """With SQLAlchemy's driver; secret because it may hold a password. Left out: SQLite in `data_dir`."""
    secret_key: Keys = ()
    """Keys of the callback tokens: the first signs, all verify. Read them with `secret_keys`, which replaces none."""
    storefront_keys: ApiKeyHashes = ()
    operator_keys: ApiKeyHashes = ()
    """Given plain or as hashes, kept as hashes alone."""
    encryption_keys: EncryptionKeys = ()
    """Keys of Temporal's payloads, each id:base64: the first encrypts, all decrypt. None: no encryption."""
    ui_origins: Origins = ("http://127.0.0.1:8233", "http://localhost:8233")
    """Where Temporal's UI is opened in a browser: only pages from there may ask `order-engine codec`."""
    payment_deadline: Annotated[Period, AfterValidator(_between("1ms", "365d"))] = timedelta(minutes=30)
    return_window: Annotated[Period, AfterValidator(_between("0d", "3650d"))] = timedelta(days=30)
    task_queue: Text = "order-engine"
    log_format: Literal["text", "json"] = "text"
    metrics_address: Address | None = None
    temporal_metrics_address: Address | None = None
    """Where this process shows its own metrics and that it lives, and where those of Temporal's SDK; None: nowhere."""
    seller_attempts: Annotated[int, Field(ge=1, le=1000)] = 10
    """Tries of one Seller call before the order is parked."""
    seller_backoff: Annotated[Period, AfterValidator(_between("1ms", "60s"))] = timedelta(seconds=1)
    """Pause after the first failed try; it doubles, up to 60 seconds."""
    seller_patience: Annotated[Period, AfterValidator(_between("0s", "30d"))] = timedelta(hours=24)
    """How long an order waits for a Seller that is away before it is parked; that uses up no tries."""
    cancel_check: Annotated[Period, AfterValidator(_between("1ms", "30d"))] = timedelta(hours=1)
    """How often an undecided cancellation is read at the Seller."""
    notice_debounce: Annotated[Period, AfterValidator(_between("0s", "60s"))] = timedelta(seconds=1)
    """How long notices about one SKU are gathered before it is read."""
    log_retention: Annotated[Period, AfterValidator(_between("1h", "3650d"))] = timedelta(days=30)
    """How long the journal of what was exchanged with Sellers is kept."""
    webhook_url: WebhookUrl | None = None
    """Where the storefront wants to be told of its orders; None: it is not told."""
    webhook_secrets: WebhookSecrets = ()
    """Each event is signed with all of them."""
    webhook_timeout: Annotated[Period, AfterValidator(_between("100ms", "60s"))] = timedelta(seconds=15)
    """How long the storefront may take to answer."""
    webhook_backoff: Annotated[Period, AfterValidator(_between("1ms", "1h"))] = timedelta(seconds=5)
    """Pause after the first failed try of an event; it doubles, up to 30 minutes."""
    webhook_patience: Annotated[Period, AfterValidator(_between("1s", "30d"))] = timedelta(hours=24)
    """How long an event is tried before it is given up."""
    rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    """Requests a second that each key may send to one API process; 0 is no limit."""
    seller_rate_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 500
    """Callbacks, and notices, a second that each Seller may send to one API process; 0 is no limit."""
    seller_orders_at_once: Annotated[int, Field(ge=1, le=10_000)] = 2
    """New orders of one Seller that come in at a time, where there are several Sellers; see `api.door.Door`."""
    max_requests: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests of one kind that one API process serves at a time; more are refused."""

    @model_validator(mode="after")
    def _keys_are_distinct(self) -> Self:
        if set(self.storefront_keys) & set(self.operator_keys):
            raise ValueError(f"{PREFIX}STOREFRONT_KEYS and {PREFIX}OPERATOR_KEYS share a key: give each role its own")
        if len({key.id for key in self.encryption_keys}) < len(self.encryption_keys):
            raise ValueError(f"{PREFIX}ENCRYPTION_KEYS has an id twice: give each key its own")
        if self.webhook_url is not None and not self.webhook_secrets:
            raise ValueError(f"{PREFIX}WEBHOOK_SECRETS is not set: webhooks are signed, or not sent")
        return self

    @property
    def leads_outside(self) -> list[str]:
        """The variables by which the API is open to other machines: its own address, or one that leads to it.

        Behind a proxy the API listens on a loopback address and is open to all the world.
        """
        places = {"host": self.host, "public_url": urlsplit(self.public_url).hostname or ""}
        return [variable_of(name) for name, host in places.items() if not is_loopback(host)]


def load_settings() -> Settings:
    """Read the settings from the environment, and from the files that it names for secrets.

    Raises SettingsError that names every variable with a problem.
    """
    # What comes from a file is given like an argument, since it has its variable for itself.
    filed: dict[str, Any] = {name: value for name in SECRETS if (value := _from_file(variable_of(name))) is not None}
    try:
        return Settings(**filed)
    except ValidationError as error:
        raise SettingsError("; ".join(_problems(error, variable_of))) from None


def read_secret(variable: str) -> str:
    """The value of a variable, or of the file that `{variable}_FILE` names; empty when neither is set.

    Raises SettingsError.
    """
    value = _from_file(variable)
    return os.environ.get(variable, "").strip() if value is None else value


def _from_file(variable: str) -> str | None:
    try:
        return value_of_file(variable)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def secret_keys(settings: Settings) -> tuple[SecretStr, ...]:
    """The keys of the callback tokens, at least one: the first signs, all verify.

    Without ORDER_ENGINE_SECRET_KEY a random one is made and kept in the data directory: enough for one machine.
    Raises SettingsError when the API is open to other machines, or when the file cannot be kept.
    """
    if settings.secret_key:
        return settings.secret_key
    if settings.leads_outside:
        raise SettingsError(f"{PREFIX}SECRET_KEY is not set: set it to the same random text in every process")
    path = settings.data_dir / "secret.key"
    try:
        if not path.exists():
            _create_once(path, secrets.token_urlsafe(32))
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}DATA_DIR: cannot keep a secret key at {path}: {_reason(error)}") from error
    if len(key) < MIN_KEY:
        raise SettingsError(f"{PREFIX}DATA_DIR: {path} holds no secret key: delete it, a new one is made")
    return (SecretStr(key),)


def _create_once(path: Path, content: str) -> None:
    """Write a file that nobody else may read, unless it is there already. Several processes may try at once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp gives mode 0600; the link either puts the whole file in place or finds another process's whole file.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        Path(draft).unlink()


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# --- the sellers file ---

# Narrow enough to refuse an app key (it has hyphens) and an app token (it is long) put here in place of a name.
_VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


def _parse_interval(value: Any) -> timedelta | None:
    if value == "off":
        return None
    interval = parse_duration(value) if isinstance(value, str) and _DURATION.fullmatch(value) else None
    if not isinstance(interval, timedelta):
        raise ValueError("must be off or a duration such as 30m")  # noqa: TRY004 - pydantic tells of ValueError alone
    return _between("1s", "30d")(interval)


class _SellerEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    affiliate_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{3}$")]
    sales_channel: Annotated[int, Field(strict=True, ge=1)]
    app_key_env: _VariableName | None = None
    app_token_env: _VariableName | None = None
    base_url: BaseUrl | None = None
    simulation_route: Literal["checkout", "fulfillment"] = "checkout"
    cancel_route: Literal["fulfillment", "oms"] = "fulfillment"
    requests_per_second: Annotated[float | None, Field(strict=True, gt=0, allow_inf_nan=False)] = None
    price_tolerance: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    assortment: Literal["all", "approval", "rules"] = "all"
    assortment_rules: Text | None = None
    refresh_interval: Annotated[timedelta | None, BeforeValidator(_parse_interval)] = timedelta(hours=1)


_HINTS = {
    "": "a Seller is named by its VTEX account: letters, digits, . _ -",
    "affiliate_id": "must be exactly 3 letters or digits",
    "app_key_env": "must be the name of an environment variable, not the secret itself",
    "app_token_env": "must be the name of an environment variable, not the secret itself",
}
_WORDS = {"extra_forbidden": "is not a known field", "missing": "is missing"}


def load_sellers(settings: Settings, *, require_secrets: bool = True) -> dict[str, SellerConfig]:
    """Read the sellers file, by VTEX account name, and the secrets from the variables that it names.

    A Seller on this machine, such as the sandbox, may do without app key and token. Without `require_secrets` all may:
    for whoever never calls them. Raises SettingsError.
    """
    path = settings.sellers
    sellers: dict[str, SellerConfig] = {}
    problems: list[str] = []
    for account, table in _read_tables(path).items():
        try:
            TypeAdapter(Identifier).validate_python(account)
            entry = _SellerEntry.model_validate(table)
            sellers[account] = _configure(account, entry, path.parent, require_secrets=require_secrets)
        except ValidationError as error:
            problems += _problems(error, partial(_seller_field, account))
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError(f"{PREFIX}SELLERS: {path}: {'; '.join(problems)}")
    return sellers


def _read_tables(path: Path) -> dict[str, Any]:
    def wrong(what: str) -> SettingsError:
        return SettingsError(f"{PREFIX}SELLERS: {path} {what}")

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise wrong("does not exist: create it, or set the variable to the sellers file") from None
    except OSError as error:
        raise wrong(f"cannot be read: {_reason(error)}") from None
    except ValueError as error:
        raise wrong(f"is not valid TOML: {_reason(error)}") from None
    if unknown := sorted(content.keys() - {"sellers"}):
        raise wrong(f"has unknown tables: {', '.join(unknown)} (Sellers are written [sellers.ACCOUNT])")
    tables = content.get("sellers")
    if not isinstance(tables, dict) or not tables:
        raise wrong("has no Sellers: add a table [sellers.ACCOUNT] for each")
    return tables


def _configure(account: str, entry: _SellerEntry, directory: Path, *, require_secrets: bool) -> SellerConfig:
    base_url = entry.base_url or f"https://{account}.vtexcommercestable.com.br"
    outside = not is_loopback(urlsplit(base_url).hostname or "")

    def secret(field: str, variable: str | None) -> SecretStr:
        if not require_secrets:
            with suppress(SettingsError):
                return SecretStr(read_secret(variable or ""))
            return SecretStr("")
        return _secret(_seller_field(account, field), variable, required=outside)

    return SellerConfig(
        account=account,
        base_url=base_url,
        app_key=secret("app_key_env", entry.app_key_env),
        app_token=secret("app_token_env", entry.app_token_env),
        assortment_rules=_checked_rules(_seller_field(account, "assortment_rules"), entry, directory),
        **entry.model_dump(exclude={"base_url", "app_key_env", "app_token_env", "assortment_rules"}),
    )


def _checked_rules(field: str, entry: _SellerEntry, directory: Path) -> Path | None:
    """The rule file, found from where the sellers file is, and read once so that a mistake is told at the start."""
    if entry.assortment != "rules":
        if entry.assortment_rules is not None:
            raise SettingsError(f'{field}: has no effect, set assortment to "rules" or leave it out')
        return None
    if entry.assortment_rules is None:
        raise SettingsError(f'{field}: is missing, set it to the path of a rule file or assortment to "all"')
    rules = directory / entry.assortment_rules
    try:
        load_rules(rules)
    except RulesInvalid as error:
        raise SettingsError(f"{field}: {error}") from None
    return rules


def _secret(field: str, variable: str | None, *, required: bool) -> SecretStr:
    if variable is None:
        if required:
            raise SettingsError(f"{field}: is missing, set it to the name of the environment variable with the secret")
        return SecretStr("")
    value = read_secret(variable)
    if not value:
        raise SettingsError(f"{field}: set the environment variable {variable}")
    return SecretStr(value)


# --- messages ---


def variable_of(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


def _seller_field(account: str, field: str) -> str:
    return f"sellers.{account}.{field}" if field else f"sellers.{account}"


def _problems(error: ValidationError, name_of: Callable[[str], str]) -> list[str]:
    """One text for each problem, made of our own words and pydantic's, never of the value."""
    texts = []
    for details in error.errors(include_url=False, include_input=False):
        field = str(details["loc"][0]) if details["loc"] else ""
        kind, message = details["type"], details["msg"]
        if kind == "default_factory_not_called":  # what it would have needed is in the list already
            continue
        if kind == "value_error":
            message = str(details["ctx"]["error"])
        elif kind == "string_pattern_mismatch":
            message = _HINTS[field]
        else:
            message = _WORDS.get(kind) or message[0].lower() + message[1:]
        # Checks that compare fields name the variables themselves.
        texts.append(message if message.startswith(PREFIX) else f"{name_of(field)}: {message}")
    return texts


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())
