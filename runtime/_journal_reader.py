"""Journals of runs from outside: reads them, whether their hosts live or not, and amends those whose hosts are gone."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from ..actors._regular_files import is_folder
from ._forks import unforked
from ._journal import Statement, execute
from ._model import Usage
from ._result import check_result
from ._state import RunFiles, last_sign_of_life
from ._views import TERMINAL, TaskView, Vitals, iso_time

__all__ = ["HOST_DIED", "JournalReader", "amend"]

HOST_DIED: Final = "The host died."

_COLUMNS: Final = (
    "id, agent, task, parent, started, status, reason, {traceback}, runtime, {ended}, result, {result_in_file}, "
    "input_tokens, output_tokens, requests, {cost}, vitals, attempts, output_size, {workdir}, was_read"
)

_LATER: Final = {"result_in_file": "0", "cost": "0.0", "workdir": "''", "traceback": "''", "ended": "NULL"}
"""Columns that a journal of an earlier version does not have, and what stands for them."""

_TOTAL: Final = """
WITH RECURSIVE tree(id) AS (SELECT ? UNION SELECT task.id FROM task JOIN tree ON task.parent = tree.id)
SELECT sum(input_tokens), sum(output_tokens), sum(requests), sum({cost}) FROM task JOIN tree ON task.id = tree.id
"""
"""What a task has used, and all that it started, and what those started."""


class JournalReader:
    """Reads a run's journal, whether its host lives or not; to be used and closed by the thread that made it.

    Every method raises sqlite3.Error if the file is no journal, or damaged.

    Args:
        path: the file, in the folder of its run.
        live: whether the run's host lives; if not, tasks without an end show as failed.

    Raises:
        sqlite3.Error: there is no such file, or it cannot be opened.
    """

    def __init__(self, path: Path, *, live: bool) -> None:
        self._path = path
        self._connection = _connect(path)
        self._live = live
        try:
            columns = [name for _, name, *_ in self._rows("PRAGMA table_info(task)")]
        except sqlite3.Error:
            self.close()
            raise
        later = {name: name if name in columns else instead for name, instead in _LATER.items()}
        self._cost = later["cost"]
        self._columns = _COLUMNS.format(**later)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the file."""
        with unforked:
            self._connection.close()

    def facts(self) -> dict[str, str]:
        """Return what is noted about the run."""
        return dict(self._rows("SELECT key, value FROM run"))

    def ids(self) -> list[str]:
        """Return the ids of all tasks, oldest first."""
        return [task_id for (task_id,) in self._rows("SELECT id FROM task ORDER BY number")]

    def unfinished(self) -> list[str]:
        """Return the ids of the tasks of which no end is written down."""
        rows = self._rows("SELECT id, status FROM task ORDER BY number")
        return [task_id for task_id, status in rows if status not in TERMINAL]

    def tasks(self) -> list[TaskView]:
        """Return all tasks, oldest first, without output, results and tracebacks."""
        columns = self._columns.replace(" result,", " NULL,").replace(" traceback,", " '',")
        views = [self._view(row) for row in self._rows(f"SELECT {columns} FROM task ORDER BY number")]  # noqa: S608 - constants
        totals: dict[str, Usage] = {}
        for view in reversed(views):  # what a task has started comes after it
            totals[view.id] = total = view.usage + totals.get(view.id, Usage())
            if view.parent is not None:
                totals[view.parent] = totals.get(view.parent, Usage()) + total
        return [msgspec.structs.replace(view, total_usage=totals[view.id]) for view in views]

    def task(self, task_id: str) -> TaskView | None:
        """Return a task with its result, without output; None if there is none of that id."""
        rows = self._rows(f"SELECT {self._columns} FROM task WHERE id = ?", task_id)  # noqa: S608 - constants
        if not rows:
            return None
        ((*figures,),) = self._rows(_TOTAL.format(cost=self._cost), task_id)
        return msgspec.structs.replace(self._view(rows[0]), total_usage=Usage(*figures))

    def unread(self) -> int:
        """Return how many tasks' ends nobody has seen."""
        ((count,),) = self._rows("SELECT count(*) FROM task WHERE was_read = 0")
        return int(count)

    def last_entry(self) -> float:
        """Return when something was last written that has a time, in seconds since the epoch; 0 if nothing was."""
        ((latest,),) = self._rows("SELECT max(at) FROM transition")
        return float(latest or 0.0)

    def messages(self, task_id: str) -> list[dict[str, Any]]:
        """Return a task's conversation."""
        rows = self._rows("SELECT body FROM message WHERE task = ? ORDER BY number", task_id)
        return [msgspec.json.decode(body) for (body,) in rows]

    def died(self) -> float:
        """Return when the host was last heard of, in seconds since the epoch: it died then, or later."""
        return max(self.last_entry(), last_sign_of_life(self._path.parent))

    def _rows(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        with unforked:
            return self._connection.execute(query, parameters).fetchall()

    def _view(self, row: tuple[Any, ...]) -> TaskView:
        (
            task_id, agent, task, parent, started, status, reason, traceback, runtime, ended, result, in_file,
            input_tokens, output_tokens, requests, cost, vitals, attempts, output_size, workdir, _,
        ) = row  # fmt: skip
        if status not in TERMINAL and not self._live:
            status, reason = "failed", HOST_DIED
        if runtime is None:
            runtime = max(0.0, (time.time() if self._live else self.died()) - started)
        if ended is None and status in TERMINAL:  # the host died, or was of an earlier version
            ended = started + runtime
        try:
            return TaskView(
                id=task_id,
                agent=agent,
                task=task,
                status=status,
                reason=reason,
                traceback=traceback,
                runtime=runtime,
                started_at=iso_time(started),
                ended_at=iso_time(ended) if ended is not None else None,
                output_size=output_size,
                result_json=_checked(result),
                result_file=RunFiles(self._path.parent).result(task_id) if in_file else "",
                usage=Usage(input_tokens, output_tokens, requests, cost),
                vitals=msgspec.json.decode(vitals, type=Vitals) if vitals is not None else None,
                attempts=attempts,
                parent=parent,
                workdir=workdir if workdir and is_folder(workdir) else "",
            )
        except (ArithmeticError, OSError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise sqlite3.DatabaseError(f"what it holds of {task_id} cannot be read: {error}") from error


def _checked(result: str | None) -> str | None:
    """Return a result as it is; raises TypeError for one that is damaged."""
    if result is not None:
        check_result(result)
    return result


def amend(path: Path, statements: Sequence[Statement]) -> None:
    """Execute statements, all or none of them, on the journal of a run that the caller has taken over.

    Raises:
        sqlite3.Error: it is no journal, is damaged, or cannot be written.
    """
    with unforked, contextlib.closing(_connect(path)) as connection:
        execute(connection, statements)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a journal that is there."""
    # The name goes into a URI, in which some characters of a name mean something.
    with unforked:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=5.0)
