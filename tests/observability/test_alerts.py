"""Alerts and dashboard: Prometheus' own checker finds them right, and everybody who is woken is told what to do."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.observability.dashboard import DASHBOARD, filled

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
TESTS = ROOT / "tests/observability/alerts.test.yml"
ALERTS: list[Json] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
OPERATIONS = (ROOT / "docs/operations.md").read_text()


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' checker (Debian: prometheus); skips the test where it is not installed."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed")
    return subprocess.run([found, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)


def dashboard_queries() -> Iterator[str]:
    """The dashboard's queries, what Grafana fills in filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield filled(target["expr"], seconds=3600)


def asked_metrics() -> set[str]:
    """Every metric that an alert or the dashboard asks for."""
    queries = [*dashboard_queries(), *(alert["expr"] for alert in ALERTS)]
    names = re.findall(r"\b(?:order_engine|temporal|http|process)_\w+", re.sub(r'"[^"]*"', '""', " ".join(queries)))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def test_prometheus_accepts_its_configuration_and_every_alert() -> None:
    ran = promtool("check", "config", "deploy/prometheus/prometheus.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(ALERTS)} rules found" in ran.stdout


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    ran = promtool("test", "rules", TESTS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    tried = set(re.findall(r'alertname="(\w+)"', TESTS.read_text()))
    assert tried == {alert["alert"] for alert in ALERTS}


def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(dashboard_queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    ran = promtool("check", "rules", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(rules)} rules found" in ran.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_every_alert_leads_to_its_cure(alert: Json) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/operations.md#{alert['alert'].lower()}"
    cure = OPERATIONS.partition(f"\n#### {alert['alert']}\n")[2].partition("\n#")[0]
    assert len(cure) > 100, f"docs/operations.md has no cure for {alert['alert']}"


def test_the_dashboard_is_whole() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    [datasource] = source["datasources"]
    used = {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"}
    assert used == {datasource["uid"]}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_metric_of_ours_is_on_the_page_of_the_documentation() -> None:
    ours = {name for name in asked_metrics() if name.startswith("order_engine_")}
    assert len(ours) > 15
    assert {name for name in ours if f"`{name}`" not in OPERATIONS} == set()
