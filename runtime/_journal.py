"""The journal: what must be known after the host has died, in SQLite, written by one thread.

Whoever writes hands over statements and is called back when they are committed; writes that arrive together are
committed together. A commit does not wait for the disk's own cache: it survives the death of the host in any way, not
the loss of power. A journal that cannot be written says so once, loses nothing that runs, and is tried again.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from ._model import Usage
from ._views import TERMINAL, TaskView, Vitals

__all__ = ["HOST_DIED", "Journal", "JournalReader", "Statement"]

logger = logging.getLogger("subactors.runtime")

HOST_DIED: Final = "The host died."

Statement: TypeAlias = tuple[str, Sequence[Any]]
"""SQL and its parameters."""

Committed: TypeAlias = Callable[[], None]
Answered: TypeAlias = Callable[[list[tuple[Any, ...]]], None]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    task TEXT NOT NULL,
    expected_output TEXT,
    parent TEXT,
    started REAL NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    runtime REAL,
    result TEXT,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    vitals TEXT,
    attempts INTEGER NOT NULL DEFAULT 1,
    output_size INTEGER NOT NULL DEFAULT 0,
    was_read INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS transition (
    task TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, attempt INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS message (
    task TEXT NOT NULL, number INTEGER NOT NULL, attempt INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;
"""

_COLUMNS: Final = (
    "id, agent, task, parent, started, status, reason, runtime, result, input_tokens, output_tokens, requests, "
    "vitals, attempts, output_size, was_read"
)


class Journal:
    """The one writer of a run's journal. Every method may be called from any thread and returns at once.

    Args:
        path: the file; made if missing.
        facts: what to note about the run.
    """

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        self._path = path
        self._facts = facts
        self._queue: queue.SimpleQueue[tuple[Sequence[Statement], Committed | None] | None] = queue.SimpleQueue()
        self._failing = ""
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="subactors-journal", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> str:
        """Why the last commit failed; empty when it did not."""
        return self._failing

    def write(self, statements: Sequence[Statement], committed: Committed | None = None) -> None:
        """Have statements executed, all or none of them.

        Args:
            statements: in order.
            committed: is called in the journal's thread when they are committed, or could not be.
        """
        self._queue.put((statements, committed))

    def query(self, statement: Statement, answered: Answered) -> None:
        """Have a query answered, after what has been written before; with no rows where the journal cannot be read.

        Args:
            statement: the query.
            answered: is called in the journal's thread with the rows.
        """
        self.write((), lambda: answered(self._select(statement)))

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            closing = None in batch
            writes = [entry for entry in batch if entry is not None]
            try:
                if self._connection is None:
                    self._connection = self._open()
                _commit(self._connection, [statement for statements, _ in writes for statement in statements])
                self._failing = ""
            except sqlite3.Error as error:
                self._give_up(error)
            for _, committed in writes:
                if committed is not None:
                    committed()
        if self._connection is not None:
            self._connection.close()

    def _select(self, statement: Statement) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(*statement).fetchall()
        except sqlite3.Error as error:
            self._give_up(error)
            return []

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(_SCHEMA)
        connection.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", self._facts.items())
        return connection

    def _give_up(self, error: sqlite3.Error) -> None:
        if not self._failing:
            logger.error(
                "The journal %s cannot be written: %s. Tasks go on; what happens now will be missing from it.",
                self._path,
                error,
            )
        self._failing = str(error)
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()


class JournalReader:
    """Reads a run's journal, whether its host lives or not; to be closed by the thread that made it.

    Args:
        path: the file.
        live: whether the run's host lives; if not, tasks without an end show as failed.

    Raises:
        sqlite3.Error: it is no journal, or damaged.
    """

    def __init__(self, path: Path, *, live: bool) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5.0)
        self._live = live

    def close(self) -> None:
        """Give back the file."""
        self._connection.close()

    def facts(self) -> dict[str, str]:
        """Return what is noted about the run."""
        return dict(self._connection.execute("SELECT key, value FROM run"))

    def tasks(self) -> list[TaskView]:
        """Return all tasks, oldest first, without output."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM task ORDER BY number")  # noqa: S608 - a constant
        return [self._view(row) for row in rows]

    def unread(self) -> int:
        """Return how many tasks' ends nobody has seen."""
        count: int = self._connection.execute("SELECT count(*) FROM task WHERE was_read = 0").fetchone()[0]
        return count

    def messages(self, task_id: str) -> list[dict[str, Any]]:
        """Return a task's conversation."""
        rows = self._connection.execute("SELECT body FROM message WHERE task = ? ORDER BY number", (task_id,))
        return [msgspec.json.decode(body) for (body,) in rows]

    def _view(self, row: tuple[Any, ...]) -> TaskView:
        (
            task_id, agent, task, parent, started, status, reason, runtime, result, input_tokens, output_tokens,
            requests, vitals, attempts, output_size, _,
        ) = row  # fmt: skip
        if status not in TERMINAL and not self._live:
            status, reason = "failed", HOST_DIED
        return TaskView(
            id=task_id,
            agent=agent,
            task=task,
            status=status,
            reason=reason,
            runtime=runtime if runtime is not None else max(0.0, time.time() - started) if self._live else 0.0,
            output_size=output_size,
            result=msgspec.json.decode(result) if result is not None else None,
            usage=Usage(input_tokens, output_tokens, requests),
            vitals=msgspec.json.decode(vitals, type=Vitals) if vitals is not None else None,
            attempts=attempts,
            parent=parent,
        )


def _commit(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for sql, parameters in statements:
        connection.execute(sql, parameters)
    connection.execute("COMMIT")
