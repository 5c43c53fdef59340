"""Talk: what is said to a task while it runs, in the language of tasks."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from .next_chunk import AwaitChunk, NextChunk
from .questions import AnswerQuestion, AskApproval, AskQuestion, QuestionDropped
from .request import Request
from .views import Status

__all__ = [
    "LONGEST_LETTER",
    "MOST_LETTERS",
    "Letter",
    "LetterNumbers",
    "LettersTaken",
    "Listen",
    "Listening",
    "SteerReceipt",
    "SteerTask",
    "TalkReport",
    "TalkRequest",
]

LONGEST_LETTER: Final = 100_000
"""Characters of what is said to a task at a time: it enters the context of a model."""

MOST_LETTERS: Final = 100
"""Letters that a task may have that it has not taken yet."""

MOST_LISTENERS: Final = 10_000
"""Threads and coroutines of a task that may wait for letters."""

LetterNumbers: TypeAlias = Annotated[list[int], msgspec.Meta(max_length=MOST_LETTERS)]


class SteerReceipt(msgspec.Struct, frozen=True):
    """What became of something that was said to a task. As text it is a sentence.

    Attributes:
        task_id: the task.
        outcome: `delivered`: its function was waiting for it, and has said that it has it; `queued`: it is kept for the
            task, which takes it between two turns of its model, or when its function asks, if there is such a moment
            before its end; `ended`: the task has ended, and will not hear it.
        status: what the task is at.
        reason: why it ended as it did; empty while it has not.
    """

    task_id: str
    outcome: Literal["delivered", "queued", "ended"]
    status: Status
    reason: str = ""

    def __str__(self) -> str:
        """Return it as a sentence."""
        if self.outcome == "delivered":
            return f"Delivered: {self.task_id} was waiting for it."
        if self.outcome == "queued":
            when = "when it has started" if self.status == "queued" else "between two turns, or when it asks"
            return f"Queued: {self.task_id} is {self.status}, and takes it {when}."
        how = f"{self.status}. {self.reason}".strip()
        return f"Task {self.task_id} has ended already, and will not hear it: {how}"


class SteerTask(Request[SteerReceipt], frozen=True, tag="steer"):
    """Say something to a task that has not ended."""

    task_id: str
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_LETTER)]


class Letter(msgspec.Struct, frozen=True):
    """Supervisor to a task: somebody has said something to it.

    Attributes:
        number: from 1, in the order in which they came. A letter comes again where nobody knows that it was taken.
        sender: who has said it.
        text: what.
    """

    number: int
    sender: str
    text: str


class Listening(msgspec.Struct, frozen=True):
    """Supervisor to the asker: you have been told all that has come until now."""


class Listen(Request[Listening], frozen=True, tag="listen"):
    """The task's code begins to wait for a letter; answered at once, behind those that have come.

    Attributes:
        waiting: how many of its threads and coroutines wait for one now.
    """

    waiting: Annotated[int, msgspec.Meta(ge=0, le=MOST_LISTENERS)]


class LettersTaken(msgspec.Struct, frozen=True, tag="letters_taken"):
    """The task's code has taken letters, or has ended to wait for one.

    Attributes:
        numbers: those that it has taken.
        waiting: as in `Listen`.
    """

    numbers: LetterNumbers = []
    waiting: Annotated[int, msgspec.Meta(ge=0, le=MOST_LISTENERS)] = 0


TalkRequest: TypeAlias = SteerTask | Listen | AskQuestion | AskApproval | AnswerQuestion | NextChunk | AwaitChunk
TalkReport: TypeAlias = LettersTaken | QuestionDropped
"""Requests and reports by which tasks, and those who have started them, talk."""
