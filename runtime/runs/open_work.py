"""Open work: what a journal keeps of calls of tools, and what it shows of a host that lives: who is at what.

As in `schema`, which has the tables, a verb takes values and returns statements; it executes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..tasks.questions import Question
from ..tasks.views import ToolAtWork, iso_time
from .schema import Statement

__all__ = [
    "insert_tool_call",
    "note_tool_answered",
    "questions_of",
    "select_attempts",
    "select_open_questions",
    "select_open_tools",
    "tools_of",
]


def insert_tool_call(task_id: str, attempt: int, number: int, name: str, began: float) -> list[Statement]:
    """Insert a call of a tool; `number` is its place among those of the attempt, from 1."""
    insert = "INSERT OR REPLACE INTO tool_call (task, attempt, number, name, began) VALUES (?, ?, ?, ?, ?)"
    return [(insert, (task_id, attempt, number, name, began))]


def note_tool_answered(task_id: str, attempt: int, number: int, ended: float, *, failed: bool) -> list[Statement]:
    """Note that a call of a tool was answered; `failed`: with an error."""
    update = "UPDATE tool_call SET ended = ?, failed = ? WHERE task = ? AND attempt = ? AND number = ?"
    return [(update, (ended, failed, task_id, attempt, number))]


def select_open_tools() -> Statement:
    """Select the calls of tools that have not been answered, of tasks at work: task, name, and when each began."""
    return (
        (
            "SELECT task.id, tool_call.name, began FROM task JOIN tool_call "
            "ON tool_call.task = task.id AND tool_call.attempt = task.attempts "
            "WHERE tool_call.ended IS NULL AND task.status IN ('running', 'waiting') ORDER BY began"
        ),
        (),
    )


def select_open_questions() -> Statement:
    """Select the questions that wait for an answer, oldest first: task, text, form."""
    return ("SELECT task, body, form FROM question WHERE settled IS NULL AND form IS NOT NULL ORDER BY at", ())


def select_attempts(task_id: str) -> Statement:
    """Select the changes of a task's status, in order: when, the status, why, and of which attempt."""
    return ("SELECT at, status, reason, attempt FROM transition WHERE task = ? ORDER BY at, rowid", (task_id,))


def tools_of(rows: Iterable[Sequence[Any]]) -> dict[str, list[ToolAtWork]]:
    """Return by task the tools that `select_open_tools` has found; raises as `iso_time`, and for a damaged row."""
    found: dict[str, list[ToolAtWork]] = {}
    for task_id, name, began in rows:
        found.setdefault(task_id, []).append(ToolAtWork(msgspec.convert(name, str), iso_time(began)))
    return found


def questions_of(rows: Iterable[Sequence[Any]]) -> dict[str, list[Question]]:
    """Return by task the questions that `select_open_questions` has found; raises MsgspecError for a damaged row."""
    found: dict[str, list[Question]] = {}
    for task_id, body, form in rows:
        question = msgspec.structs.replace(msgspec.json.decode(form, type=Question), text=msgspec.convert(body, str))
        found.setdefault(task_id, []).append(question)
    return found
