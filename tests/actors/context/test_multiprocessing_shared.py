"""What processes of the `multiprocessing` context share: pools, executors, queues, locks, values, managers, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import context_targets as targets
import pytest
from subactors.actors import ZygoteContext

PATIENCE = 30.0


@pytest.fixture
def answers(context: ZygoteContext) -> Iterator[Any]:
    """A queue for what processes answer."""
    queue = context.SimpleQueue()
    yield queue
    queue.close()


def run(context: ZygoteContext, target: Any, *arguments: object, number: int = 1) -> None:
    processes = [context.Process(target=target, args=arguments) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0


def test_an_executor_maps(context: ZygoteContext) -> None:
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(targets.square, range(20))) == [number * number for number in range(20)]


def test_an_executor_may_have_a_process_for_each_task(context: ZygoteContext) -> None:
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as executor:
        assert len(set(executor.map(targets.pid_of_worker, range(6)))) == 6


def test_an_executor_tells_of_a_worker_that_dies(context: ZygoteContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context) as executor, pytest.raises(BrokenProcessPool):
        executor.submit(os._exit, 1).result(PATIENCE)


def test_an_executor_hands_on_what_a_task_raises(context: ZygoteContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        failed = executor.submit(targets.fail)
        assert executor.submit(targets.square, 3).result(PATIENCE) == 9
        with pytest.raises(ValueError, match="on purpose"):
            failed.result(PATIENCE)


def test_a_pool_maps_initialises_and_replaces_its_workers(context: ZygoteContext) -> None:
    with context.Pool(2, initializer=int, initargs=(3,), maxtasksperchild=2) as pool:
        assert pool.map(targets.square, range(10), chunksize=1) == [number * number for number in range(10)]
        pool.close()
        pool.join()


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_a_queue_carries(context: ZygoteContext, kind: str) -> None:
    queue = getattr(context, kind)()
    process = context.Process(target=targets.put, args=(queue, {"large": "x" * 200_000}))
    process.start()
    assert queue.get() == {"large": "x" * 200_000}
    process.join(PATIENCE)
    assert process.exitcode == 0
    queue.close()


def test_a_pipe_carries_both_ways(context: ZygoteContext) -> None:
    ours, theirs = context.Pipe()
    process = context.Process(target=targets.echo, args=(theirs,))
    process.start()
    theirs.close()
    ours.send([1, "two"])
    assert ours.recv() == [1, "two"]
    ours.send(None)
    with pytest.raises(EOFError):  # the process has the only other end
        ours.recv()
    process.join(PATIENCE)
    ours.close()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_excludes_and_a_value_is_shared(context: ZygoteContext, kind: str) -> None:
    lock, value = getattr(context, kind)(), context.Value("i", 0, lock=False)
    run(context, targets.add_with, lock, value, 500, number=3)
    assert value.value == 1500


def test_a_value_has_a_lock_of_its_own(context: ZygoteContext) -> None:
    value = context.Value("i", 0)
    run(context, targets.add_with, value.get_lock(), value, 200, number=2)
    assert value.value == 400


def test_an_array_is_shared(context: ZygoteContext) -> None:
    locked, raw = context.Array("i", 5), context.RawArray("d", 3)
    run(context, targets.fill, locked)
    run(context, targets.fill, raw)
    assert (list(locked), list(raw)) == ([0, 1, 2, 3, 4], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_a_semaphore_counts_over_processes(context: ZygoteContext, answers: Any, kind: str) -> None:
    semaphore = getattr(context, kind)(2)
    run(context, targets.acquire, semaphore, answers, number=3)
    assert sorted(answers.get() for _ in range(3)) == [False, True, True]


def test_a_barrier_lets_all_go_on_together(context: ZygoteContext, answers: Any) -> None:
    run(context, targets.meet, context.Barrier(3), answers, number=3)
    assert [answers.get() for _ in range(3)] == [True] * 3


def test_an_event_is_heard_in_both_directions(context: ZygoteContext) -> None:
    told, done = context.Event(), context.Event()
    process = context.Process(target=targets.set_when_told, args=(told, done))
    process.start()
    assert not done.is_set()
    told.set()
    assert done.wait(PATIENCE)
    process.join(PATIENCE)


def test_a_condition_wakes_who_waits(context: ZygoteContext) -> None:
    condition = context.Condition()
    with condition:
        process = context.Process(target=targets.notify, args=(condition,))
        process.start()
        assert condition.wait(PATIENCE)
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_manager_serves_the_host_and_its_processes(context: ZygoteContext) -> None:
    with context.Manager() as manager:
        shared = manager.list(["host"])
        run(context, targets.append_to, shared, "process")
        assert list(shared) == ["host", "process"]


def test_shared_memory_is_seen_by_name(context: ZygoteContext) -> None:
    segment = SharedMemory(create=True, size=16)
    try:
        run(context, targets.write_to, segment.name, b"seen")
        assert bytes(segment.buf[:4]) == b"seen"
    finally:
        segment.close()
        segment.unlink()
