"""What terminals show of a run, from beginning to end, compared with screens that are kept as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import TEAM, WORK
from screens import is_kept, plain
from terminals import in_terminal

LAST = re.compile(r".*(?=task +agent +status)", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "terminal_work.py").write_text(WORK)
    return tmp_path


def steady(shown: str) -> str:
    """Return a screen with the last of the tables only, and without what differs from run to run."""
    text = LAST.sub("", plain(shown))
    text = re.sub(r"(agent_task_)?[0-9a-f]{8}\b", lambda found: f"{found[1] or ''}00000000", text)
    text = re.sub(r"run_\d{8}T\d{6}_[0-9a-f]{8}", "run_20260131T120000_00000000", text)
    return re.sub(r"\d+\.\d s\b", "0.1 s", text)


POOR = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    ("name", "columns", "rows", "more"),
    [
        ("dispatch_60x24", 60, 24, {}),
        ("dispatch_80x24", 80, 24, {}),
        ("dispatch_80x24_dumb", 80, 24, {"TERM": "dumb"}),
        ("dispatch_80x24_locale_c", 80, 24, POOR),
    ],
)
def test_a_fan_out_on_a_terminal(folder: Path, name: str, columns: int, rows: int, more: dict[str, str]) -> None:
    task = "# Größe\n\nThis is one long line of an *answer* with `code` in it, which goes on and on and on.\n\n- a\n- b"
    status, shown = in_terminal(folder, "dispatch", "team.yaml", "root", task, columns=columns, rows=rows, **more)
    assert status == 0
    is_kept(name, steady(shown))


def test_without_colours_nothing_else_changes(folder: Path) -> None:
    _, coloured = in_terminal(folder, "dispatch", "team.yaml", "root", "**x**", columns=80)
    _, shown = in_terminal(folder, "dispatch", "team.yaml", "root", "**x**", columns=80, NO_COLOR="1")
    assert "\x1b[32m" in coloured
    assert not re.search(r"\x1b\[(3|4|9|10)\d", shown)
    assert steady(shown) == steady(coloured)
