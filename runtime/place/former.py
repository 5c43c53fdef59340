"""Former tasks: finds, in the journals of other runs, what a task had started that is continued here."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..errors import StateError
from ..runs.folder import RunFiles, host_pid, is_live, runs
from ..runs.output import OutputFiles
from ..runs.reader import JournalReader
from ..tasks.views import TaskView

__all__ = ["former_task"]


def former_task(root: Path, task_id: str, continued: str, limit: int | None) -> TaskView | None:
    """Return a task of an earlier run, with its output; None if there is none, or it belongs to somebody else.

    May take long; not for the supervisor's thread.

    Args:
        root: the state folder.
        task_id: the task.
        continued: the task that is continued; it, or one that it has continued, must have started the task.
        limit: bytes of output; None: all.
    """
    where: dict[str, Path] = {}
    with contextlib.suppress(StateError):
        for path in runs(root):
            if is_live(path) and host_pid(path) == os.getpid():
                continue  # its journal is open in this process, which would lose its locks
            with contextlib.suppress(sqlite3.Error), _journal(path) as reader:
                where |= dict.fromkeys(reader.ids(), path)
    starters: set[str] = set()
    starter = _read(where, continued)
    while starter is not None and starter.id not in starters:
        starters.add(starter.id)
        starter = _read(where, starter.continues)
    view = _read(where, task_id)
    if view is None or view.parent not in starters:
        return None
    said = OutputFiles.open(RunFiles(where[task_id]).output, task_id).text(limit)
    return msgspec.structs.replace(view, output=said)


def _read(where: Mapping[str, Path], task_id: str) -> TaskView | None:
    """Return a task as its journal has it; None if it is in none, or cannot be read."""
    if task_id in where:
        with contextlib.suppress(sqlite3.Error), _journal(where[task_id]) as reader:
            return reader.task(task_id)
    return None


def _journal(run: Path) -> JournalReader:
    return JournalReader(RunFiles(run).journal, live=is_live(run))
