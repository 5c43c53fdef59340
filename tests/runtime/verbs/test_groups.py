"""Groups: tasks that end with a block."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import msgspec
import pytest
import submitted
from processes_and_waits import put
from subactors.runtime import RunError, Runtime, TaskFailed, TaskStopped
from subactors.runtime.tasks.messages import TaskAccepted
from subactors.runtime.tasks.views import TaskList
from teams import PATIENCE, shared_runtime

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with shared_runtime() as runtime:
        yield runtime


def test_a_block_that_ends_as_it_should_waits_for_its_tasks(runtime: Runtime) -> None:
    with runtime.group() as group:
        tasks = [group.submit(submitted.square, number) for number in range(4)]
        tasks.append(group.run("echo", "x"))

    assert all(task.done() for task in tasks)
    assert [task.result(0) for task in tasks] == [0, 1, 4, 9, "x"]


def test_an_exception_that_leaves_the_block_stops_its_tasks_and_no_others(runtime: Runtime) -> None:
    other = runtime.submit(submitted.wait_for, "/nowhere")

    def body() -> None:
        with runtime.group() as group:
            tasks.extend(group.submit(submitted.wait_for, "/nowhere") for _ in range(3))
            raise KeyError("left")

    tasks: list[object] = []
    with pytest.raises(KeyError, match="left"):
        body()
    assert [runtime.view(str(task)).status for task in tasks] == ["stopped"] * 3
    assert not other.done()
    other.stop()


def test_a_task_that_fails_has_the_others_stopped_and_is_what_the_block_raises(runtime: Runtime) -> None:
    tasks = []

    def body() -> None:
        with runtime.group() as group:
            tasks.append(group.submit(submitted.wait_for, "/nowhere"))
            tasks.append(group.submit(submitted.fail_at, 7))

    with pytest.raises(TaskFailed, match="not 7"):
        body()
    assert [task.status for task in tasks] == ["stopped", "failed"]


def test_a_group_that_has_been_stopped_for_a_failure_starts_no_more(runtime: Runtime) -> None:
    group = runtime.group()

    def body() -> None:
        with group:
            group.submit(submitted.fail_at, 7)
            group.wait(timeout=PATIENCE)
            with pytest.raises(RunError, match="has failed"):
                group.submit(submitted.add, 1)

    with pytest.raises(TaskFailed):
        body()
    assert len(group.tasks) == 1


def test_a_group_that_collects_lets_the_others_go_on_and_raises_nothing(runtime: Runtime, tmp_path: Path) -> None:
    with runtime.group(on_error="collect") as group:
        failing = group.submit(submitted.fail_at, 7)
        going = group.submit(submitted.wait_for, str(tmp_path / "go"))
        runtime.wait([failing], timeout=PATIENCE)
        assert not going.done()
        put(tmp_path / "go", "went on")

    assert going.result(0) == "went on"
    with pytest.raises(TaskFailed):
        failing.result(0)


def test_a_group_is_stopped_by_hand(runtime: Runtime) -> None:
    with runtime.group() as group:
        group.submit(submitted.wait_for, "/nowhere")
        (view,) = group.stop()

    assert view.status == "stopped"


def test_a_group_lists_its_own_tasks_only(runtime: Runtime) -> None:
    other = runtime.submit(submitted.add, 1)
    with runtime.group() as group:
        task = group.submit(submitted.add, 1)
        assert [view.id for view in group.list()] == [task]
    other.result(PATIENCE)


def test_a_failure_is_what_a_block_raises_that_waits_for_another_of_its_tasks(runtime: Runtime) -> None:
    def body() -> None:
        with runtime.group() as group:
            tasks = [group.submit(submitted.wait_for, "/nowhere"), group.submit(submitted.fail_at, 7)]
            for task in tasks:
                task.result(PATIENCE)

    with pytest.raises(TaskFailed, match="not 7") as caught:
        body()
    assert isinstance(caught.value.__cause__, TaskStopped)


def test_tasks_of_a_map_and_of_an_executor_end_with_the_block_too(runtime: Runtime) -> None:
    def body() -> None:
        with runtime.group() as group:
            results = group.map(submitted.wait_for, ["/nowhere"] * 3)
            group.executor().submit(submitted.wait_for, "/nowhere")
            group.submit(submitted.fail_at, 7)
            next(results)

    with pytest.raises(TaskFailed):
        body()
    assert [view.id for view in runtime.list() if not view.ended] == []


def test_a_block_waits_for_what_its_executor_runs(runtime: Runtime) -> None:
    with runtime.group() as group:
        future = group.executor().submit(submitted.add, 1)

    assert future.result(PATIENCE) == 2
    assert [task.status for task in group.tasks] == ["completed"]


def test_the_futures_of_a_block_s_executors_are_settled_when_it_ends(runtime: Runtime) -> None:
    told: list[int] = []
    with runtime.group() as group:
        narrow, wide = group.executor(1), group.executor()
        futures = [executor.submit(submitted.square, number) for number in range(6) for executor in (narrow, wide)]
        futures[-1].add_done_callback(lambda future: told.append(future.result()))

    assert all(future.done() for future in futures)
    assert [future.result(0) for future in futures] == [number**2 for number in range(6) for _ in range(2)]
    assert told == [25]
    with pytest.raises(RuntimeError, match="shut down"):
        narrow.submit(submitted.square, 1)


def test_a_block_that_a_failure_ends_leaves_the_futures_of_its_executors_settled(runtime: Runtime) -> None:
    futures: list[Future[object]] = []

    def body() -> None:
        with runtime.group() as group:
            executor = group.executor(1)
            futures.extend(executor.submit(submitted.wait_for, "/nowhere") for _ in range(3))
            group.submit(submitted.fail_at, 7)

    with pytest.raises(TaskFailed, match="not 7"):
        body()
    assert all(future.done() for future in futures)
    assert [type(future.exception(0)) for future in futures] == [TaskStopped, RunError, RunError]


@pytest.mark.usefixtures("own_zygote")
def test_a_group_s_task_that_fails_while_the_runtime_closes_holds_nothing_up(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0) as closing:
        group = closing.group()
        failed = msgspec.structs.replace(group.submit(submitted.wait_for, "/nowhere").view(), status="failed")
        closing.close()
        # In the supervisor's thread, which an exception would end.
        group._book.add(TaskAccepted("agent_task_still_ending"), "wait_for")
        group._book._hear(TaskList(tasks=[failed], running=0, max_running=1))

    with pytest.raises(RunError, match="has failed"):
        group.submit(submitted.add, 1)


def test_a_task_that_others_have_asked_for_by_its_key_does_not_fall_with_a_group(runtime: Runtime) -> None:
    def body(key: str) -> None:
        with runtime.group() as group:
            group.submit(submitted.wait_for, "/nowhere", key=key)
            raise KeyError("left")

    shared = runtime.submit(submitted.wait_for, "/nowhere", key="shared")
    with runtime.group() as other:
        in_other = other.submit(submitted.wait_for, "/nowhere", key="of two groups")
        for key in ("shared", "of two groups"):
            with pytest.raises(KeyError):
                body(key)
        assert not shared.done()
        assert not in_other.done()
        other.stop()
    assert in_other.done()
    shared.stop()


def test_a_group_whose_block_has_ended_starts_nothing(runtime: Runtime) -> None:
    with runtime.group() as group:
        pass

    with pytest.raises(RunError, match="block of this group has ended"):
        group.submit(submitted.add, 1)
    with pytest.raises(RunError, match="block of this group has ended"), group:
        pass


def test_a_group_stops_what_runs_though_some_of_its_tasks_are_forgotten(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_tasks=1) as small, small.group() as group:
        for number in range(4):
            group.submit(submitted.add, number).result(PATIENCE)
        last = group.submit(submitted.wait_for, "/nowhere")
        group.stop()

        assert last.status == "stopped"


def test_tasks_that_have_failed_besides_the_first_are_in_the_notes_of_what_the_block_raises(runtime: Runtime) -> None:
    ends: list[object] = []

    def body() -> None:
        with runtime.group() as group:
            hear = group._book._hear

            def hear_once_both_have_failed(reply: object) -> None:
                ends.append(reply)
                if len(ends) == 2:
                    for end in ends:
                        hear(end)

            group._book._hear = hear_once_both_have_failed  # type: ignore[method-assign]
            for number in (7, 8):
                group.submit(submitted.fail_at, number, number)

    with pytest.raises(TaskFailed) as caught:
        body()

    first, second = ("not 7", "not 8") if "not 7" in caught.value.reason else ("not 8", "not 7")
    assert first in caught.value.reason
    (note,) = caught.value.__notes__
    assert "(fail_at) failed, too: ValueError: " in note
    assert second in note


def test_the_tasks_of_a_group_in_a_group_are_stopped_together(runtime: Runtime) -> None:
    inner = []

    def body() -> None:
        with runtime.group() as group:
            inner.extend([group.group().submit(submitted.wait_for, "/nowhere") for _ in range(2)])
            group.submit(submitted.fail_at, 7)

    with pytest.raises(TaskFailed, match="not 7"):
        body()
    assert [task.status for task in inner] == ["stopped", "stopped"]


def test_a_task_with_a_key_that_somebody_else_has_asked_for_outlives_the_group(runtime: Runtime) -> None:
    def body() -> None:
        with runtime.group() as group:
            group.submit(submitted.wait_for, "/nowhere", key="outlives")
            raise KeyError("left")

    task = runtime.submit(submitted.wait_for, "/nowhere", key="outlives")
    with pytest.raises(KeyError, match="left"):
        body()
    assert not task.done()
    task.stop()
