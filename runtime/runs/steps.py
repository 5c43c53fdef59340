"""Steps: what a task did when, as its journal has it: each turn of its model, and each call of a tool.

As in `schema`, which has the table, a verb takes values and returns statements; it executes nothing.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from .schema import Statement

__all__ = ["Step", "StepKind", "insert_step", "select_questions", "select_steps", "select_transitions"]

StepKind: TypeAlias = Literal["turn", "tool"]


class Step(msgspec.Struct, array_like=True, frozen=True):
    """A turn of a task's model, or a call of a tool, that has ended.

    Attributes:
        kind: which of these.
        name: the model's, as the team file has it, or the tool's.
        began: in seconds since the epoch, as the host heard of it.
        ended: the same.
        error: the kind of error that it ended with; empty if with none.
        input_tokens: that a turn has used; 0 where nobody knows.
        output_tokens: the same.
    """

    kind: StepKind
    name: str
    began: float
    ended: float
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


def insert_step(task_id: str, attempt: int, step: Step) -> Statement:
    """Insert a step of a task's attempt, which counts from 1."""
    return (
        "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (task_id, attempt, *msgspec.structs.astuple(step)),
    )


def select_steps() -> Statement:
    """Select the steps of all tasks: the task, the attempt, and the fields of `Step`."""
    return ("SELECT task, attempt, kind, name, began, ended, error, input_tokens, output_tokens FROM step", ())


def select_transitions() -> Statement:
    """Select the changes of status of all tasks, in order: the task, when, the status, the reason, the attempt."""
    return ("SELECT task, at, status, reason, attempt FROM transition ORDER BY rowid", ())


def select_questions() -> Statement:
    """Select what tasks have asked: the task, when, and when it was settled."""
    return ("SELECT task, at, settled FROM question", ())
