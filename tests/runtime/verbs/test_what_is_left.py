"""What tasks leave in their host is gone with the last reference to it: nothing of it waits for the collector."""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import submitted
from processes_and_waits import wait_until
from subactors.actors import ActorProcess
from subactors.runtime import Runtime, Task, TaskFailed
from teams import PATIENCE, shared_runtime

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


@pytest.fixture
def garbage() -> Iterator[Callable[[], list[Any]]]:
    """What looks for objects of the product that nobody refers to any more, and that are still there."""

    def find() -> list[Any]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        return [item for item in gc.garbage if type(item).__module__.startswith("subactors.")]

    gc.collect()
    gc.disable()
    try:
        yield find
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def a_result(runtime: Runtime) -> None:
    runtime.submit(submitted.own_pid, 1).result(PATIENCE)


def a_failure(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed):
        runtime.submit(int, "one").result(PATIENCE)


def a_crash(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed):
        runtime.submit(os._exit, 3).result(PATIENCE)


def a_stop(runtime: Runtime) -> None:
    task = runtime.submit(time.sleep, PATIENCE)
    task.stop()
    runtime.wait([task])


def a_map(runtime: Runtime) -> None:
    assert list(runtime.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]


def a_map_in_chunks(runtime: Runtime) -> None:
    assert list(runtime.map(abs, range(-5, 0), chunksize=2)) == [5, 4, 3, 2, 1]


def a_map_that_is_given_up(runtime: Runtime) -> None:
    results = runtime.map(abs, itertools.count())
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]  # it is a generator
    runtime.wait([view.id for view in runtime.list()], timeout=PATIENCE)


def a_group(runtime: Runtime) -> None:
    with runtime.group() as group:
        group.submit(submitted.own_pid, 1)


def a_timeout(runtime: Runtime) -> None:
    task: Task[None] = runtime.submit(time.sleep, PATIENCE)
    with pytest.raises(TimeoutError):
        task.result(0.01)
    task.stop()
    runtime.wait([task])


@pytest.mark.parametrize(
    "happen",
    [a_result, a_failure, a_crash, a_stop, a_map, a_map_in_chunks, a_map_that_is_given_up, a_group, a_timeout],
    ids=lambda happen: happen.__name__,
)
def test_nothing_of_an_ended_task_waits_for_the_collector(
    runtime: Runtime, garbage: Callable[[], list[Any]], happen: Callable[[Runtime], None]
) -> None:
    happen(runtime)

    wait_until(lambda: not any(type(item) is ActorProcess for item in gc.get_objects()), "the process is forgotten")
    assert garbage() == []
