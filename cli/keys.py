"""`order-engine keys`: keys for the API, which itself is told their hashes alone, and for what Temporal keeps."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from cli.options import AsJson
from cli.output import console, pairs, print_json, show
from cli.session import CommandError
from marketplace.orders import Model
from marketplace.security import EncryptionKey, KeyHash, new_api_key, new_encryption_key, weakness
from marketplace.settings import PREFIX

app = typer.Typer(help="Make keys for the API, and for encryption.", no_args_is_help=True)

_USE: Final = (
    f"Give the key to who calls the API: it is shown this once. Add the hash to {PREFIX}STOREFRONT_KEYS or\n"
    f"{PREFIX}OPERATOR_KEYS, beside those that are there, and restart the API."
)


class NewKey(Model):
    """A key and what the settings are told of it."""

    key: str
    hash: str


class NewEncryptionKey(Model):
    """`id:base64`; without it nothing that it has encrypted can be read again."""

    key: str


class Hash(Model):
    hash: str


@app.command("new")
def new_key(as_json: AsJson = False) -> None:
    """Make a random key; print it once, with the hash for the settings."""
    key = new_api_key()
    made = NewKey(key=key, hash=str(KeyHash.of(key)))
    if as_json:
        print_json(made)
        return
    out = console()
    show(out, pairs(("key", made.key), ("hash", made.hash)))
    out.print(f"\n{_USE}", style="dim")


@app.command("encryption")
def encryption_key(
    key_id: Annotated[str, typer.Option("--id", help="Kept beside each payload, in plain text [the date].")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a random key for what Temporal keeps, as ORDER_ENGINE_ENCRYPTION_KEYS takes it; print it once."""
    text = new_encryption_key(key_id or f"k{datetime.now(UTC):%Y%m%d}")
    try:
        EncryptionKey.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--id") from None
    if as_json:
        print_json(NewEncryptionKey(key=text))
    else:
        console().print(text, soft_wrap=True)


@app.command("hash")
def hash_key(as_json: AsJson = False) -> None:
    """Print the hash of a key that is in use already; reads the key from standard input."""
    # Not an argument: those are seen by everybody on this machine, and kept in the shell's history.
    key = typer.prompt("key", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    key = key.strip()
    if weak := weakness(key):
        raise CommandError(f"this key {weak}: make another with 'order-engine keys new'")
    made = Hash(hash=str(KeyHash.of(key)))
    if as_json:
        print_json(made)
    else:
        console().print(made.hash)
