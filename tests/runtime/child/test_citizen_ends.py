"""Entrypoints with tools and a model: their keys, what stops them, and what is left when they end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model_server import ModelServer, Stall, Status, Text
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskCalledTool, TaskGotToolAnswer
from teams import run_and_wait, speaking

pytestmark = pytest.mark.usefixtures("zygote_for_mcp")

SHELL: dict[str, Any] = {"type": "shell"}


def citizen(name: str, **more: Any) -> dict[str, Any]:
    return {"entrypoint": f"citizen_entrypoints:{name}", "toolsets": [SHELL], "workdir": "private", **more}


def alone(name: str, **more: Any) -> Runtime:
    """A runtime for one agent."""
    return Runtime.from_mapping({"agents": {"a": citizen(name, **more)}}, standby=0, stop_grace=5.0)


@pytest.fixture(autouse=True)
def _has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret-of-the-test")


def asking(name: str, server: ModelServer, **more: Any) -> Runtime:
    """A runtime for one agent with a model."""
    model = {"provider": "openai", "model": "m", "base_url": server.base_url, "token_key": "TEST_KEY"}
    team = {"models": {"m": model}, "agents": {"a": citizen(name, model="m", instruction="Theirs.", **more)}}
    return Runtime.from_mapping(team, standby=0, stop_grace=5.0)


@pytest.mark.parametrize(("keys", "own"), [(False, None), (True, "sk-secret-of-the-test")])
def test_a_model_has_its_key_whether_or_not_the_function_finds_it(keys: bool, own: str | None) -> None:
    with ModelServer([Text("yes")]) as server, asking("uses_keys", server, keys=keys) as runtime:
        view = run_and_wait(runtime, "a")

        assert view.status == "completed", view.reason
        assert view.result["answer"] == "yes"
        assert view.result["own"] == own
        assert view.result["shell"].endswith("[]")
        assert server.authorizations == ["Bearer sk-secret-of-the-test"]


@pytest.mark.usefixtures("own_zygote")
@pytest.mark.parametrize("name", ["hangs_in_a_tool", "awaits_a_hanging_tool"])
def test_a_stop_ends_a_call_and_what_it_runs(name: str) -> None:
    with alone(name) as runtime:
        task = speaking(runtime, "a")
        wait_until(lambda: runtime.view(task).doing == "in shell", "it is in the tool")
        (view,) = runtime.stop(task)

    assert view.status == "stopped"
    assert "killed" not in view.reason


def test_a_call_that_is_cancelled_ends_what_it_runs() -> None:
    with alone("gives_up_a_tool") as runtime:
        view = run_and_wait(runtime, "a")

    assert (view.status, view.result) == ("completed", "gone"), view.reason


def test_a_tool_is_awaited_in_any_event_loop() -> None:
    with alone("calls_a_tool_under_trio") as runtime:
        assert run_and_wait(runtime, "a").result == "said"


def test_tools_are_closed_when_the_function_fails() -> None:
    with alone("fails_with_tools_open") as runtime:
        view = run_and_wait(runtime, "a")

    assert (view.status, view.reason) == ("failed", "ValueError: as it should")


def test_calls_of_a_function_are_events() -> None:
    with alone("calls_tools") as runtime, runtime.events() as events:
        run_and_wait(runtime, "a", json.dumps([["shell", {"cmd": "echo hi"}]]))
        seen = []
        for event in events:
            seen.append(event)
            if isinstance(event, TaskGotToolAnswer):
                break

    called = next(event for event in seen if isinstance(event, TaskCalledTool))
    assert (called.name, json.loads(called.arguments)) == ("shell", {"cmd": "echo hi"})
    assert "hi" in seen[-1].text


def test_a_toolset_that_cannot_be_opened_fails_its_first_use() -> None:
    with alone("calls_tools", toolsets=[{"type": "mcp", "command": "true"}]) as runtime:
        view = run_and_wait(runtime, "a", json.dumps([["x", {}]]))

    assert view.status == "failed"
    assert "ToolsetError" in view.reason or "MCP" in view.reason


def test_an_optional_toolset_that_is_missing_is_told_and_left_out() -> None:
    toolsets = [SHELL, {"type": "mcp", "command": "no-such-program-here", "optional": True}]
    with alone("calls_tools", toolsets=toolsets) as runtime:
        view = run_and_wait(runtime, "a", json.dumps([["shell", {"cmd": "echo hi"}]]))

    assert view.status == "completed", view.reason
    assert "The task goes on without it.]" in view.output


def test_a_limit_on_iterations_bounds_how_often_a_model_is_asked() -> None:
    script = [Text("1"), Text("2"), Text("3")]
    limits = {"iterations": 2}
    with ModelServer(script) as server, asking("asks_until_it_may_not", server, limits=limits) as runtime:
        view = run_and_wait(runtime, "a")

        assert "has asked its model 2 times" in view.result
        assert server.requests[0].messages[0]["content"] == "Mine."
        assert len(server.requests[0].messages) == 2


def test_what_is_no_message_is_refused_before_anything_is_sent() -> None:
    with ModelServer([]) as server, asking("asks_nonsense", server) as runtime:
        assert "A message is a mapping" in run_and_wait(runtime, "a").result


def test_a_model_that_cannot_answer_raises_and_what_it_cost_is_counted() -> None:
    script = [Text("", usage=(7, 0), finish="length"), Status(401)]
    with ModelServer(script) as server, asking("asks_its_model", server) as runtime:
        view = run_and_wait(runtime, "a", "x")

    assert view.status == "failed"
    assert view.usage.input_tokens == 7


def test_a_stop_ends_a_request_to_a_model() -> None:
    with ModelServer([Stall()]) as server, asking("talks_with_its_model", server) as runtime:
        task = runtime.run("a", "x")
        server.wait_for_requests(1)
        view = task.stop()
        server.wait_for_disconnects(1)

    assert view.status == "stopped"


def test_a_tool_that_would_wait_for_itself_is_told_so() -> None:
    functions = {"type": "python", "functions": ["citizen_entrypoints:blocks_its_own_loop"]}
    with alone("has_a_tool_that_would_hang", toolsets=[functions, {"type": "think"}]) as runtime:
        view = run_and_wait(runtime, "a")

    assert view.status == "completed", view.reason
    assert "must await here" in view.result
