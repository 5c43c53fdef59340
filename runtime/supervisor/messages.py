"""Messages: what timers, the journal, the place and the I/O thread tell the task supervisor, through its `Mailbox`.

None of it leaves the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from ...actors import Child, Timer
from ..place.base import Look
from ..tasks.gateway import ReplyTo
from .outcome import Outcome
from .task import Task

__all__ = [
    "Conversation",
    "DeadlinePassed",
    "LookedAt",
    "Mailbox",
    "MendSampler",
    "NewsDue",
    "RateDue",
    "Reached",
    "Recorded",
    "RestartDue",
    "TalkDue",
    "WaitTimedOut",
    "Waiter",
    "WatchDue",
]


class Waiter(msgspec.Struct, eq=False):
    """A `WaitTasks` or a `StopTasks` that is not answered yet.

    Attributes:
        tasks: those that it is about.
        mode: whether it waits for all of them, or for any.
        caller: id of the task or orchestrator that waits; None for the host.
        limit: bytes of output wanted in the answer; None is all.
        peek: see `Reading`.
        number: see `WaitTasks`.
        timer: answers it when its time is over; None if it has no such time.
        open: how many of the tasks have not ended; the registry counts.
        until_asked: see `WaitTasks`.
        known: see `WaitTasks`.
    """

    tasks: list[Task]
    mode: Literal["all", "any"]
    reply_to: ReplyTo
    caller: str | None
    limit: int | None = None
    peek: bool = False
    number: int = 0
    timer: Timer | None = None
    open: int = 0
    until_asked: bool = False
    known: frozenset[str] = frozenset()

    @property
    def is_due(self) -> bool:
        """Whether what it waits for has happened."""
        is_asked = self.until_asked and any(
            each.to == "owner" and each.id not in self.known for task in self.tasks for each in task.questions
        )
        return self.open == 0 or is_asked or (self.mode == "any" and self.open < len(self.tasks))


class WaitTimedOut(msgspec.Struct, frozen=True):
    """A timer to the supervisor: answer a `WaitTasks` with what there is."""

    waiter: Waiter


class NewsDue(msgspec.Struct, frozen=True):
    """A timer to the supervisor: a caller has waited for news for long enough; see `TakeNews`.

    Attributes:
        caller: its id.
        has_other: whether it has something else to see to, and is to be answered as things are.
    """

    caller: str | None
    has_other: bool = False


class Recorded(msgspec.Struct, frozen=True):
    """The journal to the supervisor: the end of a task is written; now it may be told."""

    task: Task
    outcome: Outcome


class RateDue(msgspec.Struct, frozen=True):
    """A timer to the supervisor: the next request to a limited model may go.

    Attributes:
        server: see `AwaitRate`.
    """

    server: str


class TalkDue(msgspec.Struct, frozen=True):
    """A timer to the supervisor: the time of a question is over, or that of a receipt for a letter, or of chunks.

    Attributes:
        of: the question's id, or the task's; empty: processes have waited for chunks.
        letter: the letter's number; 0: it is a question.
    """

    of: str
    letter: int = 0


class WatchDue(msgspec.Struct, frozen=True):
    """A timer to the supervisor: it is time to look at tasks for those who watch them."""


class RestartDue(msgspec.Struct, frozen=True):
    """A timer to the supervisor: the pause before a task's next attempt is over."""

    task: Task


class Conversation(msgspec.Struct, frozen=True):
    """The journal to the supervisor: what the conversation of a task had come to."""

    task: Task
    messages: tuple[str, ...]


class DeadlinePassed(msgspec.Struct, frozen=True):
    """A timer to the supervisor: a task has run for as long as it may."""

    task: Task


class MendSampler(msgspec.Struct, frozen=True):
    """A timer to the supervisor: the thread that holds limits on trees has died, or does not get on."""


class LookedAt(msgspec.Struct, frozen=True):
    """The place, or a timer, to the supervisor: what a silent task does was looked at, or could not be in time.

    Attributes:
        task: the task.
        silent_since: its last sign of life before the silence.
        look: what was seen; None: nothing in time.
        with_stack: whether the stack was asked for.
    """

    task: Task
    silent_since: float
    look: Look | None = None
    with_stack: bool = False


class Reached(msgspec.Struct, frozen=True):
    """The place or the I/O thread to the supervisor: a task has reached a limit, and must not go on."""

    task: Task
    sentence: str


class Mailbox(Protocol):
    """Mailbox: the way to the supervisor for what belongs to it. Any thread may call every method."""

    def tell_later(self, delay: float, message: object) -> Timer:
        """Send it a message in `delay` seconds."""
        ...

    def tell_for(self, task: Task | None, message: object) -> None:
        """Send it a message: work for a task, which comes in that task's turn; at once if that has no process."""

    def tell_in_turn(self, child: Child, message: object) -> None:
        """Send it a message: work for a child, which comes in that child's turn."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Have something called in the I/O thread in `delay` seconds."""
        ...
