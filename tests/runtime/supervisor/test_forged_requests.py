"""Requests that no library code of ours makes: what a task may start, and with what, the host alone decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from subactors.runtime import Runtime
from subactors.runtime.tasks.messages import StopTasks, ViewTask, WaitTasks
from teams import PATIENCE, entrypoint, run_and_wait, speaking


def forging(name: str = "forges", **more: Any) -> dict[str, Any]:
    return {"entrypoint": f"forging_entrypoints:{name}", **more}


TEAM: dict[str, Any] = {
    "agents": {
        "model": {"model": "openai/never-asked", "sub_agents": ["echo"]},
        "forges": forging(sub_agents=["echo"], limits={"tokens": 1000, "wall_clock": 50}),
        "keyless": forging(keys=False),
        "keyed": forging(),
        "reports": forging("reports"),
        "requests": forging("requests"),
        "private": entrypoint("echo"),
        "echo": entrypoint("echo"),
        "waits": entrypoint("waits"),
        "says": entrypoint("says"),
        "raises": entrypoint("raises"),
    },
    "models": {"keyed": {"provider": "openai", "model": "x", "token_key": "TEST_KEY"}},
    "runtime": {"preload": ["forging_preload"]},
}


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_KEY", "sk-secret-of-the-test")
        with Runtime.from_mapping(TEAM, standby=0, stop_grace=0.5, **place) as runtime:
            run_and_wait(runtime, "echo", "warm up")
            yield runtime


@pytest.fixture(autouse=True)
def _the_supervisor_goes_on(runtime: Runtime) -> Iterator[None]:
    yield
    assert run_and_wait(runtime, "echo", "still there").result == "still there"


@pytest.mark.parametrize("kind", ["call", "options"])
def test_a_task_without_code_of_its_own_starts_agents_only_and_as_they_are(runtime: Runtime, kind: str) -> None:
    view = run_and_wait(runtime, "model", kind)

    assert view.status == "completed", view.reason
    assert all("Agent 'model' runs no code of its own" in answer for answer in json.loads(view.result))


def test_such_a_task_may_narrow_limits(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "model", "usual")

    assert view.result.startswith('["agent_task_'), view.result


def test_the_name_of_a_function_has_a_bound(runtime: Runtime) -> None:
    long, empty = run_and_wait(runtime, "forges", "names").result

    assert "has 100,000 characters" in long
    assert "has 0 characters" in empty


def test_limits_and_privileges_of_a_function_never_grow(runtime: Runtime) -> None:
    parent = speaking(runtime, "forges", "wider")
    (child,) = [view for view in runtime.list() if view.parent == parent]
    task = runtime._host.registry.get(child.id)
    runtime.stop(parent)

    assert task is not None
    assert (task.setup.limits.tokens, task.setup.limits.wall_clock) == (1000, 50)
    assert task.setup.agent.privileges == "drop"
    assert runtime.view(child.id).status == "stopped"


@pytest.mark.parametrize(("agent", "key"), [("keyless", None), ("keyed", "sk-secret-of-the-test")])
def test_keys_of_a_function_are_those_of_whoever_starts_it(runtime: Runtime, agent: str, key: str | None) -> None:
    (child,) = run_and_wait(runtime, agent, "what it has").result

    assert runtime.view(child).result == {"key": key}


def test_a_call_that_nobody_can_open_fails_its_own_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "forges", "no pickle")
    (child,) = runtime.wait(view.result)

    assert (view.status, child.status) == ("completed", "failed")
    assert "Unpickling" in child.reason


def test_data_that_is_none_fails_its_own_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "forges", "data")
    (child,) = runtime.wait(view.result)

    assert (view.status, child.status) == ("completed", "failed")


def test_an_agent_that_is_no_sub_agent_is_refused(runtime: Runtime) -> None:
    (answer,) = run_and_wait(runtime, "forges", "not in the team").result

    assert "There is no agent 'private'" in answer


def test_what_calls_hold_counts_towards_what_is_kept_of_a_tasks_tasks(runtime: Runtime) -> None:
    *_, last = run_and_wait(runtime, "forges", "large").result

    assert "take up" in last


@pytest.mark.parametrize(
    "options",
    [
        {"limits": {"tokens": -1}},
        {"limits": {"wall_clock": 0}},
        {"restart": {"backoff": -1.0}},
        {"restart": {"period": 1e999}},
        {"restart": {"max_restarts": -1}},
        {"workdir": "/"},
        {"key": "x" * 1000},
        {"key": ""},
    ],
)
def test_options_that_nobody_may_have_break_the_protocol(runtime: Runtime, options: dict[str, Any]) -> None:
    request = {"type": "run", "agent": "echo", "task": "x", "options": options}
    view = run_and_wait(runtime, "requests", json.dumps(request))

    assert view.status == "failed"
    assert "broke the protocol" in view.reason


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "[]",
        "{}",
        '{"properties": []}',
        '{"properties": {}, "required": [[1]]}',
        '{"properties": {"a": ' + "[" * 9000,
        '{"properties": {"a": ' + "[" * 900 + "]" * 900 + "}}",
    ],
)
def test_a_question_whose_schema_nobody_could_read_breaks_the_protocol(runtime: Runtime, schema: str) -> None:
    view = run_and_wait(runtime, "requests", json.dumps({"type": "ask", "text": "What?", "schema": schema}))

    assert view.status == "failed"
    assert "broke the protocol" in view.reason


@pytest.mark.parametrize("kind", ["view", "wait", "stop"])
def test_less_output_than_none_is_no_limit(runtime: Runtime, kind: str) -> None:
    whose = {"task_id": "x"} if kind == "view" else {"task_ids": ["x"]}
    view = run_and_wait(runtime, "requests", json.dumps({"type": kind, "limit": -1, **whose}))

    assert view.status == "failed"
    assert "broke the protocol" in view.reason


@pytest.mark.parametrize("agent", ["says", "raises", "waits"])
def test_whoever_wants_no_output_is_sent_none(runtime: Runtime, agent: str) -> None:
    task = speaking(runtime, agent, "something to say")
    (stopped,) = runtime._host.ask(StopTasks([task], limit=0)).result(PATIENCE).tasks
    (ended,) = runtime._host.ask(WaitTasks([task], limit=0)).result(PATIENCE).tasks
    view = runtime._host.ask(ViewTask(task, limit=0)).result(PATIENCE)

    assert (stopped.output, ended.output, view.output) == ("", "", "")
    assert runtime.view(task).output


@pytest.mark.parametrize("figures", [{"input_tokens": -1}, {"requests": -1}, {"cost": -1.0}, {"cost": 1e300}])
def test_no_usage_is_taken_back(runtime: Runtime, figures: dict[str, Any]) -> None:
    view = run_and_wait(runtime, "reports", json.dumps({"type": "turn_ended", "usage": figures, "messages": []}))

    assert view.status == "failed"
    assert "broke the protocol" in view.reason


def test_a_task_takes_note_of_its_own_tasks_only(runtime: Runtime) -> None:
    other = runtime.run("echo", "unread").id
    task = runtime._host.registry.get(other)
    assert task is not None
    runtime.run("echo", "x").result(30)
    while not task.is_over:
        run_and_wait(runtime, "echo", "x")

    view = run_and_wait(runtime, "reports", json.dumps({"type": "noted", "seen": [other, "x"], "dropped": [1, 2, 3]}))

    assert (view.status, view.result) == ("completed", "handled"), view.reason
    assert not task.read


def test_a_note_without_end_breaks_the_protocol(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "reports", json.dumps({"type": "noted", "dropped": [1] * 20_000}))

    assert "broke the protocol" in view.reason
