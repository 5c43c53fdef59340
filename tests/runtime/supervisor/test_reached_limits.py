"""A limit that is reached beside an answer, or beside an end: what came first counts, and nothing comes after it.

What is in the wrong order by chance only is held up here, so that it always is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.actors import Child
from subactors.actors import supervisor as supervisor_module
from subactors.actors.host.process import ActorProcess
from subactors.runtime import EventStream, Runtime, TaskEnded, TaskRestarting, TaskView
from subactors.runtime.supervisor.messages import DeadlinePassed
from subactors.runtime.supervisor.supervisor import TaskSupervisor
from subactors.runtime.supervisor.task import Task
from teams import PATIENCE, run_and_wait

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


def permanent(entrypoint: str, **limits: Any) -> dict[str, Any]:
    """An agent that is a function, and started again after every end."""
    return {"entrypoint": entrypoint, "limits": limits, "restart": {"policy": "permanent", "backoff": 0.01}}


TEAM = {
    "agents": {
        "floods": permanent("entrypoints:floods", output=5000),
        "answers and floods": permanent("lingering_entrypoints:answers_and_floods", output=5000),
        "answers and lives on": permanent("lingering_entrypoints:answers_and_lives_on", wall_clock=600),
        "computes": permanent("greedy_entrypoints:has_others_compute", cpu=0.3),
        "echo": {"entrypoint": "entrypoints:echo"},
    }
}


@pytest.fixture
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, stop_grace=30.0, standby=0, **place) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def supervisor_of(runtime: Runtime) -> TaskSupervisor:
    supervisor = runtime._host.supervisor._actor_weakref()
    assert isinstance(supervisor, TaskSupervisor)
    return supervisor


def task_of(runtime: Runtime, task_id: str) -> Task:
    return supervisor_of(runtime)._registry._tasks[task_id]


def end_of(events: EventStream) -> tuple[TaskView, int]:
    """The end of a task, and how often it was started again before."""
    restarts = 0
    while not isinstance(event := events.next(PATIENCE), TaskEnded):
        assert event is not None
        restarts += isinstance(event, TaskRestarting)
    return event.task, restarts


def test_an_answer_that_comes_after_the_limit_on_output_was_reached_is_heard_of_after_it(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = TaskSupervisor.child_ready

    def begin_late(supervisor: TaskSupervisor, child: Child) -> None:
        wait_until(lambda: child.process.end is not None, "all that the task has for its supervisor", limit=PATIENCE)
        begin(supervisor, child)

    monkeypatch.setattr(TaskSupervisor, "child_ready", begin_late)
    monkeypatch.setattr(supervisor_module, "_TURN", PATIENCE)  # all of that in one turn
    with runtime.events() as events:
        runtime.run("floods", "100")
        view, restarts = end_of(events)

    assert (view.status, view.attempts, restarts) == ("failed", 1, 0)
    assert "The limit output of 5.0 kB was reached" in view.reason


def test_a_task_whose_process_reaches_a_limit_after_its_answer_is_completed_and_not_started_again(
    runtime: Runtime,
) -> None:
    view = run_and_wait(runtime, "answers and floods")

    assert (view.status, view.result, view.attempts) == ("completed", "the answer", 1)
    assert view.output_size == 5000


def test_a_task_whose_time_is_up_after_its_answer_is_completed_and_not_started_again(
    runtime: Runtime, tmp_path: Path
) -> None:
    file = tmp_path / "end"
    task_id = runtime.run("answers and lives on", json.dumps({"file": str(file)}))
    task = task_of(runtime, task_id)
    wait_until(lambda: task.attempt is not None, "its process is asked for")  # the journal may have the task before
    # Its id is told before its process is asked for.
    wait_until(lambda: task.attempt is not None and task.attempt.finished is not None, "the answer", limit=PATIENCE)
    runtime._host.supervisor.tell(DeadlinePassed(task))
    wait_until(lambda: task.limit_reached, "its time is up", limit=PATIENCE)
    file.touch()
    (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert (view.status, view.result, view.attempts) == ("completed", "the answer", 1)


def test_a_process_that_is_killed_for_what_its_tree_uses_ends_after_its_supervisor_has_heard_of_it(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = ActorProcess.kill
    running = supervisor_of(runtime)._by_child

    def kill_and_wait(process: ActorProcess) -> None:
        kill(process)
        if threading.current_thread().name == "subactors-vitals":
            wait_until(lambda: not running, "the supervisor has heard of the end", limit=PATIENCE)

    monkeypatch.setattr(ActorProcess, "kill", kill_and_wait)
    with runtime.events() as events:
        runtime.run("computes", "5")
        view, restarts = end_of(events)

    assert (view.status, view.attempts, restarts) == ("failed", 1, 0)
    assert "The limit cpu of 0.3 s was reached: its tree had used" in view.reason
