"""News: the ends of tasks that are owed to whoever started them; see `messages`."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from .questions import Question
from .request import Request
from .views import Status

__all__ = ["MOST_KNOWN", "KnownQuestions", "News", "Notice", "TakeNews", "with_asked"]

MOST_KNOWN: Final = 10_000
"""Questions that are known not to be told again."""

KnownQuestions: TypeAlias = Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_KNOWN)]


class Notice(msgspec.Struct, frozen=True):
    """The end of a task, for whoever started it.

    Attributes:
        task_id: the task.
        agent: who ran it.
        status: its last one.
        reason: why it ended so; its beginning.
        runtime: seconds.
        head: how its result begins, or the end of its output if it has none.
        left_out: characters that the head lacks.
    """

    task_id: str
    agent: str
    status: Status
    reason: str
    runtime: float
    head: str
    left_out: int = 0


class News(msgspec.Struct, frozen=True):
    """Supervisor to the asker: ends that it is owed, oldest first.

    Attributes:
        ended: the ends. They stay owed until the caller says that it has been told of them.
        more: how many others it is owed.
        running: how many tasks that it has started have not ended.
        questions: what tasks that it has started ask it, and it has not been told of.
    """

    ended: list[Notice] = []
    more: int = 0
    running: int = 0
    questions: list[Question] = []


class TakeNews(Request[News], frozen=True, tag="take_news"):
    """Answered with the ends that the caller is owed: of tasks that it started with `notify`, and has not seen ended.

    Attributes:
        patience: None: answered at once. Else when there is an end and nothing of the caller's runs any more, or so
            many seconds after the first end; at once if nothing runs, or a task asks something.
        known: ids of questions that it has been told of.
        is_asked: whether it is told of questions: it can answer them.
    """

    patience: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    known: KnownQuestions = ()
    is_asked: bool = True


def with_asked(known: tuple[str, ...], news: News) -> tuple[str, ...]:
    """Return which questions a caller has been told of, with those of some news."""
    return (*known, *(question.id for question in news.questions))[-MOST_KNOWN:]
