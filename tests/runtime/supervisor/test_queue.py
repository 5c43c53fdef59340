"""The queue: tasks beyond `max_running` wait for a slot, in turns, and start by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from orchestrator_team import orchestrated
from processes_and_waits import wait_until
from subactors.actors import RestartPolicy
from subactors.runtime import CapacityError, Runtime, TaskEnded, TaskQueued, TaskStarted
from subactors.runtime.runs.reader import JournalReader
from teams import call, entrypoint, entrypoint_team, task_ids

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

PATIENCE = 60.0


def opened(**settings: Any) -> Runtime:
    """Return a runtime of the entrypoints, with one slot."""
    return Runtime.from_mapping(
        entrypoint_team(), **{"max_running": 1, "standby": 0, "stop_grace": 0.5, "max_tasks": 1000, **settings}
    )


def test_a_task_beyond_the_slots_is_queued_and_starts_when_one_is_free() -> None:
    with opened() as runtime:
        first = runtime.run("waits", "x")
        second = runtime.run("echo", "hello")
        assert second.view().status == "queued"

        runtime.stop(first)

        (view,) = runtime.wait([second], timeout=PATIENCE)
        assert (view.status, view.result, view.attempts) == ("completed", "hello", 1)


def test_queued_tasks_of_one_owner_start_in_the_order_in_which_they_came() -> None:
    with opened() as runtime:
        first = runtime.run("waits", "x")
        queued = [runtime.run("echo", str(number)) for number in range(5)]
        runtime.stop(first)
        views = runtime.wait(queued, timeout=PATIENCE)
    assert [view.started_at for view in views] == sorted(view.started_at for view in views)


def test_each_queued_task_is_shown_with_its_place() -> None:
    with opened() as runtime:
        runtime.run("waits", "x")
        queued = [runtime.run("echo", "x") for _ in range(3)]
        assert [view.queue_place for view in runtime.list()] == [0, 1, 2, 3]
        assert [task.view().queue_place for task in queued] == [1, 2, 3]


def test_a_queued_task_that_is_stopped_never_starts() -> None:
    with opened() as runtime:
        first = runtime.run("waits", "x")
        second, third = runtime.run("echo", "2"), runtime.run("echo", "3")

        (view,) = runtime.stop(second)

        assert (view.status, view.reason) == ("stopped", "Stopped by the host program while it was queued.")
        assert (view.started_at, view.runtime, view.attempts) == ("", 0.0, 0)
        assert third.view().queue_place == 1
        runtime.stop(first)
        assert runtime.wait([third], timeout=PATIENCE)[0].status == "completed"


def test_where_the_queue_is_full_a_task_is_refused_with_both_numbers() -> None:
    with opened(max_queued=2) as runtime:
        ids = [runtime.run("waits", "x") for _ in range(3)]
        with pytest.raises(
            CapacityError, match=r"1 of 1 tasks are running and 2 of 2 are queued\. Wait until one ends"
        ):
            runtime.run("waits", "x")
        assert task_ids(runtime.list()) == ids


def test_a_closed_runtime_starts_nothing_that_is_queued(tmp_path: Path) -> None:
    with opened(state_dir=tmp_path) as runtime:
        runtime.run("waits", "x")
        queued = [runtime.run("echo", "x").id for _ in range(50)]
    (run,) = tmp_path.iterdir()
    with JournalReader(run / "journal.sqlite", live=False) as reader:
        views = [view for view in reader.tasks() if view.id in queued]
    assert {(view.status, view.reason, view.attempts) for view in views} == {
        ("stopped", "Stopped by the end of the runtime while it was queued.", 0)
    }


def test_the_time_in_the_queue_counts_neither_as_runtime_nor_towards_a_limit() -> None:
    with opened(limits={"wall_clock": 1.0}) as runtime:
        first = runtime.run("waits", "x")
        second = runtime.run("echo", "x")
        (view,) = runtime.wait([second], timeout=PATIENCE)
        assert first.view().status == "failed"
    assert (view.status, view.runtime < 1.0) == ("completed", True)
    assert view.queued_at is not None
    assert view.queued_at < view.started_at


def test_a_restarted_task_keeps_its_slot() -> None:
    with opened() as runtime:
        failing = runtime.run("raises", "x", restart=RestartPolicy("transient", max_restarts=2))
        queued = runtime.run("echo", "x")
        (view,) = runtime.wait([queued], timeout=PATIENCE)
        failed = failing.view()
    assert failed.attempts == 3
    assert failed.ended_at is not None
    assert failed.ended_at <= view.started_at


def test_a_key_of_a_queued_task_is_answered_with_that_task() -> None:
    with opened() as runtime:
        runtime.run("waits", "x")
        first, again = runtime.run("echo", "x", key="once"), runtime.run("echo", "x", key="once")
        assert first == again
        assert len(runtime.list()) == 2


def test_what_becomes_of_a_queued_task_is_told_in_order() -> None:
    with opened() as runtime, runtime.events() as events:
        first = runtime.run("waits", "x")
        second = runtime.run("echo", "x")
        runtime.stop(first)
        runtime.wait([second], timeout=PATIENCE)
        told = []
        while not (told and isinstance(told[-1], TaskEnded)):
            event = events.next(timeout=PATIENCE)
            assert event is not None
            if isinstance(event, TaskQueued | TaskStarted | TaskEnded) and event.task.id == second:
                told.append(event)
    assert [(type(event), event.task.status, event.task.queue_place) for event in told] == [
        (TaskQueued, "queued", 1),
        (TaskStarted, "starting", 0),
        (TaskEnded, "completed", 0),
    ]


def test_a_queued_task_that_is_stopped_ends_for_those_who_follow_it_without_a_start() -> None:
    with opened() as runtime:
        runtime.run("waits", "x")
        queued = runtime.run("echo", "x")
        with runtime.events([queued]) as events:
            runtime.stop(queued)
            assert [type(event) for event in events] == [TaskQueued, TaskEnded]


def test_what_a_task_has_queued_is_stopped_when_it_dies(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    dying = {
        "model": "python/coordinating_models:starts_workers_and_dies",
        "sub_agents": ["worker"],
        "toolsets": [{"type": "background_agents", "on_finish": "stop"}],
    }
    team = {"agents": {"dying": dying, "worker": entrypoint("waits")}}
    with Runtime.from_mapping(team, max_running=2, standby=0, stop_grace=0.5) as runtime:
        owner = runtime.run("dying", str(gate))
        wait_until(lambda: len(runtime.list()) == 4, "all have been accepted")
        assert [view.status for view in runtime.list()[2:]] == ["queued", "queued"]
        gate.touch()
        runtime.wait([owner], timeout=PATIENCE)
        workers = runtime.wait([view.id for view in runtime.list() if view.id != owner], timeout=PATIENCE)
    assert [view.status for view in workers] == ["stopped"] * 3
    assert [(view.reason, view.attempts) for view in workers[1:]] == [
        ("Stopped, because dying had ended while it was queued.", 0)
    ] * 2


def test_one_that_queues_a_task_does_not_wait_for_the_hundreds_of_another() -> None:
    with Runtime.from_mapping(orchestrated(), max_running=1, standby=0) as runtime, runtime.toolset("boss") as tools:
        first = runtime.run("waits", "x")
        many = [runtime.run("waits", "x") for _ in range(500)]
        answer = call(tools, "run_background_agent", agent="echo", task="mine")
        assert answer.data["queue_place"] == 2
        runtime.stop(first)
        wait_until(lambda: many[0].view().status == "running", "the first of the many runs")
        runtime.stop(many[0])
        (view,) = runtime.wait([answer.data["task_id"]], timeout=PATIENCE)
        assert view.result == "mine"
        assert many[2].view().status == "queued"


def test_a_thousand_queued_tasks_are_listed_and_gone_at_once_with_the_runtime() -> None:
    with opened(max_queued=1000) as runtime:
        runtime.run("waits", "x")
        for _ in range(1000):
            runtime.run("echo", "x")
        assert [view.queue_place for view in runtime.list()] == list(range(1001))
