"""What no process starts without, once others can reach what it serves: keys, good ones, and encryption.

Each check raises SettingsError with one line that names the variables and what to set.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from marketplace.security import weakness
from marketplace.setting_values import MAKE_ENCRYPTION_KEY
from marketplace.settings import Settings, SettingsError, is_loopback, variable_of


def check_api_safety(settings: Settings) -> None:
    """Refuse to open the API to other machines without keys, or with keys that can be guessed."""
    outside = settings.leads_outside
    if not outside:
        return
    problems = [
        f"{variable_of(name)} is not set, and {_lead(outside)}: set it"
        for name in ("storefront_keys", "operator_keys", "secret_key")
        if not getattr(settings, name)
    ]
    problems += [
        f"{variable_of(name)} has a key that {weak}: make one with 'order-engine keys new'"
        for name, weak in _weak_keys(settings)
    ]
    if not settings.encryption_keys:
        problems.append(f"{variable_of('encryption_keys')} is not set: {MAKE_ENCRYPTION_KEY}")
    if problems:
        raise SettingsError("; ".join(problems))


def check_worker_safety(settings: Settings) -> None:
    """Refuse to sign callback addresses that others use with a key that can be guessed, or that was made up here."""
    if not settings.leads_outside:
        return
    name = variable_of("secret_key")
    if not settings.secret_key:
        raise SettingsError(f"{name} is not set: set it to the same random text in every process")
    for weak in (weak for key, weak in _weak_keys(settings) if key == "secret_key"):
        raise SettingsError(f"{name} has a key that {weak}: make one with 'order-engine keys new'")


def check_codec_safety(settings: Settings, host: str) -> None:
    """Refuse to serve decoding without a key to decode with, or to others without operator keys.

    `host` is where it is to listen. A UI that is elsewhere has it behind a proxy there, and so may Temporal's command
    line where the API is open to others.
    """
    problems = []
    if not settings.encryption_keys:
        problems.append(f"{variable_of('encryption_keys')} is not set: set it as for worker and API")
    uis = all(is_loopback(urlsplit(origin).hostname or "") for origin in settings.ui_origins)
    places = {"--host": is_loopback(host), variable_of("ui_origins"): uis}
    outside = [*(name for name, here in places.items() if not here), *settings.leads_outside]
    if outside:
        weak = [weak for name, weak in _weak_keys(settings) if name == "operator_keys"]
        if not settings.operator_keys:
            problems.append(f"{variable_of('operator_keys')} is not set, and {_lead(outside)}: set it as for the API")
        elif weak:
            name = variable_of("operator_keys")
            problems.append(f"{name} has a key that {weak[0]}: make one with 'order-engine keys new'")
    if problems:
        raise SettingsError("; ".join(problems))


def check_encryption(settings: Settings, temporal_address: str) -> None:
    """Refuse to let Temporal keep customers' data as plain text, but on a machine that keeps all to itself.

    That is one where Temporal (`temporal_address`, host:port), the API and the public URL are all on a loopback
    address; which processes of the engine ask does not matter.
    """
    if settings.encryption_keys:
        return
    temporal = temporal_address.rpartition(":")[0] or temporal_address
    outside = [*([] if is_loopback(temporal) else ["TEMPORAL_ADDRESS"]), *settings.leads_outside]
    if outside:
        raise SettingsError(f"{variable_of('encryption_keys')} is not set, and {_lead(outside)}: {MAKE_ENCRYPTION_KEY}")


def _lead(names: list[str]) -> str:
    return f"{' and '.join(names)} {'lead' if len(names) > 1 else 'leads'} beyond this machine"


def _weak_keys(settings: Settings) -> Iterator[tuple[str, str]]:
    api_keys = {"storefront_keys": settings.storefront_keys, "operator_keys": settings.operator_keys}
    found = [(name, key.weakness) for name, keys in api_keys.items() for key in keys]
    found += [("secret_key", weakness(key.get_secret_value())) for key in settings.secret_key]
    return (one for one in found if one[1])
