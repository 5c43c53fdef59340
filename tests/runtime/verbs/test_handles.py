"""Task handles: what a program does with a task that it has started."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import submitted
from processes_and_waits import put, wait_until
from subactors.runtime import (
    NotOfTypeError,
    RunError,
    Runtime,
    Task,
    TaskFailed,
    TaskStopped,
    UnknownTaskError,
)
from teams import PATIENCE, shared_runtime
from waiting_threads import in_threads

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with shared_runtime(**place) as runtime:
        yield runtime


@dataclasses.dataclass
class Sum:
    total: int


def summed(total: object) -> dict[str, object]:
    return {"total": total}


def test_a_handle_is_its_task_s_id_to_whoever_asks(runtime: Runtime) -> None:
    task = runtime.run("echo", "x")

    assert str(task) == task.id
    assert task == task.id
    assert {task: 1}[task.id] == 1  # type: ignore[index]  # a handle and its id are one key
    assert task in [view.id for view in runtime.list()]
    assert task.agent == "echo"
    assert task.result(PATIENCE) == "x"


def test_a_result_is_had_as_often_as_it_is_asked_for(runtime: Runtime) -> None:
    task = runtime.submit(submitted.add, 1, second=2)

    assert [task.result(PATIENCE), task.result(), task.result(0)] == [3, 3, 3]
    assert task.done()
    assert task.status == "completed"


def test_a_result_that_does_not_come_in_time_is_a_timeout_and_the_task_goes_on(
    runtime: Runtime, tmp_path: Path
) -> None:
    task = runtime.submit(submitted.wait_for, str(tmp_path / "go"))

    with pytest.raises(TimeoutError, match=f"{task.id} has not ended after 0.01 s"):
        task.result(0.01)
    assert not task.done()
    put(tmp_path / "go", "gone")
    assert task.result(PATIENCE) == "gone"


def test_a_task_that_failed_raises_with_reason_traceback_and_output(runtime: Runtime) -> None:
    task = runtime.submit(submitted.fail_at, 7)

    with pytest.raises(TaskFailed) as caught:
        task.result(PATIENCE)
    assert caught.value.reason == "ValueError: not 7"
    assert "in fail_at" in caught.value.traceback
    assert caught.value.view.status == "failed"
    assert caught.value.view.error == "ValueError"
    assert task.id in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - made here


def test_a_task_that_was_stopped_raises_so_with_what_it_had_said(runtime: Runtime) -> None:
    task = runtime.submit(submitted.wait_for, "/nowhere")
    wait_until(task.output, "it has said something", limit=PATIENCE)
    stopped = task.stop()

    assert stopped.status == "stopped"
    with pytest.raises(TaskStopped, match="Stopped by the host program") as caught:
        task.result()
    assert caught.value.output == "waiting\n"


def test_a_result_becomes_the_class_that_is_asked_for(runtime: Runtime) -> None:
    task = runtime.submit(summed, 3)

    assert task.result(PATIENCE, type=Sum) == Sum(3)


def test_a_result_that_is_not_of_the_type_says_where(runtime: Runtime) -> None:
    task = runtime.submit(summed, "three")

    with pytest.raises(NotOfTypeError, match=r"Expected `int`, got `str` at result\['total'\]"):
        task.result(PATIENCE, type=Sum)


def test_several_tasks_are_stopped_by_one_request_and_returned_in_order(runtime: Runtime) -> None:
    tasks = [runtime.submit(submitted.wait_for, "/nowhere") for _ in range(3)]

    views = runtime.stop(*tasks)

    assert [view.id for view in views] == tasks
    assert {view.status for view in views} == {"stopped"}


def test_none_is_stopped_when_one_is_unknown(runtime: Runtime) -> None:
    task = runtime.submit(submitted.wait_for, "/nowhere")

    with pytest.raises(UnknownTaskError):
        runtime.stop(task, "agent_task_nobody")
    assert not task.done()
    task.stop()


def test_a_callback_is_called_once_with_the_handle_also_after_the_end(runtime: Runtime) -> None:
    called: list[Task] = []
    both = threading.Event()

    def note(task: Task) -> None:
        called.append(task)
        if len(called) == 2:
            both.set()

    task = runtime.submit(submitted.add, 1)
    task.add_done_callback(note)
    task.result(PATIENCE)
    task.add_done_callback(note)

    assert both.wait(PATIENCE)
    assert called == [task, task]


def test_a_callback_that_raises_keeps_no_other_from_being_called(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    def broken(_: Task) -> None:
        raise KeyError("broken")

    task = runtime.submit(submitted.add, 1)
    task.add_done_callback(broken)
    task.add_done_callback(lambda _: called.set())

    assert called.wait(PATIENCE)
    assert "A callback of a task has raised" in caplog.text


def test_the_same_key_is_the_same_task(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "told"
    first = runtime.submit(submitted.note, str(file), "once", key="one piece of work")
    second = runtime.submit(submitted.note, str(file), "twice", key="one piece of work")

    assert first == second
    assert second.result(PATIENCE) == "once"
    assert file.read_text() == "once\n"


def test_a_key_of_other_work_is_refused_and_says_whose_it_is(runtime: Runtime) -> None:
    first = runtime.submit(submitted.add, 1, key="taken")
    runtime.run("echo", "x", key="an agent's").result(PATIENCE)

    with pytest.raises(RunError, match=rf"'taken' is that of {first}, a task of the function add; .* function square"):
        runtime.submit(submitted.square, 1, key="taken")
    with pytest.raises(RunError, match=r"a task of the function add; .* one of agent 'echo'"):
        runtime.run("echo", "x", key="taken")
    with pytest.raises(RunError, match=r"a task of agent 'echo'; .* one of the function echo"):
        runtime.submit(submitted.add, 1, name="echo", key="an agent's")
    assert first.result(PATIENCE) == 2


def test_nothing_is_kept_of_a_key_when_the_end_of_its_task_has_been_seen(runtime: Runtime) -> None:
    held = runtime._way.held
    read, stopped, in_group, again = "read", "stopped", "in a group", "again"
    runtime.submit(submitted.add, 1, key=read).result(PATIENCE)
    runtime.submit(submitted.wait_for, "/nowhere", key=stopped).stop()
    with runtime.group() as group:
        group.submit(submitted.add, 1, key=in_group)
    first = runtime.submit(submitted.add, 1, key=again)
    assert first.result(PATIENCE) == 2
    assert runtime.submit(submitted.add, 1, key=again) is first

    assert not held._claims


def test_as_completed_yields_each_task_once_as_it_ends(runtime: Runtime, tmp_path: Path) -> None:
    slow = runtime.submit(submitted.wait_for, str(tmp_path / "go"))
    fast = runtime.submit(submitted.add, 1)

    order = []
    for task in runtime.as_completed([slow, fast, fast.id]):
        order.append(task)
        put(tmp_path / "go", "")
    assert order == [fast, slow]


def test_as_completed_gives_up_after_its_time(runtime: Runtime) -> None:
    task = runtime.submit(submitted.wait_for, "/nowhere")

    with pytest.raises(TimeoutError, match="1 task has not ended"):
        list(runtime.as_completed([task], timeout=0.01))
    task.stop()


def test_a_runtime_without_a_team_runs_functions(tmp_path: Path) -> None:
    with Runtime(state_dir=tmp_path, standby=0) as runtime:
        assert runtime.submit(submitted.add_later, 2).result(PATIENCE) == 3


@pytest.mark.parametrize("read", ["wait", "stop", "view"])
def test_a_handle_keeps_the_end_that_was_read_by_another_verb(tmp_path: Path, read: str) -> None:
    with Runtime(state_dir=tmp_path, standby=0, max_tasks=1) as small:
        task = small.submit(submitted.add, 1)
        small.wait([task])
        {"wait": small.wait, "stop": lambda tasks: small.stop(*tasks), "view": lambda tasks: small.view(tasks[0])}[
            read
        ]([task.id])
        for number in range(3):
            small.submit(submitted.add, number).result(PATIENCE)

        assert task.id not in [view.id for view in small.list()]
        assert (task.result(), task.status, task.done()) == (2, "completed", True)


def test_a_task_that_the_close_stops_says_so_to_whoever_waits_for_it(tmp_path: Path, place: dict[str, Any]) -> None:
    with Runtime(state_dir=tmp_path, standby=0, **place) as runtime:
        task = runtime.submit(submitted.wait_for, "/nowhere")
        wait_until(task.output, "it has said something", limit=PATIENCE)

        def wait() -> str:
            with pytest.raises(TaskStopped) as caught:
                task.result()
            return caught.value.reason

        waited, _ = in_threads(wait, runtime.close)

    assert "the end of the runtime" in waited


def test_whoever_asks_again_by_a_key_gets_the_same_handle(runtime: Runtime) -> None:
    first = runtime.submit(submitted.add, 1, key="the same handle")

    assert runtime.submit(submitted.add, 1, key="the same handle") is first
    assert first.result(PATIENCE) == 2
