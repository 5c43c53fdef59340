"""Chunks: a process of a mapping in chunks works through one after the other."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import GeneratorType
from typing import Any

import pytest
import submitted
from processes_and_waits import put, wait_until
from subactors.runtime import CapacityError, Limits, Runtime, TaskFailed, TaskStopped, TaskView
from subactors.runtime.supervisor import chunks
from teams import PATIENCE, shared_runtime

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime in which one task may run at a time."""
    with Runtime(state_dir=tmp_path / "state", standby=0, max_running=1, stop_grace=PATIENCE) as narrow:
        yield narrow


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes wait for chunks for a long time."""
    monkeypatch.setattr(chunks, "_MOST_IDLE", 10 * PATIENCE)


async def own_pid_later(number: int) -> int:
    return submitted.own_pid(number)


def wait_until_free(runtime: Runtime, results: Iterator[Any]) -> TaskView:
    """Return the one task of a map once it has nothing to do: it has taken a chunk of which nobody asks the results."""
    assert isinstance(results, GeneratorType)
    mapping = results.gi_frame.f_locals["mapping"]
    wait_until(lambda: mapping._free, "the last chunk that was taken is done", limit=PATIENCE)
    return next(view for view in runtime.list() if not view.ended)


@pytest.mark.parametrize("function", [submitted.own_pid, own_pid_later])
def test_a_process_that_is_free_takes_the_next_chunk(narrow: Runtime, function: Callable[[int], Any]) -> None:
    pids = list(narrow.map(function, range(20), chunksize=3))

    assert len(pids) == 20
    assert len(set(pids)) == 1
    assert [view.status for view in narrow.list()] == ["completed"]


def test_results_are_right_however_many_processes_share_the_chunks(runtime: Runtime) -> None:
    for concurrency, ordered in itertools.product([1, 2, 5, None], [True, False]):
        results = list(runtime.map(abs, range(-200, 0), chunksize=7, concurrency=concurrency, ordered=ordered))
        assert sorted(results, reverse=True) == [*range(200, 0, -1)]
        assert not ordered or results == [*range(200, 0, -1)]


def test_a_crash_fails_the_chunk_that_its_process_was_at_and_no_other(narrow: Runtime) -> None:
    def crash_at_five(number: int) -> int:
        if number == 5:
            submitted.crash()
        return os.getpid()

    results = list(narrow.map(crash_at_five, range(8), chunksize=2, on_error="collect"))

    assert [type(result) for result in results] == [int] * 4 + [TaskFailed] * 2 + [int] * 2
    assert len({*results[:4]}) == 1
    assert results[6] == results[7] != results[0]


def test_a_function_that_raises_ends_its_process_and_the_map(narrow: Runtime) -> None:
    results = narrow.map(submitted.fail_at, range(20), chunksize=3)

    assert [next(results) for _ in range(6)] == [*range(6)]
    with pytest.raises(TaskFailed, match="not 7"):
        next(results)
    assert narrow.list()[0].status == "failed"


def test_a_process_that_has_forked_works_through_its_chunks_alone(narrow: Runtime) -> None:
    def fork(number: int) -> int:
        if number % 2 == 0 and (pid := os.fork()):
            os.waitpid(pid, 0)
        return number

    assert list(narrow.map(fork, range(6), chunksize=2)) == [*range(6)]


def test_a_chunk_with_a_large_result_is_the_last_of_its_process(narrow: Runtime) -> None:
    def large(number: int) -> str:
        return f"{os.getpid():9}" + "x" * 600_000 * (number == 1)

    results = list(narrow.map(large, range(6), chunksize=2))

    assert [len(result) for result in results] == [9, 600_009, 9, 9, 9, 9]
    assert [result[:9] for result in results] == [results[0]] * 1 + [results[1][:9]] + [results[2]] * 4
    assert results[0] == results[1][:9] != results[2]


def test_each_chunk_has_a_process_of_its_own_where_tasks_have_limits(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=1, limits=Limits(wall_clock=PATIENCE)) as limited:
        pids = list(limited.map(submitted.own_pid, range(6), chunksize=2))

    assert pids[::2] == pids[1::2]
    assert len(set(pids)) == 3


@pytest.mark.usefixtures("patient")
def test_a_task_that_waits_for_a_slot_gets_that_of_a_map_after_its_chunk(narrow: Runtime) -> None:
    results = narrow.map(submitted.square, itertools.count(), chunksize=2)
    assert next(results) == 0

    assert narrow.submit(submitted.square, 9).result(PATIENCE) == 81
    assert [next(results) for _ in range(30)] == [number**2 for number in range(1, 31)]
    results.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.usefixtures("patient")
def test_a_task_of_a_map_that_has_nothing_to_do_ends_at_once_when_it_is_stopped(narrow: Runtime) -> None:
    results = narrow.map(abs, itertools.count(), chunksize=2)
    assert next(results) == 0
    free = wait_until_free(narrow, results)

    (stopped,) = narrow.stop(free.id)

    assert stopped.status == "stopped"
    assert [next(results) for _ in range(30)] == [*range(1, 31)]
    results.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.usefixtures("patient")
def test_a_task_of_a_map_that_has_nothing_to_do_is_completed_when_the_map_is_closed(narrow: Runtime) -> None:
    results = narrow.map(abs, itertools.count(), chunksize=2)
    assert next(results) == 0
    free = wait_until_free(narrow, results)

    results.close()  # type: ignore[attr-defined]  # it is a generator

    (ended,) = narrow.wait([free.id], timeout=PATIENCE)
    assert (ended.status, ended.result) == ("completed", [2, 3])


@pytest.mark.usefixtures("patient")
def test_a_crash_of_a_task_that_has_nothing_to_do_costs_no_item(narrow: Runtime) -> None:
    results = narrow.map(abs, itertools.count(), chunksize=2)
    assert next(results) == 0
    free = wait_until_free(narrow, results)
    assert free.pid is not None

    os.kill(free.pid, 9)
    assert narrow.wait([free.id], timeout=PATIENCE)[0].status == "failed"

    assert [next(results) for _ in range(30)] == [*range(1, 31)]
    results.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_stop_of_a_task_at_a_chunk_is_told_in_its_place(runtime: Runtime, tmp_path: Path) -> None:
    put(tmp_path / "go", "gone")
    paths = [str(tmp_path / "go")] * 2 + ["/nowhere"] * 2
    results = runtime.map(submitted.wait_for, paths, chunksize=2, concurrency=1)
    assert [next(results), next(results)] == ["gone", "gone"]
    errors: list[BaseException] = []

    def read() -> None:
        try:
            next(results)
        except TaskStopped as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    (running,) = [view.id for view in runtime.list() if not view.ended]
    runtime.stop(running)
    reader.join()
    assert len(errors) == 1


def test_a_map_in_chunks_waits_for_room_that_other_tasks_take(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path / "state", standby=0, max_running=1, max_queued=0) as small:
        other = small.submit(submitted.wait_for, str(tmp_path / "go"))
        results: list[int] = []
        reader = threading.Thread(target=lambda: results.extend(small.map(submitted.square, range(7), chunksize=2)))
        reader.start()
        put(tmp_path / "go", "gone")
        assert other.result(PATIENCE) == "gone"
        reader.join()
        assert results == [number**2 for number in range(7)]


def test_maps_in_chunks_share_what_room_there_is(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=2, max_queued=1) as small:
        totals: list[int] = []
        readers = [
            threading.Thread(target=lambda: totals.append(sum(small.map(submitted.square, range(40), chunksize=3))))
            for _ in range(6)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert totals == [sum(number**2 for number in range(40))] * 6


def test_a_task_that_only_waits_for_a_chunk_ends_for_whoever_waits_for_it(narrow: Runtime) -> None:
    with narrow.group() as group:
        results = group.map(submitted.square, itertools.count(), chunksize=2)
        assert next(results) == 0

    assert {view.status for view in narrow.list()} == {"completed"}


def test_maps_that_are_read_in_turn_take_turns_where_nothing_is_queued(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=1, max_queued=0) as small:
        pairs = zip(
            small.map(abs, range(12), chunksize=2), small.map(submitted.square, range(12), chunksize=2), strict=True
        )

        assert list(pairs) == [(number, number**2) for number in range(12)]


@pytest.mark.usefixtures("patient")
def test_a_task_that_is_refused_for_want_of_room_finds_some_soon(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=1, max_queued=0) as small:
        results = small.map(submitted.square, itertools.count(), chunksize=2)
        assert next(results) == 0
        with pytest.raises(CapacityError):
            small.submit(submitted.square, 3)
        wait_until(lambda: all(view.ended for view in small.list()), "what has nothing to do ends", limit=PATIENCE)

        assert small.submit(submitted.square, 3).result(PATIENCE) == 9
        results.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_map_in_chunks_uses_the_room_that_others_have_left_again(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path / "state", standby=0, max_running=3) as small:
        others = [small.submit(submitted.wait_for, str(tmp_path / "go")) for _ in range(2)]
        paths = [str(tmp_path / "go")] * 2 + [str(tmp_path / "on")] * 6
        results = small.map(submitted.wait_for, paths, chunksize=2)
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.extend(results))
        reader.start()
        wait_until(lambda: len([view for view in small.list() if not view.ended]) == 3, "all run", limit=PATIENCE)
        put(tmp_path / "go", "gone")
        small.wait(others)
        wait_until(lambda: len([view for view in small.list() if not view.ended]) == 3, "again", limit=PATIENCE)
        put(tmp_path / "on", "on")
        reader.join()
        assert rest == ["gone"] * 2 + ["on"] * 6


def test_when_a_map_in_chunks_is_over_its_tasks_have_ended(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0) as runtime:
        list(runtime.map(submitted.square, range(20), chunksize=3))
        assert {view.status for view in runtime.list()} == {"completed"}


@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_what_the_items_raise_is_raised_behind_the_chunk_before(runtime: Runtime, on_error: Any) -> None:
    def broken() -> Iterator[int]:
        yield from range(7)
        raise OSError("no more items")

    results = runtime.map(submitted.square, broken(), chunksize=5, on_error=on_error)

    assert [next(results) for _ in range(7)] == [0, 1, 4, 9, 16, 25, 36]
    with pytest.raises(OSError, match="no more items"):
        next(results)


def interrupt(results: Iterator[int]) -> None:
    for result in results:
        if result > 10_000:
            raise KeyboardInterrupt


def test_an_interrupt_in_the_loop_over_a_map_stops_what_runs(runtime: Runtime) -> None:
    results = runtime.map(submitted.square, itertools.count(), chunksize=3, concurrency=3)
    with pytest.raises(KeyboardInterrupt):
        interrupt(results)
    del results
    wait_until(lambda: all(view.ended for view in runtime.list()), "what ran is gone", limit=PATIENCE)
