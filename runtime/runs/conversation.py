"""Conversation: every SQL statement that reads or changes what agents and their models have said.

As in `schema`, which has the table, a verb takes values and returns statements; it executes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .schema import Statement

__all__ = [
    "append_messages",
    "delete_conversation",
    "put_messages",
    "select_continuing",
    "select_conversation",
    "select_messages",
    "select_past",
    "select_resumable",
    "select_table",
]

_RESULT_HEAD: Final = 25_000
"""Characters of a result that whoever continues its owner is told, at most."""


def append_messages(task_id: str, first_number: int, attempt: int, bodies: Iterable[str]) -> list[Statement]:
    """Append messages, JSON text, to a task's conversation; they are numbered from `first_number` on."""
    return put_messages(task_id, attempt, enumerate(bodies, first_number))


def put_messages(task_id: str, attempt: int, numbered: Iterable[tuple[int, str]]) -> list[Statement]:
    """Put messages, JSON text, into their places in a task's conversation, over what was there."""
    put = "INSERT OR REPLACE INTO message (task, number, attempt, body) VALUES (?, ?, ?, ?)"
    return [(put, (task_id, number, attempt, body)) for number, body in numbered]


def delete_conversation(task_id: str) -> list[Statement]:
    """Delete all messages of a task, and what it has answered in them."""
    return [
        ("DELETE FROM message WHERE task = ?", (task_id,)),
        ("UPDATE task SET result = NULL WHERE id = ?", (task_id,)),
    ]


def select_conversation(task_id: str) -> Statement:
    """Select the messages of a task, in order: their bodies."""
    return ("SELECT body FROM message WHERE task = ? ORDER BY number", (task_id,))


def select_messages(task_id: str, after: int, most: int) -> Statement:
    """Select the messages of a task behind a number, in order, so many at most: number, attempt and body."""
    select = "SELECT number, attempt, body FROM message WHERE task = ? AND number > ? ORDER BY number LIMIT ?"
    return (select, (task_id, after, most))


def select_past(
    task_id: str,
    *,
    options: str = "options",
    owed: str = "owed",
    result_in_file: str = "result_in_file",
    has_letters: bool = True,
) -> Statement:
    """Select what a task needs that continues another; `past_rows` knows what the columns are.

    Of what it had started, the ends that it is owed; of what was said to it, what it has not taken.

    Args:
        task_id: the task that is continued.
        options: what stands for the column of that name, where the journal does not have it.
        owed: the same, as the next one.
        result_in_file: see above.
        has_letters: whether the journal has a table of letters.
    """
    letters = (
        "SELECT 3, number, sender, body, NULL, NULL, NULL, NULL, NULL, NULL FROM letter "
        "WHERE task = ? AND taken IS NULL UNION ALL "
    )
    return (
        (
            f"SELECT 0 AS kind, 0 AS number, agent, task, expected_output, status, reason, {options}, workdir, "  # noqa: S608 - constants
            f"{result_in_file} OR coalesce(result, 'null') != 'null' FROM task WHERE id = ? UNION ALL "
            f"SELECT 1, number, id, agent, substr(result, 1, {_RESULT_HEAD}), status, reason, runtime, NULL, NULL "
            f"FROM task WHERE parent = ? AND {owed} = 1 UNION ALL "
            f"{letters if has_letters else ''}"
            "SELECT 2, number, body, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM message WHERE task = ? "
            "ORDER BY kind, number"
        ),
        (task_id,) * (4 if has_letters else 3),
    )


def select_table(name: str) -> Statement:
    """Select whether there is a table of that name: a row if there is."""
    return ("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))


def select_resumable(*, options: str = "options") -> Statement:
    """Select the ids of the tasks that may have a conversation to go on with; `options` as in `select_past`."""
    return (f"SELECT id FROM task WHERE {options} IS NOT NULL", ())  # noqa: S608 - constants


def select_continuing(task_id: str, *, continues: str = "continues") -> Statement:
    """Select id and status of the tasks that continue another; `continues` as `options` in `select_past`."""
    return (f"SELECT id, status FROM task WHERE {continues} = ?", (task_id,))  # noqa: S608 - constants
