"""How orchestrators hear what their tasks ask, and what is said to them, while they wait and between two turns."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from teams import PATIENCE, call

KIT = "python/asking_entrypoints"

TEAM: dict[str, Any] = {
    "agents": {
        "asker": {"model": f"{KIT}:does_what_it_is_told", "toolsets": [{"type": "ask_parent"}]},
        "asks": {"entrypoint": "asking_entrypoints:asks"},
        "quiet_lead": {
            "model": f"{KIT}:does_what_it_is_told",
            "sub_agents": ["asks"],
            "toolsets": [{"type": "background_agents"}],
        },
        "wakeful_lead": {
            "model": f"{KIT}:does_what_it_is_told",
            "sub_agents": ["asker"],
            "toolsets": [{"type": "background_agents"}],
        },
        "narrow_lead": {
            "model": f"{KIT}:does_what_it_is_told",
            "sub_agents": ["asker"],
            "toolsets": [
                {"type": "background_agents", "tools": ["run_background_agent", "wait_background_agents"]},
            ],
        },
        "hears": {"entrypoint": "steered_entrypoints:hears"},
        "lead": {
            "model": f"{KIT}:leads_and_answers",
            "sub_agents": ["asker"],
            "toolsets": [{"type": "background_agents"}],
        },
        "told_lead": {
            "model": f"{KIT}:leads_until_told",
            "sub_agents": ["hears"],
            "toolsets": [{"type": "background_agents", "steer": True}],
        },
    }
}

ASKS = json.dumps([("ask_parent", {"question": "Which?"})])


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, stop_grace=1.0, standby=0, max_tasks=10_000, **place) as runtime:
        runtime.run("asker", "[]").result(PATIENCE)  # with all threads there before a test counts them
        yield runtime


def test_an_agent_whose_answer_is_kept_back_is_woken_by_a_question_and_answers_it(runtime: Runtime) -> None:
    said = json.loads(runtime.run("lead", "go").result(PATIENCE))
    told = [text for text in said if text and "waits for your answer to question_" in text]

    assert len(told) == 1  # once
    assert "The runtime tells you, not the user: background tasks of yours ask you something." in told[0]
    assert "| Which?" in told[0]
    assert '| ["this one"]' in (said[-1] or "")  # and then of the end


def test_an_agent_whose_answer_is_kept_back_is_woken_by_what_is_said_to_it(runtime: Runtime) -> None:
    task = runtime.run("told_lead", "go")
    wait_until(lambda: any(view.agent == "hears" and view.output for view in runtime.list()), "it works", PATIENCE)
    wait_until(lambda: "I am done." in task.output(), "it waits", PATIENCE)
    task.steer("That is enough.")

    assert "completed" in task.result(PATIENCE)


def test_a_wait_of_a_model_ends_with_a_question_and_shows_it(runtime: Runtime) -> None:
    with runtime.toolset("lead") as tools:
        for mode in ("any", "all"):
            started = call(tools, "run_background_agent", agent="asker", task=ASKS).data["task_id"]
            waited = call(tools, "wait_background_agents", task_ids=[started], mode=mode, timeout=PATIENCE)
            assert "Which?" in waited.text
            assert waited.data["tasks"][0]["status"] == "waiting"
            call(tools, "answer_background_agent", question=started, answer="this one")
            assert runtime.wait([started], timeout=PATIENCE)[0].result == '["this one"]'


@pytest.mark.parametrize(("lead", "agent"), [("quiet_lead", "asks"), ("narrow_lead", "asker")])
def test_one_that_cannot_answer_is_not_told_to_and_its_waits_go_on(runtime: Runtime, lead: str, agent: str) -> None:
    with runtime.toolset(lead) as tools:
        assert "answer_background_agent" not in json.dumps(tools.schemas)
        started = call(tools, "run_background_agent", agent=agent, task=ASKS).data["task_id"]
        wait_until(lambda: runtime.view(started).questions, "it asks", PATIENCE)
        shown = call(tools, "wait_background_agents", timeout=0.01).text
        assert "a person may answer" in shown
        assert "you may answer" not in shown
        assert tools.notices() == ""
        answering = threading.Timer(0.1, runtime.answer, [started, "this one"])
        answering.start()
        assert call(tools, "wait_background_agents", timeout=PATIENCE).data["done"]
        answering.join()


@pytest.mark.parametrize("shows", ["wait_background_agents", "list_background_agents", "view_background_agent", ""])
def test_a_question_that_was_told_is_told_no_more_and_ends_no_other_wait(runtime: Runtime, shows: str) -> None:
    with runtime.toolset("lead") as tools:
        started = call(tools, "run_background_agent", agent="asker", task=ASKS).data["task_id"]
        wait_until(lambda: runtime.view(started).questions, "it asks", PATIENCE)
        told = call(tools, shows, **{"task_id": started} if shows.startswith("view") else {}).text if shows else ""
        assert "Which?" in (told or tools.notices())
        assert tools.notices() == ""
        answering = threading.Timer(0.1, runtime.answer, [started, "a person leaves it to nobody"])
        answering.start()
        assert call(tools, "wait_background_agents", timeout=PATIENCE).data["done"]
        answering.join()


def test_an_agent_reads_a_question_once_in_a_tool_answer(runtime: Runtime) -> None:
    calls = [
        ("run_background_agent", {"agent": "asker", "task": ASKS}),
        ("wait_background_agents", {}),
        ("wait_background_agents", {"timeout": 0.01}),
    ]
    task = runtime.run("wakeful_lead", json.dumps(calls))
    wait_until(lambda: any(view.questions for view in runtime.list() if view.parent == task.id), "it asks", PATIENCE)
    (asking,) = [view.id for view in runtime.list() if view.parent == task.id]
    wait_until(task.output, "it has answered", PATIENCE)
    runtime.answer(asking, "this one")
    _, waited, _ = json.loads(task.result(PATIENCE))[:3]

    assert waited.count("Which?") == 1
    assert "<background_agents>" not in waited


def test_a_wait_of_a_program_does_not_end_with_a_question(runtime: Runtime) -> None:
    task = runtime.run("asker", ASKS)
    wait_until(lambda: task.view().questions, "it asks", PATIENCE)
    assert runtime.wait([task], mode="any", timeout=0.1) == []
    answering = threading.Timer(0.1, runtime.answer, [task, "this one"])
    answering.start()
    assert [view.status for view in runtime.wait([task], mode="any", timeout=PATIENCE)] == ["completed"]
    answering.join()


def test_a_loop_of_the_program_s_own_is_told_of_a_question_once(runtime: Runtime) -> None:
    with runtime.toolset("lead") as tools:
        started = call(tools, "run_background_agent", agent="asker", task=ASKS).data["task_id"]
        wait_until(lambda: runtime.view(started).questions, "it asks", PATIENCE)
        (question,) = runtime.view(started).questions
        told = tools.notices()
        assert f"{started} (asker) waits for your answer to {question.id}: answer_background_agent." in told
        assert tools.notices() == ""
        call(tools, "answer_background_agent", question=question.id, answer="this one")
        wait_until(lambda: runtime.view(started).ended, "it ends", PATIENCE)
        assert "completed" in tools.notices()
