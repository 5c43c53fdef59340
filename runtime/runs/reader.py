"""Journal reader: reads journals of runs from outside, with or without a host, and amends those of dead hosts."""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec

from ...actors.regular_files import check_database, is_folder
from ..models.base import Usage
from ..tasks.past import Past
from ..tasks.questions import Question
from ..tasks.result import check_result
from ..tasks.views import TERMINAL, TaskView, ToolAtWork, Vitals, iso_time
from ..text import one_line
from . import schema
from .conversation import (
    select_continuing,
    select_conversation,
    select_messages,
    select_past,
    select_resumable,
    select_table,
)
from .folder import RunFiles, last_sign_of_life
from .forks import fork_lock
from .journal_guard import distrust
from .open_work import questions_of, select_attempts, select_open_calls, select_open_questions, tools_of
from .past_rows import HOST_DIED, HOST_DIED_QUEUED, past_of
from .schema import Statement, TaskRow
from .statements import execute
from .steps import Step, Transition, select_steps, select_transitions

__all__ = ["HOST_DIED", "HOST_DIED_QUEUED", "JournalReader", "amend"]

logger = logging.getLogger("subactors.runtime")

_LOCKED: Final = 2.0
"""Seconds to wait for a lock; those of a healthy host are held for milliseconds."""

_PATIENCE: Final = 10.0
"""Seconds that SQLite may compute for one query, or one amendment."""


Dated = TypeVar("Dated", Step, Transition)


class JournalReader:
    """Reads a run's journal, whether its host lives or not; to be used and closed by the thread that made it.

    Every method raises sqlite3.Error if the file is not a journal, or damaged. A damaged row costs that row only.

    Attributes:
        damaged: sentences about the rows that `tasks` has left out.

    Args:
        path: the file, in the folder of its run.
        live: whether the run's host lives; if not, tasks without an end show as failed.

    Raises:
        sqlite3.Error: there is no such file, or it cannot be opened.
    """

    def __init__(self, path: Path, *, live: bool) -> None:
        self.damaged: list[str] = []
        self._path = path
        self._deadline = time.monotonic() + _PATIENCE
        logger.debug("The journal of %s is read.", path.parent.name)
        self._connection = _connect(path, lambda: time.monotonic() > self._deadline)
        self._live = live
        try:
            self._table = schema.TaskTable([name for _, name, *_ in self._rows(schema.select_columns())])
        except sqlite3.Error:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the file."""
        with fork_lock:
            self._connection.close()

    def facts(self) -> dict[str, str]:
        """Return what is noted about the run."""
        return dict(self._rows(schema.select_facts()))

    def ids(self) -> list[str]:
        """Return the ids of all tasks, oldest first."""
        return [task_id for (task_id,) in self._rows(schema.select_ids()) if _is_name(task_id)]

    def unfinished(self) -> dict[str, bool]:
        """Return the ids of the tasks without a written end, and whether each was queued."""
        rows = self._rows(schema.select_statuses())
        return {task_id: status == "queued" for task_id, status in rows if status not in TERMINAL and _is_name(task_id)}

    def tasks(self) -> list[TaskView]:
        """Return all tasks, oldest first, without output, results and tracebacks."""
        views: list[TaskView] = []
        self.damaged = []
        tools, questions = self._open_work()
        for row in self._rows(self._table.select_tasks()):
            try:
                views.append(self._view(row))
            except sqlite3.DatabaseError as error:
                self.damaged.append(f"In the journal {self._path}, {error}.")
        totals: dict[str, Usage] = {}
        for view in reversed(views):  # what a task has started comes after it
            totals[view.id] = total = view.usage + totals.get(view.id, Usage())
            if view.parent is not None:
                totals[view.parent] = totals.get(view.parent, Usage()) + total
        return [
            msgspec.structs.replace(
                view,
                total_usage=totals[view.id],
                tools=tools.get(view.id, []),
                questions=questions.get(view.id, []),
            )
            for view in views
        ]

    def answers(self, most: int) -> dict[str, str]:
        """Return by id the first characters, so many at most, of what completed tasks have answered, as JSON."""
        return dict(self._rows(schema.select_answers(most)))

    def task(self, task_id: str) -> TaskView | None:
        """Return a task with its result, without output; None if there is none of that id."""
        rows = self._rows(self._table.select_task(task_id))
        if not rows:
            return None
        ((*figures,),) = self._rows(self._table.select_total_usage(task_id))
        tools, questions = self._open_work()
        return msgspec.structs.replace(
            self._view(rows[0]),
            total_usage=Usage(*figures),
            tools=tools.get(task_id, []),
            questions=questions.get(task_id, []),
        )

    def attempts(self, task_id: str) -> list[tuple[float, str, str, int]]:
        """Return the changes of a task's status, in order: when, the status, why, and of which attempt."""
        rows = self._rows(select_attempts(task_id))
        return [msgspec.convert(row, tuple[float, str, str, int]) for row in rows]

    def unread(self) -> int:
        """Return how many tasks' ends nobody has seen."""
        ((count,),) = self._rows(schema.count_unread())
        return int(count)

    def moments(self) -> dict[str, tuple[float, float | None, float | None]]:
        """Return by id when each task had its slot, was at work, and ended, in seconds since the epoch."""
        rows = self._rows(schema.select_moments())
        return {task_id: (started, began, ended) for task_id, started, began, ended in rows}

    def steps(self) -> list[tuple[str, Step]]:
        """Return the turns and tool calls of all tasks: the task, and what. Of an old journal, none."""
        return self._dated(select_steps(), Step) if self._rows(select_table("step")) else []

    def transitions(self) -> list[tuple[str, Transition]]:
        """Return the changes of status of all tasks, in order: the task, and what."""
        return self._dated(select_transitions(), Transition)

    def last_entry(self) -> float:
        """Return when something was last written that has a time, in seconds since the epoch; 0 if nothing was."""
        ((latest,),) = self._rows(schema.select_last_entry())
        return latest if latest is not None and math.isfinite(latest) else 0.0

    def messages(self, task_id: str) -> list[dict[str, Any]]:
        """Return a task's conversation."""
        rows = self._rows(select_conversation(task_id))
        return [msgspec.json.decode(body) for (body,) in rows]

    def conversation(self, task_id: str, after: int, most: int) -> list[tuple[int, int, str]]:
        """Return messages of a task behind a number, so many at most: number, attempt and JSON text of each."""
        rows = self._rows(select_messages(task_id, after, most))
        return [(number, attempt, body) for number, attempt, body in rows if isinstance(body, str)]

    def past(self, task_id: str) -> Past | None:
        """Return a task as one that continues it needs it; None if there is none of that id."""
        options, owed = self._table.instead_of("options"), self._table.instead_of("owed")
        has_letters = bool(self._rows(select_table("letter")))
        in_file = self._table.instead_of("result_in_file")
        query = select_past(task_id, options=options, owed=owed, result_in_file=in_file, has_letters=has_letters)
        rows = self._rows(query)
        return past_of(task_id, rows, live=self._live)

    def continuing(self, task_id: str) -> str | None:
        """Return the id of a task that continues another, and has not ended; None if there is none."""
        rows = self._rows(select_continuing(task_id, continues=self._table.instead_of("continues")))
        return next((found for found, status in rows if status not in TERMINAL), None) if self._live else None

    def resumable(self) -> set[str]:
        """Return the ids of the tasks that can be continued once they have ended."""
        return {task_id for (task_id,) in self._rows(select_resumable(options=self._table.instead_of("options")))}

    def died(self) -> float:
        """Return when the host was last heard of, in seconds since the epoch: it died then, or later."""
        return max(self.last_entry(), last_sign_of_life(self._path.parent))

    def _open_work(self) -> tuple[dict[str, list[ToolAtWork]], dict[str, list[Question]]]:
        """Return by task the tools that it is in, and what it has asked; nothing where the host is gone."""
        if not self._live or not self._rows(select_table("open_call")):  # or of an earlier version
            return {}, {}
        try:
            return tools_of(self._rows(select_open_calls())), questions_of(self._rows(select_open_questions()))
        except (ArithmeticError, OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
            raise sqlite3.DatabaseError(f"what it holds of tools and questions cannot be read: {error}") from error

    def _rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        self._deadline = time.monotonic() + _PATIENCE
        with fork_lock:
            return self._connection.execute(*statement).fetchall()

    def _dated(self, statement: Statement, kind: type[Dated]) -> list[tuple[str, Dated]]:
        found = []
        for row in self._rows(statement):
            with contextlib.suppress(msgspec.ValidationError):  # a damaged one
                found.append((msgspec.convert(row[0], str), msgspec.convert(row[1:], kind)))
        return found

    def _view(self, row: tuple[Any, ...]) -> TaskView:
        try:
            return self._view_of(msgspec.convert(row, TaskRow))
        except (ArithmeticError, OSError, TypeError, ValueError, msgspec.MsgspecError) as error:
            raise sqlite3.DatabaseError(
                f"what it holds of {one_line(str(row[0]), 60)} cannot be read: {error}"
            ) from error

    def _view_of(self, row: TaskRow) -> TaskView:
        status, reason, runtime, ended = row.status, row.reason, row.runtime, row.ended
        if status not in TERMINAL and not self._live:
            if status == "queued":
                reason, ended = HOST_DIED_QUEUED, self.died()
            else:
                reason = HOST_DIED
            status = "failed"
        if not row.attempts:
            runtime = 0.0
        elif runtime is None:
            runtime = max(0.0, (time.time() if self._live else self.died()) - row.started)
        if ended is None and status in TERMINAL:  # the host died, or was of an earlier version
            ended = row.started + runtime
        if not math.isfinite(runtime) or not math.isfinite(row.cost):
            raise ValueError("a number is not finite")
        if not _is_name(row.id):
            raise ValueError("an id is not the name of a file")
        return TaskView(
            id=row.id,
            agent=row.agent,
            task=row.task,
            status=status,
            reason=reason,
            traceback=row.traceback,
            runtime=runtime,
            started_at=iso_time(row.started) if row.attempts else "",
            queued_at=iso_time(row.queued) if row.queued is not None else None,
            ended_at=iso_time(ended) if ended is not None else None,
            output_size=row.output_size,
            # One that runs may have an answer that is kept back.
            result_json=_checked(row.result) if status in TERMINAL else None,
            result_file=RunFiles(self._path.parent).result(row.id) if row.result_in_file else "",
            usage=Usage(row.input_tokens, row.output_tokens, row.requests, row.cost),
            vitals=msgspec.json.decode(row.vitals, type=Vitals) if row.vitals is not None else None,
            attempts=row.attempts,
            parent=row.parent,
            continues=row.continues,
            group=row.item_of,
            node=row.node,
            workdir=row.workdir if row.workdir and (row.node or is_folder(row.workdir)) else "",
        )


def _is_name(task_id: object) -> bool:
    """Whether an id is text, and no way to files elsewhere."""
    return isinstance(task_id, str) and "/" not in task_id and "\0" not in task_id


def _checked(result: str | None) -> str | None:
    """Return a result as it is; raises TypeError for one that is damaged."""
    if result is not None:
        check_result(result)
    return result


def amend(path: Path, statements: Sequence[Statement]) -> None:
    """Execute statements, all or none of them, on the journal of a run that the caller has taken over.

    Raises:
        sqlite3.Error: it is not a journal, is damaged, or cannot be written.
    """
    deadline = time.monotonic() + _PATIENCE
    with fork_lock, contextlib.closing(_connect(path, lambda: time.monotonic() > deadline)) as connection:
        execute(connection, statements)


def _connect(path: Path, is_overdue: Callable[[], bool]) -> sqlite3.Connection:
    """Open a journal that is there."""
    try:
        check_database(path)
    except OSError as error:
        raise sqlite3.OperationalError(f"{error.strerror or error} ({error.filename or path})") from error
    # The name goes into a URI, in which some characters of a name mean something.
    with fork_lock:
        name = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(name, uri=True, isolation_level=None, timeout=_LOCKED)
        # Text that is not UTF-8 would be an error of the whole query, not of its row.
        connection.text_factory = _decode
        distrust(connection, is_overdue)
    return connection


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")
