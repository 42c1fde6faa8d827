"""`order-engine codec` as a process, and as a part of `order-engine dev`."""

import asyncio
import base64
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, Payloads

from cli.local import Local, Ports, temporal_command
from marketplace.codec import EncryptionCodec
from marketplace.security import EncryptionKey
from marketplace.settings import Settings
from tests.support.http_server import free_port
from tests.support.processes import STARTUP, Started

KEY = EncryptionKey("k1", b"1" * 32)
LOST = EncryptionKey("k0", b"0" * 32)
OPERATOR = "operator-key-zqx-1"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"firstName":"Quinzinho"}')


def environment(directory: Path, **changes: str) -> dict[str, str]:
    keys = f"{KEY.id}:{base64.b64encode(KEY.secret).decode()}"
    known = {"ENCRYPTION_KEYS": keys, "OPERATOR_KEYS": OPERATOR, "DATA_DIR": str(directory), **changes}
    return {f"ORDER_ENGINE_{name}": value for name, value in known.items()}


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_it_answers_logs_no_payload_and_no_key_and_stops_when_told(tmp_path: Path, log_format: str) -> None:
    port = free_port()
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    sealed = await EncryptionCodec([KEY]).encode([PLAIN]) + await EncryptionCodec([LOST]).encode([PLAIN])
    body: Any = MessageToDict(Payloads(payloads=sealed))
    async with Started(tmp_path / "codec.log") as codec, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        command = (sys.executable, "-m", "cli.main", "codec", f"--port={port}")
        await codec.launch(*command, environment=environment(tmp_path, LOG_FORMAT=log_format))
        await codec.until_logged("Application startup complete")
        answers = [
            await http.post("/decode", json=body, headers=headers),
            await http.post("/decode", content=b"Quinzinho", headers=headers),
            await http.post("/decode", json=body, headers={"Authorization": "Bearer a-guess-of-somebody"}),
            await http.post("/session", data={"key": "a-guess-of-somebody"}),
            await http.post("/session", data={"key": OPERATOR}),
        ]
        assert [answer.status_code for answer in answers] == [200, 400, 401, 401, 303]
        async with asyncio.timeout(STARTUP):
            assert await codec.end(signal.SIGTERM) == 0
    log = codec.log.read_text()
    assert "codec listens" in log
    # The id of a key tells an operator what is missing; nothing else of what was asked is told.
    assert "encrypted with key 'k0'" in log
    sealed_texts = [base64.b64encode(payload.data).decode()[:20] for payload in sealed]
    hidden = ["Quinzinho", "firstName", OPERATOR, "a-guess", KEY.secret.decode(), *sealed_texts]
    assert [word for word in hidden if word in log] == []


async def test_it_does_not_start_where_it_would_not_be_safe(tmp_path: Path) -> None:
    async with Started(tmp_path / "codec.log") as codec:
        command = (sys.executable, "-m", "cli.main", "codec", "--host=0.0.0.0", f"--port={free_port()}")
        await codec.launch(*command, environment=environment(tmp_path, OPERATOR_KEYS="", ENCRYPTION_KEYS=""))
        async with asyncio.timeout(STARTUP):
            assert await codec.end(signal.SIGCONT) == 1
    [line] = codec.log.read_text().splitlines()
    assert line == (
        "order-engine: ORDER_ENGINE_ENCRYPTION_KEYS is not set: set it as for worker and API;"
        " ORDER_ENGINE_OPERATOR_KEYS is not set, and --host leads beyond this machine: set it as for the API"
    )


@pytest.mark.parametrize("keys", [(), (KEY,)])
def test_dev_runs_it_and_tells_the_ui_when_there_are_encryption_keys(keys: tuple[EncryptionKey, ...]) -> None:
    local = Local(Settings(encryption_keys=keys), Ports(codec=8999))
    parts = {part.name: part.command for part in local.parts(1.0)}
    assert ("codec" in parts) == bool(keys)
    endpoint = ["--ui-codec-endpoint", "http://127.0.0.1:8999"] if keys else []
    assert [word for word in parts["temporal"] if word in endpoint] == endpoint
    assert "--ui-codec-endpoint" not in temporal_command(7233, 8233, None)
    if keys:
        assert parts["codec"][-2:] == ["codec", "--port=8999"]
