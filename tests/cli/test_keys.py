"""`order-engine keys`: a key is shown once, and its hash is all that the settings need."""

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.security import ApiKeys, EncryptionKey, KeyHash, Role
from tests.cli.terminal import Ran, order_engine

ROOT = Path(__file__).parents[2]
KEY = "tB6nCz1Vx8Lm3Kj7Hg5Fd2"


async def hashed(key: str, *options: str) -> Ran:
    command = [sys.executable, "-m", "cli.main", "keys", "hash", *options]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(60):
        out, err = await process.communicate(key.encode())
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def rows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        yield name, value.strip()


async def test_a_new_key_opens_what_its_hash_was_given_to() -> None:
    ran = await order_engine("keys", "new")

    made = dict(rows(ran.out))
    assert (ran.code, ran.err) == (0, "")
    assert ApiKeys([KeyHash.parse(made["hash"])], []).role_of(made["key"]) is Role.STOREFRONT
    assert "ORDER_ENGINE_STOREFRONT_KEYS" in ran.out


async def test_every_new_key_is_another() -> None:
    made = [json.loads((await order_engine("keys", "new", "--json")).out) for _ in range(2)]

    assert [set(one) for one in made] == [{"key", "hash"}] * 2
    assert made[0]["key"] != made[1]["key"]
    assert KeyHash.parse(made[0]["hash"]) == KeyHash.of(made[0]["key"])


@pytest.mark.parametrize("option", [(), ("--json",)])
@pytest.mark.slow
async def test_a_key_in_use_is_hashed_without_being_shown(option: tuple[str, ...]) -> None:
    ran = await hashed(f"{KEY}\n", *option)

    text = json.loads(ran.out)["hash"] if option else ran.out.strip()
    assert (ran.code, ran.err) == (0, "")
    assert KeyHash.parse(text) == KeyHash.of(KEY)
    assert KEY not in ran.out


@pytest.mark.parametrize("key", ["", "short", "change-me-before-production"])
@pytest.mark.slow
async def test_a_key_that_can_be_guessed_gets_no_hash(key: str) -> None:
    """As a hash nobody could tell that it is weak."""
    assert "make another with 'order-engine keys new'" in (await hashed(key)).problem


async def test_an_encryption_key_is_as_the_settings_take_it() -> None:
    ran = await order_engine("keys", "encryption")
    assert (ran.code, ran.err) == (0, "")
    key = EncryptionKey.parse(ran.out.strip())
    assert key.id.startswith("k20")
    named = json.loads((await order_engine("keys", "encryption", "--id", "k2", "--json")).out)["key"]
    assert EncryptionKey.parse(named).id == "k2"
    assert EncryptionKey.parse(named).secret != key.secret


async def test_an_encryption_key_cannot_have_any_name() -> None:
    ran = await order_engine("keys", "encryption", "--id", "a,b")
    assert (ran.code, ran.out) == (2, "")
    assert "--id" in ran.err


ROLE_OF_OWN_KEY = """
import sys
from pathlib import Path
from cli.local import Ports, prepare
from marketplace.security import ApiKeys
from marketplace.settings import load_settings
local = prepare(Path(sys.argv[1]), Ports())
settings = load_settings()
keys = ApiKeys(settings.storefront_keys, settings.operator_keys)
print(keys.role_of(local.own_key or ""), keys.role_of(sys.argv[2]), local.own_key in repr(local))
"""


@pytest.mark.parametrize("role", ["storefront", "operator"])
@pytest.mark.parametrize("form", ["", "_FILE"])
@pytest.mark.slow
def test_a_local_engine_asks_its_own_api_by_a_key_of_its_own(tmp_path: Path, role: str, form: str) -> None:
    """It knows no other: those of the settings are hashed as they are read."""
    (tmp_path / "keys").write_text(str(KeyHash.of(KEY)))
    given = str(tmp_path / "keys") if form else KEY
    ran = subprocess.run(
        [sys.executable, "-c", ROLE_OF_OWN_KEY, str(tmp_path / "data"), KEY],
        env={"PATH": os.environ["PATH"], f"ORDER_ENGINE_{role.upper()}_KEYS{form}": given},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout.split()) == (0, [role, role, "False"]), ran.stderr
    assert KEY not in (tmp_path / "data" / "operator.env").read_text()
