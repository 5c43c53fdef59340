"""`prune`: what is kept of runs that have ended is removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from live_runs import FIRST, live_run, running
from run_folders import make_old, past_run, subactors, task_row


def test_prune_removes_old_runs_and_says_which_it_keeps_and_why(tmp_path: Path) -> None:
    young = past_run(tmp_path, task_row(1))
    old, unread = (make_old(past_run(tmp_path, task_row(1, was_read=read)), days=8) for read in (1, 0))
    done = subactors("prune", root=tmp_path)
    assert done.returncode == 0
    assert set(done.stdout.splitlines()) == {
        f"Removed {old.name}, with 1 task.",
        f"Kept {unread.name}: nobody has read the results of 1 of its 1 tasks.",
    }
    assert "prune --unread" in done.stderr
    done = subactors("prune", "--unread", "--older-than", "0", root=tmp_path)
    assert set(done.stdout.splitlines()) == {f"Removed {run.name}, with 1 task." for run in (young, unread)}
    assert list(tmp_path.iterdir()) == []
    assert subactors("prune", root=tmp_path).stdout == f"No run in {tmp_path} is old enough.\n"


def test_prune_never_touches_a_live_run(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        subactors("prune", "--unread", "--older-than", "0", root=tmp_path)
        assert run.folder.journal.exists()


def test_a_negative_age_is_wrong_usage(tmp_path: Path) -> None:
    assert subactors("prune", "--older-than", "-1", root=tmp_path).returncode == 2


def test_the_commands_start_without_what_only_running_needs() -> None:
    code = "import sys, subactors.runtime.cli.tasks\n"
    code += "print([name for name in ('asyncio', 'openai', 'rich', 'yaml', 'psutil', 'mcp') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
