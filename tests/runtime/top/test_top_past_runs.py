"""Runs of before on the screen of `top`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from run_folders import past_run, task_row

pytest.importorskip("textual", reason="Textual is not installed: pip install 'subactors[top]'")
from top_screens import Screen, on_screen


def test_past_runs_come_with_a_key(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, status="failed", reason="no luck"), task_row(2))

    async def play(screen: Screen) -> None:
        await screen.until("`p` shows past runs")
        await screen.press("p")
        await screen.until("no luck")
        await screen.until(lambda: "past runs, too" in screen.lines[0], "the first line says so")
        assert "1 completed, 1" in screen.text, "statuses have one order"
        await screen.press("p")
        await screen.until(lambda: "no luck" not in screen.text, "they are gone")

    on_screen(tmp_path, play, (300, 20))


def test_a_folder_whose_name_is_no_text_is_shown_with_marks(tmp_path: Path) -> None:
    async def play(screen: Screen) -> None:
        await screen.until("No runs in")
        await screen.until("\N{REPLACEMENT CHARACTER}")

    on_screen(tmp_path / os.fsdecode(b"\xff"), play, (300, 24), past=True)
