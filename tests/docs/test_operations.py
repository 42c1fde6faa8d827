"""The operator's manual, compared with every way in which an order can come to need attention."""

import re
from pathlib import Path

import pytest

from marketplace.orders import Action, ReasonCode
from tests.cli.in_need import KINDS, steps_of
from tests.cli.test_doctor import EVERY

DOCS = Path(__file__).parents[2] / "docs"
MANUAL = (DOCS / "operations.md").read_text(encoding="utf-8")
RULES = (DOCS / "orders.md").read_text(encoding="utf-8")
PARKED = MANUAL.split("\n## Parked orders\n")[1].split("\n## ")[0]
SECTIONS = {code: text for code, _, text in (part.partition("`\n") for part in PARKED.split("\n### `")[1:])}
POINTS = (
    "- **Check at the Seller**: ",
    "- **Check here**: ",
    "- **`retry`** ",
    "- **Which**: ",
    "- **Meanwhile**: ",
)


def codes_under(heading: str) -> set[str]:
    """The codes in the last columns, or the first, of the table below a heading of the rules."""
    table = RULES.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {word for line in table.splitlines() if line.startswith("|") for word in re.findall(r"`([a-z-]+)`", line)}


def codes_that_stop() -> set[str]:
    return codes_under("When the engine stops trying") & set(ReasonCode)


def test_every_code_is_one_that_ends_an_order_or_one_that_stops_it() -> None:
    # A code may do both: an unpaid order is denied, and parked because it cannot be canceled, by two codes.
    ends = codes_under("Why an order ended") & set(ReasonCode)
    assert ends | codes_that_stop() == set(ReasonCode)
    assert ends & codes_that_stop() == set()


def test_the_manual_has_a_paragraph_for_each_code_that_stops_an_order_and_for_no_other() -> None:
    assert set(SECTIONS) == codes_that_stop()
    assert PARKED.count("\n### ") == len(SECTIONS)


def test_the_tests_make_an_order_of_each_code() -> None:
    assert {kind.code for kind in KINDS} == set(SECTIONS)


@pytest.mark.parametrize("code", sorted(SECTIONS))
def test_a_paragraph_tells_how_it_looks_what_to_check_and_what_the_actions_do(code: str) -> None:
    text = SECTIONS[code]
    for point in POINTS:
        assert text.count(point) == 1, point
    assert f"**`{Action.ABORT}`**" in text
    [said] = re.findall(r"^Parks in: (.+?)[.;]", text, re.MULTILINE)
    steps = steps_of(code)
    assert ({*said.split(", ")} if steps else set()) == steps
    assert said == "nothing" or steps
    [status] = re.findall(r"^orders show    status  (\S+), needs attention$", text, re.MULTILINE)
    assert re.search(rf"^orders list    1001  acme  {status}  {code}  94.70$", text, re.MULTILINE)
    assert re.search(rf"^ +reason  {code}: .+$", text, re.MULTILINE)
    waits = "retry or abort" if steps else "retry"
    assert f"\nTemporal UI    {status} — needs attention. Waits for an operator: {waits}.\n" in text


def test_the_table_of_the_actions_has_a_row_for_each_step_that_can_be_parked() -> None:
    rows = [line.split(" (")[0].removeprefix("| ") for line in PARKED.splitlines() if line.startswith("| ")]
    assert set(rows[1:-1]) == {step for code in SECTIONS for step in steps_of(code)}


def test_the_manual_names_each_check_of_doctor_about_what_stands_still() -> None:
    about = [
        name for name in EVERY if name.split()[0] in {"failing", "failed", "stuck", "stopped", "waiting", "removed"}
    ]
    assert len(about) == 9
    workers = ("other task queues", "worker", "catalog worker", "webhook worker")
    others = (*workers, "undelivered webhooks", "record and Temporal")
    for name in (*about, *others):
        assert f"*{name}*" in " ".join(MANUAL.split()), name
