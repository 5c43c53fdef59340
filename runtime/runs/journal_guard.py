"""Journal guard: opens a journal's files, and sees to it that nothing done to them kills the host or holds it up.

SQLite asks for more trust than these files deserve. It maps the index of its log (`-shm`) into memory, and a page that
is cut from a mapped file kills whoever touches it (SIGBUS). It waits for locks on that index for up to ten seconds,
whatever its own time-out says. And it runs the triggers and views that it finds in a file. So the host looks before
each commit. Between that look and the commit lie some microseconds, in which a task that tries for long can still win.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ...actors.regular_files import check_database, make, open_to_change
from .schema import TABLES, insert_fact

__all__ = ["JournalGuard", "distrust", "open_guarded", "replace_database"]

_FILES: Final = ("", "-wal", "-shm")

_LOCK: Final = struct.Struct("hhqqi4x")
"""`struct flock`."""

_FIRST_LOCK: Final = 120
_FIRST_TO_READ: Final = 122
_LAST_LOCK: Final = 128
"""The bytes of the index on which SQLite has its locks; the first two are of no concern to who only reads."""

_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at whether the files are still there; the other looks come before each commit."""

_PAUSE: Final = 0.01
"""Seconds between two looks at a lock that is awaited."""

_CALLS: Final = 100_000
"""Steps of SQLite's machine between two looks at the time."""

_OWN_QUERIES: Final = frozenset({None, "tree"})
"""Where a table may be read from: a statement itself, or the one subquery in ours that has a name."""


def open_guarded(
    path: Path, facts: Mapping[str, str], *, patience: float, is_overdue: Callable[[], bool]
) -> tuple[sqlite3.Connection, JournalGuard]:
    """Open a journal to write to, made if it is missing; return the connection and what watches over its files.

    Args:
        path: the journal.
        facts: what to note about the run.
        patience: seconds to wait for a lock of SQLite's; not at all for others.
        is_overdue: as for `distrust`.

    Raises:
        OSError: one of its files is not a regular file, or is another user's.
        sqlite3.Error: it cannot be opened, or is not a journal.
    """
    _check_before_opening(path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=patience, check_same_thread=False)
    try:
        distrust(connection, is_overdue)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(f"BEGIN IMMEDIATE; {TABLES}")
        for fact in facts.items():
            connection.execute(*insert_fact(*fact))
        connection.execute("COMMIT")
        return connection, JournalGuard(path)
    except (sqlite3.Error, OSError):
        connection.close()
        raise


class JournalGuard:
    """Watches the files of a connection that is open, from before its first commit to after its closing.

    Its own descriptor must be closed after the connection: closing it lets go of SQLite's locks on that file.

    Args:
        path: the journal.

    Raises:
        OSError: one of the files is gone already.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [f"{path}{end}" for end in _FILES]
        self._known = [_identity(name) for name in self._paths]
        self._index = open_to_change(self._paths[-1])
        self._size = os.fstat(self._index).st_size
        self._look_at = 0.0
        self._is_replaced = False

    def release(self) -> None:
        """Stop watching."""
        os.close(self._index)

    def mend(self) -> None:
        """Give the index back what somebody has cut from it; SQLite finds that it is damaged, and makes it anew."""
        size = os.fstat(self._index).st_size
        if size < self._size:
            os.ftruncate(self._index, self._size)
        else:
            self._size = size

    def is_free(self, now: float) -> bool:
        """Whether a commit need not wait for anything that can be seen beforehand."""
        self.mend()
        return not _holder(self._index) and not self.is_replaced(now)

    def is_replaced(self, now: float) -> bool:
        """Whether one of the files has been removed, or is another than it was; looked at now and then only."""
        if now < self._look_at:
            return self._is_replaced
        self._look_at = now + _LOOK_AGAIN
        self._is_replaced = any(
            _identity_or_none(name) != known for name, known in zip(self._paths, self._known, strict=True)
        )
        return self._is_replaced

    def await_unlocked(self, seconds: float, *, to_read: bool = False) -> None:
        """Wait until nobody has locked the index; raises sqlite3.OperationalError after that time."""
        self.mend()
        _await_unlocked(self._index, seconds, _FIRST_TO_READ if to_read else _FIRST_LOCK)


def _check_before_opening(path: Path) -> None:
    """Check what SQLite is about to open, when this process has no connection to it.

    Raises:
        OSError: as `check_database`.
        sqlite3.OperationalError: another process has locked it.
    """
    check_database(path)
    with contextlib.suppress(FileNotFoundError):
        index = open_to_change(f"{path}-shm")
        try:
            _await_unlocked(index, 0.0)
        finally:
            os.close(index)


def distrust(connection: sqlite3.Connection, is_overdue: Callable[[], bool]) -> None:
    """Have a connection run nothing that the file brings along, and break off what is overdue.

    Args:
        connection: newly opened.
        is_overdue: is asked now and then while a statement runs.
    """
    connection.set_authorizer(_allow)
    connection.set_progress_handler(is_overdue, _CALLS)


def replace_database(connection: sqlite3.Connection, path: Path) -> None:
    """Write what a connection holds to a new file, which takes the place of whatever has the path now.

    The connection is of no use afterwards.

    Raises:
        OSError, sqlite3.Error: it cannot be written.
    """
    new = f"{path}.new"
    os.close(make(new))
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as target:
        connection.backup(target)
    for end in (*_FILES, "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{end}")  # noqa: PTH108 - the name is not a Path
    os.rename(new, path)  # noqa: PTH104 - the name is not a Path


def _allow(_action: int, _first: str | None, _second: str | None, _database: str | None, within: str | None) -> int:
    return sqlite3.SQLITE_OK if within in _OWN_QUERIES else sqlite3.SQLITE_DENY


def _await_unlocked(index: int, seconds: float, first: int = _FIRST_LOCK) -> None:
    deadline = time.monotonic() + seconds
    while holder := _holder(index, first):
        if time.monotonic() >= deadline:
            error = sqlite3.OperationalError(f"database is locked by process {holder}")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        time.sleep(_PAUSE)


def _holder(index: int, first: int = _FIRST_LOCK) -> int:
    # To ask for a shared lock finds those that are exclusive, and of other processes.
    asked = _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, first, _LAST_LOCK + 1 - first, 0)
    kind, _, _, _, pid = _LOCK.unpack(fcntl.fcntl(index, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else pid or -1


def _identity(name: str) -> tuple[int, int]:
    status = os.lstat(name)
    return status.st_dev, status.st_ino


def _identity_or_none(name: str) -> tuple[int, int] | None:
    try:
        return _identity(name)
    except OSError:
        return None
