"""Former tasks: finds a task of another run in the state folder that is to be continued, in the run's journal."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ..errors import RunError, StateError
from ..runs.claims import announce
from ..runs.folder import RunFiles, host_pid, is_live, runs
from ..runs.reader import JournalReader
from ..runs.upkeep import note_continued
from ..tasks.past import Past
from ..tasks.views import TERMINAL

__all__ = ["FormerTask", "former_task"]


class FormerTask:
    """A task of another run.

    Attributes:
        past: what is needed to continue it.
        run: the folder of its run.

    Args:
        past: as above.
        run: as above.
    """

    def __init__(self, past: Past, run: Path) -> None:
        self.past = past
        self.run = run

    def note_continued(self) -> None:
        """Note in its journal that a task goes on with it; without effect where its host lives."""
        note_continued(self.run, self.past.id)


def former_task(root: Path, task_id: str) -> FormerTask | None:
    """Return a task of a run that has ended, or lives in another process; None if there is none of that id there.

    Args:
        root: the state folder.
        task_id: the task's id.

    Raises:
        RunError: it has not ended.
        StateError: the state folder, or the journal of its run, cannot be read; or it is in none of those that can be,
            and one cannot.
    """
    path = _run_of(root, task_id)
    if path is None:
        return None
    try:
        with JournalReader(RunFiles(path).journal, live=is_live(path)) as reader:
            past = reader.past(task_id)
    except sqlite3.Error as error:
        raise StateError(f"The journal of {path.name} cannot be read: {error}.") from error
    if past is None:
        return None
    if past.status not in TERMINAL:
        raise RunError(
            f"Task {task_id} is {past.status}, in a host that lives (process {host_pid(path) or '?'}). "
            "Only one that has ended can be continued."
        )
    announce(path, task_id)
    return FormerTask(past, path)


def _run_of(root: Path, task_id: str) -> Path | None:
    """Return the folder of the run that has a task; raises as `former_task`."""
    unread: dict[str, sqlite3.Error] = {}
    for path in reversed(runs(root)):
        live = is_live(path)
        if live and host_pid(path) == os.getpid():
            continue  # whoever opens and closes a file takes the locks on it from this process
        try:
            with JournalReader(RunFiles(path).journal, live=live) as reader:
                if task_id in reader.ids():
                    return path
        except sqlite3.Error as error:
            unread[path.name] = error
    for name, why in unread.items():
        raise StateError(
            f"There is no task {task_id} in the journals that can be read. That of {name} cannot be read: {why}."
        )
    return None
