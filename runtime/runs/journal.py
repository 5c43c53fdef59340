"""Journal: what must be known after the host has died, in SQLite.

Writers hand over statements, and are called back when these are committed. A small write with a waiting caller is
committed in the caller's thread, because waking another takes longer than the commit: it makes `run` return a quarter
sooner. Everything slow is left to the journal's own thread: what nobody waits for, checkpoints, files that somebody
else has locked, a slow or full disk. Writes that arrive together are committed together.

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ..text import encodable
from .forks import fork_lock
from .schema import Statement
from .statements import described, execute, is_lock, is_of_storage

if TYPE_CHECKING:
    from .journal_guard import JournalGuard

__all__ = ["Journal"]

logger = logging.getLogger("subactors.runtime")

Committed: TypeAlias = Callable[[], None]
Answered: TypeAlias = Callable[[list[tuple[Any, ...]]], None]

_RETRY_AFTER: Final = 1.0
"""Seconds after which a failed write is tried again, if nothing else is to be written before."""

_AT_ONCE_BYTES: Final = 32_000
"""About how much is written in a matter of microseconds."""

_IN_TIME: Final = 0.05
"""Seconds after which is written what nobody waits for, and whose loss with the host would mislead nobody for long."""

_SLOW: Final = 0.02
"""Seconds after which a commit was not a matter of microseconds."""

_SLOW_FOR: Final = 10.0
"""Seconds for which all is left to the journal's thread after a slow commit in another."""

_QUICK: Final = "PRAGMA busy_timeout = 0; PRAGMA wal_autocheckpoint = 0"
_IN_ITS_TIME: Final = "PRAGMA busy_timeout = 200; PRAGMA wal_autocheckpoint = 1000"
"""How long a commit waits for others' locks (milliseconds), and from how many pages on it makes a checkpoint.

Pragmas take effect when they are compiled, and what is executed alone is compiled once: so these are scripts.
"""

_LOCKED: Final = 0.2
"""Seconds for which a lock of somebody else is waited for, by each of the two ways to wait for one. Whoever waits for
what is written then hears at once that it could not be, so these are what such a lock delays a start by."""

_LONGEST: Final = 10.0
"""Seconds that SQLite may compute for one commit or query: there is no more to a large one than to write it."""

_CLOSING: Final = 15.0
"""Seconds that closing may take; more than that is a file system that does not answer."""

_KEPT_BYTES: Final = 64_000_000
"""How much is kept in memory of what could not be written; what comes then is missing from the journal."""

_LOG_BYTES: Final = 4_000_000
"""Bytes that commits at once may add to SQLite's log before the journal's thread has to make one, and tidy up."""

_COMMIT_BYTES: Final = 16_384
"""About what a commit adds to that log beyond its own size: a page for each table and index."""

_MEASURED: Final = frozenset({str, bytes})
"""Of these the length counts."""


class _Write(NamedTuple):
    """Statements that belong together, and who is to be told.

    Attributes:
        statements: in order.
        committed: see `Journal.write`.
        size: about how many bytes it keeps in memory.
        is_query: whether it only has a query answered.
    """

    statements: Sequence[Statement]
    committed: Committed | None
    size: int = 0
    is_query: bool = False

    @classmethod
    def of(cls, statements: Sequence[Statement], committed: Committed | None) -> _Write:
        """Return one, with its size."""
        size = 100
        for _, parameters in statements:
            for value in parameters:
                size += len(value) if type(value) in _MEASURED else 8
        return cls(statements, committed, size)


class Journal:
    """The one writer of a run's journal.

    What is written is queued in order; whoever holds the lock takes all of it and commits.

    Args:
        path: the file; made if missing.
        facts: what to note about the run.
    """

    def __init__(self, path: Path, facts: dict[str, str]) -> None:
        self._path = path
        self._facts = {key: encodable(value) for key, value in facts.items()}
        self._queue: deque[_Write] = deque()
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._dozes = False
        self._closing = False
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._guard: JournalGuard | None = None
        self._deadline = 0.0
        self._is_lost = False
        self._slow_until = 0.0
        self._logged = 0
        self._waiting: deque[_Write] = deque()
        self._untold: list[_Write] = []
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
        """Have statements executed, all or none of them. Returns at once, or soon; may be called from any thread.

        Args:
            statements: in order.
            committed: is called when they are committed, or could not be for now: in this thread, before this method
                returns, or in the journal's.
        """
        self._queue.append(_Write.of(statements, committed))
        if committed is None or not self._commit_at_once():
            self._wakeups.put(None)

    def write_later(self, statements: Sequence[Statement], committed: Committed | None) -> None:
        """As `write`, for what nobody waits for: it is committed in the journal's thread, and told there."""
        self._queue.append(_Write.of(statements, committed))
        self._wakeups.put(None)

    def write_in_time(self, statements: Sequence[Statement]) -> None:
        """As `write`, for what may wait a moment: it goes with the next commit, so that it costs none of its own."""
        self._queue.append(_Write.of(statements, None))
        if not self._dozes:
            self._dozes = True
            self._wakeups.put(None)

    def query(self, statement: Statement, answered: Answered) -> None:
        """Have a query answered, after what has been written before; with no rows where the journal cannot be read.

        Args:
            statement: the query.
            answered: is called in the journal's thread with the rows.
        """
        self._queue.append(_Write((), lambda: answered(self._select(statement)), is_query=True))
        self._wakeups.put(None)

    def close(self) -> None:
        """Write what is queued and end the thread; nothing may be written afterwards."""
        self._closing = True
        self._wakeups.put(None)
        self._thread.join(_CLOSING)
        if self._thread.is_alive():
            logger.error(
                "The journal %s is not closed after %g s. What is not written yet is lost.", self._path, _CLOSING
            )

    # --- in any thread ----------------------------------------------------------------------------------------------

    def _commit_at_once(self) -> bool:
        """Commit all that is queued, and tell; False if that has to wait for something, and is the thread's to do."""
        if self._failing or time.monotonic() < self._slow_until or not self._lock.acquire(blocking=False):
            return False
        try:
            if self._connection is None or not self._is_little() or not fork_lock.acquire(blocking=False):
                return False
            began = time.monotonic()
            if self._guard is None or not self._guard.is_free(began):
                fork_lock.release()
                return False
            self._deadline = began + _LOCKED
            try:
                self._take()
                if not self._commit_together(self._connection):
                    return False
            except sqlite3.Error:
                return False  # the thread tries it again, and says so if it fails once more
            finally:
                fork_lock.release()
                if time.monotonic() - began > _SLOW:
                    self._slow_until = time.monotonic() + _SLOW_FOR
            self._logged += _COMMIT_BYTES + sum([write.size for write in self._waiting])
            self._waiting.clear()
            self._tell()
            return True
        finally:
            self._lock.release()

    # --- with the lock ----------------------------------------------------------------------------------------------

    def _is_little(self) -> bool:
        """Whether what there is to do is done in microseconds."""
        if self._logged > _LOG_BYTES:
            return False  # a checkpoint is due
        writes = [*self._waiting, *self._queue]
        return not any(write.is_query for write in writes) and sum([write.size for write in writes]) < _AT_ONCE_BYTES

    def _tell(self) -> None:
        """Call back whoever has written what was taken."""
        told, self._untold = self._untold, []
        for write in told:
            if write.committed is not None:
                try:
                    write.committed()
                except Exception:  # the journal goes on, whatever becomes of one of those who use it
                    logger.exception("What was to be done after a commit failed.")

    def _take(self) -> None:
        """Take what is queued, as far as there is room while nothing can be written."""
        while self._queue:
            write = self._queue.popleft()
            self._untold.append(write)
            if self._failing:
                self._waiting_bytes += write.size
                if self._waiting_bytes > _KEPT_BYTES:
                    self._waiting_bytes -= write.size
                    continue
            self._waiting.append(write)

    # --- in the journal's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._lock:
            self._commit()  # so that a run without tasks has a journal, too
        closing = False
        while not closing:
            self._wait()
            closing = self._closing
            with self._lock:
                self._take()
                if closing or (time.monotonic() >= self._retry_at if self._failing else self._untold):
                    self._commit()
                self._tell()
        with self._lock:
            self._disconnect()

    def _wait(self) -> None:
        """Wait until there is something to do, or it is time to try again."""
        timeout = max(0.0, self._retry_at - time.monotonic()) if self._failing else None
        with contextlib.suppress(queue.Empty):
            self._wakeups.get(timeout=timeout)
            if self._dozes and self._wakeups.empty() and not self._closing:
                self._wakeups.get(timeout=_IN_TIME)
        while not self._wakeups.empty():
            self._wakeups.get()
        self._dozes = False  # before anything is taken: what comes from now on wakes this thread again

    def _commit(self) -> None:
        """Commit what waits, in one transaction if that can be."""
        try:
            with fork_lock:
                self._commit_waiting()
        except (sqlite3.Error, OSError) as error:
            if not is_lock(error):
                self._disconnect()
            self._fail(described(error))
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
        self._connection.executescript(_IN_ITS_TIME)
        if self._commit_together(self._connection):
            self._waiting.clear()
        while self._waiting:
            self._commit_first(self._connection)
            self._waiting.popleft()
        self._connection.executescript(_QUICK)
        self._logged = 0

    def _select(self, statement: Statement) -> list[tuple[Any, ...]]:
        if self._connection is None or self._guard is None:
            return []
        try:
            with fork_lock:
                self._guard.await_unlocked(_LOCKED, to_read=True)
                self._deadline = time.monotonic() + _LONGEST
                return self._connection.execute(*statement).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._fail(described(error))
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
        connection.executescript(_QUICK)
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
        from .journal_guard import replace_database  # noqa: PLC0415 - it is needed only where somebody has meddled with the files

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
            if is_of_storage(error):
                raise
            return False
        return True

    def _commit_first(self, connection: sqlite3.Connection) -> None:
        try:
            execute(connection, self._waiting[0].statements)
        except Exception as error:
            if is_of_storage(error):
                raise
            logger.exception("The journal %s cannot take something, which will be missing from it.", self._path)
