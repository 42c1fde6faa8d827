"""What was recorded of every kind of order, sync and import must replay, in this code and in all that follows.

A running order is replayed whenever it moves to another worker. So code that cannot replay these histories would stop
orders; docs/changing-workflows.md says how a workflow is changed instead.
"""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from types import ModuleType
from typing import get_args

import pytest
from temporalio import activity, workflow
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner

import activities
import workflows
from marketplace.orders import Action, OrderStatus, ReasonCode
from marketplace.settings import Settings
from marketplace.temporal import data_converter
from tests.histories import catalog, orders, parked, storefront, troubled
from tests.histories.files import EARLIER, FOLDER, name_of, read, recorded
from tests.histories.kinds import KINDS
from worker import RUNNER, STRICT
from workflows.messages import Ended, OrderInput
from workflows.order import OrderWorkflow
from workflows.order_events import DispatchAuthorized, DispatchStarted, Event, Resumed, Step, StepParked
from workflows.order_state import OrderState
from workflows.policies import ORDER_WORKFLOW

TOLD_IN = (orders, parked, troubled, catalog, storefront)
NOT_RECORDED = {"too-many-reports"}
"""Reasons that take megabytes of reports to come to."""
HISTORIES = {name_of(path): read(path) for path in recorded()}
MOST_BYTES = 1_100_000


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{module.name}")


def definitions() -> dict[type, workflow._Definition]:
    """Every workflow that there is."""
    classes = {one for module in modules(workflows) for _, one in inspect.getmembers(module, inspect.isclass)}
    found = {one: workflow._Definition.from_class(one) for one in classes}
    return {one: definition for one, definition in found.items() if definition is not None}


async def failures(
    histories: dict[str, WorkflowHistory], runner: WorkflowRunner, classes: Sequence[type]
) -> dict[str, str]:
    """Replay histories by the code of these workflows; those that fail, and why."""

    async def all_of_them() -> AsyncIterator[WorkflowHistory]:
        for history in histories.values():
            yield history

    converter = data_converter(Settings(encryption_keys=()))
    replayer = Replayer(workflows=classes, data_converter=converter, workflow_runner=runner)
    async with replayer.workflow_replay_iterator(all_of_them()) as results:
        outcomes = [result.replay_failure async for result in results]
    return {name: str(failure) for name, failure in zip(histories, outcomes, strict=True) if failure is not None}


@pytest.mark.parametrize("runner", [RUNNER, pytest.param(STRICT, marks=pytest.mark.slow)], ids=["as it runs", "strict"])
async def test_every_recorded_history_replays(runner: WorkflowRunner) -> None:
    assert await failures(HISTORIES, runner, list(definitions())) == {}


# --- a change that was made without care ---


@workflow.defn(name=ORDER_WORKFLOW, sandboxed=False)
class HastyOrder(OrderWorkflow):
    """Waits a moment before all else."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: OrderInput) -> Ended:
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(order)


@workflow.defn(name=ORDER_WORKFLOW, sandboxed=False)
class ForgetfulOrder(OrderWorkflow):
    """Takes the dispatch for authorized and never asks the Seller for it."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: OrderInput) -> Ended:
        return await super().run(order)

    async def authorize_dispatch(self) -> None:
        self._apply(DispatchStarted())
        self._apply(DispatchAuthorized())


@pytest.mark.parametrize("changed", [HastyOrder, ForgetfulOrder])
async def test_the_replay_fails_for_a_workflow_that_takes_other_steps(changed: type) -> None:
    name = "order-delivered"
    assert await failures({name: HISTORIES[name]}, RUNNER, [OrderWorkflow]) == {}
    failed = await failures({name: HISTORIES[name]}, RUNNER, [changed])
    assert "TMPRL1100" in failed[name], failed


# --- nothing is forgotten ---


def newest() -> dict[str, WorkflowHistory]:
    return {name: history for name, history in HISTORIES.items() if not name.startswith(EARLIER)}


def events() -> list[HistoryEvent]:
    return [event for history in newest().values() for event in history.events]


def test_every_story_is_recorded_and_no_history_is_left_of_one_that_is_told_no_more() -> None:
    assert all(module.__name__ for module in TOLD_IN)
    assert {re.sub(r"-\d+$", "", name) for name in newest()} == KINDS.names


def test_every_workflow_has_a_history() -> None:
    started = [history.events[0].workflow_execution_started_event_attributes for history in newest().values()]
    assert {one.workflow_type.name for one in started} == {one.name for one in definitions().values()}


def test_every_signal_and_update_is_in_a_history() -> None:
    known = definitions().values()
    signals = {event.workflow_execution_signaled_event_attributes.signal_name for event in events()} - {""}
    assert signals == {name for one in known for name in one.signals}
    accepted = [event.workflow_execution_update_accepted_event_attributes for event in events()]
    assert {one.accepted_request.input.name for one in accepted} - {""} == {
        name for one in known for name in one.updates
    }


def test_every_activity_is_in_a_history() -> None:
    classes = [one for module in modules(activities) for _, one in inspect.getmembers(module, inspect.isclass)]
    functions = [function for one in classes for _, function in inspect.getmembers(one, inspect.isfunction)]
    defined = {one.name for function in functions if (one := activity._Definition.from_callable(function))}
    called = {event.activity_task_scheduled_event_attributes.activity_type.name for event in events()}
    markers = [event.marker_recorded_event_attributes.details for event in events()]
    local = {json.loads(one["data"].payloads[0].data)["activity_type"] for one in markers if "data" in one}
    assert (called | local) - {""} == defined


SEEN: list[tuple[OrderState, Event, OrderState]] = []
"""What the reducer did in a replay: the state before, the event, the state after."""


@workflow.defn(name=ORDER_WORKFLOW, sandboxed=False)
class WatchedOrder(OrderWorkflow):
    """Lets the test see every event of a replayed order."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: OrderInput) -> Ended:
        return await super().run(order)

    def _apply(self, event: Event) -> None:
        before = self._state
        super()._apply(event)
        SEEN.append((before, event, self._state))


async def test_every_status_reason_event_and_way_out_of_a_parked_order_is_in_a_history() -> None:
    SEEN.clear()
    of_orders = {name: history for name, history in newest().items() if name.startswith("order-")}
    assert await failures(of_orders, UnsandboxedWorkflowRunner(), [WatchedOrder]) == {}
    states = [state for before, _, after in SEEN for state in (before, after)]
    assert set(OrderStatus) - {entry.status for state in states for entry in state.history} == set()
    assert set(ReasonCode) - {state.reason.code for state in states if state.reason} == set(ReasonCode) & NOT_RECORDED
    assert set(get_args(Event)) - {type(event) for _, event, _ in SEEN} == set()
    steps = {event.parked.step for _, event, _ in SEEN if isinstance(event, StepParked)}
    # Nothing is asked of the Seller in the two that wait.
    assert set(Step) - steps == {Step.AWAIT_PAYMENT, Step.FOLLOW_FULFILLMENT}
    resumed = {
        (before.parked.step, event.action)
        for before, event, _ in SEEN
        if isinstance(event, Resumed) and before.parked is not None
    }
    assert {(step, action) for step in steps for action in Action} - resumed == set()


# --- what is kept ---


def test_the_histories_stay_small_and_name_no_machine_and_no_customer_but_the_tests_own() -> None:
    files = list(FOLDER.glob("*.json"))
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for path in files:
        text = path.read_text(encoding="utf-8")
        kept = json.loads(text)
        assert kept["about"].endswith("."), path.name
        assert not re.search(r"/(?:home|root|usr|tmp|work)/|\.py\b|@(?!mail\.example)", text), path.name
        documents = set(re.findall(r'"document":"(\d+)"', text))
        assert documents <= {"39053344705"}, path.name
