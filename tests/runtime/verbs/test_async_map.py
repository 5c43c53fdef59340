"""Async map: items that are awaited, and waits that are cancelled; the same program under asyncio and trio."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import submitted
from anyio.lowlevel import checkpoint
from awaited import InLoop, shared_in_loops
from first_forms import first_always
from processes_and_waits import put
from subactors.runtime import AsyncRuntime, TaskFailed
from subactors.runtime.verbs.async_many import AsyncResults

pytestmark = first_always("backend", ["asyncio", "trio"])


@pytest.fixture(scope="module")
def shared() -> Iterator[InLoop]:
    with shared_in_loops() as shared:
        yield shared


async def nothing_runs(runtime: AsyncRuntime) -> None:
    """Return as soon as no task runs."""
    while any(not view.ended for view in await runtime.list()):
        await checkpoint()


async def numbers(count: int) -> AsyncIterator[int]:
    """The first numbers."""
    for number in range(count):
        await checkpoint()
        yield number


def test_a_map_whose_wait_is_cancelled_goes_on_with_the_next(shared: InLoop, tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[str]:
        results = runtime.map(submitted.wait_for, [str(tmp_path / "go")] * 3)
        for _ in range(3):
            with anyio.move_on_after(0.01):
                await anext(results)
        put(tmp_path / "go", "gone")
        return [result async for result in results]

    assert shared(program, backend) == ["gone"] * 3


def test_as_completed_whose_wait_is_cancelled_goes_on_with_the_next(
    shared: InLoop, tmp_path: Path, backend: str
) -> None:
    async def program(runtime: AsyncRuntime) -> bool:
        tasks = [await runtime.submit(submitted.wait_for, str(tmp_path / "go")) for _ in range(3)]
        ended = runtime.as_completed(tasks)
        for _ in range(3):
            with anyio.move_on_after(0.01):
                await anext(ended)
        put(tmp_path / "go", "gone")
        return sorted(map(str, tasks)) == sorted([str(task) async for task in ended])

    assert shared(program, backend)


def test_a_loop_over_a_map_that_is_cancelled_stops_what_runs(shared: InLoop, tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        with anyio.CancelScope() as scope:
            async for _ in runtime.map(submitted.wait_for, itertools.chain([str(tmp_path / "go")], ["/nowhere"] * 3)):
                scope.cancel()
        await nothing_runs(runtime)

    put(tmp_path / "go", "gone")
    shared(program, backend)


def test_a_failure_ends_a_map_and_all_that_runs_for_it(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[Any]:
        results = runtime.map(submitted.fail_at, itertools.count())
        assert [await anext(results) for _ in range(7)] == [*range(7)]
        with pytest.raises(TaskFailed, match="not 7"):
            await anext(results)
        await nothing_runs(runtime)
        return [result async for result in results]

    assert shared(program, backend) == []


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_map_takes_an_async_iterable(shared: InLoop, backend: str, chunksize: int) -> None:
    async def program(runtime: AsyncRuntime) -> list[int]:
        return [square async for square in runtime.map(submitted.square, numbers(10), chunksize=chunksize)]

    assert shared(program, backend) == [number**2 for number in range(10)]


def test_an_agent_is_run_for_each_item_of_an_async_iterable(shared: InLoop, backend: str) -> None:
    async def topics() -> AsyncIterator[str]:
        yield "ants"
        yield "bees"

    async def program(runtime: AsyncRuntime) -> list[str]:
        return [answer async for answer in runtime.map("echo", topics())]

    assert shared(program, backend) == ["ants", "bees"]


def test_results_come_while_an_async_iterable_still_waits_for_its_next_item(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[int]:
        read = anyio.Event()

        async def replies() -> AsyncIterator[int]:
            yield 2
            await read.wait()
            yield 3

        results = []
        async for result in runtime.map(submitted.square, replies()):
            results.append(result)
            read.set()
        return results

    assert shared(program, backend) == [4, 9]


def test_an_async_iterable_may_hold_scopes_while_it_yields(shared: InLoop, backend: str) -> None:
    async def scoped() -> AsyncIterator[int]:
        with anyio.CancelScope():
            async with anyio.create_task_group() as group:
                group.start_soon(checkpoint)
                for number in range(3):
                    yield number
                    await checkpoint()

    async def program(runtime: AsyncRuntime) -> list[int]:
        return [result async for result in runtime.map(submitted.square, scoped())]

    assert shared(program, backend) == [0, 1, 4]


def test_items_of_an_async_iterable_are_taken_only_as_there_is_room(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> int:
        taken = []

        async def endless() -> AsyncIterator[int]:
            for number in itertools.count():
                taken.append(number)
                yield number

        async with runtime.map(submitted.square, endless(), concurrency=3) as results:
            assert [await anext(results) for _ in range(5)] == [0, 1, 4, 9, 16]
        await nothing_runs(runtime)
        return len(taken)

    assert shared(program, backend) <= 5 + 2 * 3


def test_what_an_async_iterable_raises_is_raised_after_the_results_of_those_before(
    shared: InLoop, backend: str
) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 2
        raise OSError("no more items")

    async def program(runtime: AsyncRuntime) -> int:
        results = runtime.map(submitted.square, broken())
        first: int = await anext(results)
        with pytest.raises(OSError, match="no more items"):
            await anext(results)
        return first

    assert shared(program, backend) == 4


def test_an_async_iterable_that_waits_is_ended_with_its_map(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        ended = anyio.Event()

        async def waits() -> AsyncIterator[int]:
            try:
                yield 2
                await anyio.sleep_forever()
            finally:
                ended.set()

        async for _ in runtime.map(submitted.square, waits()):
            break
        await ended.wait()

    shared(program, backend)


def test_an_async_generator_that_has_more_to_yield_is_closed_with_its_map(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        ended = anyio.Event()

        async def endless() -> AsyncIterator[int]:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep_forever)
                    for number in itertools.count():
                        yield number
            finally:
                ended.set()

        async for _ in runtime.map(submitted.square, endless(), concurrency=2):
            break
        await ended.wait()

    shared(program, backend)


def test_an_async_map_is_read_by_one_coroutine_at_a_time(shared: InLoop, tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> str:
        results = runtime.map(submitted.wait_for, [str(tmp_path / "go")])
        async with anyio.create_task_group() as group:
            read: list[str] = []
            reads_now = anyio.Event()

            async def reads() -> None:
                reads_now.set()
                read.append(await anext(results))

            group.start_soon(reads)
            await reads_now.wait()
            with pytest.raises(RuntimeError, match="another coroutine"):
                await anext(results)
            put(tmp_path / "go", "gone")
        return read[0]

    assert shared(program, backend) == "gone"


@pytest.mark.parametrize("what", ["map", "as_completed"])
def test_whoever_waits_for_the_next_learns_that_it_is_closed(shared: InLoop, backend: str, what: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[object]:
        results: AsyncResults[Any] = runtime.map(submitted.wait_for, ["/nowhere"])
        if what == "as_completed":
            results = runtime.as_completed([await runtime.submit(submitted.wait_for, "/nowhere")])
        read: list[object] = []

        async def reads() -> None:
            read.append(await anext(results, "closed"))

        async with anyio.create_task_group() as group:
            group.start_soon(reads)
            while not await runtime.list():
                await checkpoint()
            results.close()
        return read

    assert shared(program, backend) == ["closed"]
