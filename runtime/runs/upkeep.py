"""Upkeep of runs whose host is gone: ends unfinished tasks, marks results as read, removes old runs.

A run whose host lives is never touched, because its lock cannot be taken. Unread results are removed only with
`unread=True`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...actors.regular_files import Folder, exists, make
from . import schema
from .folder import RunFiles, RunFolder, last_sign_of_life, remove_leftovers, runs, time_of_start
from .reader import HOST_DIED, HOST_DIED_QUEUED, JournalReader, amend

__all__ = ["KEEP", "Pruned", "mark_read", "note_continued", "prune", "recover"]

logger = logging.getLogger("subactors.runtime")

KEEP: Final = 7 * 86400.0
"""Seconds for which an ended run is kept, if nothing else is said."""

_PATIENCE: Final = 2.0
"""Seconds to wait for somebody else who puts a run in order."""


@dataclass
class Pruned:
    """Account of what `prune` has done.

    Attributes:
        removed: the folders that are gone, and how many tasks each had had.
        kept: folders that are old enough and stay all the same, and why, as what could be said of "it".
    """

    removed: dict[Path, int] = field(default_factory=dict)
    kept: dict[Path, str] = field(default_factory=dict)


def recover(root: Path) -> list[str]:
    """Write into the journals of runs whose host has died how their unfinished tasks ended; return the tasks' ids.

    May be called by several processes at once. A journal that cannot be read or written is left as it is.

    Raises:
        StateError: the state folder cannot be read.
    """
    recovered: list[str] = []
    for path in runs(root):
        if exists(RunFiles(path).settled):
            continue  # every host that starts comes by here, and there may be hundreds of runs
        with _taken_over(path) as folder:
            if folder is not None:
                try:
                    recovered += _end_unfinished(folder)
                    with contextlib.suppress(OSError):  # then it is looked at again
                        os.close(make(folder.settled))
                except (sqlite3.Error, OSError) as error:
                    logger.info("The journal %s cannot be brought to its end: %s.", folder.journal, error)
    return recovered


def mark_read(path: Path, task_ids: Iterable[str]) -> None:
    """Note in the journal of a run whose host is gone that somebody has seen how tasks ended.

    Without effect where the host lives, or the journal cannot be written.
    """
    with _taken_over(path, _PATIENCE) as folder, contextlib.suppress(sqlite3.Error):
        if folder is not None:
            amend(
                folder.journal,
                [statement for task_id in task_ids for statement in schema.mark_read(task_id, told=False)],
            )


def note_continued(path: Path, task_id: str) -> None:
    """Note in the journal of a run whose host is gone that another task goes on with one of its tasks; as `mark_read`.

    The end of that task, and of those that it had started, has been seen then.
    """
    with _taken_over(path, _PATIENCE) as folder:
        for statement in schema.note_continued(task_id) if folder is not None else ():
            with contextlib.suppress(sqlite3.Error):  # a journal of an earlier version lacks columns
                amend(RunFiles(path).journal, [statement])


def prune(root: Path, keep: float = KEEP, *, unread: bool = False) -> Pruned:
    """Remove the folders of runs that ended long ago and whose results have all been read, if there were any.

    Args:
        root: the state folder.
        keep: seconds since the end of a run for which it is kept in any case.
        unread: whether those go too whose results nobody has read, or can read because their journal is damaged.

    Raises:
        StateError: the state folder cannot be read.
    """
    pruned = Pruned()
    remove_leftovers(root)
    for path in runs(root):
        # Its start first, which needs no look at its files.
        if time.time() - time_of_start(path) < keep or time.time() - last_sign_of_life(path) < keep:
            continue
        with _taken_over(path) as folder:
            if folder is not None:
                _prune(folder, keep, pruned, unread=unread)
    return pruned


def _prune(folder: RunFolder, keep: float, pruned: Pruned, *, unread: bool) -> None:
    tasks = unread_tasks = 0
    try:
        with JournalReader(folder.journal, live=False) as reader:
            if time.time() - reader.last_entry() < keep:
                return
            tasks, unread_tasks = len(reader.ids()), reader.unread()
    except sqlite3.Error as error:
        if not unread and _may_hold_results(folder):
            pruned.kept[folder.path] = f"its journal cannot be read ({error})"
            return
    if unread_tasks and not unread:
        pruned.kept[folder.path] = f"nobody has read the results of {unread_tasks} of its {tasks} tasks"
        return
    folder.remove()
    if exists(folder.path):
        pruned.kept[folder.path] = "it cannot be removed"
    else:
        pruned.removed[folder.path] = tasks


def _may_hold_results(folder: RunFolder) -> bool:
    """Whether a run without a readable journal may have had tasks: not if it died before the journal was there."""
    try:
        return exists(folder.journal) or any(Folder(folder.output).names())
    except OSError:
        return True


def _end_unfinished(folder: RunFolder) -> list[str]:
    with JournalReader(folder.journal, live=False) as reader:
        unfinished, died = reader.unfinished(), reader.died()
    if unfinished:
        ends = [
            schema.note_death_of_host(
                task_id, died, HOST_DIED_QUEUED if was_queued else HOST_DIED, was_queued=was_queued
            )
            for task_id, was_queued in unfinished.items()
        ]
        amend(folder.journal, [statement for end in ends for statement in end])
    return list(unfinished)


@contextlib.contextmanager
def _taken_over(path: Path, patience: float = 0.0) -> Iterator[RunFolder | None]:
    """Hold the lock of a run whose host is gone; None if it cannot be had."""
    folder = RunFolder.take_over(path, patience)
    try:
        yield folder
    finally:
        if folder is not None:
            folder.release()
