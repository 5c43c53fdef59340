"""Whole teams against an OpenAI-compatible server: an orchestrator in the host, its sub-agents in processes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import Calls, ModelServer, Reply, Request, Stall, Text
from processes_and_waits import is_gone, wait_until
from research_teams import (
    COORDINATOR,
    RESEARCHER,
    TEAM,
    Heard,
    Research,
    orchestrate,
    point_nowhere,
    point_to,
    research_runtime,
    views_of,
)
from subactors.runtime import Runtime, TaskView
from subactors.runtime.agent.run import run_agent
from subactors.runtime.models.base import Usage
from teams import PATIENCE


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with research_runtime(tmp_path_factory.mktemp("team")) as runtime:
        yield runtime


@pytest.fixture(autouse=True)
def _settings_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    point_nowhere(monkeypatch)


def test_two_researchers_work_side_by_side_in_processes_of_their_own_while_the_coordinator_looks(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[TaskView] = []

    def look() -> None:
        alive[:] = [view for view in runtime.list() if not view.ended]

    # Held back until both have asked: at that moment both processes live, and soon that is known.
    both = threading.Barrier(2, action=look)

    def researcher(request: Request) -> Reply:
        both.wait(PATIENCE)
        wait_until(lambda: look() or all(view.status == "running" for view in alive), "both are known to run")
        wait_until(lambda: script.looks, "the coordinator has looked at them")
        return Text(f"All about {request.system.split('<task>')[1].split()[0]}.")

    script = Research("Apples", "Bears", researcher=researcher)
    heard = Heard()
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        answer = orchestrate(runtime, heard=heard)

    assert "All about Apples." in answer
    assert "All about Bears." in answer
    assert heard.text_so_far == answer
    assert [view.status for view in alive] == ["running", "running"]
    assert len({view.pid for view in alive} | {os.getpid(), None}) == 4
    views = views_of(runtime, script)
    assert [(view.status, view.result, view.output) for view in views] == [
        ("completed", f"All about {topic}.", f"All about {topic}.") for topic in script.topics
    ]


def test_the_first_turn_starts_both_with_one_answer_each(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Research("Apples", "Bears", researcher=lambda _: Text("Done."))
    heard = Heard()
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        orchestrate(runtime, heard=heard)

    second = next(request for request in server.requests if COORDINATOR in request.system and request.turn == 1)
    assert len(second.tool_answers) == 2
    assert all("Started agent_task_" in answer for answer in second.tool_answers)
    assert script.ids[0] != script.ids[1]
    assert not any(answer.is_error for _, answer in heard.answers)


def test_usage_is_counted_for_each_task_and_not_for_its_orchestrator(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def researcher(request: Request) -> Reply:
        if "Bears" in request.system and request.turn == 0:
            return Calls(("think", {"thought": "Hm."}), usage=(7, 3))
        return Text("Done.", usage=(20, 6))

    script = Research("Apples", "Bears", researcher=researcher)
    heard = Heard()
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        orchestrate(runtime, heard=heard)

    assert [view.usage for view in views_of(runtime, script)] == [Usage(20, 6, 1), Usage(27, 9, 2)]
    requests = sum(COORDINATOR in request.system for request in server.requests)
    assert heard.usage == Usage(100 + 10 * (requests - 1), 50 + 5 * (requests - 1), requests)


def test_a_researcher_sees_its_task_and_nothing_of_the_coordinators_conversation(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Research("Apples", researcher=lambda _: Text("Done."))
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        orchestrate(runtime, "Compare the SECRET with B.")

    coordinator = server.requests[0]
    (researcher,) = (request for request in server.requests if RESEARCHER in request.system)
    assert coordinator.messages[-1]["content"] == "Compare the SECRET with B."
    assert "- researcher: Web researcher" in coordinator.system
    assert "## Background agents" in coordinator.system
    assert coordinator.tools[:4] == [
        "run_background_agent",
        "list_background_agents",
        "view_background_agent",
        "stop_background_agent",
    ]
    assert [message["role"] for message in researcher.messages] == ["system", "user"]
    assert "<task>\nApples\n</task>" in researcher.system
    assert "SECRET" not in str(researcher.body)
    assert researcher.tools == ["think"]


def test_the_coordinator_is_told_of_its_wrong_tool_input_and_goes_on(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[tuple[str, dict[str, Any] | str]] = [
        ("run_background_agent", {"agent": "nobody", "task": "x"}),
        ("run_background_agent", {"agent": "coordinator", "task": "x"}),
        ("run_background_agent", {"agent": "researcher", "task": " "}),
        ("run_background_agent", '{"agent": "researcher", "ta'),
        ("run_background_agent", '["researcher"]'),
        ("run_background_agent", {"agent": "researcher"}),
        ("view_background_agent", {"task_id": "agent_task_0"}),
        ("search_the_web", {"query": "x"}),
    ]
    script: dict[str, list[Reply]] = {
        COORDINATOR: [Calls(*wrong), Calls(("transfer_task", {"agent": "researcher", "task": "x"})), Text("Done.")],
        RESEARCHER: [Text("All well.")],
    }
    heard = Heard()
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        assert orchestrate(runtime, heard=heard) == "Done."

    remedies = server.requests[1].tool_answers
    for words, answer in zip(
        [
            "Available: researcher.",
            "Available: researcher.",
            "Say what the agent is to do",
            "Send one JSON object",
            "a JSON object is needed",
            "Parameters (* required): agent*, task*, expected_output",
            "No task has been started yet",
            "Available tools: run_background_agent",
        ],
        remedies,
        strict=True,
    ):
        assert words in answer
    assert server.requests[-1].tool_answers == ["All well."]
    assert [answer.is_error for _, answer in heard.answers] == [True] * len(wrong) + [False]


def test_what_is_expected_of_a_transferred_task_reaches_the_researchers_model(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"agent": "researcher", "task": "Apples", "expected_output": "three lines"}
    script: dict[str, list[Reply]] = {
        COORDINATOR: [Calls(("transfer_task", arguments)), Text("Done.")],
        RESEARCHER: [Text("All well.")],
    }
    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        orchestrate(runtime)

    assert "<expected_output>\nthree lines\n</expected_output>" in server.requests[1].system
    assert server.requests[2].tool_answers == ["All well."]


def test_transfers_of_one_turn_run_at_the_same_time(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def script(request: Request) -> Reply:
        if RESEARCHER in request.system:
            both.wait(PATIENCE)
            return Text("All well.")
        if request.turn == 0:
            return Calls(*[("transfer_task", {"agent": "researcher", "task": topic}) for topic in "AB"])
        return Text("Done.")

    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        assert orchestrate(runtime) == "Done."


def test_text_of_a_model_can_be_read_while_it_is_still_coming(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer([Stall("I am looking. ", then="I have found it.")]) as server:
        point_to(server, monkeypatch)
        task_id = runtime.run("researcher", "Find it.")
        wait_until(lambda: runtime.view(task_id).output == "I am looking. ", "the first words")
        assert runtime.view(task_id).status == "running"

        server.release()
        (view,) = runtime.wait([task_id])

    assert (view.status, view.result) == ("completed", "I am looking. I have found it.")


@pytest.mark.parametrize("silence", [Stall("so far "), Stall(None)], ids=["in the answer", "before the answer"])
def test_a_task_that_waits_for_a_silent_server_can_be_stopped_and_lets_go_of_the_connection(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, silence: Stall
) -> None:
    with ModelServer([silence]) as server:
        point_to(server, monkeypatch)
        task_id = runtime.run("researcher", "Find it.")
        server.wait_for_requests(1)
        wait_until(lambda: runtime.view(task_id).output == (silence.after or ""), "the first words")

        view = runtime.stop(task_id)[0]
        server.wait_for_disconnects(1)

    assert view.status == "stopped"
    assert view.reason.startswith("Stopped by the host program; it ended ")
    assert view.output == (silence.after or "")


def test_an_orchestrator_that_is_cancelled_stops_the_task_that_it_waits_for(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    script: dict[str, list[Reply]] = {
        COORDINATOR: [Calls(("transfer_task", {"agent": "researcher", "task": "x"}))],
        RESEARCHER: [Stall()],
    }

    async def main(server: ModelServer) -> None:
        running = asyncio.create_task(
            run_agent(
                runtime.team.agents["coordinator"],
                runtime._host.surroundings("coordinator"),
                Heard(),
                task="Go.",
                expected_output=None,
                is_sub_agent=False,
            )
        )
        await asyncio.to_thread(server.wait_for_requests, 2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with ModelServer(script) as server:
        point_to(server, monkeypatch)
        before = {view.id for view in runtime.list()}
        asyncio.run(main(server))
        (task,) = (view for view in runtime.list() if view.id not in before)
        (view,) = runtime.wait([task.id])

    assert view.status == "stopped"


def test_researchers_that_a_silent_server_holds_are_gone_when_the_runtime_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM)
    with ModelServer(lambda _: Stall()) as server:
        point_to(server, monkeypatch)
        with Runtime.from_file(path, standby=0) as runtime:
            ids = [runtime.run("researcher", topic) for topic in ("Apples", "Bears")]
            server.wait_for_requests(2)
            pids = [runtime.view(task_id).pid for task_id in ids]

        assert all(pid is not None and is_gone(pid) for pid in pids)
