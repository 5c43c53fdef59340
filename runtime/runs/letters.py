"""Letters: the SQL statements about what is said to a task while it runs; as in `schema`, which has the table."""

from __future__ import annotations

from collections.abc import Iterable

from .schema import Statement

__all__ = ["insert_letter", "note_letters_taken"]


def insert_letter(task_id: str, number: int, at: float, sender: str, body: str) -> Statement:
    """Insert what somebody has said to a task."""
    insert = "INSERT INTO letter (task, number, at, sender, body) VALUES (?, ?, ?, ?, ?)"
    return (insert, (task_id, number, at, sender, body))


def note_letters_taken(task_id: str, numbers: Iterable[int], at: float) -> list[Statement]:
    """Note that a task has taken what was said to it."""
    update = "UPDATE letter SET taken = ? WHERE task = ? AND number = ?"
    return [(update, (at, task_id, number)) for number in numbers]
