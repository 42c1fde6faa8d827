"""What SECURITY.md and docs/security.md point at is there."""

import re
from pathlib import Path

import pytest

from marketplace.settings import PREFIX, SECRETS, Settings

ROOT = Path(__file__).parents[2]
PAGES = ("SECURITY.md", "docs/security.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_test_and_every_page_that_is_named_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:tests|docs|api|deploy)/[\w./-]+)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert named + linked
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert [path for path in linked if not (ROOT / page).parent.joinpath(path).exists()] == []


def test_every_threat_has_its_measure_and_what_shows_it() -> None:
    rows = re.findall(r"^\| [STRIDE] \|(.*)\|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        threat, measure, shown = [cell.strip() for cell in row.split("|")]
        assert threat
        assert measure
        assert re.search(r"`(tests|docs)/", shown), threat


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_is_one(page: str) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
    assert set(re.findall(rf"\b{PREFIX}\w+\b", (ROOT / page).read_text())) <= known
