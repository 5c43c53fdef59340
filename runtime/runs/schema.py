"""Schema: the tables of a run's journal, and every SQL statement that reads or changes them.

A verb takes values and returns statements; it executes nothing. Statements of one list belong together: all of them are
executed, or none.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from ..models.base import Usage
from ..tasks.views import Status

__all__ = [
    "TABLES",
    "Statement",
    "TaskRow",
    "TaskTable",
    "count_unread",
    "insert_fact",
    "insert_task",
    "mark_read",
    "note_answer",
    "note_continued",
    "note_death_of_host",
    "note_end",
    "note_node",
    "note_start",
    "note_status",
    "note_usage",
    "select_answers",
    "select_columns",
    "select_facts",
    "select_ids",
    "select_last_entry",
    "select_moments",
    "select_statuses",
]

Statement: TypeAlias = tuple[str, Sequence[Any]]
"""SQL and its parameters."""

TABLES: Final = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    task TEXT NOT NULL,
    expected_output TEXT,
    parent TEXT,
    started REAL NOT NULL,
    queued REAL,
    ended REAL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    traceback TEXT NOT NULL DEFAULT '',
    runtime REAL,
    result TEXT,
    result_in_file INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    cost REAL NOT NULL DEFAULT 0,
    vitals TEXT,
    attempts INTEGER NOT NULL DEFAULT 1,
    output_size INTEGER NOT NULL DEFAULT 0,
    was_read INTEGER NOT NULL DEFAULT 0,
    workdir TEXT NOT NULL DEFAULT '',
    continues TEXT NOT NULL DEFAULT '',
    options TEXT,
    owed INTEGER NOT NULL DEFAULT 0,
    item_of TEXT,
    node TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS transition (
    task TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, attempt INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS message (
    task TEXT NOT NULL, number INTEGER NOT NULL, attempt INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS letter (
    task TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, sender TEXT NOT NULL, body TEXT NOT NULL, taken REAL,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS question (
    id TEXT PRIMARY KEY, task TEXT NOT NULL, at REAL NOT NULL, whom TEXT NOT NULL, body TEXT NOT NULL,
    settled REAL, how TEXT, answer TEXT, answered_by TEXT, form TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS open_call (
    task TEXT NOT NULL, attempt INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, began REAL NOT NULL,
    PRIMARY KEY (task, attempt, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS step (
    task TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, began REAL NOT NULL, ended REAL NOT NULL,
    attempt INTEGER NOT NULL, error TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL
);
"""
"""A script that makes what is missing. Times are seconds since the epoch; `task.runtime` is in seconds.

A task that is queued has had no attempt, and what stands for its start is when it was queued. `task.options` is JSON;
NULL: the task has no conversation with which it could be continued. `question.form` is the question as JSON,
without its text, which is the body.
"""

_LATER: Final = {
    "result_in_file": "0",
    "cost": "0.0",
    "workdir": "''",
    "traceback": "''",
    "ended": "NULL",
    "queued": "NULL",
    "continues": "''",
    "options": "'{}'",
    "owed": "(1 - was_read)",
    "item_of": "NULL",
    "node": "''",
}
"""Columns that a journal of an earlier version does not have, and what stands for them."""


# --- the run --------------------------------------------------------------------------------------------------------


def insert_fact(key: str, value: str) -> Statement:
    """Insert something about the run, in place of what was noted before."""
    return ("INSERT OR REPLACE INTO run VALUES (?, ?)", (key, value))


def select_facts() -> Statement:
    """Select what is noted about the run: keys and values."""
    return ("SELECT key, value FROM run", ())


# --- what happens to a task -----------------------------------------------------------------------------------------


def insert_task(
    task_id: str,
    *,
    agent: str,
    text: str,
    expected_output: str | None,
    parent: str | None,
    started: float,
    queued: float | None,
    status: Status,
    attempts: int,
    workdir: str,
    continues: str,
    options: str | None,
    owed: bool,
    item_of: str | None,
) -> list[Statement]:
    """Insert a task that was accepted, with its first status; `owed`: whoever started it is to be told of its end."""
    return [
        (
            (
                "INSERT INTO task "
                "(id, agent, task, expected_output, parent, started, queued, status, attempts, workdir, continues, "
                "options, owed, item_of) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            (
                *(task_id, agent, text, expected_output, parent, started, queued, status, attempts, workdir),
                *(continues, options, owed, item_of),
            ),
        ),
        _insert_transition(task_id, status, "", attempts),
    ]


def note_start(task_id: str, *, started: float, status: Status, attempt: int) -> list[Statement]:
    """Note that a queued task has started."""
    return [
        _insert_transition(task_id, status, "", attempt),
        (
            "UPDATE task SET started = ?, status = ?, attempts = ? WHERE id = ?",
            (started, status, attempt, task_id),
        ),
    ]


def note_status(task_id: str, status: Status, reason: str, attempt: int) -> list[Statement]:
    """Note a change of a task's status; `attempt` counts from 1."""
    return [
        _insert_transition(task_id, status, reason, attempt),
        ("UPDATE task SET status = ?, attempts = ? WHERE id = ?", (status, attempt, task_id)),
    ]


def note_node(task_id: str, node: str, workdir: str) -> list[Statement]:
    """Note on which machine of its place a task runs."""
    return [("UPDATE task SET node = ?, workdir = ? WHERE id = ?", (node, workdir, task_id))]


def note_usage(task_id: str, usage: Usage) -> list[Statement]:
    """Note what a task has used so far, over all attempts."""
    return [
        (
            "UPDATE task SET input_tokens = ?, output_tokens = ?, requests = ?, cost = ? WHERE id = ?",
            (usage.input_tokens, usage.output_tokens, usage.requests, usage.cost, task_id),
        )
    ]


def note_answer(task_id: str, result: str) -> list[Statement]:
    """Note what an agent has answered, as a result: that of its task, unless an end with another one is noted."""
    return [("UPDATE task SET result = ? WHERE id = ?", (result, task_id))]


def note_end(
    task_id: str,
    *,
    status: Status,
    reason: str,
    traceback: str,
    runtime: float,
    ended: float,
    result: str | None,
    result_in_file: bool,
    vitals: str | None,
    output_size: int,
    attempt: int,
    node: str,
) -> list[Statement]:
    """Note how a task ended; `result` and `vitals` are JSON text."""
    return [
        (
            (
                "UPDATE task SET status = ?, reason = ?, traceback = ?, runtime = ?, ended = ?, result = ?, "
                "result_in_file = ?, vitals = ?, output_size = ?, node = ? WHERE id = ?"
            ),
            (status, reason, traceback, runtime, ended, result, result_in_file, vitals, output_size, node, task_id),
        ),
        _insert_transition(task_id, status, reason, attempt),
    ]


def note_death_of_host(task_id: str, died: float, reason: str, *, was_queued: bool) -> list[Statement]:
    """Note that a task failed with its host, which was last heard of at `died`."""
    # A journal with queued tasks has the column `ended`; one of an earlier version may lack it.
    times = "runtime = 0.0, ended = ?" if was_queued else "runtime = coalesce(runtime, max(0.0, ? - started))"
    return [
        (
            "INSERT INTO transition SELECT id, ?, 'failed', ?, attempts FROM task WHERE id = ?",
            (died, reason, task_id),
        ),
        (f"UPDATE task SET status = 'failed', reason = ?, {times} WHERE id = ?", (reason, died, task_id)),  # noqa: S608 - constants
    ]


def mark_read(task_id: str, *, told: bool) -> list[Statement]:
    """Note that somebody has seen a task's end; `told`: whoever started it has, to whom that was owed."""
    return [(f"UPDATE task SET was_read = 1{', owed = 0' if told else ''} WHERE id = ?", (task_id,))]  # noqa: S608 - constants


def note_continued(task_id: str) -> list[Statement]:
    """Note that another task goes on with an ended one: its end has been seen, and it knows those of its own tasks."""
    return [
        ("UPDATE task SET was_read = 1 WHERE ? IN (id, parent)", (task_id,)),
        ("UPDATE task SET owed = 0 WHERE parent = ?", (task_id,)),
    ]


def _insert_transition(task_id: str, status: Status, reason: str, attempt: int) -> Statement:
    return (
        "INSERT INTO transition (task, at, status, reason, attempt) VALUES (?, ?, ?, ?, ?)",
        (task_id, time.time(), status, reason, attempt),
    )


# --- what is read of tasks ------------------------------------------------------------------------------------------


def select_ids() -> Statement:
    """Select the ids of all tasks, oldest first."""
    return ("SELECT id FROM task ORDER BY number", ())


def select_statuses() -> Statement:
    """Select id and status of all tasks, oldest first."""
    return ("SELECT id, status FROM task ORDER BY number", ())


def count_unread() -> Statement:
    """Count the tasks whose end nobody has seen."""
    return ("SELECT count(*) FROM task WHERE was_read = 0", ())


def select_last_entry() -> Statement:
    """Select the time of the latest change of a status; NULL if there was none."""
    return ("SELECT max(at) FROM transition WHERE typeof(at) = 'real'", ())


def select_moments() -> Statement:
    """Select of all tasks their ids, when each had its slot, when its first process was at work, and when it ended."""
    return (
        (
            "SELECT id, started, min(at), ended FROM task LEFT JOIN transition "
            "ON transition.task = id AND transition.status = 'running' GROUP BY id"
        ),
        (),
    )


def select_answers(most: int) -> Statement:
    """Select of all tasks that are completed their ids, and so many characters of their results."""
    return (
        "SELECT id, substr(result, 1, ?) FROM task WHERE status = 'completed' AND typeof(result) = 'text'",
        (most,),
    )


def select_columns() -> Statement:
    """Select what SQLite knows of the columns of `task`; the second value of each row is a column's name."""
    return ("PRAGMA table_info(task)", ())


class TaskRow(msgspec.Struct, array_like=True, frozen=True):
    """A row as `TaskTable` selects it. SQLite keeps anything in any column, so each row is checked against this."""

    id: str
    agent: str
    task: str
    parent: str | None
    started: float
    queued: float | None
    status: Status
    reason: str
    traceback: str
    runtime: float | None
    ended: float | None
    result: str | None
    result_in_file: int
    input_tokens: int
    output_tokens: int
    requests: int
    cost: float
    vitals: str | None
    attempts: int
    output_size: int
    workdir: str
    was_read: int
    continues: str
    item_of: str | None
    node: str


class TaskTable:
    """The table `task` of one journal, which may be of an earlier version.

    Args:
        columns: the names of the columns that it has.
    """

    def __init__(self, columns: Container[str]) -> None:
        self._instead = {name: instead for name, instead in _LATER.items() if name not in columns}

    def select_tasks(self) -> Statement:
        """Select all tasks, oldest first, without results and tracebacks."""
        columns = self._columns({"result": "NULL", "traceback": "''"})
        return (f"SELECT {columns} FROM task ORDER BY number", ())  # noqa: S608 - names of fields, and constants

    def select_task(self, task_id: str) -> Statement:
        """Select one task."""
        return (f"SELECT {self._columns({})} FROM task WHERE id = ?", (task_id,))  # noqa: S608 - names of fields, and constants

    def instead_of(self, column: str) -> str:
        """Return a column's name, or the constant that stands for it where the table does not have it."""
        return self._instead.get(column, column)

    def select_total_usage(self, task_id: str) -> Statement:
        """Sum up what a task has used, all that it started, and what those started: the fields of `Usage`."""
        cost = self._instead.get("cost", "cost")
        return (
            (
                "WITH RECURSIVE tree(id) AS ("  # noqa: S608 - names of fields, and constants
                "SELECT ? UNION SELECT task.id FROM task JOIN tree ON task.parent = tree.id) "
                f"SELECT sum(input_tokens), sum(output_tokens), sum(requests), sum({cost}) "
                "FROM task JOIN tree ON task.id = tree.id"
            ),
            (task_id,),
        )

    def _columns(self, unwanted: dict[str, str]) -> str:
        """Return the fields of `TaskRow` as columns, with constants for those that are missing or not wanted."""
        instead = {**self._instead, **unwanted}
        return ", ".join(instead.get(name, name) for name in TaskRow.__struct_fields__)
