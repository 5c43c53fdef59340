"""Map: a task for each of many items."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import submitted
from processes_and_waits import put, wait_until
from subactors.runtime import EmptyTaskError, RunError, Runtime, RuntimeClosedError, TaskCrashed, TaskFailed
from teams import PATIENCE, shared_runtime

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


class CountsPicklings:
    """Knows how often it was pickled."""

    picklings = 0
    place = 0

    def __reduce__(self) -> tuple[type, tuple[()]]:
        CountsPicklings.picklings += 1
        return CountsPicklings, ()


def still_running(runtime: Runtime) -> list[str]:
    return [view.id for view in runtime.list() if not view.ended]


def test_results_come_in_the_order_of_the_items_each_from_a_process_of_its_own(runtime: Runtime) -> None:
    assert list(runtime.map(submitted.square, range(30), concurrency=4)) == [number**2 for number in range(30)]
    pids = list(runtime.map(submitted.own_pid, range(5)))
    assert len({*pids, os.getpid()}) == 6


def test_results_come_as_they_are_ready_where_order_does_not_matter(runtime: Runtime) -> None:
    results = list(runtime.map(submitted.square, range(20), ordered=False))

    assert sorted(results) == [number**2 for number in range(20)]


def test_an_agent_gets_a_text_as_its_task_and_all_else_as_data(runtime: Runtime) -> None:
    assert list(runtime.map("echo", ["one", "two"])) == ["one", "two"]
    assert list(runtime.map("echo", [{"row": 1}])) == ['{"row":1}']


def test_a_function_may_have_parameters_that_are_called_as_keywords_of_submit(runtime: Runtime) -> None:
    assert list(runtime.map(lambda name: name, ["one", "two"])) == ["one", "two"]


@pytest.mark.parametrize("chunksize", [1, 2])
def test_a_function_that_goes_by_value_is_pickled_once(runtime: Runtime, chunksize: int) -> None:
    held = CountsPicklings()

    def first_word(text: str) -> str:
        return text.split()[held.place]

    assert list(runtime.map(first_word, ["a b", "c d", "e f", "g h"], chunksize=chunksize)) == ["a", "c", "e", "g"]
    # Once to see that it has no name, and once by value.
    assert CountsPicklings.picklings <= 3
    CountsPicklings.picklings = 0


@pytest.mark.parametrize("chunksize", [1, 2])
def test_items_go_by_value_beside_a_function_that_has_a_name(runtime: Runtime, chunksize: int) -> None:
    functions = [lambda: 2, lambda: 3, lambda: 4]

    assert list(runtime.map(submitted.call, functions, chunksize=chunksize)) == [2, 3, 4]


def test_items_are_taken_only_as_there_is_room(runtime: Runtime) -> None:
    taken = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = runtime.map(submitted.square, endless(), concurrency=3)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(taken) <= 5 + 2 * 3
    results.close()  # type: ignore[attr-defined]  # it is a generator
    wait_until(lambda: not still_running(runtime), "what ran is stopped", limit=PATIENCE)


def test_a_failure_is_raised_and_ends_what_runs(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed, match="not 7"):
        list(runtime.map(submitted.fail_at, itertools.count(), concurrency=4))
    wait_until(lambda: not still_running(runtime), "what ran is stopped", limit=PATIENCE)


def test_failures_are_collected_in_their_places(runtime: Runtime) -> None:
    results = list(runtime.map(submitted.fail_at, [6, 7, 8], on_error="collect"))

    assert results[::2] == [6, 8]
    assert isinstance(results[1], TaskFailed)
    assert results[1].reason == "ValueError: not 7"


def test_a_crash_is_collected_in_its_place_too(runtime: Runtime) -> None:
    (crashed,) = runtime.map(submitted.crash, [1], on_error="collect")

    assert isinstance(crashed, TaskFailed)
    assert "SIGSEGV" in crashed.reason


def test_one_process_works_through_a_chunk_of_items(runtime: Runtime) -> None:
    pids = list(runtime.map(submitted.own_pid, range(25), chunksize=10))

    assert [len({*pids[first : first + 10]}) for first in (0, 10, 20)] == [1, 1, 1]
    assert len(pids) == 25
    assert list(runtime.map(submitted.add_later, range(5), chunksize=2)) == [1, 2, 3, 4, 5]


def fails_in_its_own_way(number: int) -> object:
    """A result for even numbers."""
    if number == 1:
        raise ValueError("not 1")
    if number == 3:
        raise SystemExit(3)
    return object() if number == 5 else number


async def fails_later(number: int) -> object:
    return fails_in_its_own_way(number)


@pytest.mark.parametrize("function", [fails_in_its_own_way, fails_later])
def test_each_item_of_a_chunk_fails_by_itself_where_failures_are_collected(
    runtime: Runtime, function: Callable[[int], object]
) -> None:
    results: list[Any] = list(runtime.map(function, range(7), chunksize=7, on_error="collect"))

    assert results[::2] == [0, 2, 4, 6]
    assert all(isinstance(result, TaskFailed) for result in results[1::2])
    assert [result.view.error for result in results[1::2]] == ["ValueError", "SystemExit", "TypeError"]
    assert results[1].reason == "ValueError: not 1"
    assert 'raise ValueError("not 1")' in results[1].traceback
    assert "result is of type object" in results[5].reason


def test_a_crash_fails_all_items_of_its_chunk_and_no_other(runtime: Runtime) -> None:
    def crash_at_two(number: int) -> int:
        if number == 2:
            submitted.crash()
        return number

    results = list(runtime.map(crash_at_two, range(6), chunksize=3, on_error="collect"))

    assert [type(result) for result in results] == [TaskFailed] * 3 + [int] * 3


@pytest.mark.parametrize("chunksize", [1, 2, 5])
def test_an_item_that_cannot_be_sent_is_collected_in_its_place(runtime: Runtime, chunksize: int) -> None:
    items = [-1, {"here": threading.Lock()}, -3, 4, threading.Lock()]

    results = list(runtime.map(abs, items, chunksize=chunksize, on_error="collect"))

    assert [results[0], *results[2:4]] == [1, 3, 4]
    assert [str(results[place]).partition(":")[2] for place in (1, 4)] == [
        " items[1]['here'] is a thread lock. Make it in the function.",
        " items[4] is a thread lock. Make it in the function.",
    ]


@pytest.mark.parametrize("chunksize", [1, 5])
def test_an_item_that_cannot_be_sent_is_raised_after_the_results_before_it(runtime: Runtime, chunksize: int) -> None:
    results = runtime.map(abs, [-1, -2, threading.Lock(), -4], chunksize=chunksize)

    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(TypeError, match=r"^abs cannot be sent .*: items\[2\] is a thread lock"):
        next(results)


def test_an_item_that_is_no_task_of_an_agent_is_collected_in_its_place(runtime: Runtime) -> None:
    results = list(runtime.map("echo", ["one", "", {"lock": threading.Lock()}, "four"], on_error="collect"))

    assert results[::3] == ["one", "four"]
    assert [type(result) for result in results[1:3]] == [EmptyTaskError, TypeError]
    assert str(results[2]).startswith("items[2] is not plain data: data['lock'] is of type lock.")


def test_a_function_that_cannot_be_sent_is_refused_before_anything_runs(runtime: Runtime) -> None:
    lock = threading.Lock()

    with pytest.raises(TypeError, match=r"'lock' of function .* is a thread lock"):
        runtime.map(lambda _: lock, [1], on_error="collect")


@pytest.mark.parametrize("ordered", [True, False])
def test_what_the_items_raise_is_raised_after_the_results_of_those_before(runtime: Runtime, ordered: bool) -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise OSError("no more items")

    results = runtime.map(submitted.square, broken(), ordered=ordered)

    assert sorted(next(results) for _ in range(5)) == [0, 1, 4, 9, 16]
    with pytest.raises(OSError, match="no more items"):
        next(results)
    assert list(results) == []


def test_an_async_iterable_is_refused_where_nothing_awaits_it(runtime: Runtime) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"which only `AsyncRuntime.map` takes"):
        runtime.map(abs, numbers())  # type: ignore[arg-type]  # on purpose


def test_maps_wait_for_room_that_other_maps_take(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=2, max_queued=1) as small:
        totals: list[int] = []
        readers = [
            threading.Thread(target=lambda: totals.append(sum(small.map(submitted.square, range(8), ordered=False))))
            for _ in range(6)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert totals == [sum(number**2 for number in range(8))] * 6


def test_a_map_waits_for_room_that_other_tasks_take(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path / "state", standby=0, max_running=1, max_queued=0) as small:
        other = small.submit(submitted.wait_for, str(tmp_path / "go"))
        results: list[int] = []
        reader = threading.Thread(target=lambda: results.extend(small.map(submitted.square, range(3))))
        reader.start()
        put(tmp_path / "go", "gone")
        assert other.result(PATIENCE) == "gone"
        reader.join()
        assert results == [0, 1, 4]


def test_a_map_that_waits_for_room_ends_with_its_runtime(tmp_path: Path) -> None:
    small = Runtime(state_dir=tmp_path / "state", standby=0, max_running=1, max_queued=0)
    small.submit(submitted.wait_for, "/nowhere")
    errors: list[BaseException] = []

    def read() -> None:
        try:
            list(small.map(submitted.square, range(3)))
        except RuntimeClosedError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    small.close()
    reader.join()
    assert len(errors) == 1


def test_a_map_that_is_read_slowly_takes_up_no_room_of_unread_results(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=4, max_tasks=1, max_queued=8) as small:
        maps = [small.map(submitted.square, range(16), concurrency=8) for _ in range(3)]
        for results in maps:
            assert next(results) == 0
            wait_until(lambda: not still_running(small), "all that the map has started ends", limit=PATIENCE)
        assert [sum(results) for results in maps] == [sum(number**2 for number in range(16))] * 3


def test_map_uses_the_room_that_others_have_left_again(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=4, max_queued=0) as small:
        others = [small.submit(submitted.wait_for, str(tmp_path / "go")) for _ in range(3)]
        results = small.map(submitted.wait_for, itertools.chain([str(tmp_path / "go")] * 2, [str(tmp_path / "on")] * 4))
        put(tmp_path / "go", "gone")
        small.wait(others)
        assert [next(results), next(results)] == ["gone", "gone"]
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.extend(results))
        reader.start()
        wait_until(lambda: len(still_running(small)) == 4, "all slots are used again", limit=PATIENCE)
        put(tmp_path / "on", "on")
        reader.join()
        assert rest == ["on"] * 4


def test_a_map_starts_nothing_before_its_first_result_is_asked_for(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0) as small:
        results = small.map(submitted.square, range(3))
        assert small.list() == []
        assert list(results) == [0, 1, 4]


def test_a_map_of_a_group_is_refused_behind_its_block(runtime: Runtime) -> None:
    with runtime.group() as group:
        results = group.map(submitted.square, range(3))

    with pytest.raises(RunError, match=r"The block of this group has ended. It starts no more tasks"):
        next(results)


def test_map_of_nothing_is_nothing(runtime: Runtime) -> None:
    assert list(runtime.map(submitted.square, [])) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chunksize": 0}, "chunksize is 0"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"on_error": "ignore"}, "'raise' or 'collect'"),
    ],
)
def test_arguments_out_of_their_range_are_refused_before_anything_runs(
    runtime: Runtime, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        runtime.map(submitted.square, [1], **arguments)  # type: ignore[arg-type]  # on purpose


def test_a_map_that_is_left_when_the_runtime_has_been_closed_raises_nothing(tmp_path: Path) -> None:
    put(tmp_path / "go", "first")
    with Runtime(state_dir=tmp_path / "state", standby=0, max_running=3) as closing:
        results = closing.map(submitted.wait_for, [str(tmp_path / "go"), "/nowhere", "/nowhere"])
        assert next(results) == "first"
        wait_until(lambda: len(closing.list()) == 3, "all three to be known")
        closing.close()

        results.close()  # type: ignore[attr-defined]  # a generator


def test_an_executor_settles_futures_with_results_and_with_what_was_raised(runtime: Runtime) -> None:
    with runtime.executor(2) as executor:
        assert list(executor.map(submitted.square, range(5))) == [0, 1, 4, 9, 16]
        failed = executor.submit(submitted.fail_at, 7)
        with pytest.raises(ValueError, match="not 7") as caught:
            failed.result(PATIENCE)
    assert isinstance(caught.value.__cause__, TaskFailed)


def test_a_crash_breaks_its_own_future_and_the_executor_lives_on(runtime: Runtime) -> None:
    with runtime.executor() as executor:
        crashed = executor.submit(submitted.crash)
        assert isinstance(crashed.exception(PATIENCE), TaskCrashed)
        assert executor.submit(submitted.add, 1).result(PATIENCE) == 2


def test_a_future_that_waits_for_room_is_cancelled_and_its_function_never_called(runtime: Runtime) -> None:
    executor = runtime.executor(1)
    running = executor.submit(submitted.wait_for, "/nowhere")
    waiting = executor.submit(submitted.add, 1)

    executor.shutdown(wait=False, cancel_futures=True)

    assert waiting.cancelled()
    assert not running.done()
    with pytest.raises(RuntimeError, match="has been shut down"):
        executor.submit(submitted.add, 1)
    runtime.stop(*still_running(runtime))
    executor.shutdown()
    assert running.exception(0) is not None
