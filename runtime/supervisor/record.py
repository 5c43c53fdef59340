"""What the journal is told of tasks: one function for each thing that happens, returning the statements for it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import msgspec

from ..runs.journal import Statement
from ..tasks.messages import RunTask
from ..text import encodable
from .task import Task

__all__ = [
    "conversation",
    "ended",
    "forget_conversation",
    "messages",
    "read",
    "started",
    "transition",
    "usage",
]

_INSERT_TASK: Final = (
    "INSERT INTO task (id, agent, task, expected_output, parent, started, status, workdir) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_MESSAGE: Final = "INSERT INTO message (task, number, attempt, body) VALUES (?, ?, ?, ?)"
_UPDATE_ENDED: Final = (
    "UPDATE task SET status = ?, reason = ?, traceback = ?, runtime = ?, ended = ?, result = ?, result_in_file = ?, "
    "vitals = ?, output_size = ? WHERE id = ?"
)


def started(task: Task, request: RunTask) -> list[Statement]:
    """Return what to write when a task is accepted."""
    return [
        (
            _INSERT_TASK,
            (
                task.id,
                task.agent,
                task.text,
                request.expected_output,
                task.parent,
                task.started_at,
                task.status,
                encodable(task.spec.own_folder),
            ),
        ),
        _noted(task, task.status, ""),
    ]


def transition(task: Task, reason: str = "") -> list[Statement]:
    """Return what to write when a task's status has changed."""
    return [
        _noted(task, task.status, reason),
        ("UPDATE task SET status = ?, attempts = ? WHERE id = ?", (task.status, task.attempts, task.id)),
    ]


def messages(task: Task, added: Iterable[str]) -> list[Statement]:
    """Return what to write when a task's conversation has grown; counts the messages in the task."""
    statements: list[Statement] = []
    for body in added:
        task.messages += 1
        statements.append((_INSERT_MESSAGE, (task.id, task.messages, task.attempts, body)))
    return statements


def forget_conversation(task: Task) -> list[Statement]:
    """Return what to write when a task begins its conversation anew."""
    task.messages = 0
    return [("DELETE FROM message WHERE task = ?", (task.id,))]


def conversation(task: Task) -> Statement:
    """Return the query for a task's conversation, in order."""
    return ("SELECT body FROM message WHERE task = ? ORDER BY number", (task.id,))


def usage(task: Task) -> list[Statement]:
    """Return what to write when a task's usage has changed."""
    return [
        (
            "UPDATE task SET input_tokens = ?, output_tokens = ?, requests = ?, cost = ? WHERE id = ?",
            (
                task.usage.input_tokens,
                task.usage.output_tokens,
                task.usage.requests,
                task.usage.cost,
                task.id,
            ),
        )
    ]


def ended(task: Task, status: str, reason: str) -> list[Statement]:
    """Return what to write when a task's end has been decided, before anybody is told."""
    assert task.ended is not None, task.id  # noqa: S101 - the caller has just set it
    vitals = msgspec.json.encode(task.vitals).decode() if task.vitals is not None else None
    return [
        (
            _UPDATE_ENDED,
            (
                status,
                reason,
                task.traceback,
                task.ended - task.started,
                task.ended_at,
                task.result,
                bool(task.result_file),
                vitals,
                task.output.size,
                task.id,
            ),
        ),
        _noted(task, status, reason),
    ]


def read(task: Task) -> list[Statement]:
    """Return what to write when somebody has seen a task's end."""
    return [("UPDATE task SET was_read = 1 WHERE id = ?", (task.id,))]


def _noted(task: Task, status: str, reason: str) -> Statement:
    return (
        "INSERT INTO transition (task, at, status, reason, attempt) VALUES (?, ?, ?, ?, ?)",
        (task.id, time.time(), status, reason, task.attempts),
    )
