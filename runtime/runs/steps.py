"""Steps: what a task did when, as its journal has it: each turn of its model, and each call of a tool.

As in `schema`, which has the table, a verb takes values and returns statements; it executes nothing.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ..tasks.views import Status
from .schema import Statement

__all__ = ["Step", "StepKind", "Transition", "insert_step", "select_steps", "select_transitions"]

StepKind: TypeAlias = Literal["turn", "tool"]


class Step(msgspec.Struct, array_like=True, frozen=True):
    """A turn of a task's model, or a call of a tool, that has ended.

    Attributes:
        kind: which of these.
        name: the model's, as the team file has it, or the tool's.
        began: in seconds since the epoch, as the host heard of it.
        ended: the same.
        attempt: of the task, from 1.
        error: the kind of error that it ended with; empty if with none.
        input_tokens: that a turn has used; 0 where nobody knows.
        output_tokens: the same.
    """

    kind: StepKind
    name: str
    began: float
    ended: float
    attempt: int = 1
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class Transition(msgspec.Struct, array_like=True, frozen=True):
    """A change of a task's status.

    Attributes:
        at: when, in seconds since the epoch.
        status: the new one.
        reason: why.
        attempt: of the task, from 1; 0 before the first.
    """

    at: float
    status: Status
    reason: str
    attempt: int


def insert_step(task_id: str, step: Step) -> Statement:
    """Insert a step of a task."""
    return ("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (task_id, *msgspec.structs.astuple(step)))


def select_steps() -> Statement:
    """Select the steps of all tasks, in the order in which they ended: the task, and the fields of `Step`."""
    return ("SELECT * FROM step ORDER BY rowid", ())


def select_transitions() -> Statement:
    """Select the changes of status of all tasks, in order: the task, and the fields of `Transition`."""
    return ("SELECT task, at, status, reason, attempt FROM transition ORDER BY rowid", ())
