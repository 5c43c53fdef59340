"""Tasks whose models are fake OpenAI servers that others have published: fakellm and llmock from PyPI, aimock from npm.

They speak the protocol as their authors understand it, and break it in the ways that their authors have met.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_servers import FakeServer, aimock, fakellm, llmock
from first_forms import first_always
from installed_programs import NotInstalledError
from subactors.runtime import Runtime
from teams import run_and_wait

pytestmark = pytest.mark.timeout(250)
"""The first run installs them."""

TOOLS = [{"type": "think"}, {"type": "shell"}]
TEAM = {
    "agents": {
        "boss": {"model": "openai/boss", "sub_agents": ["worker"], "toolsets": [{"type": "background_agents"}]},
        "worker": {"model": "openai/worker", "description": "Works.", "toolsets": TOOLS},
        "thinker": {"model": "openai/worker", "toolsets": [{"type": "think"}]},
        "careful": {"model": "openai/primary", "fallback": {"models": ["openai/secondary"]}},
    },
    "runtime": {"model_idle_timeout": 1.5},
}


@pytest.fixture(scope="module")
def _shared() -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, max_tasks=1000, standby=0) as runtime:
        # The zygote and the threads are there before any test counts what it leaves behind.
        run_and_wait(runtime, "thinker")
        yield runtime


@pytest.fixture
def runtime(_shared: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-a-fake")
    return _shared


@contextlib.contextmanager
def answering(
    starting: contextlib.AbstractContextManager[FakeServer], patch: pytest.MonkeyPatch
) -> Iterator[FakeServer]:
    """Have models answered by a fake server; skips the test where it cannot be installed."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(starting)
        except NotInstalledError as error:
            pytest.skip(str(error))
        patch.setenv("OPENAI_BASE_URL", server.base_url)
        yield server


# --- fakellm ----------------------------------------------------------------------------------------------------------


def test_fakellm_asks_for_parallel_calls_in_pieces_and_reads_their_answers(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [
        {"name": "think", "arguments": {"thought": "A thought that is long enough to come in several pieces. " * 5}},
        {"name": "shell", "arguments": {"cmd": f"echo from the shell; touch {tmp_path / 'done'}"}},
    ]
    rules = [
        {
            "name": "end",
            "when": {"tool_result_contains": "from the shell"},
            "respond": {"content": "Both."},
        },
        {"name": "begin", "when": {"tools_include": "shell"}, "respond": {"tool_calls": both}},
    ]
    with answering(fakellm(rules, tmp_path), monkeypatch) as server:
        view = run_and_wait(runtime, "worker")
        seen = server.call("GET", "/_fakellm/stats")

    assert (view.status, view.result) == ("completed", "Both.")
    assert (tmp_path / "done").exists()
    assert view.usage.requests == 2
    assert "begin" in json.dumps(seen)


def test_a_team_runs_on_fakellm(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = {"name": "run_background_agent", "arguments": {"agent": "worker", "task": "Work."}}
    rules = [
        {"name": "worker", "when": {"model_matches": "worker"}, "respond": {"content": "Worked."}},
        {
            "name": "end",
            "when": {"model_matches": "boss", "tool_result_contains": "agent_task_"},
            "respond": {"content": "Two were started."},
        },
        {"name": "begin", "when": {"model_matches": "boss"}, "respond": {"tool_calls": [start, start]}},
    ]
    with answering(fakellm(rules, tmp_path), monkeypatch):
        view = run_and_wait(runtime, "boss")
        started = [task for task in runtime.list() if task.parent == view.id]

    assert (view.status, view.result) == ("completed", "Two were started.")
    assert [task.agent for task in started] == ["worker", "worker"]


# --- llmock -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _llmock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    with pytest.MonkeyPatch.context() as patch, answering(llmock(tmp_path_factory.mktemp("llmock")), patch) as server:
        yield server


@pytest.fixture
def chaos(runtime: Runtime, _llmock: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """A running llmock that has seen nothing yet, by which models are answered."""
    del runtime
    _llmock.call("POST", "/_llmock/reset")
    monkeypatch.setenv("OPENAI_BASE_URL", _llmock.base_url)
    return _llmock


def queue(server: FakeServer, *behaviors: dict[str, Any]) -> None:
    server.call("POST", "/_llmock/scenario", {"behaviors": list(behaviors)})


def findings(server: FakeServer) -> list[str]:
    """Return what llmock has found wrong with us, errors and warnings."""
    return [finding["title"] for finding in server.call("GET", "/_llmock/verdict")["findings"]]


def test_llmock_calls_a_tool_with_arguments_of_its_schema_and_then_answers(runtime: Runtime, chaos: FakeServer) -> None:
    view = run_and_wait(runtime, "thinker", "Please think.")

    assert view.status == "completed"
    assert view.usage.requests == 2
    assert view.usage.output_tokens > 0
    assert findings(chaos) == []


def test_llmock_finds_that_its_rate_limits_are_waited_for(runtime: Runtime, chaos: FakeServer) -> None:
    queue(chaos, {"type": "fail", "status": 429, "retry_after": 0.4, "times": 2})
    view = run_and_wait(runtime, "careful")

    # The first model is not waited for, as there is another.
    assert view.status == "completed"
    assert not [title for title in findings(chaos) if "Retry-After" in title]

    chaos.call("POST", "/_llmock/reset")
    queue(chaos, {"type": "fail", "status": 429, "retry_after": 0.4, "times": 2})
    assert run_and_wait(runtime, "thinker").status == "completed"
    assert findings(chaos) == []


def test_llmock_finds_that_faults_of_the_server_are_backed_off_from(runtime: Runtime, chaos: FakeServer) -> None:
    queue(chaos, {"type": "fail", "status": 503, "times": 2})
    assert run_and_wait(runtime, "thinker").status == "completed"
    assert findings(chaos) == []


def test_llmock_finds_that_what_cannot_succeed_is_not_tried_again(runtime: Runtime, chaos: FakeServer) -> None:
    queue(chaos, {"type": "fail", "status": 400, "message": "no such thing", "times": None})
    view = run_and_wait(runtime, "thinker")

    assert view.status == "failed"
    assert "no such thing" in view.reason
    assert findings(chaos) == []


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall"])
def test_llmock_finds_that_a_stream_that_breaks_is_asked_for_again(
    runtime: Runtime, chaos: FakeServer, kind: str
) -> None:
    reply = {"type": "reply", "text": "Several words, of which a few come and then no more.", "times": None}
    queue(chaos, reply, {"type": "stream_fault", "kind": kind, "after_chunks": 4, "stall_seconds": 20})
    view = run_and_wait(runtime, "thinker")

    assert (view.status, view.result) == ("completed", reply["text"])
    assert "[The answer broke off here, and is asked for again.]" in view.output
    assert findings(chaos) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("disconnect", "broke the connection after"),
        ("truncate", "without saying that it was complete"),
        ("stall", "stalled: nothing came for 1.5 s"),
        ("malformed", "something that is not a streamed chat completion"),
    ],
)
def test_a_stream_of_llmock_that_breaks_again_is_the_reason_of_the_task(
    runtime: Runtime, chaos: FakeServer, kind: str, words: str
) -> None:
    queue(chaos, {"type": "stream_fault", "kind": kind, "after_chunks": 3, "stall_seconds": 20, "times": None})
    view = run_and_wait(runtime, "thinker")

    assert view.status == "failed"
    assert words in view.reason


def test_a_tool_call_of_llmock_that_breaks_off_is_not_made(runtime: Runtime, chaos: FakeServer, tmp_path: Path) -> None:
    mark = tmp_path / "made"
    call = {"name": "shell", "arguments": {"cmd": f"echo {'x' * 200}; touch {mark}"}}
    queue(
        chaos,
        {"type": "reply", "tool_calls": [call]},
        {"type": "stream_fault", "kind": "truncate", "after_chunks": 3},
        {"type": "reply", "text": "I thought better of it."},
    )
    view = run_and_wait(runtime, "worker")

    assert (view.status, view.result) == ("completed", "I thought better of it.")
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
def test_a_broken_tool_call_of_llmock_is_answered_and_the_task_goes_on(
    runtime: Runtime, chaos: FakeServer, kind: str
) -> None:
    queue(chaos, {"type": "tool_fault", "kind": kind})
    view = run_and_wait(runtime, "thinker")

    assert view.status == "completed"
    assert findings(chaos) == []


def test_a_conversation_that_is_too_long_for_llmock_is_shortened(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(llmock(tmp_path, "--context-window", "3000"), monkeypatch) as server:
        call = {"name": "shell", "arguments": {"cmd": "yes 0123456789 | head -c 9000"}}
        for _ in range(3):
            queue(server, {"type": "reply", "tool_calls": [call]})
        queue(server, {"type": "reply", "text": "Read it all."})
        view = run_and_wait(runtime, "worker")

    assert (view.status, view.result) == ("completed", "Read it all.")


def test_a_conversation_that_can_never_fit_is_the_reason_of_the_task(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(llmock(tmp_path, "--context-window", "20"), monkeypatch):
        view = run_and_wait(runtime, "thinker")

    assert view.status == "failed"
    assert "ContextLengthError" in view.reason
    assert "maximum context length is 20 tokens" in view.reason
    assert "give the agent a smaller task" in view.reason


# --- aimock -----------------------------------------------------------------------------------------------------------


def test_aimock_streams_text_and_parallel_calls_in_small_pieces_and_counts_tokens(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "done"
    both = [
        {"type": "toolCall", "name": "think", "arguments": {"thought": "ünïcode 😀 " * 20}},
        {"type": "text", "text": "Calling two tools."},
        {"type": "toolCall", "name": "shell", "arguments": {"cmd": f"touch {mark}"}},
    ]
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}
    fixtures = [
        {"match": {"hasToolResult": False}, "response": {"blocks": both}, "chunkSize": 3},
        {"match": {"hasToolResult": True}, "response": {"content": "Both. 😀", "usage": usage}, "chunkSize": 1},
    ]
    with answering(aimock(fixtures, tmp_path), monkeypatch):
        view = run_and_wait(runtime, "worker")

    assert (view.status, view.result) == ("completed", "Both. 😀")
    assert "Calling two tools.\n" in view.output
    assert mark.exists()
    assert view.usage.input_tokens >= 1000
    assert view.usage.output_tokens >= 50


def test_another_model_answers_when_one_is_limited_at_aimock(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = {"error": {"message": "Slow down.", "type": "rate_limit_error"}, "status": 429, "retryAfter": 60}
    fixtures = [
        {"match": {"model": "primary"}, "response": limited},
        {"match": {"model": "secondary"}, "response": {"content": "I stand in."}},
    ]
    with answering(aimock(fixtures, tmp_path), monkeypatch):
        view = run_and_wait(runtime, "careful")

    assert (view.status, view.result) == ("completed", "I stand in.")


@first_always(
    ("fault", "words"),
    [
        ({"truncateAfterChunks": 3, "latency": 50}, "broke the connection after"),
        ({"chaos": {"dropRate": 1.0}}, "The fault is the server's"),
        ({"chaos": {"malformedRate": 1.0}}, "not a streamed chat completion"),
        ({"chaos": {"disconnectRate": 1.0}}, "closed the connection without an answer"),
    ],
)
def test_a_fault_of_aimock_is_the_reason_of_the_task(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], words: str
) -> None:
    response = {"content": "A rather long answer, of which not all will come."}
    with answering(aimock([{"match": {}, "response": response, "chunkSize": 5, **fault}], tmp_path), monkeypatch):
        view = run_and_wait(runtime, "thinker")

    assert view.status == "failed"
    assert words in view.reason
