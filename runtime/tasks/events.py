"""Events: what becomes of tasks, as it is told to whoever follows them."""

from __future__ import annotations

import time
from typing import Any, TypeAlias

import msgspec

from .questions import Question, Settled
from .views import Progress, TaskView, iso_time

__all__ = [
    "Event",
    "Lagged",
    "TaskAnswered",
    "TaskAsked",
    "TaskCalledTool",
    "TaskEnded",
    "TaskGotToolAnswer",
    "TaskOutput",
    "TaskProgress",
    "TaskQueued",
    "TaskRestarting",
    "TaskStarted",
]


class _Dated(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events.

    Attributes:
        time: when it happened, in the form of `TaskView.started_at`; of output, when the first of its text had come.
        cursor: the place behind it. A stream that is opened with `since=cursor` goes on there. ASCII without spaces,
            fit for the `id` of a server-sent event.
    """

    time: str = msgspec.field(default_factory=lambda: iso_time(time.time()))
    cursor: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data, for JSON: `event` says which it is, and a task is as `TaskView.as_data` tells it."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        task = getattr(self, "task", None)
        return fields if task is None else fields | {"task": task.as_data()}


class TaskQueued(_Dated, frozen=True, tag_field="event", tag="queued"):
    """A task was accepted and waits for a slot. `TaskStarted` comes when it has one, `TaskEnded` alone if never."""

    task: TaskView


class TaskStarted(_Dated, frozen=True, tag_field="event", tag="started"):
    """A task's first process is starting: the task was accepted, or has waited in the queue."""

    task: TaskView


class TaskOutput(_Dated, frozen=True, tag_field="event", tag="output"):
    """A task said something; `missed` counts the bytes before it that had already fallen out of its buffer."""

    task_id: str
    text: str
    missed: int = 0


class TaskProgress(_Dated, frozen=True, tag_field="event", tag="progress"):
    """A task has told how far it has come; at most some ten times a second, and the last always."""

    task_id: str
    progress: Progress


class TaskCalledTool(_Dated, frozen=True, tag_field="event", tag="tool_call"):
    """A task's model called a tool; `arguments` is JSON text as the model wrote it."""

    task_id: str
    name: str
    arguments: str


class TaskGotToolAnswer(_Dated, frozen=True, tag_field="event", tag="tool_answer"):
    """A tool answered; `text` is the beginning of the answer."""

    task_id: str
    name: str
    text: str
    is_error: bool


class TaskAsked(_Dated, frozen=True, tag_field="event", tag="question"):
    """A task has asked a question, and waits. `TaskAnswered` comes when it does not any more."""

    task_id: str
    question: Question


class TaskAnswered(_Dated, frozen=True, tag_field="event", tag="question_settled"):
    """A task does not wait for the answer to a question any more.

    Attributes:
        question_id: the question.
        how: whether it has an answer, of somebody or its default, or has none: it was `too late`, or `withdrawn`.
        text: the answer; empty if there is none.
        by: who has given it; empty if nobody has.
    """

    task_id: str
    question_id: str
    how: Settled
    text: str = ""
    by: str = ""


class TaskEnded(_Dated, frozen=True, tag_field="event", tag="ended"):
    """A task has reached its terminal status; all of its output came before. `task` has the end of its output only."""

    task: TaskView


class TaskRestarting(_Dated, frozen=True, tag_field="event", tag="restarting"):
    """An attempt of a task has failed, for the view's reason, and another begins after `delay` seconds."""

    task: TaskView
    delay: float


class Lagged(_Dated, frozen=True, tag_field="event", tag="lagged"):
    """This reader was too far behind, or came back too late: what comes next is not what came right after.

    `missed` counts the events in between; 0 where nobody can tell: the cursor that it came back with is of another run.
    """

    missed: int


Event: TypeAlias = (
    TaskQueued
    | TaskStarted
    | TaskOutput
    | TaskProgress
    | TaskCalledTool
    | TaskGotToolAnswer
    | TaskAsked
    | TaskAnswered
    | TaskEnded
    | TaskRestarting
    | Lagged
)
