"""Tasks that tasks have started: who sees and stops them, with whom they end, and who may start which."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import is_gone, wait_until
from subactors.runtime import Runtime, TaskEnded, TaskView
from teams import (
    call,
    entrypoint_team,
    model,
    plan,
    run_and_wait,
    speaking,
    task_ids,
    wait_until_running,
)


@pytest.fixture(scope="module")
def family(place: dict[str, Any]) -> Iterator[Runtime]:
    """Agents that lead others: boss, lead and deputy, who may start one another, and those who work."""
    background = {"toolsets": [{"type": "background_agents", "on_finish": "stop"}]}
    agents = {
        "boss": model("follows_a_plan", sub_agents=["lead", "waits", "echo"], **background),
        "lead": model("follows_a_plan", sub_agents=["deputy", "boss", "waits", "echo"], **background),
        "deputy": model("follows_a_plan", sub_agents=["boss", "lead", "echo"], **background),
    }
    with Runtime.from_mapping(
        entrypoint_team(**agents), stop_grace=2.0, max_tasks=10_000, standby=0, **place
    ) as runtime:
        run_and_wait(runtime, "boss", plan({"answer": "warm up"}))
        yield runtime


def _start(agent: str, task: str) -> list[Any]:
    return ["run_background_agent", {"agent": agent, "task": task}]


def _children(runtime: Runtime, task_id: str) -> list[TaskView]:
    return [view for view in runtime.list() if view.parent == task_id]


def _wait_for_children(runtime: Runtime, task_id: str, count: int) -> list[TaskView]:
    wait_until(
        lambda: sum(view.output != "" for view in _children(runtime, task_id)) == count, "all children have spoken"
    )
    return _children(runtime, task_id)


def test_a_sub_agent_runs_lists_views_and_stops_tasks_of_its_own(family: Runtime) -> None:
    turns = plan(
        [_start("waits", "one"), _start("waits", "two")],
        [["list_background_agents", {}]],
        [["stop_background_agent", {"task_id": "{id 0}"}]],
        [["view_background_agent", {"task_id": "{id 0}"}]],
        [["stop_background_agent", {"task_id": "{id 0}"}]],
        "answers",
    )

    task_id = family.run("boss", turns)
    (view,) = family.wait([task_id])

    first, second, listed, stopped, viewed, again = json.loads(view.result)
    one, two = _children(family, task_id)
    assert one.id in first
    assert two.id in second
    assert (one.parent, one.task, two.task) == (task_id, "one", "two")
    assert listed.startswith("2 background tasks, 2 still at work.")
    assert listed.index(one.id) < listed.index(two.id)
    assert f"{one.id} (waits) has ended" in stopped
    assert "stopped" in viewed
    assert "has ended already: stopped" in again


def test_a_task_sees_and_stops_its_own_subtree_only(family: Runtime) -> None:
    other = speaking(family, "waits")
    turns = plan(
        [_start("echo", "mine")],
        [["view_background_agent", {"task_id": other}], ["stop_background_agent", {"task_id": other}]],
        [["list_background_agents", {}]],
        "answers",
    )

    view = run_and_wait(family, "boss", turns)

    _, viewed, stopped, listed = json.loads(view.result)
    (mine,) = _children(family, view.id)
    for refused in (viewed, stopped):
        assert f"There is no task {other!r} here. Known tasks: {mine.id}." in refused
    assert other not in listed
    assert family.view(other).status == "running"
    family.stop(other)


def test_a_task_sees_what_its_sub_agents_have_started(family: Runtime, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    inner = plan([_start("waits", "deep down")], {"wait_for": "/nowhere"}, {"answer": "never"})
    turns = plan([_start("lead", inner)], {"wait_for": str(gate)}, [["list_background_agents", {}]], "answers")

    task_id = family.run("boss", turns)
    wait_until(lambda: _children(family, task_id), "the lead has been started")
    (lead,) = _children(family, task_id)
    (worker,) = _wait_for_children(family, lead.id, 1)
    gate.touch()
    (view,) = family.wait([task_id])

    listed = json.loads(view.result)[1]
    assert lead.id in listed
    assert worker.id in listed


def test_a_stop_takes_what_the_task_has_started_last_started_first(family: Runtime) -> None:
    inner = plan([_start("waits", "deep down")], {"wait_for": "/nowhere"}, {"answer": "never"})
    turns = plan([_start("lead", inner), _start("waits", "one")], {"wait_for": "/nowhere"}, {"answer": "never"})
    boss = family.run("boss", turns)
    wait_until(lambda: len(_children(family, boss)) == 2, "both have been started")
    lead = next(view for view in _children(family, boss) if view.agent == "lead")
    _wait_for_children(family, lead.id, 1)
    started = [view.id for view in family.list() if not view.ended]
    pids = [view.pid for view in family.list() if not view.ended]

    view = family.stop(boss)[0]

    assert view.status == "stopped"
    ended = [family.view(task_id) for task_id in started]
    assert [view.status for view in ended] == ["stopped"] * 4
    assert all(f"together with {boss}, which had started it" in view.reason for view in ended[1:])
    assert all(pid is None or is_gone(pid) for pid in pids)
    supervisor = family._host.supervisor._actor_weakref()
    assert supervisor is not None
    stops = [supervisor._registry._tasks[task_id].stop for task_id in started]
    requests = [stop.requested if stop is not None else 0.0 for stop in stops]
    assert requests == sorted(requests, reverse=True)
    assert 0.0 not in requests


def test_a_stop_leaves_alone_what_others_have_started(family: Runtime) -> None:
    other = speaking(family, "waits")
    boss = family.run("boss", plan([_start("waits", "one")], {"wait_for": "/nowhere"}, {"answer": "never"}))
    _wait_for_children(family, boss, 1)

    family.stop(boss)

    assert family.view(other).status == "running"
    family.stop(other)


def test_a_task_that_answers_takes_what_it_has_started_with_it(family: Runtime) -> None:
    task_id = family.run("boss", plan([_start("waits", "one")], {"answer": "I am off"}))

    (view,) = family.wait([task_id])
    (child,) = family.wait(task_ids(_children(family, task_id)))

    assert (view.status, view.result) == ("completed", "I am off")
    assert child.status == "stopped"
    assert child.reason.startswith("Stopped, because boss had ended; ")


def test_a_task_that_crashes_takes_what_it_has_started_with_it(family: Runtime) -> None:
    task_id = family.run("boss", plan([_start("waits", "one")], {"wait_for": "/nowhere"}, {"answer": "never"}))
    (child,) = _wait_for_children(family, task_id, 1)
    pid = family.view(task_id).pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    view, child = family.wait([task_id, child.id])
    assert (view.status, child.status) == ("failed", "stopped")
    assert child.output == "so far "


def test_an_agent_may_only_start_its_own_sub_agents(family: Runtime) -> None:
    view = run_and_wait(family, "deputy", plan([_start("waits", "x")], "answers"))

    assert json.loads(view.result) == [
        "There is no agent 'waits' in the sub_agents of 'deputy'. Available: boss, lead, echo."
    ]


def test_a_circle_of_agents_is_refused_with_the_chain(family: Runtime) -> None:
    lead = plan([_start("boss", "x")], "answers")
    turns = plan([["transfer_task", {"agent": "lead", "task": lead}]], "answers")

    view = run_and_wait(family, "boss", turns)

    ((refused,),) = (json.loads(answer) for answer in json.loads(view.result))
    assert "'boss' is already at work further up: boss → lead → boss." in refused
    assert "do the work yourself" in refused


def test_a_chain_that_is_too_deep_is_refused_with_the_chain() -> None:
    agents = {
        "boss": model("follows_a_plan", sub_agents=["lead"]),
        "lead": model("follows_a_plan", sub_agents=["deputy"]),
        "deputy": model("follows_a_plan"),
    }
    lead = plan([["transfer_task", {"agent": "deputy", "task": plan({"answer": "x"})}]], "answers")
    with Runtime.from_mapping({"agents": agents}, max_depth=2) as runtime:
        view = run_and_wait(runtime, "boss", plan([["transfer_task", {"agent": "lead", "task": lead}]], "answers"))

    ((refused,),) = (json.loads(answer) for answer in json.loads(view.result))
    assert "The chain of agents would be 3 deep, and 2 is the limit: boss → lead → deputy." in refused


def test_an_orchestrator_counts_as_the_top_of_the_chain(family: Runtime) -> None:
    with family.toolset("boss") as toolset:
        answer = call(toolset, "transfer_task", agent="lead", task=plan([_start("boss", "x")], "answers"))

    (refused,) = json.loads(answer.text)
    assert "boss → lead → boss" in refused


def test_a_task_that_is_being_stopped_cannot_start_others(family: Runtime, tmp_path: Path) -> None:
    # The model's function goes on for a moment after the stop, as it is not cancelled while a file is looked for.
    gate = tmp_path / "gate"
    task_id = family.run("boss", plan({"wait_for": str(gate)}, [_start("waits", "late")], {"answer": "x"}))
    wait_until_running(family, task_id)

    stopping = threading.Thread(target=family.stop, args=(task_id,))
    stopping.start()
    gate.touch()
    stopping.join()

    assert family.view(task_id).status in {"stopped", "completed"}
    assert all(view.ended for view in family.wait(task_ids(_children(family, task_id))))


def test_a_task_has_ended_when_nothing_runs_any_more_that_it_has_started(family: Runtime, tmp_path: Path) -> None:
    leads = plan([_start("waits", "on")], {"wait_for": str(tmp_path / "never")}, {"answer": "no"})
    ended: list[str] = []
    with family.events() as events:
        task = family.run("boss", plan([_start("lead", leads)], {"wait_for": str(tmp_path / "go")}, {"answer": "done"}))
        wait_until(lambda: [view.agent for view in family.list() if not view.ended][2:] == ["waits"], "all run")
        (tmp_path / "go").touch()
        for event in events:
            if isinstance(event, TaskEnded):
                ended.append(event.task.agent)
                if event.task.id == task:
                    break

    assert ended == ["waits", "lead", "boss"]
    view = task.view()
    assert (view.status, view.result) == ("completed", "done")


def test_a_task_that_is_stopped_with_its_own_says_who_asked_and_nothing_of_them(
    family: Runtime, tmp_path: Path
) -> None:
    task = family.run("boss", plan([_start("waits", "x")], {"wait_for": str(tmp_path / "never")}, {"answer": "no"}))
    (child,) = _wait_for_children(family, task.id, 1)

    family.stop(task)

    reason = task.view().reason
    assert reason.startswith("Stopped by the host program")
    assert child.id not in reason
    assert f"together with {task.id}" in family.view(child.id).reason
