"""The fields by which lines of log are found: what a workflow is about, and what Temporal's SDK puts beside a line."""

import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from marketplace.telemetry import configure_logging, subject_of
from workflows.catalog_messages import Source
from workflows.catalog_policies import import_workflow_id, retention_id, sku_workflow_id
from workflows.policies import order_workflow_id
from workflows.webhook_policies import webhook_workflow_id


@pytest.mark.parametrize(
    ("workflow_id", "about"),
    [
        (order_workflow_id("acme", "1001"), {"seller": "acme", "order": "1001"}),
        (webhook_workflow_id("acme", "1001"), {"seller": "acme", "order": "1001"}),
        (sku_workflow_id("acme", "2001"), {"seller": "acme", "sku_id": "2001"}),
        *((import_workflow_id("acme", source), {"seller": "acme"}) for source in Source),
        (retention_id("order-engine"), {}),
        ("", {}),
    ],
)
def test_a_workflows_id_says_what_it_is_about(workflow_id: str, about: dict[str, str]) -> None:
    assert subject_of(workflow_id) == {"workflow_id": workflow_id, **about}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    yield stream
    configure_logging("text")


def test_what_workflow_code_logs_names_its_order(log: io.StringIO) -> None:
    extra = {"temporal_workflow": {"workflow_id": "order/acme/1001", "run_id": "r"}}
    logging.getLogger("temporalio.workflow").warning("cannot be read", extra=extra)
    line = json.loads(log.getvalue())
    assert (line["order"], line["seller"], line["event"]) == ("1001", "acme", "cannot be read")


def test_what_the_sdks_core_tells_beside_a_line_becomes_its_fields(log: io.StringIO) -> None:
    extra = {"temporal_log": SimpleNamespace(fields={"run_id": "r", "event": "not this"})}
    logging.getLogger("temporalio").warning("failing", extra=extra)
    line = json.loads(log.getvalue())
    assert (line["run_id"], line["event"]) == ("r", "failing")
