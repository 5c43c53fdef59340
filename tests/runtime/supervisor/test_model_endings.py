"""How a task of an agent with a model ends, for whatever reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from teams import model, plan, run_and_wait, speaking


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    agents = {
        "shower": model("shows_its_conversation", instruction="Be brief.", toolsets=[{"type": "think"}]),
        "streamer": model("streams"),
        "raiser": model("raises"),
        "thinker": model("thinks_without_end", toolsets=[{"type": "think"}], max_iterations=3),
        "waiter": model("waits"),
        "stuck": model("is_stuck"),
        "missing": model("no_such_function"),
        "planner": model("follows_a_plan", toolsets=[{"type": "think"}]),
    }
    with Runtime.from_mapping({"agents": agents}, stop_grace=0.5, standby=0, **place) as runtime:
        run_and_wait(runtime, "streamer")
        yield runtime


def test_a_sub_agent_is_told_its_instruction_its_task_and_what_is_expected(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "shower", "Find the door.", expected_output="its colour")

    seen = json.loads(view.result)
    assert [message["role"] for message in seen["messages"]] == ["system", "user"]
    told, _ = (message["content"] for message in seen["messages"])
    assert told.startswith("Be brief.")
    assert "Find the door." in told
    assert "its colour" in told
    assert seen["tools"] == ["think"]


def test_what_a_model_streams_is_output_and_answer(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "streamer")

    assert (view.status, view.result, view.output) == ("completed", "One, two, three.", "One, two, three.")
    assert view.usage.requests == 1


def test_a_model_that_raises_fails_the_task_with_its_exception(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "raiser")

    assert (view.status, view.reason) == ("failed", "KeyError: 'no such thing'")


def test_a_model_that_cannot_be_had_fails_the_task_and_says_why(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "missing")

    assert view.status == "failed"
    assert "no attribute 'no_such_function'" in view.reason


def test_max_iterations_fails_the_task_with_the_limit(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "thinker")

    assert view.status == "failed"
    assert "reached max_iterations (3) without a final answer" in view.reason
    assert view.usage.requests == 3


def test_identical_turns_fail_the_task_with_what_was_repeated(runtime: Runtime) -> None:
    same = [["think", {"thought": "again"}]]

    view = run_and_wait(runtime, "planner", plan(same, same, same, same, same, {"answer": "never"}))

    assert view.status == "failed"
    assert "5 identical turns in a row" in view.reason


def test_the_log_of_thoughts_belongs_to_one_task(runtime: Runtime) -> None:
    ids = [runtime.run("planner", plan([["think", {"thought": f"mine is {name}"}]], "answers")) for name in ("a", "b")]

    answers = [json.loads(view.result) for view in runtime.wait(ids)]

    assert answers == [["Thoughts so far:\nmine is a"], ["Thoughts so far:\nmine is b"]]


def test_a_stop_cancels_a_model_that_can_be_cancelled(runtime: Runtime) -> None:
    view = runtime.stop(speaking(runtime, "waiter"))[0]

    assert view.status == "stopped"
    assert view.reason.startswith("Stopped by the host program; it ended ")
    assert view.output == "so far "


def test_a_model_that_cannot_be_cancelled_is_killed_after_the_grace_period(runtime: Runtime) -> None:
    task_id = speaking(runtime, "stuck")
    logs = runtime._host.folder.path / "log"
    wait_until(lambda: any("stuck from here on" in log.read_text() for log in logs.iterdir()), "the model is stuck")
    view = runtime.stop(task_id)[0]

    assert view.status == "stopped"
    assert "killed after" in view.reason
    assert view.output == "so far "
