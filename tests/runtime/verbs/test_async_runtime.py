"""AsyncRuntime: the verbs, awaited; the same program under asyncio and trio where that matters."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import submitted
from awaited import InLoop, in_loop, shared_in_loops
from processes_and_waits import put
from subactors.runtime import AsyncRuntime, AsyncTask, Runtime, TaskFailed, TaskStopped
from teams import PATIENCE

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

BACKENDS = ["asyncio", "trio"]


@pytest.fixture(scope="module")
def shared() -> Iterator[InLoop]:
    with shared_in_loops() as shared:
        yield shared


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_is_awaited_for_its_result(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[Any]:
        task = await runtime.run("echo", "x")
        return [await task, await task.result(), await (await runtime.submit(submitted.add_later, 1))]

    assert shared(program, backend) == ["x", "x", 2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wait_that_is_cancelled_stops_no_task(shared: InLoop, tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> str:
        task = await runtime.submit(submitted.wait_for, str(tmp_path / "go"))
        with anyio.move_on_after(0.05):
            await task
        assert not task.done()
        put(tmp_path / "go", "later")
        return str(await task)

    assert shared(program, backend) == "later"


def test_a_thousand_waits_cost_no_thread_and_leave_no_waiter(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(submitted.wait_for, "/nowhere")
        threads = threading.active_count()
        waits = [asyncio.ensure_future(task.result()) for _ in range(1000)]
        await come_to(lambda: len(waiters(runtime)) == 1000)
        assert threading.active_count() == threads
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await come_to(lambda: not waiters(runtime))
        await task.stop()

    shared(program)


def waiters(runtime: AsyncRuntime) -> list[Any]:
    """The requests that wait in the supervisor."""
    supervisor: Any = runtime._host.supervisor._actor_weakref()
    return list(supervisor._answers._waiters.all)


async def come_to(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds, in a loop of asyncio."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - of another thread's, which sets no event
            await asyncio.sleep(0)


def test_200_tasks_that_end_together_tell_each_waiter_that_stayed_once(shared: InLoop, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)  # noqa: S311 - chance is all that is wanted
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - chance is all that is wanted

    async def program(runtime: AsyncRuntime) -> None:
        go = tmp_path / "go"
        told: list[str] = []

        async def wait(task: AsyncTask) -> None:
            assert await task == "now"
            told.append(task.id)

        async with runtime.group() as group:
            tasks = [await group.submit(submitted.wait_for, str(go)) for _ in range(20)]
            waits = [(task, asyncio.ensure_future(wait(task))) for task in tasks for _ in range(10)]
            await asyncio.sleep(0)
            put(go, "now")
            cancelled = chance.sample(waits, 60)
            for _, each in cancelled:
                await asyncio.sleep(chance.random() * 0.002)
                each.cancel()
            ended = await asyncio.gather(*(each for _, each in waits), return_exceptions=True)
        stayed = [task.id for (task, _), end in zip(waits, ended, strict=True) if end is None]
        assert sorted(told) == sorted(stayed)
        assert {type(end) for end in ended if end is not None} <= {asyncio.CancelledError}
        assert [await task for task in tasks] == ["now"] * 20

    shared(program)


def test_an_end_whose_waiter_is_cancelled_in_the_same_tick_does_not_count_as_read(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(submitted.add, 1)
        wait = asyncio.ensure_future(task.result())
        record = runtime._host.registry.get(task.id)
        assert record is not None
        await come_to(lambda: record.is_over)
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        await runtime.list()  # answered after whatever was told before
        assert record.read == (not wait.cancelled())
        assert await task == 2
        await runtime.list()
        assert record.read

    shared(program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_that_is_cancelled_ends_its_tasks_before_the_block_is_left(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[str]:
        tasks: list[AsyncTask] = []
        with anyio.move_on_after(0.2):
            async with runtime.group() as group:
                tasks.extend([await group.submit(submitted.wait_for, "/nowhere") for _ in range(3)])
                await tasks[0]
        return [task.status for task in tasks]

    assert shared(program, backend) == ["stopped"] * 3


def test_a_group_that_is_cancelled_again_and_again_still_ends_its_tasks(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        tasks: list[AsyncTask] = []

        async def handler() -> None:
            async with runtime.group() as group:
                tasks.append(await group.run("deaf", "x"))
                await tasks[0]

        handling = asyncio.ensure_future(handler())
        await come_to(lambda: tasks and tasks[0].status == "running")
        while not handling.done():
            handling.cancel()
            await asyncio.sleep(0.01)
        assert tasks[0].status == "stopped"

    shared(program)


def test_a_failure_in_a_group_stops_the_others_and_is_raised(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> str:
        async with runtime.group() as group:
            waiting = await group.submit(submitted.wait_for, "/nowhere")
            await group.submit(submitted.fail_at, 7)
            with pytest.raises(TaskStopped):
                await waiting
        return "never"

    with pytest.raises(TaskFailed, match="not 7"):
        shared(program)


def test_a_start_that_is_cancelled_leaves_no_task_that_nobody_knows(tmp_path: Path) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        for _ in range(20):
            starting = asyncio.ensure_future(runtime.submit(submitted.wait_for, "/nowhere"))
            await asyncio.sleep(0)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        await come_to(lambda: runtime._host.registry.all_ended)

    in_loop(program, tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_map_and_as_completed_are_iterated_asynchronously(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        assert [result async for result in runtime.map(submitted.square, range(8), concurrency=3)] == [
            number**2 for number in range(8)
        ]
        tasks = [await runtime.submit(submitted.square, number) for number in range(4)]
        assert sorted([await task async for task in runtime.as_completed(tasks)]) == [0, 1, 4, 9]

    shared(program, backend)


def test_the_verbs_work_in_several_loops_and_beside_a_blocking_runtime(tmp_path: Path) -> None:
    with AsyncRuntimeInThreads(tmp_path / "async") as runtime, Runtime(state_dir=tmp_path, standby=0) as blocking:

        async def work(number: int) -> int:
            return int(await (await runtime.submit(submitted.add, number)))

        results: list[int] = []
        threads = [
            threading.Thread(target=lambda number=number: results.append(asyncio.run(work(number))))  # type: ignore[misc]
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        assert blocking.submit(submitted.add, 9).result(PATIENCE) == 10
        for thread in threads:
            thread.join()
    assert sorted(results) == [1, 2, 3, 4]


class AsyncRuntimeInThreads:
    """A runtime that is made and closed outside of any loop."""

    def __init__(self, state: Path) -> None:
        self._runtime = AsyncRuntime(state_dir=state, standby=0)

    def __enter__(self) -> AsyncRuntime:
        return self._runtime

    def __exit__(self, *_: object) -> None:
        asyncio.run(self._runtime.close())


def test_a_callback_is_called_in_the_loop(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(submitted.add, 1)
        called: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task.add_done_callback(called.set_result)
        assert await asyncio.wait_for(called, PATIENCE) is task

    shared(program)


def test_an_executor_serves_run_in_executor(tmp_path: Path) -> None:
    async def program(runtime: AsyncRuntime) -> Any:
        return await asyncio.get_running_loop().run_in_executor(runtime.executor(), submitted.add, 4)

    assert in_loop(program, tmp_path) == 5


def test_tools_of_an_agent_and_tasks_of_earlier_runs_are_awaited(tmp_path: Path) -> None:
    async def program(runtime: AsyncRuntime) -> list[str]:
        with await runtime.toolset("echo") as tools:
            names = [schema["function"]["name"] for schema in tools.schemas]
        task = await runtime.run("echo", "x")
        await task
        return [*names, *(view.agent for view in await runtime.history())]

    first = in_loop(program, tmp_path)
    assert in_loop(program, tmp_path) == [*first, "echo"]


def test_a_start_with_a_key_that_is_cancelled_stops_nobody_elses_task(shared: InLoop, tmp_path: Path) -> None:
    async def program(runtime: AsyncRuntime) -> str:
        go = tmp_path / "go"
        first = await runtime.submit(submitted.wait_for, str(go), key="a request")
        for turns in range(4):
            again = asyncio.ensure_future(runtime.submit(submitted.wait_for, str(go), key="a request"))
            for _ in range(turns):
                await asyncio.sleep(0)
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)
        put(go, "goes on")
        return str(await first)

    assert shared(program) == "goes on"


@pytest.mark.parametrize("backend", BACKENDS)
def test_as_completed_gives_up_after_its_time_in_a_loop_too(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(submitted.wait_for, "/nowhere")
        with pytest.raises(TimeoutError, match="1 task has not ended"):
            async for _ in runtime.as_completed([task], timeout=0.01):
                pass

    shared(program, backend)


@pytest.mark.usefixtures("own_zygote")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_futures_of_a_block_s_executors_are_settled_when_it_ends(tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[int]:
        before = threading.active_count()
        async with runtime.group() as group:
            futures = [
                executor.submit(submitted.square, number) for executor in [group.executor(1)] for number in (2, 3)
            ]
            idle = group.executor()
        assert all(future.done() for future in futures)
        with pytest.raises(RuntimeError, match="shut down"):
            idle.submit(submitted.square, 1)
        assert threading.active_count() <= before + 2  # those that settle futures
        return [future.result(0) for future in futures]

    assert in_loop(program, tmp_path, backend) == [4, 9]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_that_waits_for_its_executors_is_cancelled_as_any_other(tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[str]:
        with anyio.move_on_after(0.2):
            async with runtime.group() as group:
                executor = group.executor(1)
                executor.submit(submitted.wait_for, "/nowhere")
                executor.submit(submitted.wait_for, "/nowhere")
        return [view.status for view in await runtime.list()]

    assert in_loop(program, tmp_path, backend) == ["stopped"]


def test_a_timeout_that_is_none_is_refused_though_all_tasks_have_ended(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(submitted.square, 2)
        await task
        for wrong, kind in (("1", TypeError), (float("nan"), ValueError)):
            with pytest.raises(kind, match="must be a number of seconds, or None"):
                await anext(runtime.as_completed([task], timeout=wrong))  # type: ignore[arg-type]  # on purpose

    shared(program)


def test_what_of_asyncio_takes_awaitables_takes_a_task(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> list[Any]:
        task, other = await runtime.submit(abs, -1), await runtime.submit(abs, -2)
        completed = [await each for each in asyncio.as_completed([task, other])]
        async with asyncio.TaskGroup() as group:
            created = group.create_task(task.result())
        return [
            sorted(completed),
            await asyncio.gather(task, other),
            await asyncio.wait_for(task, PATIENCE),
            await asyncio.shield(other),
            created.result(),
        ]

    assert shared(program) == [[1, 2], [1, 2], 1, 2, 1]


@pytest.mark.parametrize("until", [asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION, asyncio.ALL_COMPLETED])
def test_asyncio_wait_says_what_it_takes_in_place_of_a_task(shared: InLoop, until: str) -> None:
    async def program(runtime: AsyncRuntime) -> int:
        task = await runtime.submit(submitted.wait_for, "/nowhere")
        waited: Any = task
        with pytest.raises(TypeError, match=r"asyncio\.wait takes futures, .* give it asyncio\.ensure_future\(task\)"):
            await asyncio.wait([waited], return_when=until)
        await task.stop()
        done, _ = await asyncio.wait([asyncio.ensure_future(waited)], return_when=until)
        with pytest.raises(TaskStopped):
            done.pop().result()
        return 1

    assert shared(program) == 1


def test_a_callback_whose_loop_is_closed_is_logged_and_not_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[AsyncTask] = []

    async def start() -> list[AsyncTask]:
        tasks = [await runtime.submit(submitted.wait_for, str(tmp_path / "gate")) for _ in range(2)]
        for task in tasks:
            task.add_done_callback(called.append)
        return tasks

    async def end() -> None:
        await runtime.wait(tasks)
        await runtime.close()

    runtime = AsyncRuntime(state_dir=tmp_path)
    tasks = asyncio.run(start())
    (tmp_path / "gate").touch()
    asyncio.run(end())

    assert called == []
    for task in tasks:
        assert f"A callback of {task.id} was not called: the event loop that it was to be called in is closed." in (
            caplog.text
        )
