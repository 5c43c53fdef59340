"""Overview: runs of a state folder, with what is left open in each. It only reads."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..tasks.views import TaskView
from .facts import Facts
from .folder import RunFiles, host_pid, is_live, runs, time_of_start
from .reader import JournalReader

__all__ = ["RunOverview", "overviews"]


@dataclass
class RunOverview:
    """A run.

    Attributes:
        path: its folder.
        started: when it started, in seconds since the epoch; 0 if nobody knows.
        ended: when it was last heard of; None while its host lives.
        host_pid: process id of its host; None if that is gone.
        facts: what its journal notes about the host.
        counts: how many tasks have each status.
        open_ends: tasks that failed or were stopped, can be continued, and have not been. Not what other tasks had
            started: these are told of the ends when they are continued.
        damage: why it cannot be read; empty if it can.
    """

    path: Path
    started: float
    ended: float | None = None
    host_pid: int | None = None
    facts: Facts = field(default_factory=Facts)
    counts: Counter[str] = field(default_factory=Counter)
    open_ends: list[TaskView] = field(default_factory=list)
    damage: str = ""


def overviews(root: Path, at_most: int | None = None) -> list[RunOverview]:
    """Return the runs of a state folder, the newest last.

    Args:
        root: the state folder.
        at_most: how many are wanted, the newest; None: all.

    Raises:
        StateError: the state folder cannot be read.
    """
    continued: set[str] = set()
    paths = runs(root)
    found = [_overview(path, continued) for path in (paths[-at_most:] if at_most is not None else paths)]
    for run in found:  # a task is continued in its own run, or mostly in a later one
        run.open_ends = [view for view in run.open_ends if view.id not in continued]
    return found


def _overview(path: Path, continued: set[str]) -> RunOverview:
    live = is_live(path)
    run = RunOverview(path, time_of_start(path), host_pid=host_pid(path) if live else None)
    try:
        with JournalReader(RunFiles(path).journal, live=live) as reader:
            views, resumable = reader.tasks(), reader.resumable()
            run.facts = Facts.of_journal(reader.facts())
            run.damage = " ".join(reader.damaged)
            if not live:
                run.ended = reader.died()
    except sqlite3.Error as error:
        run.damage = f"Its journal cannot be read: {error}."
        return run
    run.counts.update(view.status for view in views)
    continued.update(view.continues for view in views if view.continues)
    own = {view.id for view in views}
    run.open_ends = [
        view
        for view in views
        if view.status in {"failed", "stopped"} and view.id in resumable and view.parent not in own
    ]
    return run
