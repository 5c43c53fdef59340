"""The screen of `top` on real runtimes, in a small terminal and a large one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from processes_and_waits import wait_until
from run_folders import past_run, task_row
from subactors.runtime import TaskEndedError
from subactors.runtime.control.other_hosts import tasks_of
from subactors.runtime.runs.folder import RunFiles
from subactors.runtime.runs.reader import JournalReader
from subactors.runtime.watching import details, steering
from watched import MAPS, Watched, ended_run, watched

pytest.importorskip("textual", reason="Textual is not installed: pip install 'subactors[top]'")
from top_screens import NARROW, WIDE, Screen, is_, on_screen, reason, short

COLUMNS = ("Doing", "Last words", "Tokens", "Cost", "CPU", "Memory")
SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "170x50"])


@pytest.fixture(scope="module")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("state")) as host:
        yield host


@pytest.fixture
def host(_host: Watched) -> Iterator[Watched]:
    """A host for all tests, whose tasks are those of one."""
    yield _host
    for task in tasks_of(_host.root, past=False).tasks:
        if not task.view.ended:
            with details.foreign(_host.root, task.run.name, task.view.id) as found, contextlib.suppress(TaskEndedError):
                steering.stop(found)


@SIZES
def test_the_tree_shows_who_has_started_whom_with_marks_and_reasons_and_the_keys_are_below(
    host: Watched, size: tuple[int, int]
) -> None:
    owner = host.start("leads", "all", [["fails", "on purpose"], ["speaks", "hello there"]])

    async def play(screen: Screen) -> None:
        await screen.go_to(owner)
        await screen.press("end")
        await screen.until("hello there")
        await screen.until("ValueError: on pur")

        def marks() -> list[list[str]]:
            at = next((at for at, line in enumerate(screen.lines) if short(owner) in line), 0)
            return [[mark for mark in "✗●" if mark in line] for line in screen.lines[at + 1 : at + 3]]

        # One that has said nothing yet shows what it was asked: the same words.
        await screen.until(lambda: marks() == [["✗"], ["●"]], "the first has failed, and the second runs")
        await screen.press("end")  # the second may have come after the first
        await screen.until(lambda: "t tell" in screen.lines[-1], "the second is selected")
        assert f"▾ leads {short(owner)}" in screen.text
        assert screen.lines[0].startswith("subactors   ●")
        for key in ("/ filter", "s stop", "a answer", "t tell", "o output", "space fold", "q quit"):
            assert key in screen.lines[-1]
        assert all(len(line) <= size[0] for line in screen.lines)

    on_screen(host.root, play, size)


def test_looking_at_an_ended_task_does_not_count_as_reading_it(host: Watched) -> None:
    task_id = host.start("fails", "unseen")

    def unread() -> int:
        with JournalReader(RunFiles(host.host.run).journal, live=True) as reader:
            return reader.unread()

    async def play(screen: Screen) -> None:
        await screen.until(lambda: is_(screen, task_id, "failed"), "it has failed")
        wait_until(lambda: unread() > 0, "its end is in the journal")
        before = unread()
        await screen.go_to(task_id)
        await screen.press("v", "v", "v")
        await screen.until("Traceback")
        assert unread() == before

    on_screen(host.root, play, WIDE)


@pytest.mark.parametrize(("size", "is_beside"), [((150, 50), False), ((220, 50), True)], ids=["150x50", "220x50"])
def test_a_task_that_is_open_takes_no_column_from_the_table_and_its_output_follows(
    host: Watched, tmp_path: Path, size: tuple[int, int], is_beside: bool
) -> None:
    more = tmp_path / "more"
    task_id = host.start("speaks", "first words", {"file": str(more)})

    async def play(screen: Screen) -> None:
        app, columns = screen.app, screen.app.table._columns.names
        assert columns == ("Task", "Status", "Time", "Time line", *COLUMNS)
        await screen.press("home", "o")
        await screen.until("Choose a task.")
        assert not app.pane.display
        await screen.go_to(task_id)
        assert not app.pane.display
        await screen.press("enter")
        await screen.until(lambda: app.pane.tail.text.startswith("first words\n"), "it is read")
        more.write_text("and \x1b[31mmore\x07 of [red]it[/red]\n" * 300)
        await screen.until(lambda: app.pane.tail.text.count("[red]it[/red]") == 300, "it follows")
        await screen.until("[red]it[/red]")
        assert app.table._columns.names == columns
        assert (app.pane.region.x > 0) == is_beside
        await screen.press("home")
        await screen.until(lambda: not app.pane.display, "of a run there is nothing to show")
        await screen.go_to(task_id)
        await screen.until(lambda: app.pane.display, "it is open again")
        await screen.press("escape")
        assert not app.pane.display

    on_screen(host.root, play, size)


@SIZES
def test_a_stop_asks_once_and_says_what_falls_with_it(host: Watched, size: tuple[int, int]) -> None:
    owner = host.start("leads", "to be stopped", [["speaks", "one"], ["speaks", "two"]])

    async def play(screen: Screen) -> None:
        await screen.go_to(owner)
        await screen.until(lambda: len(screen.app.watcher.model.falls_with(owner)) == 2, "both are there")
        await screen.press("s")
        await screen.until("2 tasks that it has started end with it")
        await screen.press("n")
        await screen.until(lambda: "end with it" not in screen.text, "it is closed")
        assert is_(screen, owner, "running")

        await screen.press("s")
        await screen.until("2 tasks that it has started end with it")
        await screen.press("y")
        await screen.until(lambda: is_(screen, owner, "stopped"), "it has stopped")
        assert "a person at `subactors top`" in reason(screen, owner)
        assert not screen.app.watcher.model.falls_with(owner)

    on_screen(host.root, play, size)


def test_a_question_comes_first_and_is_answered_with_one_of_its_choices(host: Watched) -> None:
    task_id = host.start("asks", "left or right?", {"choices": ["left", "right"]})

    async def play(screen: Screen) -> None:
        await screen.until("1 question waits for you")
        assert "left or right?" in screen.lines[2]
        await screen.go_to(task_id)
        await screen.press("a")
        await screen.until("asks whoever started it")
        await screen.press("enter")
        assert is_(screen, task_id, "waiting"), "nothing is chosen before somebody has"
        await screen.press("down", "down", "enter")
        await screen.until(lambda: is_(screen, task_id, "completed"), "it has its answer")
        await screen.until(lambda: "question" not in screen.text, "none waits any more")
        await screen.press("enter", "v", "v")
        await screen.until("told: right")

    on_screen(host.root, play)


def test_a_question_names_what_cannot_be_seen(host: Watched) -> None:
    host.start("asks", "rm \u202efdp\u200b\U000e0041", {"choices": ["no\u2066", "yes\n  no"]})

    async def play(screen: Screen) -> None:
        await screen.until("1 question waits for you")
        await screen.press("a")
        await screen.until("asks whoever started it")
        for shown in ("rm \\u202efdp\\u200b\\U000e0041", "no\\u2066", "yes\\n  no"):
            assert shown in screen.text
        await screen.press("escape")

    on_screen(host.root, play)


def test_a_question_is_answered_in_words(host: Watched) -> None:
    task_id = host.start("asks", "What is your name?")

    async def play(screen: Screen) -> None:
        await screen.until("1 question waits for you")
        await screen.press("a")
        await screen.until("asks whoever started it")
        await screen.write("me and you")
        await screen.press("enter")
        await screen.until(lambda: is_(screen, task_id, "completed"), "it has its answer")
        await screen.go_to(task_id)
        await screen.press("v", "v", "v")
        await screen.until("told: me and you")

    on_screen(host.root, play, WIDE)


def test_a_group_shows_its_items_and_takes_no_word(host: Watched) -> None:
    host.start("calls", MAPS)

    async def play(screen: Screen) -> None:
        await screen.until(lambda: any(task.group for task in screen.app.listing.tasks.values()), "it has begun")
        await screen.go_to(next(filter(None, (task.group for task in screen.app.listing.tasks.values()))))
        await screen.press("t")
        await screen.until("A group hears nothing itself")
        await screen.press("v", "V")
        await screen.until(lambda: "12 items:" in screen.app.pane.page.text, "its details are there")
        assert "item 9\n  and 2 more" in screen.app.pane.page.text

    on_screen(host.root, play, WIDE)


def test_a_task_is_told_something(host: Watched) -> None:
    task_id = host.start("hears", "listen")

    async def play(screen: Screen) -> None:
        await screen.go_to(task_id)
        await screen.press("t")
        await screen.until("tell it something")
        await screen.write("hello [b]you")
        await screen.press("enter")
        await screen.until(lambda: is_(screen, task_id, "completed"), "it has heard")
        await screen.press("s")
        await screen.until("It has ended.")
        await screen.until("r resume")
        assert screen.lines[-1].endswith("q quit"), "all keys have room"
        await screen.press("r")
        await screen.until("It cannot be continued")

    on_screen(host.root, play)


def test_a_task_that_has_ended_is_resumed_with_a_word_to_it_in_a_run_that_ends_with_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    former = ended_run(tmp_path)

    async def play(screen: Screen) -> None:
        await screen.go_to(former)
        await screen.until("r resume")
        await screen.press("r")
        await screen.until(f"Resume root {short(former)}")
        await screen.write("and now")
        await screen.press("enter")
        await screen.until(lambda: screen.app.table.row_id not in {"", former}, "the other is there")
        row = screen.app.table.row_id
        assert screen.app.listing.tasks[row].continues == former
        await screen.until(lambda: is_(screen, row, "completed"), "it is through")
        await screen.go_to(former)
        await screen.until("r resume")
        await screen.press("t")
        await screen.until("Resume root")
        await screen.press("escape")

    on_screen(tmp_path, play, WIDE, past=True)


def test_read_only_shows_questions_whole_and_changes_nothing(host: Watched) -> None:
    task_id = host.start("asks", "\n".join(["left or right?", *"abcdef"]), {"choices": ["left", "right"]})

    async def play(screen: Screen) -> None:
        await screen.until("1 question waits for you")
        await screen.go_to(task_id)
        for key in "str":
            await screen.press(key)
        await screen.press("a")
        await screen.until("asks whoever started it")
        assert "f" in [part.strip() for line in screen.lines for part in line.split("│")]
        assert "right" not in screen.lines[-1]
        await screen.press("down", "down", "enter", "escape")
        await screen.until("question")
        assert {"stop", "tell", "answer", "resume"}.isdisjoint(screen.lines[-1].split())
        assert is_(screen, task_id, "waiting")

    on_screen(host.root, play, WIDE, read_only=True)


def test_a_filter_keeps_the_owners_of_what_fits_and_escape_takes_it_away(host: Watched) -> None:
    owner = host.start("leads", "filtered", [["speaks", "needle"], ["hears", "straw"]])

    async def play(screen: Screen) -> None:
        await screen.go_to(owner)
        await screen.press("slash")
        await screen.write("needle agent:speaks")
        await screen.until(lambda: len(screen.app.listing.rows) == 3, "run, owner and task are left")
        assert [row.id for row in screen.app.listing.rows][1] == owner
        await screen.press("enter", "escape")
        await screen.until(lambda: len(screen.app.listing.rows) > 3, "all is back")
        assert screen.app.table.has_focus

    on_screen(host.root, play)


def test_rows_are_folded_and_walked_through_with_keys(host: Watched) -> None:
    owner = host.start("leads", "folded", [["speaks", "below"]])

    async def play(screen: Screen) -> None:
        await screen.go_to(owner)
        await screen.until(lambda: screen.app.watcher.model.falls_with(owner), "it is there")
        await screen.until(lambda: screen.app.table.row is not None and screen.app.table.row.children, "it is shown")
        (child,) = [task.id for task in screen.app.listing.tasks.values() if task.parent == owner]
        await screen.press("space")
        await screen.until(f"▸ leads {short(owner)}")
        assert screen.app.listing.place(child) is None
        await screen.press("right", "right")
        assert screen.app.table.row_id == child
        await screen.press("left")
        assert screen.app.table.row_id == owner
        await screen.press("home")
        assert screen.app.table.row is not None
        assert screen.app.table.row.is_run

    on_screen(host.root, play)


def test_the_tool_at_work_and_everything_about_a_task_are_shown(host: Watched) -> None:
    task_id = host.start("calls", json.dumps([["shell", {"cmd": "sleep 600"}]]))

    async def play(screen: Screen) -> None:
        await screen.go_to(task_id)
        await screen.until(lambda: re.search(r"shell \d+s", screen.text), "it is shown how long it is at it")
        await screen.press("v", "v")
        await screen.until("→ shell")
        await screen.press("V", "V")
        await screen.until(f"Id          {task_id}")
        assert f"process {host.host.program.pid}" in screen.text

    on_screen(host.root, play, WIDE)


def test_a_host_that_is_killed_is_over_and_so_are_its_tasks(tmp_path: Path) -> None:
    with watched(tmp_path) as host:
        task_id = host.start("speaks", "last words")

        async def play(screen: Screen) -> None:
            await screen.until("last words")
            host.host.kill()
            await screen.until("The host died.")
            assert is_(screen, task_id, "failed")
            assert "▪" in screen.line("has ended")
            await screen.go_to(task_id)
            await screen.press("s")
            await screen.until("It has ended.")

        on_screen(tmp_path, play)


def test_hostile_text_in_every_field_is_shown_as_text(tmp_path: Path) -> None:
    evil = "\x1b]52;c;aGk=\x07\x1b[2J\u202e[red]<b>\r\n\x9b31m"
    past_run(tmp_path, task_row(1, agent=f"a{evil}", task=f"t{evil}", status="failed", reason=f"r{evil}"))

    async def play(screen: Screen) -> None:
        await screen.until("r[red]<b>")
        await screen.press("end", "enter")
        for _ in range(6):
            await screen.press("v")
            await screen.until(lambda: "a[red]<b>" in screen.text, "it is shown")
            assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(screen.text)

    on_screen(tmp_path, play, past=True)


@pytest.mark.slow
def test_beside_a_flood_of_a_thousand_tasks_it_keeps_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.watching.model._ENDED", 200)
    with watched(tmp_path) as host:
        loud = host.start("leads", "loud", [["speaks", "there"]])

        async def play(screen: Screen) -> None:
            await screen.go_to(loud)
            await screen.press("o")
            before = psutil.Process().memory_info().rss
            listing = screen.app.listing
            for first in range(0, 1000, 200):
                for number in range(first, first + 200):
                    last = await asyncio.to_thread(host.start, "fails", f"number {number}")
                await screen.until(lambda last=last: is_(screen, last, "failed"), "all have been seen")
            await screen.until(lambda: len(listing.tasks) < 210, "the oldest have been let go")
            assert len(listing.rows) == len(listing.tasks) + 1
            assert is_(screen, loud, "running")
            assert psutil.Process().memory_info().rss - before < 40_000_000

        on_screen(tmp_path, play, WIDE)
        with details.foreign(tmp_path, "", loud) as found:
            steering.stop(found)
