"""What races for the end of a task: whichever comes first, there is one end, and all hear of the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes_and_waits import wait_until
from subactors.runtime import Event, Runtime, TaskEnded, TaskView
from teams import (
    entrypoint_team,
    run_and_wait,
    shared_runtime,
    speaking,
)


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with shared_runtime(**place) as runtime:
        yield runtime


def _raced(runtime: Runtime, task_id: str, *attempts: Callable[[], Any]) -> tuple[TaskView, list[Event]]:
    """Make attempts on a task at one moment; return how it ended, and the events of its end."""
    start = threading.Barrier(len(attempts))

    def attempt(action: Callable[[], Any]) -> None:
        start.wait()
        action()

    with runtime.events() as events:
        threads = [threading.Thread(target=attempt, args=(action,)) for action in attempts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (view,) = runtime.wait([task_id])
        # What comes after it would come before the end of another task.
        run_and_wait(runtime, "echo")
    ends = [event for event in events if isinstance(event, TaskEnded) and event.task.id == task_id]
    assert [end.task.status for end in ends] == [view.status]
    return view, list(ends)


@pytest.mark.parametrize("attempt", range(4))
def test_a_stop_that_races_with_the_answer_ends_in_one_of_the_two(
    runtime: Runtime, tmp_path: Path, attempt: int
) -> None:
    gate = tmp_path / str(attempt)
    task_id = speaking(runtime, "waits_for_file", str(gate))

    view, _ = _raced(runtime, task_id, gate.touch, lambda: runtime.stop(task_id))

    assert view.result == "the file is there"
    assert (view.status, view.reason == "") in {("completed", True), ("stopped", False)}


@pytest.mark.parametrize("attempt", range(4))
def test_a_stop_that_races_with_a_crash_ends_in_one_of_the_two(runtime: Runtime, tmp_path: Path, attempt: int) -> None:
    gate = tmp_path / str(attempt)
    task_id = speaking(runtime, "exits_with_file", str(gate))

    view, _ = _raced(runtime, task_id, gate.touch, lambda: runtime.stop(task_id))

    assert view.status in {"failed", "stopped"}
    assert "exit status 3" in view.reason
    assert view.output == "so far "


@pytest.mark.parametrize("agent", ["waits", "deaf"])
def test_stops_from_several_threads_all_return_the_one_end(runtime: Runtime, agent: str) -> None:
    task_id = speaking(runtime, agent)
    views: list[TaskView] = []

    _raced(runtime, task_id, *[lambda: views.append(runtime.stop(task_id)[0])] * 4)

    assert [view.status for view in views] == ["stopped"] * 4
    assert len({view.reason for view in views}) == 1


@pytest.mark.host_only("a node whose zygote stands still is not waited for by a stop")
def test_a_stop_that_comes_before_the_process_does_ends_the_task_before_it_does_anything(place: dict[str, Any]) -> None:
    with Runtime.from_mapping(entrypoint_team(), standby=0, **place) as runtime, runtime.events() as events:
        first = speaking(runtime, "waits")
        zygote = psutil.Process(runtime.view(first).pid).ppid()
        runtime.stop(first)
        os.kill(zygote, signal.SIGSTOP)
        try:
            ids = [runtime.run("deaf", "go") for _ in range(5)]
            stops = [threading.Thread(target=runtime.stop, args=(task_id,)) for task_id in ids]
            for stop in stops:
                stop.start()
            wait_until(lambda: all(runtime.view(task_id).status == "stopping" for task_id in ids), "the stops are sent")
        finally:
            os.kill(zygote, signal.SIGCONT)
        for stop in stops:
            stop.join()

        assert {(view.status, view.output) for view in runtime.wait(ids)} == {("stopped", "")}
        runtime.close()
        assert sum(isinstance(event, TaskEnded) for event in events) == 6


def test_many_stops_at_once_end_all_tasks(runtime: Runtime) -> None:
    ids = [runtime.run("waits", "go") for _ in range(10)]

    threads = [threading.Thread(target=runtime.stop, args=(task_id,)) for task_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [view.status for view in runtime.wait(ids)] == ["stopped"] * 10
