"""`Runtime.wait`: for all or any, for how long, and what it leaves behind."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from teams import entrypoint_team, run_and_wait, shared_runtime, speaking, task_ids
from waiting_threads import in_threads, waiters


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


def test_wait_for_all_returns_them_in_the_order_given(runtime: Runtime) -> None:
    first, second = runtime.run("echo", "1"), runtime.run("echo", "2")

    assert [view.result for view in runtime.wait([second, first])] == ["2", "1"]


def test_wait_for_any_returns_those_that_have_ended(runtime: Runtime) -> None:
    waiting, echo = runtime.run("waits", "x"), runtime.run("echo", "x")

    assert task_ids(runtime.wait([waiting, echo], mode="any")) == [echo]

    runtime.stop(waiting)


def test_wait_without_ids_is_for_all_there_are_now(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Runtime.from_mapping(entrypoint_team()) as runtime:
        assert runtime.wait() == []
        ids = [speaking(runtime, "waits_for_file", str(gate)), runtime.run("echo", "x")]
        waiting: list[TaskView] = []
        thread = threading.Thread(target=lambda: waiting.extend(runtime.wait()))
        thread.start()
        wait_until(lambda: waiters(runtime), "it waits")
        later = speaking(runtime, "waits")

        gate.touch()
        thread.join()

        assert task_ids(waiting) == ids
        assert not runtime.view(later).ended


@pytest.mark.parametrize("timeout", [0, 0.01, -1.0])
def test_wait_returns_what_has_ended_when_the_time_is_over(runtime: Runtime, timeout: float) -> None:
    ended = run_and_wait(runtime, "echo").id
    waiting = runtime.run("waits", "x")

    assert task_ids(runtime.wait([waiting, ended], timeout=timeout)) == [ended]
    assert runtime.wait([waiting], mode="any", timeout=timeout) == []

    runtime.stop(waiting)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 1e10])
def test_wait_takes_any_timeout(runtime: Runtime, timeout: float) -> None:
    assert task_ids(runtime.wait([task_id := runtime.run("echo", "x")], timeout=timeout)) == [task_id]


def test_a_wait_that_is_over_is_forgotten(runtime: Runtime) -> None:
    waiting, echo = runtime.run("waits", "x"), runtime.run("echo", "x")

    runtime.wait([waiting], timeout=0)
    runtime.wait([echo], timeout=3600)

    assert waiters(runtime) == 0
    soon = time.monotonic() + 60  # when others are due that end processes
    assert [timer.due for due, _, timer in runtime._host.system._io._timers if due > soon and not timer.cancelled] == []
    runtime.stop(waiting)


def test_wait_for_nothing_returns_at_once(runtime: Runtime) -> None:
    assert runtime.wait([]) == []


def test_wait_for_one_task_twice_returns_it_once(runtime: Runtime) -> None:
    task_id = runtime.run("echo", "x")

    assert task_ids(runtime.wait([task_id, task_id])) == [task_id]
    assert task_ids(runtime.wait([task_id, task_id], mode="any")) == [task_id]


def test_wait_takes_one_id_that_is_no_list(runtime: Runtime) -> None:
    task_id = str(runtime.run("echo", "x"))

    assert task_ids(runtime.wait(task_id)) == [task_id]


def test_wait_refuses_another_mode(runtime: Runtime) -> None:
    with pytest.raises(ValueError, match="'all' or 'any'"):
        runtime.wait([], mode="some")  # type: ignore[arg-type]  # on purpose


def test_wait_returns_when_a_task_is_stopped(runtime: Runtime) -> None:
    task_id = speaking(runtime, "waits")

    waited, stopped = in_threads(lambda: runtime.wait([task_id]), lambda: runtime.stop(task_id)[0])

    assert waited[0].status == stopped.status == "stopped"
