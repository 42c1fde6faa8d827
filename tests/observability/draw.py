"""Draws the dashboard: each panel of its file where the file has it, with Prometheus' answers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from tests.observability.dashboard import DASHBOARD, STEP, Answers, Json, Series

WIDTH: Final = 1440
ROW: Final = 38
"""Pixels of one unit of the file's grid."""
COLUMNS: Final = 24
_DPI: Final = 100
_GAP: Final = 4
_LINE: Final = 15
"""Pixels of a line of a legend."""
_PAGE, _PANEL, _GRID, _TEXT, _FAINT = "#111217", "#181b1f", "#2c3035", "#d5d6dc", "#9a9ca5"
_NAMED: Final = {"green": "#73bf69", "red": "#f2495c"}
_COLOURS: Final = (
    *("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#f2495c", "#b877d9"),
    *("#8ab8ff", "#37872d", "#56d9c9", "#ffa6b0", "#705da0", "#c7d0d9"),
)


class Box(NamedTuple):
    """A rectangle in pixels, from the picture's upper left corner."""

    x: float
    y: float
    width: float
    height: float


def draw(answers: Answers, output: Path) -> None:
    """Write the picture as PNG. Raises ValueError where a text would be cut or lie on another."""
    canvas = Canvas(max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in DASHBOARD["panels"]) + 1)
    for panel in DASHBOARD["panels"]:
        _draw_panel(canvas, panel, answers)
    alerts = "; ".join(f"{one.name} at {_clock(one.points[0][0])}" for one in _firing(answers)) or "none"
    canvas.text(
        12, canvas.height - ROW / 2, f"Dashed lines: an alert begins to fire ({alerts}). Times are UTC.", _FAINT
    )
    canvas.save(output)


class Canvas:
    """A picture in pixels, that knows where its texts are."""

    def __init__(self, rows: int) -> None:
        self.height = rows * ROW
        self._figure = Figure(figsize=(WIDTH / _DPI, self.height / _DPI), dpi=_DPI, facecolor=_PAGE)
        self._canvas = FigureCanvasAgg(self._figure)
        self._inside: list[tuple[Any, Box]] = []

    def text(self, x: float, y: float, text: str, colour: str = _TEXT, **options: Any) -> Any:
        """Write at a place in pixels, in the middle of its height."""
        options = {"va": "center", "fontsize": 8, **options}
        return self._figure.text(x / WIDTH, 1 - y / self.height, text, color=colour, **options)

    def width_of(self, text: str, size: float = 8) -> float:
        written = self._figure.text(0, 0, text, fontsize=size)
        width: float = written.get_window_extent(self._canvas.get_renderer()).width
        written.remove()
        return width

    def shortened(self, text: str, width: float) -> str:
        """A text without so much of its middle that it fits."""
        shorter, half = text, len(text) // 2
        while self.width_of(shorter) > width and half > 0:
            half -= 1
            shorter = f"{text[:half]}…{text[-half:]}"
        return shorter

    def axes(self, box: Box, colour: str = _PANEL) -> Any:
        """A part of the picture with scales of its own."""
        place = (box.x / WIDTH, 1 - (box.y + box.height) / self.height, box.width / WIDTH, box.height / self.height)
        axes = self._figure.add_axes(place, facecolor=colour)
        axes.tick_params(colors=_FAINT, labelsize=7.5, length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def mark(self, x: float, y: float, colour: str) -> None:
        """The short line before a name in a legend."""
        across = [x / WIDTH, (x + 12) / WIDTH]
        line = Line2D(across, [1 - y / self.height] * 2, color=colour, linewidth=3, transform=self._figure.transFigure)
        self._figure.add_artist(line)

    def keep(self, texts: Sequence[Any], box: Box) -> None:
        """These texts must lie in this box when all is drawn."""
        self._inside += [(text, box) for text in texts]

    def save(self, output: Path) -> None:
        self._canvas.draw()
        for text, box in self._inside:
            place = text.get_window_extent(self._canvas.get_renderer())
            top = self.height - place.y1
            fits = box.x <= place.x0 and place.x1 <= box.x + box.width
            if text.get_text() and not (fits and box.y <= top and top + place.height <= box.y + box.height):
                raise ValueError(f"{text.get_text()!r} does not fit into its panel")
        size = self._canvas.get_width_height()
        picture = Image.frombuffer("RGBA", size, self._canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
        # A palette makes it a third of the size.
        picture.quantize(255, dither=Image.Dither.NONE).save(output, optimize=True)


def _draw_panel(canvas: Canvas, panel: Json, answers: Answers) -> None:
    grid = panel["gridPos"]
    unit = WIDTH / COLUMNS
    box = Box(grid["x"] * unit, grid["y"] * ROW, grid["w"] * unit, grid["h"] * ROW)
    if panel["type"] == "row":
        canvas.text(box.x + 12, box.y + ROW / 2, panel["title"], fontsize=11, weight="bold")
        return
    box = Box(box.x + _GAP, box.y + _GAP, box.width - 2 * _GAP, box.height - 2 * _GAP)
    canvas.axes(box).set(xticks=[], yticks=[])
    canvas.keep([canvas.text(box.x + 10, box.y + 15, panel["title"], fontsize=9)], box)
    body = Box(box.x, box.y + 30, box.width, box.height - 30)
    series = answers.panels[panel["id"]]
    if panel["type"] == "timeseries":
        _draw_curves(canvas, panel, series, answers, body)
    elif not series:
        _draw_nothing(canvas, body)
    elif panel["type"] == "stat":
        _draw_number(canvas, panel, series, body)
    else:
        _draw_bars(canvas, panel, series, body)


def _draw_nothing(canvas: Canvas, body: Box) -> None:
    canvas.text(body.x + body.width / 2, body.y + body.height / 2, "no data", _FAINT, ha="center", fontsize=11)


def _draw_number(canvas: Canvas, panel: Json, series: list[Series], body: Box) -> None:
    [(_, value)] = series[0].points
    defaults = panel["fieldConfig"]["defaults"]
    colour = "green"
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    text = _formatter(defaults["unit"])(round(value))
    canvas.text(body.x + body.width / 2, body.y + body.height / 2, text, _NAMED[colour], ha="center", fontsize=26)


def _draw_bars(canvas: Canvas, panel: Json, series: list[Series], body: Box) -> None:
    names = [canvas.shortened(one.name, body.width / 2) for one in series]
    values = [one.points[-1][1] for one in series]
    left, right = max(canvas.width_of(name) for name in names) + 20, 80
    axes = canvas.axes(Box(body.x + left, body.y, body.width - left - right, body.height - 10))
    axes.barh(names, values, color=_COLOURS[0], height=0.6)
    axes.set(xlim=(0, max(values) * 1.0001 or 1), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(axis="y", colors=_TEXT, labelsize=8)
    form = _formatter(panel["fieldConfig"]["defaults"]["unit"])
    told = [
        axes.annotate(form(value), (value, name), (5, 0), textcoords="offset points", color=_TEXT, va="center", size=8)
        for name, value in zip(names, values, strict=True)
    ]
    canvas.keep([*axes.get_yticklabels(), *told], body)


def _draw_curves(canvas: Canvas, panel: Json, series: list[Series], answers: Answers, body: Box) -> None:
    lines = _flow(canvas, series, body.width - 24)
    legend = len(lines) * _LINE + 8
    chart = Box(body.x + 62, body.y + 8, body.width - 62 - 22, body.height - legend - 32)
    if chart.height < 3 * _LINE:
        raise ValueError(f"the legend of {panel['title']!r} leaves no place for its curves")
    axes = canvas.axes(chart)
    axes.set(xlim=(answers.start, answers.end), axisbelow=True)
    minutes = range(int(answers.start // 60 + 1) * 60, int(answers.end) + 1, 60)
    axes.set_xticks(list(minutes), [_clock(at) for at in minutes])
    axes.grid(visible=True, color=_GRID, linewidth=0.7)
    if not series:
        axes.set_yticks([])
        _draw_nothing(canvas, chart)
        canvas.keep(axes.get_xticklabels(), body)
        return
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    if "stacking" in custom:
        _stack(axes, series, custom["fillOpacity"] / 100)
    else:
        for number, one in enumerate(series):
            _line(axes, one, _colour(number), custom["fillOpacity"] / 100)
    top = axes.get_ylim()[1] if any(value > 0 for one in series for _, value in one.points) else 1
    axes.set_ylim(0, top)
    form = _formatter(defaults["unit"])
    locator = MaxNLocator(max(2, min(6, int(chart.height) // 28)), integer=_whole(series))
    ticks = [float(tick) for tick in locator.tick_values(0, top) if 0 <= tick <= top]
    axes.set_yticks(ticks, [form(tick) for tick in ticks])
    for alert in _firing(answers):
        axes.axvline(alert.points[0][0], color=_NAMED["red"], linestyle="--", linewidth=0.9, alpha=0.7)
    canvas.keep([*axes.get_xticklabels(), *axes.get_yticklabels()], body)
    y = chart.y + chart.height + 24 + _LINE / 2
    for line in lines:
        for x, number, name in line:
            canvas.mark(body.x + 12 + x, y, _colour(number))
            canvas.keep([canvas.text(body.x + 12 + x + 17, y, name)], body)
        y += _LINE


def _flow(canvas: Canvas, series: list[Series], width: float) -> list[list[tuple[float, int, str]]]:
    """The lines of a legend: in each the names with their places and numbers."""
    lines: list[list[tuple[float, int, str]]] = [[]]
    x = 0.0
    for number, one in enumerate(series):
        name = canvas.shortened(one.name, width - 17)
        needed = 17 + canvas.width_of(name) + 14
        if lines[-1] and x + needed > width:
            lines.append([])
            x = 0
        lines[-1].append((x, number, name))
        x += needed
    return lines if series else []


def _line(axes: Any, series: Series, colour: str, opacity: float) -> None:
    """A curve with gaps where there are no points."""
    times, values = [series.points[0][0]], [series.points[0][1]]
    for (before, _), (at, value) in pairwise(series.points):
        if at - before > 1.5 * STEP:
            times.append(before)
            values.append(float("nan"))
        times.append(at)
        values.append(value)
    axes.plot(times, values, color=colour, linewidth=1.3, marker=".", markersize=2)
    axes.fill_between(times, values, color=colour, alpha=opacity, linewidth=0)


def _stack(axes: Any, series: list[Series], opacity: float) -> None:
    """Areas on top of each other; no point counts as nothing."""
    times = sorted({at for one in series for at, _ in one.points})
    below = [0.0] * len(times)
    for number, one in enumerate(series):
        found = dict(one.points)
        above = [under + found.get(at, 0) for at, under in zip(times, below, strict=True)]
        axes.fill_between(times, below, above, color=_colour(number), alpha=opacity, linewidth=0)
        # An area of no height would paint its colour on the edge of the one below.
        edge = [up if up > under else float("nan") for up, under in zip(above, below, strict=True)]
        axes.plot(times, edge, color=_colour(number), linewidth=1.2)
        below = above


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _firing(answers: Answers) -> list[Series]:
    """One of each alert, since the alert's own labels are not drawn."""
    first = {one.name: one for one in sorted(answers.firing, key=lambda one: one.points[0][0], reverse=True)}
    return sorted(first.values(), key=lambda one: one.points[0][0])


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def _whole(series: list[Series]) -> bool:
    return all(value.is_integer() for one in series for _, value in one.points)


def _formatter(unit: str) -> Callable[[float], str]:
    """How values of one of the dashboard's units are written."""
    return {"s": _seconds, "reqps": lambda value: f"{value:.3g} req/s", "short": lambda value: f"{value:.4g}"}[unit]


def _seconds(value: float) -> str:
    if value == 0:
        return "0 s"
    if value < 1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 600 else f"{value / 60:.3g} min"
