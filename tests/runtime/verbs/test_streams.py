"""Streams of events and of what tasks say: blocking, and awaited under asyncio and trio."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import chattering
import pytest
import submitted
from awaited import InLoop, in_loop, shared_in_loops
from first_forms import first_always
from subactors.runtime import (
    AsyncRuntime,
    Event,
    Lagged,
    Runtime,
    Task,
    TaskCalledTool,
    TaskEnded,
    TaskOutput,
    TaskStarted,
    UnknownTaskError,
)
from subactors.runtime.runs import output_text
from teams import PATIENCE

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

BACKENDS = ["asyncio", "trio"]


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime of which nobody has opened a stream."""
    with Runtime(state_dir=tmp_path / "state", stop_grace=0.5, max_tasks=10_000) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def shared() -> Iterator[InLoop]:
    with shared_in_loops() as shared:
        yield shared


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def id_of(event: Event) -> str:
    assert not isinstance(event, Lagged)
    return event.task.id if hasattr(event, "task") else event.task_id


def texts(events: Iterable[Event]) -> dict[str, str]:
    said: dict[str, str] = defaultdict(str)
    for event in events:
        if isinstance(event, TaskOutput):
            assert not event.missed
            said[event.task_id] += event.text
    return dict(said)


def changes(events: Iterable[Event]) -> list[tuple[str, str]]:
    """What happened beside output: what and to which task, sorted."""
    return sorted((type(event).__name__, id_of(event)) for event in events if not isinstance(event, TaskOutput))


# --- what a task says -----------------------------------------------------------------------------------------------


def test_what_a_task_says_is_followed_to_its_end(runtime: Runtime) -> None:
    task = runtime.submit(chattering.chatter, 200)

    assert "".join(task.follow()) == chattering.LINE * 200 == task.output()
    assert list(task.follow()) == [chattering.LINE * 200]  # it has ended, and is as it was


def test_what_a_task_says_comes_piece_by_piece_while_it_runs(runtime: Runtime, tmp_path: Path) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    task = runtime.submit(chattering.says_and_waits, "hello", str(first), str(last))
    follower = task.follow()

    assert next(follower) == "hello\n"
    assert follower.next(timeout=0) is None
    first.touch()
    assert next(follower) == "go\n"
    assert task.view().status == "running"
    last.touch()
    assert list(follower) == ["go\n"]


def test_a_task_that_says_nothing_is_followed_to_its_end(runtime: Runtime) -> None:
    assert list(runtime.submit(submitted.add, 1).follow()) == []


def test_of_what_was_not_kept_a_line_tells(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_output=10_000) as runtime:
        task = runtime.submit(chattering.says, "x" * 100_000)
        task.result()

        text = "".join(task.follow())

    assert text.startswith("x" * 5000 + "\n\n[")
    assert "bytes left out here.]\n\nx" in text


def test_a_task_that_is_not_known_is_not_followed(runtime: Runtime) -> None:
    stranger = Task("agent_task_0", "nobody", runtime._way)

    with pytest.raises(UnknownTaskError, match=r"no task 'agent_task_0' here"):
        stranger.follow()
    with pytest.raises(UnknownTaskError):
        runtime.events([stranger])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_task_says_is_awaited(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> list[str]:
        task = await runtime.submit(chattering.chatter, 50)
        return ["".join([piece async for piece in task.follow()]) for _ in range(2)]

    assert shared(program, backend) == [chattering.LINE * 50] * 2


# --- what becomes of tasks ------------------------------------------------------------------------------------------


def test_events_of_a_task_are_all_of_them_from_its_start_to_its_end(runtime: Runtime) -> None:
    task = runtime.submit(chattering.chatter, 20)
    other = runtime.submit(chattering.chatter, 20)
    runtime.wait([task])

    before = list(task.events())  # nobody has listened when they happened
    runtime.wait([other])
    again = list(task.events())

    for events in (before, again):
        assert kinds(events)[0] == "TaskStarted"
        assert kinds(events)[-1] == "TaskEnded"
        assert kinds(events).count("TaskStarted") == kinds(events).count("TaskEnded") == 1
        assert texts(events) == {task.id: chattering.LINE * 20}
    assert [event.time for event in before] == sorted(event.time for event in before)


def test_events_of_several_tasks_end_with_the_last_of_them(runtime: Runtime) -> None:
    tasks = [runtime.submit(chattering.chatter, 20, seed) for seed in range(3)]
    other = runtime.submit(chattering.says, "something else")

    events = list(runtime.events([*tasks, str(tasks[0])]))

    assert texts(events) == {task.id: chattering.LINE * 20 for task in tasks}
    assert kinds(events)[-1] == "TaskEnded"
    assert kinds(events).count("TaskStarted") == kinds(events).count("TaskEnded") == 3
    assert {id_of(event) for event in events} == {task.id for task in tasks}
    other.result()


def test_events_of_no_task_are_none(runtime: Runtime) -> None:
    assert list(runtime.events([])) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tasks": "agent_task_1"}, TypeError, "Several tasks are wanted"),
        ({"since": 3}, TypeError, "since is of type int; it must be the cursor of an event"),
        ({"limit": 0}, ValueError, "limit is 0; it must be at least 1"),
        ({"limit": None}, TypeError, "limit is of type NoneType; it must be a whole number"),
        ({"tasks": ["agent_task_0"]}, UnknownTaskError, "no task 'agent_task_0' here"),
    ],
)
def test_wrong_arguments_of_a_stream_are_refused_at_once(
    runtime: Runtime, arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        runtime.events(**arguments)


def test_a_slow_reader_gets_one_lagged_and_the_cursor_behind_what_it_missed(runtime: Runtime) -> None:
    stream = runtime.events(limit=2)
    for number in range(3):
        runtime.submit(submitted.add, number).result()
    runtime.submit(submitted.add, 3).result()

    lagged, *events = [stream.next(timeout=PATIENCE) for _ in range(3)]

    assert isinstance(lagged, Lagged)
    assert lagged.missed == 6
    assert [type(event) for event in events] == [TaskStarted, TaskEnded]
    assert runtime.events(since=lagged.cursor).next(timeout=PATIENCE) == events[0]


@first_always("seed", range(4))
def test_a_reader_of_tasks_comes_back_again_and_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # With small pieces: it comes back in the midst of what was said before anybody listened, too.
    monkeypatch.setattr(output_text, "_PIECE", 50)
    chance = random.Random(seed)  # noqa: S311 - where it leaves is no secret
    tasks = [runtime.submit(chattering.chatter, 40, number) for number in range(4)]
    if seed % 2:
        runtime.wait(tasks[:2])
    seen: list[Event] = []
    staying = runtime.events(tasks)

    while True:
        since = seen[-1].cursor if seen else None
        with runtime.events(chance.sample(tasks, 4), since=since) as stream:
            some = [event for _ in range(chance.randrange(1, 30)) if (event := stream.next(PATIENCE)) is not None]
        seen += some
        if not some:
            break
    stayed = list(staying)

    assert texts(seen) == texts(stayed) == {task.id: chattering.LINE * 40 for task in tasks}
    assert changes(seen) == changes(stayed)
    assert kinds(seen).count("TaskStarted") == kinds(seen).count("TaskEnded") == 4


def test_events_of_a_group_are_those_of_its_tasks(runtime: Runtime) -> None:
    other = runtime.submit(chattering.says, "other")
    with runtime.group() as group:
        tasks = [group.submit(chattering.says, str(number)) for number in range(3)]
        said = texts(group.events())
    other.result()

    assert said == {task.id: str(number) for number, task in enumerate(tasks)}


@pytest.mark.parametrize("late", [False, True])
def test_a_stream_that_is_opened_at_any_moment_tells_each_start_and_end_once(runtime: Runtime, *, late: bool) -> None:
    if late:
        runtime.events().close()
    for number in range(40):
        task = runtime.submit(chattering.says, str(number))
        for _ in range(number * 50):
            pass  # a little later each time

        events = list(task.events())

        assert kinds(events)[-1] == "TaskEnded"
        assert kinds(events).count("TaskStarted") == kinds(events).count("TaskEnded") == 1
        assert texts(events) == {task.id: str(number)}
        assert kinds(task.events(since=events[-1].cursor)) == []


# --- awaited --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_events_are_awaited_by_fifty_streams_without_a_thread(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        found: list[dict[str, str]] = []
        threads: set[str] = set()

        async def read(tasks: Any) -> None:
            found.append(texts([event async for event in runtime.events(tasks)]))
            threads.update(thread.name for thread in threading.enumerate())

        tasks = [await runtime.submit(chattering.chatter, 30, number) for number in range(5)]
        before = {thread.name for thread in threading.enumerate()}
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(read, tasks)
        assert found == [{task.id: chattering.LINE * 30 for task in tasks}] * 50
        assert threads - before <= {"subactors-vitals"}  # which looks at what tasks use

    shared(program, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wait_for_an_event_that_is_cancelled_loses_nothing(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> dict[str, str]:
        task = await runtime.submit(chattering.chatter, 200)
        events: list[Event] = []
        cancelled = 0
        async with runtime.events([task]) as stream:
            while not events or not isinstance(events[-1], TaskEnded):
                with anyio.move_on_after(random.random() * 0.002) as scope:  # noqa: S311 - chance is all that is wanted
                    events.append(await anext(stream))
                cancelled += scope.cancelled_caught
        assert cancelled
        return texts(events)

    (said,) = shared(program, backend).values()
    assert said == chattering.LINE * 200


def test_a_wait_that_is_cancelled_in_the_tick_of_its_event_loses_nothing(shared: InLoop) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        stream = runtime.events()
        for _ in range(50):
            wait = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            task = await runtime.submit(submitted.add, 1)
            wait.cancel()
            (first,) = await asyncio.gather(wait, return_exceptions=True)
            if isinstance(first, BaseException):
                first = await anext(stream)
            assert isinstance(first, TaskStarted)
            ended = await anext(stream)
            assert isinstance(ended, TaskEnded)
            assert ended.task.id == first.task.id == task.id

    shared(program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_that_is_left_or_dropped_leaves_nothing(tmp_path: Path, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        task = await runtime.submit(chattering.says_and_waits, "x", str(tmp_path / "go"))
        async for _ in runtime.events([task]):
            break
        stream = runtime.events()
        gone = weakref.ref(stream)
        with anyio.move_on_after(0.01):
            await anext(stream)
        del stream, _
        with anyio.move_on_after(0.001):  # asyncio keeps the frames of a task's last cancellation
            await anyio.sleep(1)
        gc.collect()
        assert gone() is None
        assert not any(runtime._host.hub._readers.values())
        await task.stop()

    in_loop(program, tmp_path / "state", backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_ends_when_it_is_closed_while_somebody_waits(shared: InLoop, backend: str) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        stream = runtime.events()
        async with anyio.create_task_group() as group:

            async def read() -> None:
                assert [event async for event in stream] == []

            group.start_soon(read)
            await anyio.sleep(0.01)
            with pytest.raises(RuntimeError, match="read by another coroutine already"):
                await anext(stream)
            threading.Thread(target=stream.close).start()
        await stream.aclose()

    shared(program, backend)


def test_a_runtime_that_is_closed_ends_its_streams(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with AsyncRuntime(state_dir=tmp_path, standby=0) as runtime:
            await (await runtime.submit(submitted.add, 1))
            stream = runtime.events()
            task = await runtime.submit(submitted.wait_for, "/nowhere")
            reader = asyncio.ensure_future(collected(stream))
            await asyncio.sleep(0)
            del task
        return kinds(await reader)

    async def collected(stream: Any) -> list[Event]:
        return [event async for event in stream]

    assert asyncio.run(main())[-1] == "TaskEnded"


def test_a_flood_leaves_the_event_loop_its_turns(tmp_path: Path) -> None:
    async def program(runtime: AsyncRuntime) -> None:
        stream = runtime.events()
        for _ in range(5_000):
            runtime._host.hub.publish(TaskCalledTool("agent_task_1", "tool", ""))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counter = asyncio.ensure_future(count())
        for _ in range(5_000):
            await anext(stream)
        counter.cancel()
        assert turns > 100

    in_loop(program, tmp_path)
