"""Finding: which task, question or run a part of its name stands for. One rule for all commands.

A whole name is the thing itself. Else the beginning of exactly one name is, with or without what all names of that kind
begin with; else a part of exactly one.
"""

from __future__ import annotations

import difflib
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from ..errors import RunError, UnknownTaskError
from ..runs.folder import RunFiles, runs
from ..runs.reader import JournalReader
from ..tasks.views import ID_PREFIX
from .other_hosts import ForeignTask, tasks_of

__all__ = ["Finder", "ambiguous", "find", "find_run", "fitting", "near", "some"]

_SHOWN: Final = 5
"""Names that a message tells."""

_RUN: Final = "run_"


def fitting(part: str, names: Collection[str], prefix: str) -> list[str]:
    """Return the names that a part may stand for; see the module.

    Args:
        part: what was typed.
        names: those there are.
        prefix: what all of them begin with.
    """
    if part in names:
        return [part]
    begin = [name for name in names if name.startswith(part) or name.removeprefix(prefix).startswith(part)]
    return begin or [name for name in names if part in name]


def ambiguous(part: str, names: list[str], kind: str, name: str = "id") -> str:
    """Return a sentence on a part that may stand for several things.

    Args:
        part: what was typed.
        names: what it may stand for.
        kind: what these are, in the plural.
        name: what their names are called.
    """
    return f"{len(names)} {kind} fit {part!r}: {some(names)}. Give more of the {name}."


def near(part: str, names: Iterable[str], prefix: str) -> str:
    """Return a sentence with the names that are most like what was typed; empty if none is."""
    short = [name.removeprefix(prefix) for name in names]
    found = difflib.get_close_matches(part.removeprefix(prefix), short, n=3, cutoff=0.5)
    return f"Near it: {', '.join(prefix + name for name in found)}." if found else ""


def some(names: list[str]) -> str:
    """Return the first of many names, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def find(root: Path, part: str) -> ForeignTask:
    """Return the task that a part of its id stands for; raises as `Finder` and its `find`."""
    return Finder(root).find(part)


def find_run(root: Path, part: str) -> Path:
    """Return the folder of the run that a part of its name stands for, or a path.

    Raises:
        RunError: there is none, or there are several; the message says which are near.
        StateError: the state folder cannot be read.
    """
    paths = {path.name: path for path in runs(root)}
    name = Path(part.strip()).name
    found = fitting(name, paths, _RUN)
    if name and len(found) == 1:
        return paths[found[0]]
    if found:
        raise RunError(ambiguous(part, found[::-1], "runs", "name"))
    raise RunError(
        f"There is no run {part!r} in {root}. {near(name, paths, _RUN) or '`subactors runs --all` lists the runs.'}"
    )


class Finder:
    """Finds tasks by parts of their ids.

    Args:
        root: the state folder.

    Raises:
        StateError: the state folder cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._where: dict[str, Path] = {}
        self._unreadable: list[str] = []
        for path in reversed(runs(root)):
            try:
                with JournalReader(RunFiles(path).journal, live=True) as reader:
                    self._where = {**dict.fromkeys(reader.ids(), path), **self._where}
            except sqlite3.Error:
                self._unreadable.append(path.name)

    def find(self, part: str) -> ForeignTask:
        """Return the task that a part of its id stands for.

        Raises:
            UnknownTaskError: there is none, or there are several; the message says which are near.
            StateError: the state folder cannot be read.
        """
        part = part.strip()
        found = fitting(part, self._where, ID_PREFIX)
        if not found:
            # A host whose journal cannot be written knows tasks that nobody else does.
            self._where |= {task.view.id: task.run for task in tasks_of(self._root, past=False).tasks}
            found = fitting(part, self._where, ID_PREFIX)
        if part and len(found) == 1:
            return ForeignTask(self._where[found[0]], found[0])
        if found:
            raise UnknownTaskError(ambiguous(part, found, "tasks"))
        hint = near(part, self._where, ID_PREFIX) or "`subactors ps --all` lists the tasks."
        unreadable = some(self._unreadable)
        damage = f" The journals of these runs cannot be read: {unreadable}." if unreadable else ""
        raise UnknownTaskError(f"There is no task {part!r} in {self._root}. {hint}{damage}")
