"""The files for deployment as data, and the tools that look at them."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from marketplace.settings import PREFIX, Settings

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]

OF_TEMPORAL = {
    *("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_TLS", "TEMPORAL_TLS_SERVER_NAME"),
    *("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH"),
    *("TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"),
}
"""What the SDK's environment configuration reads, as far as we speak of it."""


def load(path: str) -> Any:
    """The one document of a YAML file, anchors and merges resolved."""
    return yaml.safe_load((ROOT / path).read_text())


def load_all(text: str) -> Iterator[Json]:
    return (document for document in yaml.safe_load_all(text) if document)


def unknown_settings(names: set[str]) -> set[str]:
    """Those of some environment variables that neither the engine nor Temporal's SDK would read."""
    ours = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return names - ours - OF_TEMPORAL


def run(tool: str, *arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool of requirements/deploy.txt; skips the test where it is not installed."""
    # The package's own command for Docker Compose loses its exit code: the program itself lies in the package.
    places = [Path(sysconfig.get_path("purelib")) / "compose" / tool, Path(sys.executable).with_name(tool)]
    found = next((str(place) for place in places if place.exists()), shutil.which(tool))
    if found is None:
        pytest.skip(f"{tool} is not installed: pip install -r requirements/deploy.txt")
    return subprocess.run([found, *arguments], cwd=ROOT, env=env, check=False, capture_output=True, text=True)
