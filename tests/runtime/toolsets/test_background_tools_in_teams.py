"""The tools that run tasks as a team file gives them to agents, and as the models of agents use them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator_team import orchestrated, orchestrated_runtime, started
from processes_and_waits import wait_until
from subactors.runtime import OrchestratorTools, Runtime
from teams import call, entrypoint_team, model, plan, run_and_wait, speaking

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with orchestrated_runtime() as runtime:
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("boss") as toolset:
        yield toolset


def test_denied_tools_are_neither_offered_nor_called() -> None:
    team = {**orchestrated(), "permissions": {"deny": ["STOP_*", "transfer_task"]}}
    with Runtime.from_mapping(team) as runtime, runtime.toolset("boss") as toolset:
        task_id = started(toolset, "waits")

        names = [schema["function"]["name"] for schema in toolset.schemas]
        answers = [
            call(toolset, "stop_background_agent", task_id=task_id),
            call(toolset, "transfer_task", agent="echo", task="x"),
        ]

        assert names == [
            "run_background_agent",
            "list_background_agents",
            "view_background_agent",
            "wait_background_agents",
            "think",
        ]
        assert all(answer.is_error and "denied by the team file's permissions" in answer.text for answer in answers)
        assert not runtime.view(task_id).ended


def test_denied_tools_are_denied_to_sub_agents_as_well() -> None:
    team = {**orchestrated(), "permissions": {"deny": ["run_background_agent"]}}
    with Runtime.from_mapping(team) as runtime:
        view = run_and_wait(
            runtime, "boss", plan([["run_background_agent", {"agent": "echo", "task": "x"}]], "answers")
        )

    assert "denied by the team file's permissions" in json.loads(view.result)[0]


def test_an_entry_may_choose_tools_and_replace_the_instruction() -> None:
    entry = {
        "type": "background_agents",
        "tools": ["list_background_agents", "run_background_agent"],
        "instruction": "Hand over all you can.",
    }
    agents = {**entrypoint_team()["agents"], "boss": model("streams", sub_agents=["echo"], toolsets=[entry])}
    with Runtime.from_mapping({"agents": agents}) as runtime, runtime.toolset("boss") as toolset:
        names = [schema["function"]["name"] for schema in toolset.schemas]
        task_id = started(toolset, "echo")

        assert names == ["run_background_agent", "list_background_agents", "transfer_task"]
        assert toolset.instructions == "Hand over all you can."
        assert "There is no tool 'stop_background_agent'" in call(toolset, "stop_background_agent", task_id="x").text
        runtime.wait([task_id])


def test_a_model_sees_what_the_tools_are_for(toolset: OrchestratorTools) -> None:
    assert "## Background agents" in toolset.instructions
    assert "## Thinking aloud" in toolset.instructions


def test_wrong_input_of_a_sub_agents_model_is_answered_and_it_goes_on(runtime: Runtime) -> None:
    turns = plan(
        [["run_background_agent", {"agent": "nobody", "task": "x"}], ["view_background_agent", {"task_id": "y"}]],
        [["run_background_agent", '{"agent": "echo", "ta'], ["no_such_tool", {}]],
        [["transfer_task", {"agent": "echo", "task": "it works"}]],
        "answers",
    )

    view = run_and_wait(runtime, "boss", turns)

    unknown_agent, unknown_id, no_json, no_tool, transferred = json.loads(view.result)
    assert "Available: echo, says, waits" in unknown_agent
    assert "There is no task 'y' here. No task has been started yet." in unknown_id
    assert "not valid JSON" in no_json
    assert "There is no tool 'no_such_tool'" in no_tool
    assert transferred == "it works"


def test_a_sub_agent_that_is_stopped_while_it_transfers_takes_the_task_with_it(runtime: Runtime) -> None:
    task_id = runtime.run("boss", plan([["transfer_task", {"agent": "waits", "task": "x"}]], "answers"))
    wait_until(lambda: [view for view in runtime.list() if view.parent == task_id and view.output], "it transfers")

    view = runtime.stop(task_id)[0]

    (child,) = (view for view in runtime.list() if view.parent == task_id)
    assert (view.status, child.status) == ("stopped", "stopped")


def test_looking_at_tasks_again_and_again_while_one_runs_is_no_repetition(runtime: Runtime) -> None:
    begun = [["run_background_agent", {"agent": "waits", "task": "x"}]]
    turns = plan(begun, *[[["list_background_agents", {}]]] * 12, {"answer": "done"})

    assert run_and_wait(runtime, "boss", turns).result == "done"


def test_a_speaking_task_can_be_read_by_the_host_while_its_orchestrator_reads_it(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    task_id = started(toolset, "waits")
    host_task = speaking(runtime, "waits")
    wait_until(lambda: runtime.view(task_id).output, "it has spoken")

    assert "so far" in call(toolset, "view_background_agent", task_id=task_id).text
    assert runtime.view(task_id).output == "so far "
    assert call(toolset, "view_background_agent", task_id=host_task).is_error
    runtime.stop(task_id)
    runtime.stop(host_task)
