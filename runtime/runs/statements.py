"""Statements: executes those that belong together, and tells what an error of SQLite is about."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from .schema import Statement

__all__ = ["described", "execute", "is_lock", "is_of_storage"]

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
"""Errors of the file and its disk, which may pass; any other error is one of the statement."""


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


def described(error: sqlite3.Error | OSError) -> str:
    """Return an error in words for somebody who can do something about it."""
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_AUTH:
        return "somebody has put a trigger or a view into it"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def is_lock(error: Exception) -> bool:
    """Whether another process has the file locked."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def is_of_storage(error: Exception) -> bool:
    """Whether the file or its disk is the cause, and not the statement."""
    # The low byte says what is wrong, the others which variety of it.
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _STORAGE_ERRORS
