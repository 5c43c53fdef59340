"""The queue: tasks beyond `max_running` wait for a slot, in turns, and start by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from subactors.actors import RestartPolicy
from subactors.runtime import CapacityError, Runtime
from subactors.runtime.runs.reader import JournalReader
from teams import entrypoint_team, task_ids

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
