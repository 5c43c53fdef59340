"""Entrypoints with sub-agents, tools and a model of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, ModelServer, Status, Text
from subactors.runtime import Runtime
from teams import entrypoint, run_and_wait


def citizen(name: str, **more: Any) -> dict[str, Any]:
    return {"entrypoint": f"citizen_entrypoints:{name}", **more}


TOOLS: list[dict[str, Any]] = [{"type": "think"}, {"type": "shell"}, {"type": "filesystem", "tools": ["read_file"]}]

TEAM: dict[str, Any] = {
    "agents": {
        "caller": citizen("calls_tools", toolsets=TOOLS, workdir="private"),
        "crowd": citizen("calls_tools_at_once", toolsets=TOOLS),
        "names": citizen("names_tools", toolsets=TOOLS, sub_agents=["echo"], instruction="Be brief."),
        "bare": citizen("says_why_its_model_does_not_answer"),
        "counts": citizen("counts_usage"),
        "spends": citizen("counts_without_end", limits={"tokens": 1000}),
        "runs": citizen("runs_others", sub_agents=["echo"]),
        "submits": citizen("submits_functions"),
        "awaits": citizen("awaits_functions"),
        "lambda": citizen("submits_a_lambda"),
        "gives_up": citizen("gives_up_waits", sub_agents=["waits", "echo"]),
        "maps": citizen("maps_more_than_are_remembered"),
        "wrong": citizen("gives_wrong_types", sub_agents=["echo"]),
        "leaves": citizen("leaves_children", sub_agents=["waits"]),
        "reads_none": citizen("reads_no_results", sub_agents=["echo"]),
        "forks": citizen("forks_and_asks", toolsets=TOOLS, sub_agents=["echo"]),
        "echo": entrypoint("echo"),
        "waits": entrypoint("waits"),
    },
    "permissions": {"deny": ["shell:cmd=rm*"]},
}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, standby=0, stop_grace=0.5) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def test_a_function_calls_the_tools_of_its_agent(runtime: Runtime) -> None:
    calls = [
        ["think", {"thought": "hm"}],
        ["shell", {"cmd": "echo from the shell > told; cat told"}],
        ["read_file", '{"path": "told"}'],
    ]
    view = run_and_wait(runtime, "caller", json.dumps(calls))

    assert view.status == "completed", view.reason
    assert [answer["is_error"] for answer in view.result] == [False, False, False]
    assert "from the shell" in view.result[1]["text"]
    assert "from the shell" in view.result[2]["text"]


def test_what_is_wrong_with_a_call_is_an_answer(runtime: Runtime) -> None:
    calls = [["think", {"thoughts": 1}], ["no_such_tool", {}], ["shell", {"cmd": "rm -r x"}], ["write_file", {}]]
    view = run_and_wait(runtime, "caller", json.dumps(calls))

    assert view.status == "completed", view.reason
    assert all(answer["is_error"] for answer in view.result)
    wrong, unknown, denied, left_out = (answer["text"] for answer in view.result)
    assert "thought" in wrong
    assert "There is no tool 'no_such_tool'" in unknown
    assert "permissions" in denied
    assert "There is no tool 'write_file'" in left_out


def test_calls_run_at_the_same_time(runtime: Runtime, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for pipe in (one, other):
        os.mkfifo(pipe)
    # Each waits for the other.
    calls = [
        ["shell", {"cmd": f"echo 1 > {one}; cat {other}"}],
        ["shell", {"cmd": f"cat {one}; echo 2 > {other}"}],
    ]
    view = run_and_wait(runtime, "crowd", json.dumps(calls))

    assert view.status == "completed", view.reason
    assert [answer["text"].strip()[0] for answer in view.result] == ["2", "1"]


def test_a_function_sees_what_a_model_would_see(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "names")

    assert view.status == "completed", view.reason
    assert view.result["names"] == ["think", "shell", "read_file", "transfer_task"]
    assert view.result["instruction"] == "Be brief."
    assert "think" in view.result["instructions"]


def test_a_function_without_a_model_is_told_how_to_get_one(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "bare")

    assert view.result == (
        "ModelError: 'bare' has no model. Give its agent a `model` beside the `entrypoint` in the team file."
    )


def test_a_function_is_an_agents_loop_of_its_own() -> None:
    script = [Calls(("think", {"thought": "hm"}), usage=(10, 5)), Text("The answer.", usage=(20, 5))]
    with ModelServer(script) as server, Runtime.from_mapping(_with_model(server), standby=0) as runtime:
        view = run_and_wait(runtime, "agent", "What?")

        assert view.status == "completed", view.reason
        assert view.result == {"text": "The answer.", "tokens": 20, "turns": 4}
        assert view.output == "The answer."
        assert (view.usage.input_tokens, view.usage.output_tokens, view.usage.requests) == (30, 10, 2)
        first, second = server.requests
        assert first.messages[0] == {"role": "system", "content": "Answer."}
        assert len(second.tool_answers) == 1


def test_a_sync_function_asks_its_model_and_a_fallback_answers() -> None:
    script = [Status(404), Text("From the other.")]
    with ModelServer(script) as server, Runtime.from_mapping(_with_model(server), standby=0) as runtime:
        view = run_and_wait(runtime, "asks", "What?")

        assert view.result == "From the other."
        assert view.output == ""
        assert [request.model for request in server.requests] == ["first", "second"]


def test_what_a_function_may_use_is_imported_ahead_of_the_tasks() -> None:
    with ModelServer([Text("yes")]) as server, Runtime.from_mapping(_with_model(server), standby=0) as runtime:
        view = run_and_wait(runtime, "imports")

    assert (view.status, view.result) == ("completed", []), view.reason


def test_use_by_other_ways_is_counted_from_any_thread(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "counts", "7")

    assert view.status == "completed", view.reason
    assert (view.usage.input_tokens, view.usage.output_tokens, view.usage.requests) == (70, 10, 10)
    assert view.usage.cost == pytest.approx(5.0)


def test_figures_that_are_no_usage_are_refused(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "counts", "-1")

    assert view.usage.input_tokens == 0
    assert "none below 0" in view.output


def test_a_limit_on_tokens_holds_for_use_by_other_ways(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "spends")

    assert view.status == "failed"
    assert "tokens" in view.reason


def test_a_function_runs_its_sub_agents(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "runs", "a b c")

    assert view.result == ["a", "b", "c"]


def test_a_function_has_functions_run_in_every_way(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "submits")

    assert view.status == "completed", view.reason
    assert view.result == {
        "one": 42,
        "grouped": [0, 2, 4],
        "pooled": [10, 12],
        "chunks": [0, 2, 4, 6, 8],
        "unordered": [0, 2, 4],
        "failure": "ValueError: as it should",
        "done": True,
        "called": True,
    }


def test_a_coroutine_awaits_functions(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "awaits")

    assert view.status == "completed", view.reason
    assert view.result == {"one": 42, "grouped": [0, 2, 4], "chunks": [0, 2, 4, 6, 8]}


def test_a_task_hands_on_functions_of_modules_only_and_says_what_to_do(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "lambda")

    assert "put it into one, or have the host program submit it" in view.result


def test_waits_that_were_cancelled_are_not_counted(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "gives_up")

    assert (view.status, view.result) == ("completed", 3000), view.reason


def test_what_a_mapping_in_a_task_has_given_out_is_read() -> None:
    with Runtime.from_mapping(TEAM, standby=0, max_tasks=5) as small:
        view = run_and_wait(small, "maps", "20")

    assert (view.status, view.result) == ("completed", 380), view.reason


def test_results_that_nobody_reads_take_up_no_room_once_their_owner_has_ended() -> None:
    with Runtime.from_mapping(TEAM, standby=0, max_tasks=8) as small:
        views = [run_and_wait(small, "reads_none", "5") for _ in range(5)]

    assert [view.result for view in views] == ["never refused"] * 5


def test_a_task_that_reads_no_results_is_refused_more_tasks_and_the_host_is_not() -> None:
    with Runtime.from_mapping(TEAM, standby=0, max_tasks=8) as small:
        view = run_and_wait(small, "reads_none", "20")

        assert "6 tasks that you have started have ended" in view.result
        assert run_and_wait(small, "echo", "still there").result == "still there"


def test_a_request_that_cannot_be_sent_fails_where_it_was_made(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "wrong")

    assert view.status == "completed", view.reason
    assert "of type int" in view.result[0]
    assert "of type int" in view.result[1]
    assert "Put what is long into a file" in view.result[2]


def test_what_a_function_has_started_falls_with_it(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "leaves")
    (child,) = runtime.wait([view.result])

    assert child.status == "stopped"
    assert "leaves" in child.reason


def test_a_process_that_a_function_has_forked_neither_calls_tools_nor_starts_tasks(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "forks")

    assert (view.status, view.result) == ("completed", "RuntimeClosedError RuntimeClosedError"), view.reason


def _with_model(server: ModelServer) -> dict[str, Any]:
    models = {
        name: {"provider": "openai", "model": name, "base_url": server.base_url, "token_key": "TEST_KEY"}
        for name in ("first", "second")
    }
    common = {"model": "first", "instruction": "Answer.", "fallback": {"models": ["second"], "retries": 0}}
    return {
        "models": models,
        "agents": {
            "agent": citizen("talks_with_its_model", toolsets=[{"type": "think"}], **common),
            "asks": citizen("asks_its_model", **common),
            "imports": citizen("imports_for_what_it_has", toolsets=[{"type": "think"}], sub_agents=["echo"], **common),
            "echo": entrypoint("echo"),
        },
    }


@pytest.fixture(autouse=True)
def _has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret-of-the-test")
