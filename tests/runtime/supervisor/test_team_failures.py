"""Teams whose models fail, fall silent or go in circles: what the task, and what its orchestrator is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from first_forms import first_always
from model_server import Calls, Cut, ModelServer, Raw, Refusal, Reply, Request, Stall, Status, Text
from research_teams import AGAIN, KEY, TEAM, Research, orchestrate, point_nowhere, point_to, research_runtime, views_of
from subactors.runtime import LoopError, ModelError, Runtime
from teams import run_and_wait


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with research_runtime(tmp_path_factory.mktemp("team")) as runtime:
        yield runtime


@pytest.fixture(autouse=True)
def _settings_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    point_nowhere(monkeypatch)


@first_always(
    ("reply", "words"),
    [
        (
            Status(400, "no such parameter", {"x-should-retry": "false"}),
            "rejected the request (400: no such parameter)",
        ),
        (Status(401, f"bad key {KEY}"), "does not accept the key (401: bad key [key]). Set OPENAI_API_KEY"),
        (Status(404, "no such model"), "Either the server does not have the model 'gpt-4o'"),
        (Status(429, "slow down", {"x-should-retry": "false"}), "rate limit"),
        (Status(500, "oops", {"x-should-retry": "false"}), "The fault is the server's; try again later."),
        (Refusal("I will not."), "I will not."),
        (Cut("half a sen"), "broke the connection after 10 characters of text"),
        (Raw("<html>hello</html>"), "not a streamed chat completion"),
    ],
    keep=4,
    ids=["400", "401", "404", "429", "500", "refusal", "cut", "html"],
)
def test_a_researcher_whose_server_fails_is_failed_with_the_remedy_and_the_coordinator_goes_on(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, reply: Reply, words: str
) -> None:
    script = Research(
        "Apples", "Bears", researcher=lambda request: reply if "Bears" in request.system else Text("All well.")
    )
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        answer = orchestrate(runtime)

    apples, bears = views_of(runtime, script)
    assert (apples.status, apples.result) == ("completed", "All well.")
    assert bears.status == "failed"
    assert bears.reason.startswith(("ModelError: ", "RefusalError: "))
    assert words in bears.reason
    assert words in answer
    assert KEY not in bears.reason
    if isinstance(reply, Cut):
        assert bears.output == AGAIN.join(["half a sen"] * 2)


def test_a_researcher_whose_server_falls_silent_is_failed_after_the_idle_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM + "runtime:\n  model_idle_timeout: 0.3\n")
    with ModelServer([Stall("so far "), Stall("so far ")]) as server, Runtime.from_file(path, standby=0) as runtime:
        point_to(server, monkeypatch)
        view = run_and_wait(runtime, "researcher")

    assert view.status == "failed"
    assert "stalled: nothing came for 0.3 s, after 7 characters of text" in view.reason
    assert view.output == AGAIN.join(["so far "] * 2)


def test_an_answer_that_breaks_off_is_asked_for_again(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([Cut("half a sen"), Text("A whole sentence.")]) as server:
        point_to(server, monkeypatch)
        view = run_and_wait(runtime, "researcher")

    assert (view.status, view.result) == ("completed", "A whole sentence.")
    assert view.output == f"half a sen{AGAIN}A whole sentence."


def test_an_unreachable_server_fails_the_task_and_says_so(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([]) as server:
        point_to(server, monkeypatch)

    view = run_and_wait(runtime, "researcher")

    assert view.status == "failed"
    assert "cannot connect to" in view.reason


def test_a_missing_key_fails_the_task_and_names_the_variable(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "researcher")

    assert view.status == "failed"
    assert "needs a key for provider 'openai'. Set the environment variable OPENAI_API_KEY." in view.reason


def test_a_missing_key_ends_the_orchestrator_with_the_same_words(runtime: Runtime) -> None:
    with pytest.raises(ModelError, match="Set the environment variable OPENAI_API_KEY"):
        orchestrate(runtime)


def test_identical_turns_fail_a_task_and_end_an_orchestrator(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(_: Request) -> Reply:
        return Calls(("think", {"thought": "Again."}))

    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        view = run_and_wait(runtime, "researcher")
        with pytest.raises(LoopError, match="'coordinator' made 5 identical turns in a row"):
            orchestrate(runtime)

    assert view.status == "failed"
    assert "'researcher' made 5 identical turns in a row: think(" in view.reason
    assert len(server.requests) == 10


def test_max_iterations_fails_a_task_with_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM + "    max_iterations: 2\n")

    def script(request: Request) -> Reply:
        return Calls(("think", {"thought": f"Thought {request.turn}."}))

    with ModelServer(script) as server, Runtime.from_file(path, standby=0) as runtime:
        point_to(server, monkeypatch)
        view = run_and_wait(runtime, "researcher")

    assert view.status == "failed"
    assert "reached max_iterations (2)" in view.reason
    assert len(server.requests) == 2
