"""Spans and metrics of a fan-out of three levels, with a crash and a kill: a real program with the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from traced_team import UNTOLD

pytest.importorskip("opentelemetry.sdk", reason="The SDK of OpenTelemetry is not installed.")

KIT: Final = Path(__file__).parents[2] / "kit"
PATIENCE: Final = 50.0


def run_host(**environ: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, KIT / "traced_host.py"],
        env={**os.environ, "PYTHONPATH": str(KIT), **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return run_host()


def named(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [span for span in told["spans"] if span["name"] == name]


def of_agent(told: dict[str, Any], agent: str) -> dict[str, Any]:
    span, *_ = named(told, f"invoke_agent {agent}")
    return dict(span)


def points(told: dict[str, Any], name: str, attribute: str, what: str = "count") -> Counter[str]:
    found: Counter[str] = Counter()
    for point in told["metrics"][name]:
        found[point["attributes"].get(attribute, "")] += point[what]
    return found


def test_each_task_is_a_trace_of_its_own_whose_root_is_internal(told: dict[str, Any]) -> None:
    roots = [span for span in told["spans"] if span["name"].startswith("invoke_agent ")]

    assert {span["attributes"]["subactors.task.id"] for span in roots} == set(told["views"])
    assert [span["parent"] for span in roots] == [None] * len(roots)
    assert {span["kind"] for span in roots} == {"INTERNAL"}
    assert len({span["trace"] for span in roots}) == len(roots)


def test_a_task_and_the_tool_call_that_started_it_have_links_to_each_other(told: dict[str, Any]) -> None:
    by_id = {span["id"]: span for span in told["spans"]}
    started = [span for span in told["spans"] if span["name"].startswith("invoke_agent ")]
    starters = {span["attributes"]["subactors.task.id"]: by_id[span["links"][0]] for span in started}

    assert Counter(span["name"] for span in starters.values()) == {
        "the program's own": 1,
        "execute_tool run_background_agent": 5,
        "execute_tool transfer_task": 1,
    }
    for span in started:
        assert span["id"] in starters[span["attributes"]["subactors.task.id"]]["links"]


def test_all_spans_are_one_connected_picture(told: dict[str, Any]) -> None:
    near: dict[str, set[str]] = {}
    for span in told["spans"]:
        for other in [span["parent"], *span["links"]]:
            if other is not None:
                near.setdefault(span["id"], set()).add(other)
                near.setdefault(other, set()).add(span["id"])
    reached, waiting = set(), [told["spans"][0]["id"]]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += near[one]

    assert reached == {span["id"] for span in told["spans"]}


def test_a_killed_task_has_its_span_with_the_signal(told: dict[str, Any]) -> None:
    span = of_agent(told, "waiting")

    assert (span["status"], span["attributes"]["error.type"]) == ("ERROR", "SIGKILL")
    assert span["began"] < span["ended"]


def test_a_crash_ends_the_tool_that_the_task_was_in_and_a_restart_is_an_event(told: dict[str, Any]) -> None:
    task = of_agent(told, "crashing")
    tools = named(told, "execute_tool die")

    assert task["events"].count("running") == 2
    assert task["events"].count("restarting") == 1
    assert [(span["parent"], span["attributes"]["error.type"]) for span in tools] == [(task["id"], "SIGSEGV")] * 2
    assert len(named(told, "chat traced_team:crash")) == 2  # the model had answered


def test_a_turn_is_a_chat_of_a_client_and_a_tool_is_internal(told: dict[str, Any]) -> None:
    task = of_agent(told, "worker")
    first, second = sorted(named(told, "chat traced_team:worker"), key=lambda span: span["began"])
    (tool,) = named(told, "execute_tool think")

    assert [span["parent"] for span in (first, tool, second)] == [task["id"]] * 3
    assert [span["kind"] for span in (first, tool, second)] == ["CLIENT", "INTERNAL", "CLIENT"]
    assert first["ended"] <= tool["began"] < tool["ended"] <= second["ended"]
    assert (
        tool["attributes"].items()
        >= {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "think",
            "gen_ai.tool.call.id": "call_0",
            "gen_ai.agent.name": "worker",
        }.items()
    )
    assert (
        first["attributes"].items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "traced_team:worker",
            "gen_ai.conversation.id": task["attributes"]["subactors.task.id"],
        }.items()
    )


def test_no_content_is_in_a_span_of_its_own_accord(told: dict[str, Any]) -> None:
    assert UNTOLD not in json.dumps(told["spans"])
    assert "Let me think" not in json.dumps(told["spans"])


@pytest.mark.slow
def test_content_is_in_spans_on_request() -> None:
    told = run_host(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")

    (think,) = named(told, "execute_tool think")
    first = min(named(told, "chat traced_team:worker"), key=lambda span: span["began"])
    assert UNTOLD in think["attributes"]["gen_ai.tool.call.arguments"]
    assert json.loads(first["attributes"]["gen_ai.output.messages"])[0]["parts"][0]["content"] == "Let me think."
    root = of_agent(told, "root")["attributes"]
    assert json.loads(root["gen_ai.input.messages"])[0]["parts"][0]["content"] == "go"
    assert json.loads(root["gen_ai.output.messages"])[0]["parts"][0]["content"] == "the end"


def test_metrics_count_ends_restarts_tasks_alive_and_queued(told: dict[str, Any]) -> None:
    assert points(told, "subactors.task.ended", "subactors.task.status", "value") == {"completed": 5, "failed": 2}
    assert points(told, "subactors.task.ended", "error.type", "value") == {"": 5, "SIGKILL": 1, "SIGSEGV": 1}
    assert points(told, "subactors.task.restarts", "gen_ai.agent.name", "value") == {"crashing": 1}
    assert points(told, "subactors.tasks.alive", "", "value") == {"": 0}
    assert points(told, "subactors.queue.length", "", "value") == {"": 0}


def test_metrics_have_durations_of_agents_tools_models_and_starts(told: dict[str, Any]) -> None:
    assert points(told, "gen_ai.invoke_agent.duration", "gen_ai.agent.name")["middle"] == 2
    assert points(told, "gen_ai.execute_tool.duration", "gen_ai.tool.name")["die"] == 2
    assert points(told, "gen_ai.client.operation.duration", "gen_ai.request.model")["traced_team:worker"] == 2
    assert points(told, "subactors.task.start.duration", "gen_ai.agent.name").total() == 7


def test_a_task_knows_its_place_in_the_trace_in_its_environment_and_its_log_records(told: dict[str, Any]) -> None:
    (known,) = [view["result"] for view in told["views"].values() if view["agent"] == "knowing"]
    span = of_agent(told, "knowing")

    assert known["traceparent"] == known["variable"]
    assert known["traceparent"].split("-")[1:3] == [span["trace"], span["id"]]
    assert known["record"] == [span["trace"], span["id"], known["id"], "knowing"]


def test_neither_zygote_nor_task_has_an_sdk_or_a_thread_of_an_exporter(told: dict[str, Any]) -> None:
    (known,) = [view["result"] for view in told["views"].values() if view["agent"] == "knowing"]

    assert told["threads"] == [1]
    assert known["modules"] == []


def test_without_an_sdk_nothing_of_it_is_imported_by_host_or_task() -> None:
    program = """
import sys
from subactors.runtime import Runtime
with Runtime.from_mapping({"agents": {"a": {"entrypoint": "traced_team:untraced"}}}, standby=0) as runtime:
    (view,) = runtime.wait([runtime.run("a", "go")])
print([name for name in sys.modules if name.startswith("opentelemetry")], view.result)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(KIT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert done.stdout == "[] True\n"
