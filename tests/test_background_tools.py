"""The tools with which a model runs tasks, as the model sees them: schemas, answers, and its mistakes."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest
from observing import wait_until
from subactors.runtime import (
    AgentToolset,
    Runtime,
    RuntimeClosedError,
    TaskView,
    ToolAnswer,
    UnknownAgentError,
)
from subactors.runtime._messages import TaskRequest
from subactors.runtime._team import AgentConfig, ToolsetConfig
from subactors.runtime._team_toolsets import TOOLSETS
from subactors.runtime._tools import ToolBox
from subactors.runtime.toolsets import build_toolsets
from teams import call, entrypoint_team, model, plan, run_and_wait, speaking, task_ids

FOUR = ["run_background_agent", "list_background_agents", "view_background_agent", "stop_background_agent"]
WORKERS = ["echo", "says", "waits", "deaf", "floods_and_waits", "returns", "raises", "report"]


def orchestrated(**more: Any) -> dict[str, Any]:
    """A team whose `boss` has the tools."""
    boss = model(
        "follows_a_plan", sub_agents=WORKERS, toolsets=[{"type": "background_agents"}, {"type": "think"}], **more
    )
    return entrypoint_team(boss=boss)


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(orchestrated(), stop_grace=0.5, max_tasks=10_000, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[AgentToolset]:
    with runtime.toolset("boss") as toolset:
        yield toolset


def started(toolset: AgentToolset, agent: str, task: str = "go") -> str:
    """Start a task by the tool, and return its id."""
    answer = call(toolset, "run_background_agent", agent=agent, task=task)
    assert not answer.is_error, answer.text
    task_id: str = answer.data["task_id"]
    return task_id


def still_works(toolset: AgentToolset) -> bool:
    """Whether the four tools do what they should."""
    task_id = started(toolset, "waits")
    answers = [
        call(toolset, "list_background_agents"),
        call(toolset, "view_background_agent", task_id=task_id),
        call(toolset, "stop_background_agent", task_id=task_id),
    ]
    return all(task_id in answer.text and not answer.is_error for answer in answers)


# --- schemas --------------------------------------------------------------------------------------------------------


def parameters(schema: dict[str, Any]) -> dict[str, Any]:
    """The types of a tool's parameters, by name."""
    assert schema["type"] == "function"
    body = schema["function"]["parameters"]
    assert (body["type"], body["additionalProperties"]) == ("object", False)
    return {
        name: [choice["type"] for choice in parameter["anyOf"]] if "anyOf" in parameter else parameter["type"]
        for name, parameter in body["properties"].items()
    }


def test_the_tools_are_the_four_then_the_others_then_transfer_task(toolset: AgentToolset) -> None:
    assert [schema["function"]["name"] for schema in toolset.schemas] == [*FOUR, "think", "transfer_task"]


@pytest.mark.parametrize(
    ("name", "types", "required"),
    [
        (
            "run_background_agent",
            {"agent": "string", "task": "string", "expected_output": ["string", "null"]},
            ["agent", "task"],
        ),
        ("list_background_agents", {}, []),
        ("view_background_agent", {"task_id": "string"}, ["task_id"]),
        ("stop_background_agent", {"task_id": "string"}, ["task_id"]),
        (
            "transfer_task",
            {"agent": "string", "task": "string", "expected_output": ["string", "null"]},
            ["agent", "task"],
        ),
    ],
)
def test_each_tool_has_the_parameters_of_the_contract(
    toolset: AgentToolset, name: str, types: dict[str, Any], required: list[str]
) -> None:
    (schema,) = (schema for schema in toolset.schemas if schema["function"]["name"] == name)

    assert parameters(schema) == types
    assert schema["function"]["parameters"]["required"] == required
    assert schema["function"]["description"]
    assert all(parameter["description"] for parameter in schema["function"]["parameters"]["properties"].values())


def test_the_schemas_are_json(toolset: AgentToolset) -> None:
    assert json.loads(json.dumps(toolset.schemas)) == toolset.schemas


class Nobody:
    """A gateway that nobody asks anything."""

    def ask(self, request: TaskRequest) -> Future[Any]:
        raise AssertionError(request)


@pytest.mark.parametrize("kind", [name for name, kind in TOOLSETS.items() if kind.tools is not None])
def test_what_the_checker_knows_of_a_toolsets_tools_is_what_the_toolset_offers(kind: str, tmp_path: Path) -> None:
    agent = AgentConfig(name="a", toolsets=(ToolsetConfig(type=kind),))

    (toolset,) = build_toolsets(agent, gateway=Nobody(), working_directory=tmp_path, environ={}, limit=1000)

    assert sorted(tool.name for tool in toolset.tools) == sorted(TOOLSETS[kind].tools or ())
    asyncio.run(ToolBox([toolset]).close())


def test_an_agent_without_sub_agents_cannot_transfer_tasks() -> None:
    with (
        Runtime.from_mapping({"agents": {"a": model("streams", toolsets=[{"type": "think"}])}}) as runtime,
        runtime.toolset("a") as toolset,
    ):
        assert [schema["function"]["name"] for schema in toolset.schemas] == ["think"]
        assert "There is no tool 'transfer_task'. Available tools: think." in toolset.call("transfer_task").text


# --- what they answer -----------------------------------------------------------------------------------------------


def test_run_answers_with_the_id_while_the_process_is_still_starting() -> None:
    with Runtime.from_mapping(orchestrated()) as runtime, runtime.toolset("boss") as toolset:
        answer = call(toolset, "run_background_agent", agent="echo", task="hello")

        (view,) = runtime.list()
        assert view.status == "starting"
        assert answer.data == {"task_id": view.id, "agent": "echo"}
        assert view.id in answer.text


def test_what_is_expected_reaches_the_agent(runtime: Runtime, toolset: AgentToolset) -> None:
    for expected in ("three lines", None):
        answer = call(toolset, "run_background_agent", agent="report", task="x", expected_output=expected)
        (view,) = runtime.wait([answer.data["task_id"]])
        assert view.result["expected_output"] == expected


def test_half_characters_in_a_task_become_whole_ones_or_are_replaced(runtime: Runtime, toolset: AgentToolset) -> None:
    answer = toolset.call("run_background_agent", r'{"agent": "echo", "task": "\ud83d\ude00 and \ud800"}')

    (view,) = runtime.wait([answer.data["task_id"]])
    assert (view.status, view.result) == ("completed", "😀 and �")


def test_list_has_the_callers_tasks_oldest_first_and_the_room_there_is(runtime: Runtime, toolset: AgentToolset) -> None:
    assert call(toolset, "list_background_agents").text.startswith("You have no background tasks.")
    first = started(toolset, "waits", "Wait\nfor it.")
    second = started(toolset, "raises", "No good.")
    runtime.wait([second])
    wait_until(lambda: runtime.view(first).output, "it has spoken")

    answer = call(toolset, "list_background_agents")

    head, one, two = answer.text.split("\n\n")
    assert head == "2 background tasks, 1 still at work. 1 of 20 slots are in use, 19 free."
    assert re.match(rf"{first}  waits  running  \d+\.\d s", one)
    assert "  Task: Wait for it." in one
    assert "  Last said: so far" in one
    assert re.match(rf"{second}  raises  failed  \d+\.\d s .*CPU \d+\.\d\d s", two)
    assert "  Reason: ValueError: No good." in two
    assert [task["id"] for task in answer.data["tasks"]] == [first, second]
    assert (answer.data["running"], answer.data["max_running"]) == (1, 20)
    call(toolset, "stop_background_agent", task_id=first)


def test_view_shows_live_output_then_the_result(runtime: Runtime, toolset: AgentToolset) -> None:
    task_id = started(toolset, "waits")
    wait_until(lambda: runtime.view(task_id).output, "it has spoken")
    live = call(toolset, "view_background_agent", task_id=task_id)
    call(toolset, "stop_background_agent", task_id=task_id)
    stopped = call(toolset, "view_background_agent", task_id=task_id)
    completed_id = started(toolset, "echo", "the answer")
    runtime.wait([completed_id])
    completed = call(toolset, "view_background_agent", task_id=completed_id)

    assert "running" in live.text
    assert "--- Output so far ---\nso far" in live.text
    assert "stopped" in stopped.text
    assert "Reason: Stopped by boss; it ended" in stopped.text
    assert "--- Output until then ---\nso far" in stopped.text
    assert "--- Result until then ---\nhalf of it" in stopped.text
    assert completed.text.endswith("--- Result ---\nthe answer")


def test_a_structured_result_is_shown_as_json(runtime: Runtime, toolset: AgentToolset) -> None:
    task_id = started(toolset, "returns", "mapping")
    runtime.wait([task_id])

    answer = call(toolset, "view_background_agent", task_id=task_id)

    assert json.loads(answer.text.split("--- Result ---\n")[1]) == {"a": [1, None, {"b": True}]}
    assert answer.data["result"] == {"a": [1, None, {"b": True}]}


def test_a_task_that_has_said_and_returned_nothing_is_shown_as_that(runtime: Runtime, toolset: AgentToolset) -> None:
    task_id = started(toolset, "returns", "none")
    runtime.wait([task_id])

    assert call(toolset, "view_background_agent", task_id=task_id).text.endswith("--- Result ---\n(nothing)")


def test_stop_says_what_was_ended_and_how(runtime: Runtime, toolset: AgentToolset) -> None:
    willing, deaf = started(toolset, "waits"), started(toolset, "deaf")
    wait_until(lambda: all(runtime.view(task_id).output for task_id in (willing, deaf)), "they have spoken")

    ended = call(toolset, "stop_background_agent", task_id=willing)
    killed = call(toolset, "stop_background_agent", task_id=deaf)

    assert re.match(
        rf"{willing} \(waits\) has ended after \d+\.\d s: stopped\.\nStopped by boss; it ended ", ended.text
    )
    assert "It had said 7 bytes" in ended.text
    assert "was killed after the grace period of 0.5 s" in killed.text
    assert [task["status"] for task in killed.data["tasks"]] == ["stopped"]


def test_stop_names_what_fell_with_the_task() -> None:
    agents = {
        "top": model("streams", sub_agents=["boss"], toolsets=[{"type": "background_agents"}]),
        **orchestrated()["agents"],
    }
    with Runtime.from_mapping({"agents": agents}) as runtime, runtime.toolset("top") as toolset:
        start = ["run_background_agent", {"agent": "waits", "task": "x"}]
        boss = started(toolset, "boss", plan([start, start], {"wait_for": "/nowhere"}, {"answer": "never"}))
        wait_until(lambda: sum(view.output != "" for view in runtime.list()) == 2, "both have spoken")

        answer = call(toolset, "stop_background_agent", task_id=boss)

    assert "With it ended 2 tasks that it had started:" in answer.text
    assert answer.text.count("(waits): stopped. Stopped by top, together with") == 2
    assert len(answer.data["tasks"]) == 3


def test_transfer_task_waits_and_answers_with_the_result(toolset: AgentToolset) -> None:
    answer = call(toolset, "transfer_task", agent="echo", task="the answer")

    assert (answer.text, answer.is_error) == ("the answer", False)
    assert answer.data["status"] == "completed"
    assert json.loads(call(toolset, "transfer_task", agent="returns", task="tuple").text) == [1, [2]]
    assert call(toolset, "transfer_task", agent="returns", task="none").text == "(nothing)"


def test_transfer_task_to_an_agent_that_fails_is_an_error_with_the_reason(toolset: AgentToolset) -> None:
    answer = call(toolset, "transfer_task", agent="raises", task="no good")

    assert answer.is_error
    assert "Reason: ValueError: no good" in answer.text
    assert "so far" in answer.text
    assert answer.data["status"] == "failed"


def test_the_structured_twin_of_an_answer_is_plain_json(toolset: AgentToolset) -> None:
    task_id = started(toolset, "waits")
    answers = [
        call(toolset, "list_background_agents"),
        call(toolset, "view_background_agent", task_id=task_id),
        call(toolset, "stop_background_agent", task_id=task_id),
        call(toolset, "transfer_task", agent="echo", task="x"),
    ]

    for answer in answers:
        assert json.loads(json.dumps(answer.data)) == answer.data
    assert msgspec.convert(answers[1].data, TaskView).id == task_id


# --- bounded --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frugal() -> Iterator[Runtime]:
    """A runtime whose tools answer with little, and that keeps little output."""
    with Runtime.from_mapping(orchestrated(), max_answer=3000, max_output=50_000, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


@pytest.mark.parametrize("lines", [10, 40, 500])
def test_a_view_is_bounded_and_says_how_much_of_the_output_is_missing(frugal: Runtime, lines: int) -> None:
    with frugal.toolset("boss") as toolset:
        task_id = started(toolset, "floods_and_waits", str(lines))
        wait_until(lambda: frugal.view(task_id).output_size == lines * 1000, "it has said all")

        answer = call(toolset, "view_background_agent", task_id=task_id)

        frugal.stop(task_id)
    assert len(answer.text) <= 3000
    shown = answer.text.split("--- Output so far ---\n")[1]
    head, note, tail = shown.split("\n\n")
    found = re.fullmatch(r"\[([\d,]+) of ([\d,]+) bytes left out here\. The host program can read more of it\.]", note)
    assert found is not None
    missing, total = (int(number.replace(",", "")) for number in found.groups())
    assert total == lines * 1000
    assert missing + len(head) + len(tail) == total
    assert head.startswith("000000000 xxx")
    assert f"{lines - 1:09} " in tail


def test_a_long_result_is_bounded(frugal: Runtime) -> None:
    with frugal.toolset("boss") as toolset:
        task_id = started(toolset, "echo", "begin" + "x" * 10_000 + "end")
        frugal.wait([task_id])
        viewed = call(toolset, "view_background_agent", task_id=task_id)
        transferred = call(toolset, "transfer_task", agent="echo", task="begin" + "x" * 10_000 + "end")

    for answer in (viewed, transferred):
        assert len(answer.text) <= 3100
        assert "characters left out here." in answer.text
        assert answer.text.endswith("end")
    assert len(viewed.data["result"]) == 10_008


def test_a_long_list_is_bounded(frugal: Runtime) -> None:
    with frugal.toolset("boss") as toolset:
        ids = [started(toolset, "echo", "x" * 200) for _ in range(20)]
        frugal.wait(ids)
        answer = call(toolset, "list_background_agents")

    assert len(answer.text) <= 3100
    assert "left out here." in answer.text
    assert len(answer.data["tasks"]) == 20


# --- wrong input ----------------------------------------------------------------------------------------------------

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
    toolset: AgentToolset, name: str, arguments: str, words: str
) -> None:
    answer = toolset.call(name, arguments)

    assert answer.is_error
    assert words in answer.text
    assert "Traceback" not in answer.text
    assert still_works(toolset)


@pytest.mark.parametrize("arguments", [None, {"agent": "echo", "task": "x"}, 5, b"{}"])
def test_arguments_that_are_no_text_are_answered_as_well(toolset: AgentToolset, arguments: Any) -> None:
    assert toolset.call("run_background_agent", arguments).is_error
    assert still_works(toolset)


def test_unknown_ids_are_answered_with_the_callers_own(toolset: AgentToolset, runtime: Runtime) -> None:
    foreign = run_and_wait(runtime, "echo").id
    own = [started(toolset, "echo"), started(toolset, "echo")]

    for name in ("view_background_agent", "stop_background_agent"):
        answer = call(toolset, name, task_id=foreign)

        assert answer.is_error
        assert answer.text.endswith(f"Known tasks: {own[0]}, {own[1]}.")


@pytest.mark.parametrize(("agent", "status"), [("echo", "completed"), ("raises", "failed"), ("waits", "stopped")])
def test_stop_of_a_task_that_has_ended_is_an_error_that_names_its_status(
    runtime: Runtime, toolset: AgentToolset, agent: str, status: str
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
    with Runtime.from_mapping(orchestrated(), max_running=1) as runtime, runtime.toolset("boss") as toolset:
        task_id = started(toolset, "waits")

        answer = call(toolset, name, agent="echo", task="x")

        assert answer.is_error
        assert "1 tasks are running, and 1 is the limit. Wait until one ends, or stop one." in answer.text
        call(toolset, "stop_background_agent", task_id=task_id)
        assert still_works(toolset)


# --- whose they are -------------------------------------------------------------------------------------------------


def test_each_orchestrator_sees_and_stops_its_own_tasks_only(runtime: Runtime) -> None:
    with runtime.toolset("boss") as one, runtime.toolset("boss") as other:
        mine, theirs = started(one, "waits"), started(other, "waits")

        listed = call(one, "list_background_agents").data["tasks"]
        refused = [call(one, name, task_id=theirs) for name in ("view_background_agent", "stop_background_agent")]

        assert [task["id"] for task in listed] == [mine]
        assert all(answer.is_error and mine in answer.text for answer in refused)
        assert not runtime.view(theirs).ended
        assert {mine, theirs} <= set(task_ids(runtime.list()))
        for toolset, task_id in ((one, mine), (other, theirs)):
            assert not call(toolset, "stop_background_agent", task_id=task_id).is_error


def test_the_log_of_thoughts_belongs_to_one_orchestrator(runtime: Runtime) -> None:
    with runtime.toolset("boss") as one, runtime.toolset("boss") as other:
        call(one, "think", thought="mine")

        assert call(other, "think", thought="theirs").data == {"thoughts": ["theirs"]}
        assert call(one, "think", thought="again").data == {"thoughts": ["mine", "again"]}


# --- from where they may be called ----------------------------------------------------------------------------------


def test_a_tool_may_be_called_inside_a_running_event_loop(toolset: AgentToolset) -> None:
    async def main() -> ToolAnswer:
        return call(toolset, "transfer_task", agent="echo", task="x")

    assert asyncio.run(main()).text == "x"


def test_tools_may_be_called_from_several_threads_at_once(toolset: AgentToolset) -> None:
    answers: dict[int, ToolAnswer] = {}

    def transfer(number: int) -> None:
        answers[number] = call(toolset, "transfer_task", agent="echo", task=str(number))

    threads = [threading.Thread(target=transfer, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {number: answer.text for number, answer in answers.items()} == {n: str(n) for n in range(5)}


def test_a_transfer_does_not_keep_other_calls_from_being_answered(toolset: AgentToolset) -> None:
    answers: list[ToolAnswer] = []
    transferring = threading.Thread(
        target=lambda: answers.append(call(toolset, "transfer_task", agent="waits", task="x"))
    )
    transferring.start()
    wait_until(lambda: call(toolset, "list_background_agents").data["tasks"], "the task is there")

    (task,) = call(toolset, "list_background_agents").data["tasks"]
    call(toolset, "stop_background_agent", task_id=task["id"])
    transferring.join()

    (answer,) = answers
    assert answer.is_error
    assert "stopped" in answer.text


def test_closing_a_toolset_ends_the_calls_that_are_at_work_and_stops_what_they_wait_for(runtime: Runtime) -> None:
    toolset = runtime.toolset("boss")
    errors: list[BaseException] = []

    def transfer() -> None:
        with pytest.raises(RuntimeClosedError, match="closed while transfer_task was at work") as caught:
            call(toolset, "transfer_task", agent="waits", task="x")
        errors.append(caught.value)

    transferring = threading.Thread(target=transfer)
    transferring.start()
    wait_until(lambda: call(toolset, "list_background_agents").data["tasks"], "the task is there")
    (task,) = call(toolset, "list_background_agents").data["tasks"]

    toolset.close()
    transferring.join()

    assert len(errors) == 1
    (view,) = runtime.wait([task["id"]])
    assert view.status == "stopped"


def test_a_closed_toolset_refuses_calls_and_its_tasks_go_on(runtime: Runtime) -> None:
    toolset = runtime.toolset("boss")
    task_id = started(toolset, "waits")

    toolset.close()
    toolset.close()

    with pytest.raises(RuntimeClosedError, match="The toolset is closed"):
        call(toolset, "list_background_agents")
    assert runtime.stop(task_id).status == "stopped"


def test_closing_the_runtime_closes_its_toolsets() -> None:
    with Runtime.from_mapping(orchestrated()) as runtime:
        toolset = runtime.toolset("boss")
        started(toolset, "waits")

    with pytest.raises(RuntimeClosedError):
        call(toolset, "list_background_agents")


def test_a_toolset_of_an_unknown_agent_is_refused_with_the_agents_there_are() -> None:
    with (
        Runtime.from_mapping({"agents": {"cook": model("streams")}}) as runtime,
        pytest.raises(UnknownAgentError, match=r"no agent 'chef' in the team\. Available: cook\."),
    ):
        runtime.toolset("chef")


# --- what the team file says about them -----------------------------------------------------------------------------


def test_denied_tools_are_neither_offered_nor_called() -> None:
    team = {**orchestrated(), "permissions": {"deny": ["STOP_*", "transfer_task"]}}
    with Runtime.from_mapping(team) as runtime, runtime.toolset("boss") as toolset:
        task_id = started(toolset, "waits")

        names = [schema["function"]["name"] for schema in toolset.schemas]
        answers = [
            call(toolset, "stop_background_agent", task_id=task_id),
            call(toolset, "transfer_task", agent="echo", task="x"),
        ]

        assert names == ["run_background_agent", "list_background_agents", "view_background_agent", "think"]
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


def test_a_model_sees_what_the_tools_are_for(toolset: AgentToolset) -> None:
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

    view = runtime.stop(task_id)

    (child,) = (view for view in runtime.list() if view.parent == task_id)
    assert (view.status, child.status) == ("stopped", "stopped")


def test_looking_at_tasks_again_and_again_while_one_runs_is_no_repetition(runtime: Runtime) -> None:
    begun = [["run_background_agent", {"agent": "waits", "task": "x"}]]
    turns = plan(begun, *[[["list_background_agents", {}]]] * 12, {"answer": "done"})

    assert run_and_wait(runtime, "boss", turns).result == "done"


def test_a_speaking_task_can_be_read_by_the_host_while_its_orchestrator_reads_it(
    runtime: Runtime, toolset: AgentToolset
) -> None:
    task_id = started(toolset, "waits")
    host_task = speaking(runtime, "waits")
    wait_until(lambda: runtime.view(task_id).output, "it has spoken")

    assert "so far" in call(toolset, "view_background_agent", task_id=task_id).text
    assert runtime.view(task_id).output == "so far "
    assert call(toolset, "view_background_agent", task_id=host_task).is_error
    runtime.stop(task_id)
    runtime.stop(host_task)
