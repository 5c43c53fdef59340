"""The live table: which columns and rows a screen has room for, compared with screens that are kept as text."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from screens import is_kept, plain
from subactors.runtime import Progress, TaskView, Usage, Vitals
from subactors.runtime.cli.task_table import Screen, counted, task_table
from subactors.runtime.tasks.questions import Question
from subactors.runtime.tasks.views import Status

STARTED = "2026-01-31T12:00:00.000Z"

AGENTS = ("coordinator", "researcher", "counter", "a-name-that-is-longer-than-most-of-them")


QUESTION = Question(
    id="question_1",
    task_id="agent_task_00000001",
    agent="researcher",
    text="left or right?",
    to="owner",
    asked_at=STARTED,
    deadline=STARTED,
)


def view(number: int, status: Status, **more: object) -> TaskView:
    has_begun = status != "queued"
    facts: dict[str, object] = {
        "id": f"agent_task_{number:08x}",
        "agent": AGENTS[number % 3],
        "task": f"work {number}",
        "status": status,
        "runtime": number * 7.3 if has_begun else 0.0,
        "started_at": STARTED if has_begun else "",
        "vitals": Vitals(cpu_percent=12.0 + number, cpu_seconds=number, memory_bytes=number * 9_876_543)
        if status == "running"
        else None,
        "usage": Usage(number * 1234, number * 56, number, number * 0.0123) if has_begun else Usage(),
        "ended_at": STARTED if status in {"completed", "failed", "stopped"} else None,
    }
    return TaskView(**{**facts, **more})  # type: ignore[arg-type]


def few() -> list[TaskView]:
    return [
        view(1, "waiting", questions=(QUESTION,)),
        view(2, "running", output="Before.\nThe last words are as long as they need to be to be cut on most screens."),
        view(3, "running", progress=Progress(3, 10, "reading chapter three")),
        view(4, "restarting", output="again\n"),
        view(5, "failed", reason="ValueError: 日本語 cannot be read.\nMore of it."),
        view(6, "completed", result_json='"# The answer\\n\\nIt is 42."', agent=AGENTS[3]),
        view(7, "queued", queue_place=1),
    ]


def many() -> list[TaskView]:
    ended = [view(number, "completed", result_json=f'"answer {number}"') for number in range(1, 47)]
    running = [view(number, "running", output=f"line {number}") for number in range(47, 57)]
    return [*ended, *running, *(view(number, "queued", queue_place=number - 56) for number in range(57, 61))]


def drawn(views: list[TaskView], screen: Screen) -> str:
    file = io.StringIO()
    Console(file=file, width=screen.columns, height=screen.rows).print(task_table(views, screen))
    return plain(file.getvalue())


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_each_kind_of_task_on_a_screen_of(columns: int) -> None:
    shown = drawn(few(), Screen(columns, 24))
    assert max(map(cell_len, shown.split("\n"))) <= columns
    is_kept(f"table_of_few_{columns}", shown)


@pytest.mark.parametrize(("columns", "rows"), [(60, 24), (80, 60), (120, 24), (200, 60)])
def test_sixty_tasks_on_a_screen_of(columns: int, rows: int) -> None:
    shown = drawn(many(), Screen(columns, rows))
    assert shown.count("\n") < rows
    is_kept(f"table_of_many_{columns}x{rows}", shown)


def test_signs_that_the_locale_lacks_are_ascii() -> None:
    shown = drawn(few(), Screen(80, 24, "ascii"))
    assert shown.isascii()
    is_kept("table_of_few_80_ascii", shown)


def test_signs_that_the_font_of_the_console_lacks_are_ascii() -> None:
    shown = drawn(few(), Screen(80, 24, is_poor=True))
    assert "━" not in shown
    assert "###------- 3 of 10" in shown


def test_columns_go_in_one_order_and_no_heading_is_cut() -> None:
    seen: list[list[str]] = []
    for columns in range(200, 59, -1):
        heading, _, first, *_ = drawn(few(), Screen(columns, 24)).split("\n")
        titles = heading.split()
        there = [title for title in ("CPU", "memory", "tokens", "cost") if title in titles]
        assert titles == ["task", "agent", "status", "runtime", *there, "last", "said"]
        seen.append([*there, "whole id"] if first.startswith("agent_task_") else there)
    assert [columns for columns, before in zip(seen, [None, *seen], strict=False) if columns != before] == [
        ["CPU", "memory", "tokens", "cost", "whole id"],
        ["memory", "tokens", "cost", "whole id"],
        ["tokens", "cost", "whole id"],
        ["cost", "whole id"],
        ["whole id"],
        [],
    ]


def test_of_the_tasks_that_have_ended_those_that_failed_are_shown_first() -> None:
    views = [view(1, "failed", reason="no luck"), *many()]
    shown = drawn(views, Screen(80, 24))
    assert "00000001  researcher   failed" in shown
    assert shown.rstrip().endswith("61 tasks: 10 running, 4 queued, 47 ended (1 failed), 45 not shown")


def test_no_line_is_longer_than_any_screen() -> None:
    for columns in (1, 10, 30, 45):
        assert max(map(cell_len, drawn(few(), Screen(columns, 24)).split("\n"))) <= columns


def test_what_no_task_has_takes_no_column() -> None:
    heading = drawn([view(1, "running", usage=Usage())], Screen(200, 24)).split("\n")[0]
    assert heading.split() == ["task", "agent", "status", "runtime", "CPU", "memory", "last", "said"]


def test_the_nodes_of_tasks_have_a_column_where_a_task_has_one_and_room() -> None:
    views = [
        view(1, "running", node="box1", output="there"),
        view(2, "running", output="here"),
        view(3, "running", node="user@" + "x" * 50),
    ]
    heading, _, there, here, long, *_ = drawn(views, Screen(200, 24)).split("\n")
    at = heading.index("node")
    assert heading[:at].split()[-1] == "cost"
    assert (there[at:].split(), here[at:].split()) == (["box1", "there"], ["here"])
    assert long[at:].startswith("user@xxx")
    assert "xx…" in long
    kept = [drawn(views, Screen(columns, 24)).split("\n")[0].split() for columns in (110, 60)]
    assert ["node" in titles for titles in kept] == [True, False]
    assert "cost" not in kept[0]


def test_tasks_are_counted_by_what_they_do() -> None:
    assert counted(many(), 32) == "60 tasks: 10 running, 4 queued, 46 ended, 28 not shown"
    assert counted(few(), 7) == "7 tasks: 3 running, 1 waiting for an answer, 1 queued, 2 ended (1 failed)"
    assert counted([view(1, "running")], 1) == "1 task: 1 running"
    assert counted([], 0) == "0 tasks"
