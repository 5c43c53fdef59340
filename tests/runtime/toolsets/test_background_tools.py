"""The tools with which a model runs tasks, as the model sees them: schemas and answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from orchestrator_team import orchestrated, orchestrated_runtime, started
from processes_and_waits import children_of, look_at, wait_until
from subactors.runtime import OrchestratorTools, Runtime, TaskView
from subactors.runtime.tasks.messages import TaskRequest
from subactors.runtime.team.config import AgentConfig, Settings, ToolsetConfig
from subactors.runtime.team.toolset_kinds import TOOLSETS
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.build import build_toolsets
from teams import call, model, plan, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

FIVE = [
    "run_background_agent",
    "list_background_agents",
    "view_background_agent",
    "stop_background_agent",
    "wait_background_agents",
]


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with orchestrated_runtime() as runtime:
        yield runtime


@pytest.fixture
def toolset(runtime: Runtime) -> Iterator[OrchestratorTools]:
    with runtime.toolset("boss") as toolset:
        yield toolset


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


def test_the_tools_are_the_five_then_the_others_then_transfer_task(toolset: OrchestratorTools) -> None:
    assert [schema["function"]["name"] for schema in toolset.schemas] == [*FIVE, "think", "transfer_task"]


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
    toolset: OrchestratorTools, name: str, types: dict[str, Any], required: list[str]
) -> None:
    (schema,) = (schema for schema in toolset.schemas if schema["function"]["name"] == name)

    assert parameters(schema) == types
    assert schema["function"]["parameters"]["required"] == required
    assert schema["function"]["description"]
    assert all(parameter["description"] for parameter in schema["function"]["parameters"]["properties"].values())


def test_the_schemas_are_json(toolset: OrchestratorTools) -> None:
    assert json.loads(json.dumps(toolset.schemas)) == toolset.schemas


class Nobody:
    """A gateway that nobody asks anything."""

    def ask(self, request: TaskRequest) -> Future[Any]:
        raise AssertionError(request)


@pytest.mark.parametrize("kind", [name for name, kind in TOOLSETS.items() if kind.tools is not None])
def test_what_the_checker_knows_of_a_toolsets_tools_is_what_the_toolset_offers(kind: str, tmp_path: Path) -> None:
    # Tools that an entry has to ask for.
    options = {"steer": True, "fan_out": True} if kind == "background_agents" else {}
    agent = AgentConfig(name="a", toolsets=(ToolsetConfig(type=kind, options=options),))

    (toolset,) = build_toolsets(
        agent, gateway=Nobody(), working_directory=tmp_path, environ={}, settings=Settings(), is_asked=True
    )

    assert sorted(tool.name for tool in toolset.tools) == sorted(TOOLSETS[kind].tools or ())
    asyncio.run(ToolBox([toolset]).close())


def test_an_agent_without_sub_agents_cannot_transfer_tasks() -> None:
    with (
        Runtime.from_mapping({"agents": {"a": model("streams", toolsets=[{"type": "think"}])}}, standby=0) as runtime,
        runtime.toolset("a") as toolset,
    ):
        assert [schema["function"]["name"] for schema in toolset.schemas] == ["think"]
        assert "There is no tool 'transfer_task'. Available tools: think." in toolset.call("transfer_task").text


# --- what they answer -----------------------------------------------------------------------------------------------


def test_run_answers_with_the_id_while_the_process_is_still_starting() -> None:
    with Runtime.from_mapping(orchestrated(), standby=0) as runtime, runtime.toolset("boss") as toolset:
        with _no_process_is_forked():
            answer = call(toolset, "run_background_agent", agent="echo", task="hello")
            (view,) = runtime.list()

        assert view.status == "starting"
        assert answer.data == {"task_id": view.id, "agent": "echo"}
        assert view.id in answer.text


@contextlib.contextmanager
def _no_process_is_forked() -> Iterator[None]:
    """Have the zygotes of this process stand still, for less than makes their hosts take them for dead."""
    seen = [look_at(pid) for pid in children_of(os.getpid())]
    zygotes = [process.pid for process in seen if process is not None and process.name == "subactors-zyg"]
    assert zygotes
    for zygote in zygotes:
        os.kill(zygote, signal.SIGSTOP)
    try:
        yield
    finally:
        for zygote in zygotes:
            os.kill(zygote, signal.SIGCONT)


def test_what_is_expected_reaches_the_agent(runtime: Runtime, toolset: OrchestratorTools) -> None:
    for expected in ("three lines", None):
        answer = call(toolset, "run_background_agent", agent="report", task="x", expected_output=expected)
        (view,) = runtime.wait([answer.data["task_id"]])
        assert view.result["expected_output"] == expected


def test_half_characters_in_a_task_become_whole_ones_or_are_replaced(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    answer = toolset.call("run_background_agent", r'{"agent": "echo", "task": "\ud83d\ude00 and \ud800"}')

    (view,) = runtime.wait([answer.data["task_id"]])
    assert (view.status, view.result) == ("completed", "😀 and �")


def test_list_has_the_callers_tasks_oldest_first_and_the_room_there_is(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
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


def test_view_shows_live_output_then_the_result(runtime: Runtime, toolset: OrchestratorTools) -> None:
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


def test_a_structured_result_is_shown_as_json(runtime: Runtime, toolset: OrchestratorTools) -> None:
    task_id = started(toolset, "returns", "mapping")
    runtime.wait([task_id])

    answer = call(toolset, "view_background_agent", task_id=task_id)

    assert json.loads(answer.text.split("--- Result ---\n")[1]) == {"a": [1, None, {"b": True}]}
    assert answer.data["result"] == {"a": [1, None, {"b": True}]}


def test_a_task_that_has_said_and_returned_nothing_is_shown_as_that(
    runtime: Runtime, toolset: OrchestratorTools
) -> None:
    task_id = started(toolset, "returns", "none")
    runtime.wait([task_id])

    assert call(toolset, "view_background_agent", task_id=task_id).text.endswith("--- Result ---\n(nothing)")


def test_stop_says_what_was_ended_and_how(runtime: Runtime, toolset: OrchestratorTools) -> None:
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
    with Runtime.from_mapping({"agents": agents}, standby=0) as runtime, runtime.toolset("top") as toolset:
        start = ["run_background_agent", {"agent": "waits", "task": "x"}]
        boss = started(toolset, "boss", plan([start, start], {"wait_for": "/nowhere"}, {"answer": "never"}))
        wait_until(lambda: sum(view.output != "" for view in runtime.list()) == 2, "both have spoken")

        answer = call(toolset, "stop_background_agent", task_id=boss)

    assert "With it ended 2 tasks that it had started:" in answer.text
    assert answer.text.count("(waits): stopped. Stopped by top, together with") == 2
    assert len(answer.data["tasks"]) == 3


def test_transfer_task_waits_and_answers_with_the_result(toolset: OrchestratorTools) -> None:
    answer = call(toolset, "transfer_task", agent="echo", task="the answer")

    assert (answer.text, answer.is_error) == ("the answer", False)
    assert answer.data["status"] == "completed"
    assert json.loads(call(toolset, "transfer_task", agent="returns", task="tuple").text) == [1, [2]]
    assert call(toolset, "transfer_task", agent="returns", task="none").text == "(nothing)"


def test_transfer_task_to_an_agent_that_fails_is_an_error_with_the_reason(toolset: OrchestratorTools) -> None:
    answer = call(toolset, "transfer_task", agent="raises", task="no good")

    assert answer.is_error
    assert "Reason: ValueError: no good" in answer.text
    assert "so far" in answer.text
    assert answer.data["status"] == "failed"


def test_the_structured_twin_of_an_answer_is_plain_json(toolset: OrchestratorTools) -> None:
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


def test_a_task_without_a_slot_is_queued_and_all_tools_say_so() -> None:
    with Runtime.from_mapping(orchestrated(), max_running=1, standby=0) as runtime, runtime.toolset("boss") as toolset:
        first = started(toolset, "waits")

        answer = call(toolset, "run_background_agent", agent="echo", task="hello")

        queued = runtime.list()[1].id
        assert answer.text.startswith(f"Queued {queued}: echo starts by itself when a slot is free; it is number 1")
        assert answer.data == {"task_id": queued, "agent": "echo", "queue_place": 1}
        listed = call(toolset, "list_background_agents")
        assert listed.text.startswith(
            "2 background tasks, 1 still at work, 1 queued. 1 of 1 slots are in use, 0 free. "
            "1 of 1000 places in the queue are taken."
        )
        assert f"{queued}  echo  queued  0.0 s · place 1 in the queue" in listed.text
        assert (listed.data["queued"], listed.data["max_queued"]) == (1, 1000)
        viewed = call(toolset, "view_background_agent", task_id=queued)
        assert "place 1 in the queue" in viewed.text
        assert (viewed.data["status"], viewed.data["queue_place"], viewed.data["started_at"]) == ("queued", 1, "")
        stopped = call(toolset, "stop_background_agent", task_id=queued)
        assert "Stopped by boss while it was queued." in stopped.text
        call(toolset, "stop_background_agent", task_id=first)


def test_a_task_that_waits_for_another_waits_while_that_is_queued() -> None:
    with Runtime.from_mapping(orchestrated(), max_running=1, standby=0) as runtime, runtime.toolset("boss") as toolset:
        first = runtime.run("waits", "x")
        with ThreadPoolExecutor(1) as pool:
            transfer = pool.submit(call, toolset, "transfer_task", agent="echo", task="hello")
            wait_until(lambda: len(runtime.list()) == 2, "it has been queued")
            assert runtime.list()[1].status == "queued"
            runtime.stop(first)
            assert transfer.result(30.0).text == "hello"
