"""Executor: futures that are settled whatever callbacks do, whatever else has taken the room, and at the close."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import submitted
from first_forms import first_always
from subactors.runtime import (
    AsyncRuntime,
    CapacityError,
    Runtime,
    RuntimeClosedError,
    TaskFailed,
    TaskStopped,
    UnreadResultsError,
)
from teams import PATIENCE, shared_runtime

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


@pytest.fixture
def closing() -> Iterator[Runtime]:
    """A runtime that the test closes."""
    with Runtime(standby=0, stop_grace=0.3, max_running=1) as runtime:
        yield runtime


# --- at the close ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_zygote")
def test_a_future_is_settled_when_close_returns_as_the_first_that_is_called_back(closing: Runtime) -> None:
    called: list[Future[Any]] = []
    running = closing.executor().submit(submitted.wait_for, "/nowhere")
    running.add_done_callback(called.append)

    closing.close()

    assert isinstance(running.exception(0), TaskStopped)
    assert called == [running]


def test_a_callback_has_been_called_when_close_returns(closing: Runtime) -> None:
    called: list[str] = []
    task = closing.submit(submitted.wait_for, "/nowhere")
    task.add_done_callback(called.append)

    closing.close()

    assert called == [task]


def test_a_future_of_asyncio_is_settled_when_the_block_is_left(tmp_path: Path) -> None:
    async def main() -> Any:
        async with AsyncRuntime(state_dir=tmp_path, standby=0, stop_grace=0.3) as runtime:
            loop = asyncio.get_running_loop()
            return loop.run_in_executor(runtime.executor(), submitted.wait_for, "/nowhere")

    async def left() -> BaseException | None:
        pending = await main()
        assert pending.done()
        error: BaseException | None = pending.exception()
        return error

    assert isinstance(asyncio.run(left()), TaskStopped)


def test_a_queued_function_is_told_of_the_stop_and_one_that_never_was_a_task_of_the_close(closing: Runtime) -> None:
    many = closing.executor(3)
    queued = [many.submit(submitted.wait_for, "/nowhere") for _ in range(3)]
    waiting = [many.submit(submitted.add, 1) for _ in range(2000)]

    closing.close()

    assert all(isinstance(future.exception(0), TaskStopped) for future in queued)
    assert all(isinstance(future.exception(0), RuntimeClosedError) for future in waiting)
    many.shutdown()
    assert isinstance(closing.executor().submit(submitted.add, 1).exception(0), RuntimeClosedError)


def test_a_callback_may_close_the_runtime_that_is_being_closed(closing: Runtime) -> None:
    closed: list[object] = []

    def close(_: object) -> None:
        closed.append(closing.close())

    closing.submit(submitted.wait_for, "/nowhere").add_done_callback(close)
    closing.executor().submit(submitted.wait_for, "/nowhere").add_done_callback(close)

    closing.close()

    assert closed == [None, None]


def test_a_callback_may_close_the_runtime(closing: Runtime) -> None:
    closed = threading.Event()

    def close(_: object) -> None:
        closing.close()
        closed.set()

    closing.executor().submit(submitted.add, 1).add_done_callback(close)

    assert closed.wait(PATIENCE)


# --- callbacks that do not return ------------------------------------------------------------------------------------


def test_a_callback_of_a_task_that_does_not_return_holds_up_no_future(runtime: Runtime) -> None:
    may_return = threading.Event()
    runtime.submit(submitted.add, 1).add_done_callback(lambda _: may_return.wait(PATIENCE))

    assert runtime.executor().submit(submitted.add, 4).result(PATIENCE) == 5
    may_return.set()


def test_callbacks_of_futures_that_do_not_return_hold_up_no_other(runtime: Runtime) -> None:
    may_return = threading.Event()
    executor = runtime.executor(1)
    for number in range(5):
        executor.submit(submitted.add, number).add_done_callback(lambda _: may_return.wait(PATIENCE))

    assert executor.submit(submitted.add, 4).result(PATIENCE) == 5
    may_return.set()


def test_a_callback_may_wait_for_another_future_of_the_same_executor(runtime: Runtime) -> None:
    executor = runtime.executor(1)
    results: list[int] = []
    done = threading.Event()

    def wait(_: object) -> None:
        results.append(executor.submit(submitted.add, 8).result(PATIENCE))
        done.set()

    executor.submit(submitted.add, 1).add_done_callback(wait)

    assert done.wait(PATIENCE)
    assert results == [9]


def test_shutdown_waits_for_the_callbacks_of_futures_but_for_the_one_that_calls_it(runtime: Runtime) -> None:
    executor = runtime.executor()
    called: list[str] = []
    has_begun, may_return = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        has_begun.set()
        may_return.wait(PATIENCE)
        called.append("slow")

    def shut_down(_: object) -> None:
        has_begun.wait(PATIENCE)
        may_return.set()
        executor.shutdown()
        called.append("after it")

    executor.submit(submitted.add, 1).add_done_callback(wait)
    executor.submit(submitted.add, 1).add_done_callback(shut_down)
    executor.shutdown()

    assert called[0] == "slow"


def test_a_callback_that_ends_its_thread_ends_no_other(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()

    def leave(_: object) -> None:
        raise SystemExit

    task = runtime.submit(submitted.add, 1)
    task.add_done_callback(leave)
    task.add_done_callback(lambda _: called.set())

    assert called.wait(PATIENCE)
    assert "SystemExit" in caplog.text


async def awaitable(_: object) -> None:
    """Nothing."""


class Awaitable:
    """What has to be awaited when it is called."""

    async def __call__(self, _: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("callback", [awaitable, functools.partial(awaitable), Awaitable()])
def test_a_callback_that_would_have_to_be_awaited_is_refused(
    runtime: Runtime, callback: Callable[[object], object], tmp_path: Path
) -> None:
    async def program() -> None:
        async with AsyncRuntime(state_dir=tmp_path, standby=0) as other:
            task = await other.submit(submitted.add, 1)
            with pytest.raises(TypeError, match="give a plain function"):
                task.add_done_callback(callback)

    task = runtime.submit(submitted.add, 1)
    with pytest.raises(TypeError, match="give a plain function"):
        task.add_done_callback(callback)
    asyncio.run(program())


def test_a_callback_that_returns_what_has_to_be_awaited_is_told_of(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()
    task = runtime.submit(submitted.add, 1)
    task.add_done_callback(lambda _: awaitable(None))
    task.add_done_callback(lambda _: called.set())

    assert called.wait(PATIENCE)
    assert "awaitable of a task is a coroutine function, and was not run" in caplog.text


# --- room ------------------------------------------------------------------------------------------------------------


def test_functions_wait_for_room_that_others_take_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    file, told = tmp_path / "go", tmp_path / "told"
    with Runtime(standby=0, max_running=1, max_queued=0) as runtime:
        other = runtime.submit(submitted.wait_for, str(file))
        with runtime.executor(4) as executor:
            futures = [executor.submit(submitted.note, str(told), str(number)) for number in range(6)]
            with pytest.raises(CapacityError):
                runtime.submit(submitted.add, 1)
            file.touch()
            assert [future.result(PATIENCE) for future in futures] == [*"012345"]
        other.result(PATIENCE)
    assert sorted(told.read_text().split()) == [*"012345"]


def test_what_waits_for_room_is_settled_at_the_close() -> None:
    runtime = Runtime(standby=0, stop_grace=0.3, max_running=1, max_queued=0)
    runtime.submit(submitted.wait_for, "/nowhere")
    futures = [runtime.executor().submit(submitted.add, number) for number in range(3)]

    runtime.close()

    assert all(isinstance(future.exception(0), RuntimeClosedError) for future in futures)


def test_results_that_nobody_reads_are_not_waited_for() -> None:
    with Runtime(standby=0, max_running=2, max_queued=0, max_tasks=3) as runtime:
        for _ in range(3):
            task = runtime.submit(submitted.add, 1)
            ended = threading.Event()
            task.add_done_callback(lambda _, ended=ended: ended.set())  # type: ignore[misc]  # it has a default
            assert ended.wait(PATIENCE)

        refused = runtime.executor().submit(submitted.add, 1)

        assert isinstance(refused.exception(PATIENCE), UnreadResultsError)


# --- what was raised -------------------------------------------------------------------------------------------------


def test_what_no_future_of_asyncio_can_raise_is_told_as_the_failure_that_it_is(tmp_path: Path) -> None:
    async def main() -> Any:
        async with AsyncRuntime(state_dir=tmp_path, standby=0) as runtime:
            loop = asyncio.get_running_loop()
            raising = loop.run_in_executor(runtime.executor(), submitted.stop_iteration)
            await asyncio.wait_for(raising, PATIENCE)

    with pytest.raises(TaskFailed, match="StopIteration: 3"):
        asyncio.run(main())


def test_the_error_of_a_file_has_its_number_and_its_name(runtime: Runtime) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        runtime.executor().submit(open, "/nowhere").result(PATIENCE)

    assert (caught.value.errno, caught.value.filename) == (2, "/nowhere")
    assert isinstance(caught.value.__cause__, TaskFailed)


@first_always(
    "raised",
    [
        ValueError(),
        ValueError(1, 2.5, None, True),
        KeyError("k"),
        KeyError(("row", 3)),
        OSError(18, "cross-device", "a", None, "b"),
        UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "invalid start byte"),
        SyntaxError("invalid syntax", ("file.py", 1, 2, "a b", 1, 3)),
    ],
    keep=3,
    ids=repr,
)
def test_an_exception_arrives_with_the_arguments_that_it_had(runtime: Runtime, raised: Exception) -> None:
    made_of = raised.__reduce__()[1]  # type: ignore[index]  # of Python's own types it is a tuple

    error = runtime.executor().submit(submitted.raise_it, type(raised).__name__, *made_of).exception(PATIENCE)

    assert type(error) is type(raised)
    assert error.__reduce__()[:2] == raised.__reduce__()[:2]
    assert str(error) == str(raised)


@first_always("argument", [[1], {"a": 1}, float("nan"), 2**70, "x" * 10_000], keep=2, ids=lambda one: repr(one)[:9])
def test_an_exception_whose_arguments_are_not_sent_has_its_message(runtime: Runtime, argument: object) -> None:
    error = runtime.executor().submit(submitted.raise_it, "ValueError", argument).exception(PATIENCE)

    assert type(error) is ValueError
    assert str(error)[:100] == str(argument)[:100]
