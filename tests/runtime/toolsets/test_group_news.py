"""News of groups: whoever has started one is told of its end, of no items, and of what those ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from fan_out_team import PATIENCE, ended, fan_out_team, lines_of, started
from processes_and_waits import wait_until
from subactors.runtime import OrchestratorTools, RunError, Runtime
from teams import call, run_and_wait


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(fan_out_team(), stop_grace=1.0, max_tasks=100, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("boss") as toolset:
        yield toolset


def test_whoever_has_started_a_group_is_told_of_its_end_once_and_of_no_items(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    view = ended(runtime, toolset, agent="shouts", task="{item}", items=["a", "b", "c"])

    told = toolset.notices()

    assert re.findall(r"agent_task_\w+ \(\w+\)", told) == [f"{view.id} (map_shouts)"]
    assert '"completed":3' in told
    assert toolset.notices() == ""


def test_an_agent_that_answers_too_early_is_told_when_its_group_hasended(runtime: Runtime) -> None:
    start = ["map_background_agent", {"agent": "shouts", "task": "{item}", "items": ["a", "b"]}]

    view = run_and_wait(runtime, "boss", json.dumps([[start], {"answer": "early"}, {"answer": "in time"}]))

    assert view.result == "in time"


def test_what_an_item_asks_is_answered_by_the_group_s_id_and_a_group_hears_nothing_itself(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    task_id = started(toolset, agent="asks", task="{item}", items=["a"])
    wait_until(lambda: bool(runtime.view(task_id).questions), "it asks", limit=PATIENCE)
    (question,) = runtime.view(task_id).questions

    with pytest.raises(RunError, match=f"is a group of tasks, and hears nothing itself.*{question.task_id}"):
        runtime.steer(task_id, "Go on.")
    runtime.answer(task_id, "the first letter")
    (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert view.status == "completed"


def test_what_an_item_asks_is_shown_by_its_group(runtime: Runtime, toolset: OrchestratorTools) -> None:
    task_id = started(toolset, agent="asks", task="{item}", items=["a"])

    wait_until(lambda: bool(runtime.view(task_id).questions), "it asks", limit=PATIENCE)
    (question,) = runtime.view(task_id).questions
    listed = call(toolset, "list_background_agents")
    runtime.answer(question.id, "the first letter")
    (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert [task["id"] for task in listed.data["tasks"]] == [task_id]
    assert "What is a?" in listed.text
    assert view.questions == []
    assert [line["result"] for line in lines_of(view)] == ["a: the first letter"]


def test_a_group_can_be_waited_for_by_the_tool(toolset: OrchestratorTools) -> None:
    task_id = started(toolset, agent="shouts", task="{item}", items=["a", "b"])

    waited = call(toolset, "wait_background_agents")

    assert [(task["id"], task["done"]) for task in waited.data["tasks"]] == [(task_id, True)]
    assert waited.data["tasks"][0]["result"]["completed"] == 2
