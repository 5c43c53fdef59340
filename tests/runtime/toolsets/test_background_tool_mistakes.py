"""Mistakes of a model with the tools that run tasks: each is answered with what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from orchestrator_team import orchestrated, orchestrated_runtime, started
from subactors.runtime import OrchestratorTools, Runtime
from team_mapping import problem, team
from teams import call, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with orchestrated_runtime() as runtime:
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("boss") as toolset:
        yield toolset


def still_works(toolset: OrchestratorTools) -> bool:
    """Whether the four tools do what they should."""
    task_id = started(toolset, "waits")
    answers = [
        call(toolset, "list_background_agents"),
        call(toolset, "view_background_agent", task_id=task_id),
        call(toolset, "stop_background_agent", task_id=task_id),
    ]
    return all(task_id in answer.text and not answer.is_error for answer in answers)


WRONG = [
    (
        "run_background_agent",
        '{"agent": "nobody", "task": "x"}',
        "no agent 'nobody' in the sub_agents of 'boss'. Avail",
    ),
    ("run_background_agent", '{"agent": "segfaults", "task": "x"}', "Available: echo, says, waits"),
    ("run_background_agent", '{"agent": "boss", "task": "x"}', "Available: echo, says, waits"),
    ("run_background_agent", '{"agent": "echo", "task": ""}', "The task is empty. Say what the agent is to do"),
    ("run_background_agent", '{"agent": "echo", "task": " \\n "}', "The task is empty."),
    (
        "run_background_agent",
        '{"agent": "echo"}',
        "missing required parameter `task`. Parameters (* required): agent*,",
    ),
    ("run_background_agent", '{"agent": "echo", "task": null}', "missing required parameter `task`"),
    ("run_background_agent", "", "missing required parameter `agent`"),
    ("run_background_agent", '{"agent": "echo", "task": 5}', "Expected `str`, got `int` - at `$.task`"),
    ("run_background_agent", '{"agent": "echo", "task": ["x"]}', "Expected `str`, got `array` - at `$.task`"),
    ("run_background_agent", '{"agent": "echo", "task": "x", "model": "y"}', "contains unknown parameter `model`"),
    ("run_background_agent", '{"agent": "echo", "task', "not valid JSON (Unterminated string"),
    ("run_background_agent", "agent=echo", "Send one JSON object; parameters (* required): agent*, task*, expected"),
    ("run_background_agent", '["echo", "x"]', "a JSON object is needed, not list"),
    ("run_background_agent", "null", "a JSON object is needed, not NoneType"),
    ("run_background_agent", "[" * 100_000, "not valid JSON"),
    ("run_background_agent", "9" * 5000, "not valid JSON"),
    ("run_background_agent", '{"agent": "echo", "task": "x"} {}', "not valid JSON (Extra data"),
    (
        "list_background_agents",
        '{"status": "running"}',
        "contains unknown parameter `status`. Parameters (* required): n",
    ),
    (
        "wait_background_agents",
        '{"mode": "some"}',
        "Invalid enum value 'some' - at `$.mode` (it may be all, any). Parameters",
    ),
    ("view_background_agent", '{"task_id": "agent_task_1"}', "There is no task 'agent_task_1' here. No task has been"),
    ("view_background_agent", "{}", "missing required parameter `task_id`"),
    ("view_background_agent", '{"task_id": 1}', "Expected `str`, got `int`"),
    ("stop_background_agent", '{"task_id": "agent_task_1"}', "There is no task 'agent_task_1' here."),
    ("stop_background_agent", '{"id": "agent_task_1"}', "parameter"),
    ("transfer_task", '{"agent": "nobody", "task": "x"}', "no agent 'nobody'"),
    ("transfer_task", '{"agent": "echo", "task": ""}', "The task is empty."),
    ("think", '{"thought": " "}', "The thought is blank."),
    (
        "run_background_agents",
        "{}",
        "There is no tool 'run_background_agents'. Available tools: run_background_agent, ",
    ),
    ("", "{}", "There is no tool ''."),
]


@pytest.mark.parametrize(("name", "arguments", "words"), WRONG, ids=[f"{i} {case[0]}" for i, case in enumerate(WRONG)])
def test_wrong_input_is_answered_with_what_would_be_right_and_the_tools_work_on(
    toolset: OrchestratorTools, name: str, arguments: str, words: str
) -> None:
    answer = toolset.call(name, arguments)

    assert answer.is_error
    assert words in answer.text
    assert "Traceback" not in answer.text
    assert still_works(toolset)


@pytest.mark.parametrize("arguments", [None, {"agent": "echo", "task": "x"}, 5, b"{}"])
def test_arguments_that_are_no_text_are_answered_as_well(toolset: OrchestratorTools, arguments: Any) -> None:
    assert toolset.call("run_background_agent", arguments).is_error
    assert still_works(toolset)


def test_unknown_ids_are_answered_with_the_callers_own(toolset: OrchestratorTools, runtime: Runtime) -> None:
    foreign = run_and_wait(runtime, "echo").id
    own = [started(toolset, "echo"), started(toolset, "echo")]

    for name in ("view_background_agent", "stop_background_agent"):
        answer = call(toolset, name, task_id=foreign)

        assert answer.is_error
        assert answer.text.endswith(f"Known tasks: {own[0]}, {own[1]}.")


@pytest.mark.parametrize(("agent", "status"), [("echo", "completed"), ("raises", "failed"), ("waits", "stopped")])
def test_stop_of_a_task_that_has_ended_is_an_error_that_names_its_status(
    runtime: Runtime, toolset: OrchestratorTools, agent: str, status: str
) -> None:
    task_id = started(toolset, agent)
    if agent == "waits":
        call(toolset, "stop_background_agent", task_id=task_id)
    runtime.wait([task_id])

    answer = call(toolset, "stop_background_agent", task_id=task_id)

    assert answer.is_error
    assert f"Task {task_id} has ended already: {status}." in answer.text
    assert runtime.view(task_id).status == status
    assert still_works(toolset)


@pytest.mark.parametrize("name", ["run_background_agent", "transfer_task"])
def test_capacity_is_an_error_that_says_how_to_make_room(name: str) -> None:
    with (
        Runtime.from_mapping(orchestrated(), max_running=1, max_queued=0) as runtime,
        runtime.toolset("boss") as toolset,
    ):
        task_id = started(toolset, "waits")

        answer = call(toolset, name, agent="echo", task="x")

        assert answer.is_error
        assert "1 tasks are running, and 1 is the limit. Wait until one ends, or stop one." in answer.text
        call(toolset, "stop_background_agent", task_id=task_id)
        assert still_works(toolset)


@pytest.mark.parametrize(("tool", "key"), [("steer_background_agent", "steer"), ("map_background_agent", "fan_out")])
def test_a_tool_that_is_there_with_a_key_only_is_one_problem_without_it(tool: str, key: str) -> None:
    toolset = {"type": "background_agents", "tools": ["run_background_agent", tool]}
    assert f"is there with `{key}: true` only" in problem(
        "agents.a.toolsets[0].tools[1]", a={"sub_agents": ["b"], "toolsets": [toolset]}
    )
    assert team(a={"sub_agents": ["b"], "toolsets": [{**toolset, key: True}]}).ignored == ()
