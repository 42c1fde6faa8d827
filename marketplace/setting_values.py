"""Single values of settings: how each kind is written, and what of it is refused.

Every check raises ValueError with what to set, and never repeats the value: it may be a secret.
"""

import base64
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from marketplace.security import EncryptionKey, KeyHash

MIN_WEBHOOK_SECRET: Final = 24
MAX_WEBHOOK_SECRET: Final = 64
"""Bytes, by the specification of Standard Webhooks."""

MAKE_ENCRYPTION_KEY: Final = (
    "set it, the same in every process, to what 'order-engine keys encryption' prints, and keep that safe"
)
"""What to do about a missing one."""

_LAST_PORT = 65535
_SEPARATORS = re.compile(r"[,\n]")
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


def _split(value: Any) -> Any:
    # A file has a line for each rather than commas.
    return [part for part in map(str.strip, _SEPARATORS.split(value)) if part] if isinstance(value, str) else value


def _parse_encryption_keys(value: Any) -> Any:
    return [EncryptionKey.parse(part) if isinstance(part, str) else part for part in _split(value)]


def _parse_api_keys(value: Any) -> Any:
    return [KeyHash.parse(part) if isinstance(part, str) else part for part in _split(value)]


def _parse_address(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    host, _, port = value.strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) != (host != bare) or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise ValueError("must be host and port to listen on, such as 0.0.0.0:9464")
    return bare, int(port)


def check_base_url(url: str) -> str:
    """An address without its last slash."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("must be a URL such as https://shop.example.com")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must have no user, query or fragment")
    return url.rstrip("/")


def _check_origins(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if url != "{0.scheme}://{0.netloc}".format(urlsplit(check_base_url(url))):
            raise ValueError("each must be scheme and host, and a port if there is one: https://temporal.example.com")
    return urls


def _check_webhook_secrets(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for secret in secrets:
        prefix, key = secret.get_secret_value()[:6], secret.get_secret_value()[6:]
        try:
            length = len(base64.b64decode(key, validate=True)) if prefix == "whsec_" else 0
        except ValueError:
            length = 0
        if not MIN_WEBHOOK_SECRET <= length <= MAX_WEBHOOK_SECRET:
            raise ValueError(
                f"each must be whsec_ and the base64 of {MIN_WEBHOOK_SECRET} to {MAX_WEBHOOK_SECRET} random bytes"
            )
    return secrets


def _normalize_database_url(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    scheme, separator, rest = text.strip().partition("://")
    driver = _DRIVERS.get(scheme)
    if not separator or driver is None:
        raise ValueError("must start with postgresql:// or sqlite:///")
    if driver.startswith("sqlite") and (not rest.strip("/") or not rest.startswith("/") or ":memory:" in rest):
        # A database in memory is one per process: worker and API would each see their own.
        raise ValueError("must name a file, such as sqlite:////var/lib/order-engine/orders.sqlite3")
    return SecretStr(f"{driver}://{rest}")


def own_url(known: dict[str, Any]) -> str:
    """Where the API can be reached on this machine, by the other settings."""
    host = known["host"]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - nothing is bound here: it is what has no address to call
        host = "127.0.0.1"
    return f"http://[{host}]:{known['port']}" if ":" in host else f"http://{host}:{known['port']}"


def own_database(known: dict[str, Any]) -> SecretStr:
    """The database in the data directory, by the other settings."""
    # Absolute, so that a process which changes its directory later still means the same file.
    path = (known["data_dir"].absolute() / "orders.sqlite3").as_posix()
    return SecretStr(f"sqlite+aiosqlite:///{path}")


def value_of_file(variable: str) -> str | None:
    """What the file holds that `{variable}_FILE` names; None when it names none."""
    path = os.environ.get(f"{variable}_FILE", "").strip()
    if not path:
        return None
    if os.environ.get(variable, "").strip():
        raise ValueError(f"{variable} and {variable}_FILE are both set: keep one of them")
    # Its path is not repeated: somebody may have put the secret itself there.
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{variable}_FILE names a file that cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{variable}_FILE names a file that holds no text") from None
    if not value:
        raise ValueError(f"{variable}_FILE names a file that is empty")
    return value


BaseUrl = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(check_base_url)]
Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
ApiKeyHashes = Annotated[tuple[KeyHash, ...], NoDecode, BeforeValidator(_parse_api_keys)]
WebhookSecrets = Annotated[Keys, AfterValidator(_check_webhook_secrets)]
EncryptionKeys = Annotated[tuple[EncryptionKey, ...], NoDecode, BeforeValidator(_parse_encryption_keys)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_origins)]
Address = Annotated[tuple[str, int], NoDecode, BeforeValidator(_parse_address)]
"""Where to listen: host and port, written host:port or [host]:port."""
DatabaseUrl = Annotated[SecretStr, BeforeValidator(_normalize_database_url)]
