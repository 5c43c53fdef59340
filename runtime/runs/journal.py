"""Journal: what must be known after the host has died, in SQLite.

Writers hand over statements, and are called back when these are committed. The journal's own thread commits them, so
that a slow disk, or a file that somebody else has locked, holds up no writer. Writes that arrive together are committed
together.

A commit does not wait for the disk's own cache: it survives the death of the host in any way, not the loss of power. A
journal that cannot be written says so once, holds up nothing that runs, and is tried again with what it has missed.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ..text import encodable
from .forks import fork_lock
from .schema import Statement

if TYPE_CHECKING:
    from .journal_guard import JournalGuard

__all__ = ["Journal", "execute"]

logger = logging.getLogger("subactors.runtime")

Committed: TypeAlias = Callable[[], None]
Answered: TypeAlias = Callable[[list[tuple[Any, ...]]], None]

_RETRY_AFTER: Final = 1.0
"""Seconds after which a failed write is tried again, if nothing else is to be written before."""

_LOCKED: Final = 0.2
"""Seconds to wait for a lock of somebody else, by each of the two ways to wait for one. Then whoever waits for what is
written hears that it could not be, so such a lock delays a start by no more."""

_LONGEST: Final = 10.0
"""Seconds that SQLite may compute for one commit or query: there is no more to a large one than to write it."""

_CLOSING: Final = 15.0
"""Seconds that closing may take; more than that is a file system that does not answer."""

_KEPT_BYTES: Final = 64_000_000
"""How much is kept in memory of what could not be written; what comes then is missing from the journal."""

_STORAGE_ERRORS: Final = frozenset(
    {
        sqlite3.SQLITE_AUTH,  # somebody has put a trigger or a view into it, which is not run
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""What is wrong with the file and its disk, and may pass; any other error is one of the statement."""


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
    """The one writer of a run's journal: a thread that commits in order what others write.

    Args:
        path: the file; made if missing.
        facts: what to note about the run.
    """

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        self._path = path
        self._facts = {key: encodable(value) for key, value in facts.items()}
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        """What is written; None: nothing comes after it."""
        self._connection: sqlite3.Connection | None = None
        self._guard: JournalGuard | None = None
        self._deadline = 0.0
        self._is_lost = False
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
        self._queue.put(_Write((), lambda: answered(self._select(statement))))

    def close(self) -> None:
        """Write what is queued and end the thread; nothing may be written afterwards."""
        self._queue.put(None)
        self._thread.join(_CLOSING)
        if self._thread.is_alive():
            logger.error(
                "The journal %s is not closed after %g s. What is not written yet is lost.", self._path, _CLOSING
            )

    # --- in the journal's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._commit()  # so that a run without tasks has a journal, too
        while self._commit_next():
            pass
        self._disconnect()

    def _commit_next(self) -> bool:
        """Wait for what is written next, commit and tell; False if nothing comes after it.

        In a method of its own, so that nothing of it stays in memory until there is more.
        """
        taken = self._take()
        is_open = None not in taken
        writes = [write for write in taken if write is not None]
        self._keep(writes)
        if not is_open or not self._failing or time.monotonic() >= self._retry_at:
            self._commit()
        for write in writes:
            self._tell(write)
        return is_open

    def _take(self) -> list[_Write | None]:
        """Wait until something is written, or it is time to try again; return all that is queued by then."""
        timeout = max(0.0, self._retry_at - time.monotonic()) if self._failing else None
        taken: list[_Write | None] = []
        with contextlib.suppress(queue.Empty):
            taken.append(self._queue.get(timeout=timeout))
            while True:
                taken.append(self._queue.get_nowait())
        return taken

    def _keep(self, writes: Iterable[_Write]) -> None:
        """Keep what is to be committed, as far as there is room while nothing can be."""
        for write in writes:
            if self._failing:
                if self._waiting_bytes + write.size > _KEPT_BYTES:
                    continue
                self._waiting_bytes += write.size
            self._waiting.append(write)

    def _tell(self, write: _Write) -> None:
        if write.committed is not None:
            try:
                write.committed()
            except Exception:  # the journal goes on, whatever becomes of one of those who use it
                logger.exception("What was to be done after a commit failed.")

    def _commit(self) -> None:
        """Commit what waits, in one transaction if that can be."""
        try:
            with fork_lock:
                self._commit_waiting()
        except (sqlite3.Error, OSError) as error:
            if not _is_lock(error):
                self._disconnect()
            self._fail(_said(error))
        else:
            self._failing = ""

    def _commit_waiting(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._disconnect()  # of a commit that failed, and could not even be rolled back
        if self._connection is not None and self._guard is not None:
            self._guard.await_unlocked(0.0 if self._failing else _LOCKED)
            if self._guard.is_replaced(time.monotonic()) and not self._is_lost:
                self._restore(self._connection)
        if self._connection is None:
            self._connection = self._open()
        if not self._waiting:
            return
        self._deadline = time.monotonic() + _LONGEST
        if self._commit_together(self._connection):
            self._waiting.clear()
        while self._waiting:
            self._commit_first(self._connection)
            self._waiting.popleft()

    def _select(self, statement: Statement) -> list[tuple[Any, ...]]:
        if self._connection is None or self._guard is None:
            return []
        try:
            with fork_lock:
                self._guard.await_unlocked(_LOCKED, to_read=True)
                self._deadline = time.monotonic() + _LONGEST
                return self._connection.execute(*statement).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._fail(_said(error))
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
        # In the journal's thread: a host that only starts need not wait for this import.
        from .journal_guard import open_guarded  # noqa: PLC0415

        self._deadline = time.monotonic() + _LONGEST
        connection, self._guard = open_guarded(
            self._path, self._facts, patience=_LOCKED, is_overdue=lambda: time.monotonic() > self._deadline
        )
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        guard, self._guard = self._guard, None
        if guard is not None:
            with contextlib.suppress(OSError):
                guard.mend()
        if connection is not None:
            with fork_lock, contextlib.suppress(sqlite3.Error):
                connection.close()
        if guard is not None:
            guard.release()

    def _restore(self, connection: sqlite3.Connection) -> None:
        """Make the journal's files anew, which somebody has removed or replaced, of what SQLite still has of them.

        Where there is no folder any more it goes on with those that have no name.
        """
        from .journal_guard import replace_database  # noqa: PLC0415 - as above

        try:
            replace_database(connection, self._path)
        except (sqlite3.Error, OSError) as error:
            if not self._is_lost:
                logger.error(  # noqa: TRY400 - a traceback says no more
                    "Somebody has removed or replaced the journal %s, and it cannot be made anew: %s. Tasks go on; "
                    "nobody will find them in it.",
                    self._path,
                    error,
                )
            self._is_lost = True
        else:
            self._is_lost = False
            logger.error("Somebody had removed or replaced the journal %s. It has been made anew.", self._path)
            self._disconnect()

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


def _said(error: sqlite3.Error | OSError) -> str:
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_AUTH:
        return "somebody has put a trigger or a view into it"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def _is_lock(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _is_of_storage(error: Exception) -> bool:
    # The low byte says what is wrong, the others which variety of it.
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _STORAGE_ERRORS
