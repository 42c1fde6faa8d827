"""The dashboard's file, and what Prometheus answers to its queries."""

import json
import math
import re
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import BaseModel

Json = dict[str, Any]
ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final[Json] = json.loads((ROOT / "deploy/grafana/dashboards/order-engine.json").read_text())
STEP: Final = 15
"""Seconds between two points, and between two looks of Prometheus, as deploy/ sets it."""


class Series(BaseModel):
    """One curve. `points` are Unix times and values; where Prometheus has no number there is no point."""

    name: str
    points: list[tuple[float, float]]


class Answers(BaseModel):
    """What Prometheus has answered for a time: the curves of each panel by its id, and the alerts that fired."""

    start: float
    end: float
    panels: dict[int, list[Series]]
    firing: list[Series]


def filled(query: str, seconds: int) -> str:
    """A query of the dashboard with what Grafana fills in, for a time of so many seconds and all Sellers."""
    # Grafana: four times the interval of scraping at least.
    known = {"$__rate_interval": f"{4 * STEP}s", "$__range": f"{seconds}s", "$seller": ".*"}
    for variable, value in known.items():
        query = query.replace(variable, value)
    assert "$" not in query, query
    return query


async def ask(prometheus: str, start: float, end: float) -> Answers:
    """Ask Prometheus at this address everything that the dashboard asks."""
    answers = Answers(start=start, end=end, panels={}, firing=[])
    async with httpx.AsyncClient(base_url=f"{prometheus}/api/v1", timeout=60, trust_env=False) as http:
        for panel in DASHBOARD["panels"]:
            found = [one for target in panel.get("targets", []) for one in await _series(http, target, start, end)]
            if panel["type"] != "row":
                answers.panels[panel["id"]] = found
        for annotation in DASHBOARD["annotations"]["list"]:
            target = {"expr": annotation["expr"], "legendFormat": annotation["titleFormat"]}
            answers.firing += await _series(http, target, start, end)
    return answers


async def _series(http: httpx.AsyncClient, target: Json, start: float, end: float) -> list[Series]:
    query = filled(target["expr"], math.ceil(end - start))
    if target.get("instant"):
        answer = await http.get("/query", params={"query": query, "time": end})
    else:
        answer = await http.get("/query_range", params={"query": query, "start": start, "end": end, "step": STEP})
    assert answer.status_code == httpx.codes.OK, f"{query}: {answer.text}"
    found = []
    for one in answer.json()["data"]["result"]:
        points = [(at, float(value)) for at, value in one.get("values") or [one["value"]]]
        points = [(at, value) for at, value in points if math.isfinite(value)]
        name = re.sub(r"\{\{(\w+)\}\}", lambda label: one["metric"].get(label[1], ""), target["legendFormat"])  # noqa: B023 - called at once
        if points:
            found.append(Series(name=name.strip(), points=points))
    return sorted(found, key=lambda series: series.name)
