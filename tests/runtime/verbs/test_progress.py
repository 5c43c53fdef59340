"""How far a task has come, and whose process a process is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import telling_entrypoints as telling
from processes_and_waits import wait_until
from subactors.runtime import Progress, Runtime, TaskEnded, TaskFailed, TaskProgress, TaskView, current_task
from subactors.runtime.cli.task_table import telling_line
from subactors.runtime.tasks.wording import describe_view

PATIENCE = 30.0

AGENTS = ["tells_and_waits", "counts_up", "tells_then_fails", "tells_wrong"]


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    team = {"agents": {name: {"entrypoint": f"telling_entrypoints:{name}"} for name in AGENTS}}
    with Runtime.from_mapping(team, stop_grace=0.5, max_tasks=10_000, standby=0, **place) as runtime:
        runtime.run("tells_wrong", "begin").result(PATIENCE)  # with all threads there before a test counts them
        yield runtime


def test_progress_is_in_views_while_the_task_runs_also_what_came_too_soon(runtime: Runtime) -> None:
    task = runtime.run("tells_and_waits", "go")

    wait_until(lambda: task.view().progress == Progress(2, 4, "second"), PATIENCE)
    view = task.view()
    assert view.as_data()["progress"] == {"done": 2, "total": 4, "note": "second"}
    assert "2 of 4 (50 %): second" in describe_view(view, 1000)
    assert telling_line(view) == "━━━━━───── 2 of 4 (50 %): second"
    assert next(view for view in runtime.list() if view.id == task.id).progress == view.progress
    assert task.stop().progress == view.progress


def test_progress_is_told_now_and_then_and_the_last_always(runtime: Runtime) -> None:
    with runtime.events() as events:
        task = runtime.run("counts_up", "go")
        task.result(PATIENCE)
        told = [event for event in _until_its_end(events, task.id) if isinstance(event, TaskProgress)]

    assert [event.progress.done for event in told] == sorted(event.progress.done for event in told)
    assert told[-1].progress == Progress(20_000, 20_000)
    seconds = task.view().runtime
    assert 2 <= len(told) <= 10 * seconds + 3


def _until_its_end(events: Any, task_id: str) -> Iterator[Any]:
    for event in events:
        if isinstance(event, TaskEnded) and event.task.id == task_id:
            return
        yield event


def test_a_task_that_fails_has_told_its_last_progress(runtime: Runtime) -> None:
    task = runtime.run("tells_then_fails", "go")
    with pytest.raises(TaskFailed) as caught:
        task.result(PATIENCE)

    assert caught.value.view.progress == Progress(2, None, "before it fails")
    assert "2 done: before it fails" in describe_view(caught.value.view, 1000)


def test_a_function_tells_its_progress_by_the_current_task(runtime: Runtime) -> None:
    task = runtime.submit(telling.tells_by_function, 0.5)
    task.result(PATIENCE)

    assert task.view().progress == Progress(0.5)


def test_a_progress_of_anything_else_is_an_error_in_the_task(runtime: Runtime) -> None:
    said = runtime.run("tells_wrong", "go").result(PATIENCE)

    assert said == [
        "TypeError: done is of type str; a progress is told in numbers.",
        "TypeError: total is of type str; a progress is told in numbers.",
        "TypeError: done is of type bool; a progress is told in numbers.",
        "ValueError: A progress is told in finite numbers.",
        "ValueError: A progress is told in finite numbers.",
        "TypeError: note is of type int; it is text.",
        "ValueError: A progress is told in numbers from 0, not -1.",
        "ValueError: A progress is told in numbers from 0, not -0.5.",
        "ValueError: A progress is told in numbers from 0, not -1.",
        "ValueError: A progress of 1 out of 0 means nothing. Leave the total out if nobody knows it.",
    ]


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(0, 10), "────────── 0 of 10 (0 %)"),
        (Progress(15, 10), "━━━━━━━━━━ 15 of 10 (100 %)"),
        (Progress(1_500_000), "1,500,000 done"),
        (Progress(0, 0, "nothing"), "0 done: nothing"),
        (Progress(0.5, 2, "back"), "━━──────── 0.5 of 2 (25 %): back"),
    ],
)
def test_a_bar_shows_what_is_known(progress: Progress, line: str) -> None:
    assert telling_line(TaskView(id="", agent="", task="", status="running", progress=progress)) == line


# --- the current task -----------------------------------------------------------------------------------------------


def test_a_function_knows_its_task_in_any_thread(runtime: Runtime) -> None:
    task = runtime.submit(telling.knows_its_task, name="the one")

    assert task.result(PATIENCE) == [[task.id, "the one"], [task.id, "the one"]]


def test_a_host_is_no_task() -> None:
    assert current_task() is None


def test_log_records_say_whose_they_are(runtime: Runtime) -> None:
    task = runtime.submit(telling.logs)
    task.result(PATIENCE)

    assert task.output() == f"{task.id} logs hello\n"
