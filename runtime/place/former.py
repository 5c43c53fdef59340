"""Former tasks: finds, in the journals of earlier runs, what a task had started that is continued here."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from ..errors import StateError
from ..runs.folder import RunFiles, runs
from ..runs.output import OutputFiles
from ..runs.reader import JournalReader
from ..tasks.views import TaskView

__all__ = ["former_task"]


def former_task(run: Path, task_id: str, continued: str) -> TaskView | None:
    """Return a task of an earlier run, with its output; None if there is none, or it belongs to somebody else.

    May take long; not for the supervisor's thread.

    Args:
        run: the folder of the run that asks.
        task_id: the task.
        continued: the task that is continued; it, or one that it has continued, must have started the task.
    """
    starters = {continued}
    with contextlib.suppress(StateError):
        for path in reversed(runs(run.parent)):
            if path == run:
                continue  # its journal is open in this process
            with contextlib.suppress(sqlite3.Error), JournalReader(RunFiles(path).journal, live=False) as reader:
                there = {*reader.ids()}
                while found := starters & there:
                    there -= found
                    starters |= {view.continues for view in map(reader.task, found) if view is not None}
                view = reader.task(task_id) if task_id in there else None
            if view is not None:
                said = OutputFiles.open(RunFiles(path).output, task_id).text()
                return msgspec.structs.replace(view, output=said) if view.parent in starters else None
    return None
