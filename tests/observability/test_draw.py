"""The picture of the dashboard: every panel is drawn, and no label is cut."""

from pathlib import Path

import pytest

from tests.observability.dashboard import DASHBOARD, STEP, Answers, Series

pytest.importorskip("matplotlib", reason="not installed: pip install -r requirements/draw.txt")
from tests.observability.draw import draw

TIMES = [60.0 * 60 + STEP * number for number in range(24)]
LONG = "POST /callbacks/{seller}/{order}/{token}/{scope}/orders/{path_id}/invoice/{invoice_number:path}/tracking"


def answers(*names: str) -> Answers:
    """The same curves in every panel; in those of one moment its last point."""
    panels = {}
    for panel in DASHBOARD["panels"]:
        times = TIMES if panel["type"] == "timeseries" else TIMES[-1:]
        points = [(at, (at % 100) / 10) for at in times]
        panels[panel["id"]] = [Series(name=name, points=points) for name in names]
    return Answers(start=TIMES[0], end=TIMES[-1], panels=panels, firing=[])


@pytest.mark.parametrize("names", [(), ("one",), ("cancellation-requested", LONG)], ids=["none", "one", "long"])
def test_every_panel_has_room_for_what_it_says(names: tuple[str, ...], tmp_path: Path) -> None:
    draw(answers(*names), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_legend_that_leaves_no_place_for_curves_is_refused(tmp_path: Path) -> None:
    names = [f"{number} {LONG}" for number in range(15)]
    with pytest.raises(ValueError, match="leaves no place for its curves"):
        draw(answers(*names), tmp_path / "picture.png")
