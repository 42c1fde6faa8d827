"""Recorded histories as files: an event a line, payloads as the JSON that they are, and only what a replay asks for."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

FOLDER = Path(__file__).parent
EARLIER = "before-"
"""Begins the name of a folder with what was recorded before a change of the workflows: `before-<patch id>`."""

_ENCODING = "json/plain"
_NOT_REPLAYED = {
    # Who recorded it, and how the server kept it.
    *("identity", "stackTrace", "taskId", "workerVersion", "meteringMetadata", "requestId", "historySizeBytes"),
    *("sdkName", "sdkVersion", "useWorkflowBuildId", "header", "priority"),
    # What the workflow itself says, and says again; with the next ones it would be half of the files.
    *("retryPolicy", "scheduleToCloseTimeout", "scheduleToStartTimeout", "startToCloseTimeout", "heartbeatTimeout"),
    "userMetadata",
}
_SAID_AGAIN = {
    "activityTaskScheduledEventAttributes": "input",
    "workflowExecutionCompletedEventAttributes": "result",
    "workflowExecutionUpdateCompletedEventAttributes": "outcome",
}


def recorded() -> list[Path]:
    """The files of all histories, those of earlier code too."""
    return sorted(FOLDER.rglob("*.json"))


def name_of(path: Path) -> str:
    """How a recorded history is called: `order-delivered`, or `before-x/order-delivered`."""
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def write(path: Path, history: WorkflowHistory, about: str) -> None:
    """Keep a history. `about` says in a sentence what happens in it."""
    events = [_everywhere(event, _readable) for event in history.to_json_dict()["events"]]
    lines = ",\n".join(_json(event) for event in events)
    head = _json({"about": about, "workflowId": history.workflow_id})
    path.write_text(f'{head[:-1]},"events":[\n{lines}\n]}}\n', encoding="utf-8")


def read(path: Path) -> WorkflowHistory:
    """A history as the SDK replays it."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(kept["workflowId"], {"events": _everywhere(kept["events"], _as_payload)})


def _everywhere(value: Any, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Any:
    """Change each object that is a payload, at any depth."""
    if isinstance(value, list):
        return [_everywhere(one, change) for one in value]
    if not isinstance(value, dict):
        return value
    if (changed := change(value)) is not None:
        return changed
    kept = {name: _everywhere(one, change) for name, one in value.items() if name not in _NOT_REPLAYED}
    for event, said in _SAID_AGAIN.items():
        if event in kept:
            kept[event].pop(said, None)
    if "workflowType" not in kept:
        kept.pop("taskQueue", None)  # of a task it may be named after its worker's machine
    return kept


def _readable(value: dict[str, Any]) -> dict[str, Any] | None:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or "encoding" not in metadata:
        return None
    texts = {name: b64decode(text).decode() for name, text in metadata.items()}
    if texts.pop("encoding") != _ENCODING:
        return value
    return {"payload": json.loads(b64decode(value["data"])), **({"metadata": texts} if texts else {})}


def _as_payload(value: dict[str, Any]) -> dict[str, Any] | None:
    if "payload" not in value:
        return None
    metadata = {"encoding": _ENCODING, **value.get("metadata", {})}
    return {"metadata": {name: _b64(text) for name, text in metadata.items()}, "data": _b64(_json(value["payload"]))}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _b64(text: str) -> str:
    return b64encode(text.encode()).decode()
