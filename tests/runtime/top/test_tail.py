"""The text of a task on the screen of `top`: wrapped, followed, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_folders import past_run, task_row

pytest.importorskip("textual", reason="Textual is not installed: pip install 'subactors[top]'")
from top_screens import WIDE, Screen, on_screen


def test_a_text_of_any_length_is_kept_to_a_bound_and_wrapped(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1))

    async def play(screen: Screen) -> None:
        await screen.go_to("agent_task_00000001")
        await screen.press("o")
        tail = screen.app.pane.tail
        for number in range(22):
            tail.feed(f"{number} {'long words ' * 2000}\n")
        await screen.until(lambda: tail.follows, "it follows")
        assert 390_000 < len(tail.text) < 410_000
        assert tail.text.replace("\n", "").endswith("long words ")
        await screen.press("o", "o")
        tail.put("")
        tail.feed("日本語の長い文" * 1000)
        await screen.until("語の長い文日本語の長い文日本語の長い文")

    on_screen(tmp_path, play, WIDE, past=True)


def test_a_line_that_never_ends_is_kept_to_the_same_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.top.tail._MOST", 10_000)

    async def play(screen: Screen) -> None:
        tail = screen.app.pane.tail
        for _ in range(1000):
            tail.feed("x" * 10_000)
        assert 8_000 <= len(tail.text) <= 10_000

    on_screen(tmp_path, play)
