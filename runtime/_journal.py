"""The journal: what must be known after the host has died, in SQLite, written by one thread.

Whoever writes hands over statements and is called back when they are committed; writes that arrive together are
committed together. A commit does not wait for the disk's own cache: it survives the death of the host in any way, not
the loss of power. A journal that cannot be written says so once, holds up nothing that runs, and is tried again with
what it has missed.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from ._encodable import encodable
from ._forks import unforked

__all__ = ["Journal", "Statement", "execute"]

logger = logging.getLogger("subactors.runtime")

Statement: TypeAlias = tuple[str, Sequence[Any]]
"""SQL and its parameters."""

Committed: TypeAlias = Callable[[], None]
Answered: TypeAlias = Callable[[list[tuple[Any, ...]]], None]

_RETRY_AFTER: Final = 1.0
"""Seconds after which what could not be written is tried again, if nothing else is to be written before."""

_KEPT_BYTES: Final = 64_000_000
"""How much is kept in memory of what could not be written; what comes then is missing from the journal."""

_STORAGE_ERRORS: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""What is wrong with the file and its disk, and may pass; any other error is one of the statement."""

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
    cost REAL NOT NULL DEFAULT 0,
    vitals TEXT,
    attempts INTEGER NOT NULL DEFAULT 1,
    output_size INTEGER NOT NULL DEFAULT 0,
    was_read INTEGER NOT NULL DEFAULT 0,
    workdir TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS transition (
    task TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, attempt INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS message (
    task TEXT NOT NULL, number INTEGER NOT NULL, attempt INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;
"""


class _Write(NamedTuple):
    """Statements that belong together, and who is to be told."""

    statements: Sequence[Statement]
    committed: Committed | None

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory."""
        return 100 + sum(
            len(value) if isinstance(value, str | bytes) else 8
            for _, parameters in self.statements
            for value in parameters
        )


class Journal:
    """The one writer of a run's journal.

    Args:
        path: the file; made if missing.
        facts: what to note about the run.
    """

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        self._path = path
        self._facts = {key: encodable(value) for key, value in facts.items()}
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[_Write] = deque()
        self._waiting_bytes = 0
        self._retry_at = 0.0
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name="subactors-journal", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> str:
        """Why the last commit failed; empty when it did not. May be asked for in any thread."""
        return self._failing

    def write(self, statements: Sequence[Statement], committed: Committed | None = None) -> None:
        """Have statements executed, all or none of them. Returns at once; may be called from any thread.

        Args:
            statements: in order.
            committed: is called in the journal's thread when they are committed, or could not be for now.
        """
        self._queue.put(_Write(statements, committed))

    def query(self, statement: Statement, answered: Answered) -> None:
        """Have a query answered, after what has been written before; with no rows where the journal cannot be read.

        Args:
            statement: the query.
            answered: is called in the journal's thread with the rows.
        """
        self.write((), lambda: answered(self._select(statement)))

    def close(self) -> None:
        """Write what is queued and end the thread; nothing may be written afterwards."""
        self._queue.put(None)
        self._thread.join()

    # --- in the journal's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._commit()  # so that a run without tasks has a journal, too
        closing = False
        while not closing:
            batch = self._next_batch()
            closing = None in batch
            writes = [write for write in batch if write is not None]
            self._take(writes)
            if closing or not self._failing or time.monotonic() >= self._retry_at:
                self._commit()
            for write in writes:
                if write.committed is not None:
                    try:
                        write.committed()
                    except Exception:  # the journal goes on, whatever becomes of one of those who use it
                        logger.exception("What was to be done after a commit failed.")
        self._disconnect()

    def _next_batch(self) -> list[_Write | None]:
        """Wait for writes, and take all there are; none when it is time to try again."""
        try:
            batch = [self._queue.get(timeout=max(0.0, self._retry_at - time.monotonic()) if self._failing else None)]
        except queue.Empty:
            return []
        while not self._queue.empty():
            batch.append(self._queue.get())
        return batch

    def _take(self, writes: Sequence[_Write]) -> None:
        """Add to what is to be written, as far as there is room while nothing can be."""
        for write in writes:
            if self._failing:
                self._waiting_bytes += write.size
                if self._waiting_bytes > _KEPT_BYTES:
                    self._waiting_bytes -= write.size
                    continue
            self._waiting.append(write)

    def _commit(self) -> None:
        """Commit what waits, in one transaction if that can be."""
        try:
            with unforked:
                self._commit_waiting()
        except sqlite3.Error as error:
            self._disconnect()
            self._fail(str(error))
        else:
            self._failing = ""

    def _commit_waiting(self) -> None:
        if self._connection is None:
            self._connection = self._open()
        if not self._waiting or self._commit_together(self._connection):
            self._waiting.clear()
        while self._waiting:
            self._commit_first(self._connection)
            self._waiting.popleft()

    def _select(self, statement: Statement) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        try:
            with unforked:
                return self._connection.execute(*statement).fetchall()
        except sqlite3.Error as error:
            self._fail(str(error))
            return []

    def _fail(self, why: str) -> None:
        if not self._failing:
            logger.error(
                "The journal %s cannot be written: %s. Tasks go on, and it is tried again; should the host end before "
                "that succeeds, what happens now will be missing from it.",
                self._path,
                why,
            )
        self._failing = why
        self._waiting_bytes = sum(write.size for write in self._waiting)
        self._retry_at = time.monotonic() + _RETRY_AFTER

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            connection.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", self._facts.items())
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with unforked, contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _commit_together(self, connection: sqlite3.Connection) -> bool:
        """Commit all that waits in one transaction; False if something of it, it is not known what, is wrong."""
        try:
            execute(connection, [statement for write in self._waiting for statement in write.statements])
        except Exception as error:
            if _is_of_storage(error):
                raise
            return False
        return True

    def _commit_first(self, connection: sqlite3.Connection) -> None:
        try:
            execute(connection, self._waiting[0].statements)
        except Exception as error:
            if _is_of_storage(error):
                raise
            logger.exception("The journal %s cannot take something, which will be missing from it.", self._path)


def execute(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    """Execute statements, all or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, parameters in statements:
            connection.execute(sql, parameters)
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_of_storage(error: Exception) -> bool:
    # The low byte says what is wrong, the others which variety of it.
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _STORAGE_ERRORS
