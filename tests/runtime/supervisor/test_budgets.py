"""What tasks may use of tokens and dollars: limits at dispatch, what is reserved, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Limits, Runtime, TaskView
from teams import PATIENCE, call, model, plan, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


def team(**limits: Any) -> dict[str, Any]:
    """Make a team of a lead with workers that have workers; limits are those of the lead's tasks."""
    code = {"entrypoint": "spending_entrypoints:spends"}
    return {
        "agents": {
            "lead": {**code, "sub_agents": ["worker"], "limits": limits},
            "worker": {**code, "sub_agents": ["helper"]},
            "helper": code,
        }
    }


def spend(*work: Any, **limits: Any) -> TaskView:
    """Run a lead with limits, and return how it ended."""
    with Runtime.from_mapping(team(**limits), standby=0) as runtime:
        return run_and_wait(runtime, "lead", data=[*work])


# --- what counts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"cost": 0.5}, "The limit cost of $0.50 was reached: it had used $0.75."),
        ({"tokens": 100}, "The limit tokens of 100 was reached: it had used 101."),
    ],
)
def test_a_task_that_uses_more_than_its_limit_fails_with_the_limit(limits: dict[str, Any], reason: str) -> None:
    view = spend(["spend", 0.5, 100], ["spend", 0.25, 1], ["wait"], **limits)

    assert (view.status, view.reason) == ("failed", reason)


def test_a_task_that_uses_just_its_limit_completes() -> None:
    assert spend(["spend", 0.5, 100], cost=0.5, tokens=100).status == "completed"


def test_what_a_task_has_started_counts_for_it_once() -> None:
    with Runtime.from_mapping(team(cost=1.0), standby=0) as runtime:
        work = ["run", [["spend", 0.375, 10]]]
        view = run_and_wait(runtime, "lead", data=[work, work, ["results"], ["spend", 0.125, 0]])
        assert (view.status, view.total_usage.cost) == ("completed", 0.875)

        view = run_and_wait(runtime, "lead", data=[work, work, ["results"], ["spend", 0.5, 0], ["wait"]])
        assert (view.status, view.reason) == ("failed", "The limit cost of $1.00 was reached: it had used $1.25.")


def test_a_task_that_shares_a_limit_is_ended_by_it_and_says_whose_it_is() -> None:
    with Runtime.from_mapping(team(cost=1.0), standby=0) as runtime:
        lead = runtime.run("lead", "go", data=[["run", [["spend", 1.25, 0], ["wait"]]], ["results"], ["wait"]])
        wait_until(lambda: any(view.status == "failed" for view in runtime.list()), "the end", limit=PATIENCE)
        (worker,) = (view for view in runtime.list() if view.agent == "worker")
        runtime.stop(lead)

    assert worker.reason == (
        f"The limit cost of $1.00, which lead ({lead.id}) has for all its tasks, was reached: they had used $1.25."
    )


# --- what is reserved -----------------------------------------------------------------------------------------------


def test_what_is_asked_for_is_reserved_until_the_task_ends_and_then_what_is_left_comes_back(tmp_path: Path) -> None:
    go_on = str(tmp_path / "go on")
    holding = ["run", [["spend", 0.25, 0], ["wait_for", go_on]], {"cost": 5}]
    with Runtime.from_mapping(team(cost=1.0), standby=0) as runtime:
        view = run_and_wait(
            runtime, "lead", data=[holding, ["run", []], ["touch", go_on], ["results"], ["run", []], ["results"]]
        )

    (refused,) = view.result
    assert view.status == "completed"
    assert "Nothing is left of the limit cost of $1.00 that lead" in refused
    assert "$1.00 is reserved" in refused or "$0.75 is reserved" in refused
    assert "What they do not use comes back when they end" in refused


def test_a_reserved_limit_holds_below_and_is_narrowed_to_what_is_left(tmp_path: Path) -> None:
    go_on = str(tmp_path / "go on")
    first = ["run", [["wait_for", go_on]], {"tokens": 70}]
    second = ["run", [["spend", 0, 31], ["wait"]], {"tokens": 70}]
    with Runtime.from_mapping(team(tokens=100), standby=0) as runtime:
        lead = runtime.run("lead", "go", data=[first, second, ["results"], ["wait"]])
        wait_until(lambda: any(view.status == "failed" for view in runtime.list()), "the end", limit=PATIENCE)
        reasons = [view.reason for view in runtime.list() if view.status == "failed"]
        runtime.stop(lead)

    assert reasons == ["The limit tokens of 30 was reached: it had used 31."]


def test_nothing_left_is_none_left_and_never_no_limit() -> None:
    view = spend(["spend", 1.0, 0], ["run", []], ["run", [], {"cost": 3}], cost=1.0)

    assert [text[:47] for text in view.result] == ["Nothing is left of the limit cost of $1.00 that"] * 2
    assert view.result[0].endswith("$1.00 is used. Do without another task.")
    with pytest.raises(ValueError, match=r"The limit cost is 0; it must be above 0"):
        Limits(cost=0)


def test_limits_at_dispatch_only_narrow_those_of_the_file() -> None:
    with Runtime.from_mapping(team(cost=0.5), standby=0) as runtime:
        for limits, limit in [(Limits(cost=2), "0.50"), (Limits(cost=0.25), "0.25"), (Limits(tokens=5), "0.50")]:
            view = run_and_wait(runtime, "lead", data=[["spend", 0.75, 0], ["wait"]], limits=limits)
            assert view.reason == f"The limit cost of ${limit} was reached: it had used $0.75."


# --- the tool -------------------------------------------------------------------------------------------------------


def bosses(**limits: Any) -> dict[str, Any]:
    """Make a team whose boss, with limits, may limit what it starts."""
    tools = [{"type": "background_agents", "limits": True}]
    boss = model("follows_a_plan", sub_agents=["worker"], toolsets=tools, limits=limits)
    return {"agents": {"boss": boss, "worker": {**team()["agents"]["helper"], "limits": {"wall_clock": 60}}}}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(bosses(tokens=1000), standby=0) as runtime:
        run_and_wait(runtime, "worker", data=[])
        yield runtime


def test_the_tool_takes_limits_and_its_receipt_says_the_budget_in_force(runtime: Runtime) -> None:
    with runtime.toolset("boss") as toolset:
        (schema,) = (one for one in toolset.schemas if one["function"]["name"] == "run_background_agent")
        assert [*schema["function"]["parameters"]["properties"]][3:] == ["turns", "tokens", "cost", "seconds"]
        assert schema["function"]["parameters"]["required"] == ["agent", "task"]
        answer = call(
            toolset, "run_background_agent", agent="worker", task="go", turns=5, tokens=2000, cost=0.5, seconds=90
        )

    assert "is at work in the background. It may use: 5 turns, 2,000 tokens, $0.50, 60 s." in answer.text
    budget = {"turns": 5, "tokens": 2000, "cost": 0.5, "seconds": 60.0, "shared": ()}
    assert answer.data["budget"] == budget


@pytest.mark.parametrize("name", ["turns", "tokens", "cost", "seconds"])
def test_the_tool_takes_zero_for_none_at_all(runtime: Runtime, name: str) -> None:
    with runtime.toolset("boss") as toolset:
        answer = call(toolset, "run_background_agent", agent="worker", task="go", **{name: 0})

    assert answer.is_error
    assert answer.text.startswith(f"{name} is 0, and with that no task can run: 0 is none at all.")


@pytest.mark.parametrize("name", ["turns", "tokens", "cost", "seconds"])
def test_the_tool_refuses_a_number_that_no_process_could_be_sent(runtime: Runtime, name: str) -> None:
    with runtime.toolset("boss") as toolset:
        answer = call(toolset, "run_background_agent", agent="worker", task="go", **{name: 10**20})

    assert answer.is_error
    assert answer.text.startswith(f"{name} is above 10^15, and no limit is.")


def test_the_receipts_of_a_task_with_a_limit_say_what_is_reserved_and_what_is_shared(runtime: Runtime) -> None:
    start = ["run_background_agent", {"agent": "worker", "task": "go"}]
    asked = ["run_background_agent", {"agent": "worker", "task": "go", "tokens": 400}]
    view = run_and_wait(runtime, "boss", plan([asked], [start], "answers"))

    receipts = json.loads(view.result)
    assert "It may use: 400 tokens, 60 s." in receipts[0]
    assert "It may use: 600 tokens (all that is left, shared with who started it), 60 s." in receipts[1] or (
        "It may use: 1,000 tokens (all that is left, shared with who started it), 60 s." in receipts[1]
    )
