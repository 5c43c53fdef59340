"""Watching: what somebody who watches tasks is told of them: rows, and then only what has changed of each.

In a row stands what stays as it is while nothing happens to the task: times, in place of how long something takes.
Asking for rows leaves no trace: nothing counts as read.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

from ..models.base import Usage
from ..text import bounded, one_line
from .changes import Row
from .questions import Question
from .request import Request
from .views import TERMINAL, Progress, Status, TaskView, ToolAtWork, Vitals

__all__ = [
    "LONGEST_TASK",
    "LONGEST_WATCH",
    "LONGEST_WORDS",
    "RowChange",
    "Sample",
    "TaskChanges",
    "TaskRow",
    "WatchTasks",
    "first_words",
    "last_line",
    "row_of",
]

LONGEST_TASK: Final = 1000
"""Characters of a task's text, and of its reason, in a row; head and tail."""

LONGEST_WORDS: Final = 300
"""Characters of the last words of a task."""

_LONGEST_ESCAPE: Final = 13
"""Characters that stand for one in JSON, `\\ud83d\\ude00`, and one more."""

LONGEST_WATCH: Final = 60.0
"""Seconds that a request waits for something to change."""


class Sample(NamedTuple):
    """What a task used at one moment.

    Attributes:
        at: when, in seconds since the epoch.
        cpu_percent: share of one core since the sample before.
        memory_bytes: see `Vitals`.
    """

    at: float
    cpu_percent: float
    memory_bytes: float


class TaskRow(Row, frozen=True, kw_only=True):
    """A task in a list that is watched. What is not explained here is as in `TaskView`.

    Attributes:
        task: what it was asked to do; head and tail, if it is longer than 1000 characters.
        reason: the same of why it ended.
        started_at: when it started; None while it is queued.
        words: the last line of its output; of a task of an earlier run, the beginning of what it has answered.
        has_result: whether there is a final answer.
        doing: what it is at; never for how long, which `doing_began_at` tells.
        silent_since: when it last said or did anything, if that is longer ago than `stall_after`; else None.
    """

    agent: str
    task: str
    status: Status
    reason: str = ""
    error: str = ""
    queued_at: str | None = None
    queue_place: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    words: str = ""
    output_size: int = 0
    has_result: bool = False
    usage: Usage = Usage()
    total_usage: Usage = Usage()
    vitals: Vitals | None = None
    attempts: int = 1
    parent: str | None = None
    group: str | None = None
    pid: int | None = None
    node: str = ""
    workdir: str = ""
    doing: str = ""
    doing_began_at: str | None = None
    tools: list[ToolAtWork] = []  # noqa: RUF012 - of a struct, which copies it
    silent_since: str | None = None
    progress: Progress | None = None
    continues: str = ""
    questions: list[Question] = []  # noqa: RUF012 - the same

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in TERMINAL


if TYPE_CHECKING:
    RowChange: TypeAlias = Any
else:
    RowChange = msgspec.defstruct(
        "RowChange",
        [
            (field.name, field.type if field.name == "id" else field.type | msgspec.UnsetType, msgspec.UNSET)
            if field.name != "id"
            else ("id", str)
            for field in msgspec.structs.fields(TaskRow)
        ],
        frozen=True,
        kw_only=True,
    )
    """The id of a task, and those fields of its row that have changed."""


class TaskChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Host to whoever watches: what has changed since a cursor.

    Attributes:
        cursor: the place behind it, to go on from.
        reset: whether these are all tasks, in place of all that was told before: the cursor was empty, of another
            host, or too old.
        changed: tasks, those that are new after what had started them.
        gone: ids of tasks that the host does not remember any more.
        samples: the latest samples by task, if they were asked for.
        running: tasks that have started and not ended.
        max_running: how many may be.
    """

    cursor: str
    reset: bool
    changed: list[RowChange]
    gone: list[str] = []
    samples: dict[str, list[Sample]] = {}
    running: int = 0
    max_running: int = 0


class WatchTasks(Request[TaskChanges], frozen=True, tag="watch"):
    """Answered when something has changed since a cursor, or the time is over; at once where there is no cursor.

    For the host's user only: no task may ask it.

    Attributes:
        cursor: that of the last answer; empty: there was none.
        timeout: seconds.
        samples: whether the latest samples are wanted, of all tasks that run.
    """

    cursor: Annotated[str, msgspec.Meta(max_length=100)] = ""
    timeout: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_WATCH)] = 20.0
    samples: bool = False


def last_line(text: str) -> str:
    """Return the last line of a text that has more than white space in it; its end, if it is long."""
    return text.rstrip().rpartition("\n")[2].strip()[-LONGEST_WORDS:]


def first_words(result: str) -> str:
    """Return the beginning of a result on one line; it is JSON, of which the end may be missing."""
    if result == "null":
        return ""
    for missing in range(_LONGEST_ESCAPE if result.startswith('"') else 0):
        with contextlib.suppress(msgspec.DecodeError):
            return one_line(
                msgspec.json.decode(result if not missing else f'{result[:-missing]}"', type=str), LONGEST_WORDS
            )
    return one_line(result, LONGEST_WORDS)


def row_of(view: TaskView, words: str = "") -> TaskRow:
    """Return the row of a task that is known by a view: one of an earlier run, or whose host does not answer.

    Args:
        view: the task.
        words: its last words.
    """
    ended = view.status in TERMINAL
    return TaskRow(
        id=view.id,
        agent=view.agent,
        task=bounded(view.task, LONGEST_TASK),
        status=view.status,
        reason=bounded(view.reason, LONGEST_TASK),
        error=view.error,
        queued_at=view.queued_at,
        started_at=view.started_at or None,
        ended_at=view.ended_at,
        words=words,
        output_size=view.output_size,
        has_result=view.has_result or (ended and view.status == "completed"),
        usage=view.usage,
        total_usage=view.total_usage,
        vitals=view.vitals,
        attempts=view.attempts,
        parent=view.parent,
        group=view.group,
        node=view.node,
        workdir=view.workdir,
        tools=view.tools,
        continues=view.continues,
        questions=view.questions,
    )
