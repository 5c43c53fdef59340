"""Map: a task for each of many items."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import submitted
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskCrashed, TaskFailed
from teams import PATIENCE, shared_runtime


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

    assert len(pids) == 25
    assert len(set(pids)) == 3
    assert list(runtime.map(submitted.add_later, range(5), chunksize=2)) == [1, 2, 3, 4, 5]


def test_a_chunk_that_fails_fails_all_of_its_items(runtime: Runtime) -> None:
    results = list(runtime.map(submitted.fail_at, range(6, 10), chunksize=2, on_error="collect"))

    assert [type(result) for result in results] == [TaskFailed, TaskFailed, int, int]


def test_what_the_items_raise_is_raised_and_ends_what_runs(runtime: Runtime) -> None:
    def broken() -> Iterator[str]:
        yield "/nowhere"
        raise OSError("no more items")

    with pytest.raises(OSError, match="no more items"):
        list(runtime.map(submitted.wait_for, broken()))
    wait_until(lambda: not still_running(runtime), "what ran is stopped", limit=PATIENCE)


def test_map_uses_the_room_that_others_have_left_again(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_running=4, max_queued=0) as small:
        others = [small.submit(submitted.wait_for, str(tmp_path / "go")) for _ in range(3)]
        results = small.map(submitted.wait_for, itertools.chain([str(tmp_path / "go")] * 2, [str(tmp_path / "on")] * 4))
        (tmp_path / "go").write_text("gone")
        small.wait(others)
        assert [next(results), next(results)] == ["gone", "gone"]
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.extend(results))
        reader.start()
        wait_until(lambda: len(still_running(small)) == 4, "all slots are used again", limit=PATIENCE)
        (tmp_path / "on").write_text("on")
        reader.join()
        assert rest == ["on"] * 4


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
    (tmp_path / "go").write_text("first")
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
