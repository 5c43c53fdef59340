"""Where a budget is seen, and what is left of it: in views, as data and in words, and in receipts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fan_out_team import PATIENCE
from model_server import Calls, ModelServer, Reply, Request, Text
from priced_models import THINKER, TURN, priced_team
from processes_and_waits import wait_until
from subactors.runtime import Budget, OrchestratorTools, Runtime, TaskBudget
from teams import call

pytestmark = pytest.mark.usefixtures("zygote_for_models")

TOOLS: dict[str, Any] = {"toolsets": [{"type": "background_agents", "limits": True, "fan_out": True}]}


@pytest.fixture
def go_on() -> threading.Event:
    """Is set when a worker may take its third turn."""
    return threading.Event()


@pytest.fixture
def runtime(go_on: threading.Event) -> Iterator[Runtime]:
    def reply(request: Request) -> Reply:
        if request.turn < 2:
            return Calls(("think", {"thought": f"thought {request.turn}"}), usage=TURN)
        assert go_on.wait(PATIENCE)
        return Text("done", usage=TURN)

    with ModelServer(reply) as server:
        team = priced_team(server, lead={"sub_agents": ["worker"], **TOOLS}, worker=THINKER)
        with Runtime.from_mapping(team, standby=0) as runtime:
            yield runtime
            go_on.set()
            runtime.wait(timeout=PATIENCE)


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("lead") as toolset:
        yield toolset


def wait_for_turns(runtime: Runtime, task: str, turns: int) -> None:
    wait_until(lambda: runtime.view(task).usage.requests == turns, "its turns", limit=PATIENCE)


def test_a_view_has_the_budget_in_force_and_what_is_left(runtime: Runtime, toolset: OrchestratorTools) -> None:
    limits = {"turns": 7, "tokens": 20_000, "cost": 0.5, "seconds": 600}
    task = call(toolset, "run_background_agent", agent="worker", task="go", **limits).data["task_id"]
    wait_for_turns(runtime, task, 2)

    budget = runtime.view(task).budget
    assert isinstance(budget, TaskBudget)
    assert (budget.turns, budget.tokens, budget.cost, budget.seconds, budget.shared) == (7, 20_000, 0.5, 600.0, ())
    assert (budget.left.turns, budget.left.tokens) == (5, 19_800)
    assert budget.left.cost == pytest.approx(0.48)
    assert budget.left.seconds is not None
    assert 0 < budget.left.seconds < 600
    seen = call(toolset, "view_background_agent", task_id=task)
    assert "Left of its budget: 5 of 7 turns, 19,800 of 20,000 tokens, $0.48 of $0.50, 5" in seen.text
    assert seen.data["budget"]["left"]["tokens"] == 19_800
    (listed,) = call(toolset, "list_background_agents").data["tasks"]
    assert listed["budget"] is None  # a list stays small


def test_a_task_without_limits_has_no_budget(runtime: Runtime, toolset: OrchestratorTools) -> None:
    task = call(toolset, "run_background_agent", agent="worker", task="go").data["task_id"]

    assert runtime.view(task).budget is None
    seen = call(toolset, "view_background_agent", task_id=task)
    assert "budget" not in seen.text
    assert seen.data["budget"] is None


def test_one_that_has_ended_says_what_it_has_left_over(
    runtime: Runtime, toolset: OrchestratorTools, go_on: threading.Event
) -> None:
    go_on.set()
    task = call(toolset, "run_background_agent", agent="worker", task="go", tokens=1000).data["task_id"]
    (view,) = runtime.wait([task], timeout=PATIENCE)

    assert view.budget == TaskBudget(tokens=1000, left=Budget(tokens=700))


def test_the_receipt_and_the_view_of_a_group_have_its_budget_and_the_turns_of_each_item(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    items = {"agent": "worker", "task": "{item}", "items": ["a", "b"], "turns": 7, "cost": 0.5}
    receipt = call(toolset, "map_background_agent", **items)
    group = receipt.data["task_id"]
    wait_until(lambda: runtime.view(group).total_usage.requests == 4, "the turns of its items", limit=PATIENCE)

    assert "All of it together may use: $0.50. Each item may take: 7 turns." in receipt.text
    assert (receipt.data["budget"]["turns"], receipt.data["budget"]["cost"]) == (7, 0.5)
    assert (
        "Left of its budget: 7 turns for each item, $0.46 of $0.50\n"
        in call(toolset, "view_background_agent", task_id=group).text
    )
    budget = runtime.view(group).budget
    assert budget is not None
    assert (budget.turns, budget.left.turns) == (7, None)
    item = runtime.view(next(view.id for view in runtime.list() if view.parent == group))
    assert item.budget is not None
    assert (item.budget.turns, item.budget.cost, item.budget.shared) == (7, 0.5, ("cost",))
