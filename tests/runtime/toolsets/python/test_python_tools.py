"""Functions as tools: where they run, what a model reads of their results and failures, and how they end."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import python_tools
from model_server import Calls, ModelServer, Text
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView, TeamFileError, ToolAnswer
from subactors.runtime.teamfile.load import team_from_mapping
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.python.toolset import PythonToolset

pytestmark = pytest.mark.usefixtures("zygote_for_models")


def tools(*names: Any, **more: Any) -> dict[str, Any]:
    functions = [f"python_tools:{name}" if isinstance(name, str) else name for name in names]
    return {"type": "python", "functions": functions, **more}


def team(url: str, *toolsets: dict[str, Any], **top: Any) -> dict[str, Any]:
    agent = {"model": "m", "toolsets": list(toolsets)}
    return {"agents": {"a": agent}, "models": {"m": {"provider": "vllm", "model": "x", "base_url": url}}, **top}


def run(server: ModelServer, *toolsets: dict[str, Any], **top: Any) -> TaskView:
    with Runtime.from_mapping(team(server.base_url, *toolsets, **top), standby=0) as runtime:
        (ended,) = runtime.wait([runtime.run("a", "Go.")], timeout=60)
    return ended


def answers(*calls: tuple[str, dict[str, Any]], toolset: dict[str, Any], **top: Any) -> list[str]:
    """What tools answer a model that calls them in one turn."""
    with ModelServer([Calls(*calls), Text("Done.")]) as server:
        ended = run(server, toolset, **top)
        assert ended.status == "completed", ended.reason
        return server.requests[1].tool_answers


def call(name: str, /, *, timeout: float = 30.0, **arguments: Any) -> ToolAnswer:
    box = ToolBox([PythonToolset(functions=[f"python_tools:{name}"], timeout=timeout)])
    return asyncio.run(box.call(name, json.dumps(arguments)))


def test_functions_are_tools_of_a_model_and_run_in_its_process() -> None:
    with ModelServer([Calls(("process_id", {}), ("look_up", {"word": "bee"})), Text("Done.")]) as server:
        with Runtime.from_mapping(team(server.base_url, tools("process_id", "look_up")), standby=0) as runtime:
            task = runtime.run("a", "Go.")
            assert task.result(timeout=60) == "Done."
        first, second = server.requests

    assert [tool["function"]["name"] for tool in first.body["tools"]] == ["process_id", "look_up"]
    process, found = second.tool_answers
    assert int(process) > 0
    assert found == "bee 5 False"


def test_sync_functions_run_in_a_thread_and_async_ones_in_the_loop() -> None:
    python_tools.variable.set("of the caller")

    assert call("in_a_thread", text="here").text == "here in subactors-tool-in_a_thread with of the caller"
    assert call("in_the_loop", text="here").text == "here in MainThread"


def test_a_function_that_raises_is_an_answer_with_its_own_traceback() -> None:
    answer = call("raises", text="no such word")

    assert answer.is_error
    assert answer.text.startswith("raises failed: ValueError: no such word\nTry another.")
    assert "python_tools.py" in answer.text
    assert "raise error" in answer.text
    assert "calls.py" not in answer.text


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises_in_the_loop", "RuntimeError: no luck"),
        ("leaves", "SystemExit: 3"),
        ("leaves_in_the_loop", "SystemExit: 3"),
        ("runs_out", "StopIteration"),
        ("not_plain", "returned what JSON cannot hold"),
    ],
)
def test_whatever_a_function_raises_or_returns_is_an_answer(name: str, error: str) -> None:
    answer = call(name)

    assert answer.is_error
    assert error in answer.text


def test_a_coroutine_that_takes_too_long_is_cancelled() -> None:
    python_tools.log.clear()
    answer = call("sleeps", timeout=0.05)

    assert answer.is_error
    assert "sleeps has not ended after 0.05 s" in answer.text
    assert python_tools.log == ["cancelled"]


def test_a_thread_that_takes_too_long_keeps_nobody_waiting(tmp_path: Path) -> None:
    file = tmp_path / "file"
    answer = call("waits_for_a_file", path=str(file), timeout=0.05)
    file.touch()
    wait_until(
        lambda: not any("waits_for_a_file" in thread.name for thread in threading.enumerate()), "the thread has ended"
    )

    assert answer.is_error
    assert "What the call has done, or may still do, is unknown" in answer.text


def test_a_task_with_a_function_that_never_ends_ends_with_its_stop(tmp_path: Path) -> None:
    calls = Calls(("waits_for_a_file", {"path": str(tmp_path / "never")}))
    with (
        ModelServer([calls]) as server,
        Runtime.from_mapping(team(server.base_url, tools("waits_for_a_file")), stop_grace=0.5, standby=0) as runtime,
    ):
        task = runtime.run("a", "Go.")
        server.wait_for_requests(1)
        assert task.stop().status == "stopped"


def test_a_function_may_want_the_task_which_no_model_sees() -> None:
    with ModelServer([Calls(("says_its_task", {"text": "hello"})), Text("Done.")]) as server:
        ended = run(server, tools("says_its_task"))

    parameters = server.requests[0].body["tools"][0]["function"]["parameters"]
    assert list(parameters["properties"]) == ["text"]
    assert server.requests[1].tool_answers == [f"a {ended.id} Go."]
    assert "<hello>" in ended.output


def test_callables_of_the_program_are_tools() -> None:
    places = {"bee": 7}

    def count(word: str) -> int:
        """Count a word."""
        return places[word]

    found = answers(
        ("count", {"word": "bee"}),
        ("sell", {"article": "tea"}),
        ("look_up", {"word": "ant"}),
        toolset=tools(count, python_tools.Shop().sell, functools.partial(python_tools.look_up, limit=2)),
    )

    assert found == ["7", "tea sold", "ant 2 False"]


def test_permissions_hold_for_functions() -> None:
    found = answers(
        ("look_up", {"word": "secret"}),
        ("look_up", {"word": "bee"}),
        toolset=tools("look_up"),
        permissions={"deny": ["look_up:word=secret"]},
    )

    assert "denied" in found[0]
    assert found[1] == "bee 5 False"


def test_a_function_finds_keys_and_its_errors_show_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a1b2c3d4e5f6g7h8i9-wxyz")
    found = answers(("shows_key", {}), ("quotes_key", {}), toolset=tools("shows_key", "quotes_key"))

    assert found[0] == "wxyz"
    assert "sk-a1b2" not in found[1]
    assert "?key=[key]" in found[1]


def test_a_function_that_is_not_there_fails_the_task_with_the_reason() -> None:
    with ModelServer([]) as server:
        ended = run(server, tools("lok_up"))

    assert ended.status == "failed"
    assert "Did you mean 'look_up'?" in (ended.reason or "")


def test_an_optional_toolset_without_its_function_is_done_without() -> None:
    with ModelServer([Text("Done.")]) as server:
        ended = run(server, tools("lok_up", optional=True), tools("look_up"))

    assert ended.status == "completed", ended.reason
    assert "The optional toolset python is missing in this task" in ended.output
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == ["look_up"]


def test_an_orchestrator_of_the_program_calls_functions_in_the_programs_process() -> None:
    mapping = team("http://127.0.0.1:9/v1", tools("process_id"))
    with Runtime.from_mapping(mapping, standby=0) as runtime, runtime.toolset("a") as toolset:
        assert toolset.call("process_id").data == python_tools.process_id()


@pytest.mark.parametrize(
    ("toolset", "path", "message"),
    [
        ({}, "", "This toolset has no `functions`"),
        ({"functions": []}, ".functions", "There are no functions here"),
        ({"functions": ["look_up"]}, ".functions[0]", "'look_up' names no function"),
        ({"functions": ["__main__:f"]}, ".functions[0]", "in the host's own script"),
        ({"functions": ["a:f", "b:f"]}, ".functions[1]", "Two functions are called 'f'"),
        ({"functions": ["a:grün"]}, ".functions[0]", "letters from A to Z"),
        ({"functions": [lambda: 1]}, ".functions[0]", "letters from A to Z"),
        ({"functions": [threading.Lock().acquire]}, ".functions[0]", "cannot be sent to a process of its own"),
        ({"functions": ["a:f"], "tools": ["g"]}, ".tools[0]", "Its tools are: f"),
        ({"functions": ["a:f"], "timeout": 0}, ".timeout", "a number above 0"),
    ],
)
def test_a_check_tells_what_is_wrong_and_imports_nothing(toolset: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(TeamFileError) as caught:
        team_from_mapping(team("http://127.0.0.1:9/v1", {"type": "python", **toolset}))

    (problem,) = caught.value.problems
    assert problem.path == f"agents.a.toolsets[0]{path}"
    assert message in problem.message + problem.remedy
