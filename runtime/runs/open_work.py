"""Open work: what a journal shows of a host that lives: who is in which tools, and asks what.

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
    "delete_call",
    "insert_call",
    "insert_question",
    "note_question_settled",
    "questions_of",
    "select_attempts",
    "select_open_calls",
    "select_open_questions",
    "tools_of",
]


def insert_call(task_id: str, attempt: int, number: int, name: str, began: float) -> list[Statement]:
    """Insert a call of a tool; `number` is its place among those of the attempt, from 1."""
    insert = "INSERT OR REPLACE INTO open_call (task, attempt, number, name, began) VALUES (?, ?, ?, ?, ?)"
    return [(insert, (task_id, attempt, number, name, began))]


def delete_call(task_id: str, attempt: int, number: int) -> list[Statement]:
    """Delete a call that was answered; `steps` keeps when it was."""
    return [("DELETE FROM open_call WHERE task = ? AND attempt = ? AND number = ?", (task_id, attempt, number))]


def insert_question(question_id: str, task_id: str, at: float, *, whom: str, body: str, form: str) -> Statement:
    """Insert what a task has asked, its owner or a person; `form` is the rest of it, as JSON."""
    return (
        "INSERT INTO question (id, task, at, whom, body, form) VALUES (?, ?, ?, ?, ?, ?)",
        (question_id, task_id, at, whom, body, form),
    )


def note_question_settled(question_id: str, at: float, how: str, answer: str, by: str) -> list[Statement]:
    """Note how a question ended, and who has answered what."""
    update = "UPDATE question SET settled = ?, how = ?, answer = ?, answered_by = ? WHERE id = ?"
    return [(update, (at, how, answer, by, question_id))]


def select_open_calls() -> Statement:
    """Select the calls of tools that have not been answered, of tasks at work: task, name, and when each began."""
    return (
        (
            "SELECT task.id, open_call.name, began FROM task JOIN open_call "
            "ON open_call.task = task.id AND open_call.attempt = task.attempts "
            "WHERE task.status IN ('running', 'waiting') ORDER BY began"
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
    """Return by task the tools that `select_open_calls` has found; raises as `iso_time`, and for a damaged row."""
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
