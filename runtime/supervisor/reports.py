"""Reports: hands what a task's process tells of itself to those whom it concerns.

Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from typing import assert_never

from ...actors import Child
from ..tasks.messages import (
    Began,
    CallAnswered,
    CallsBegan,
    Failed,
    Finished,
    Noted,
    Progressed,
    TaskReport,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
)
from ..tasks.questions import QuestionDropped
from ..tasks.talk import LettersTaken
from ..tasks.turns import Spent
from .attempt import Attempt
from .conversations import Conversations
from .course import Course
from .events import EventHub
from .talk import Talk
from .task import Task
from .waiting import Answers

__all__ = ["Reports"]


class Reports:
    """See the module.

    Args:
        answers: keeps budgets and notices.
        talk: knows what is said to tasks, and what they ask.
        conversations: keeps what agents and models say.
        hub: takes the events.
        course: keeps what was when.
    """

    def __init__(
        self,
        *,
        answers: Answers,
        talk: Talk,
        conversations: Conversations,
        hub: EventHub,
        course: Course,
    ) -> None:
        self._answers = answers
        self._talk = talk
        self._conversations = conversations
        self._hub = hub
        self._course = course

    def take(self, task: Task, attempt: Attempt, child: Child, report: TaskReport) -> list[tuple[Task, str]]:
        """Take note of a report; return the tasks to end for a limit, each with the limit as a sentence."""
        task.last_sign = time.monotonic()
        self._course.hear(task, attempt, report)
        call = attempt.hear(report, is_late=bool(task.limit_reached or task.limit_exceeded))
        match report:
            case Began():
                self._conversations.keep(task, attempt, child, report)
            case CallsBegan() | CallAnswered():
                told = self._answers.notices.told_by_turn(report.told, task.id)
                letters = self._talk.taken(task, report) if isinstance(report, CallsBegan) else []
                self._conversations.keep(task, attempt, child, report, [*told, *letters])
            case TurnEnded() | Spent():
                over = self._answers.budgets.count(task, attempt, report)
                if isinstance(report, TurnEnded):
                    told = self._answers.notices.told_by_turn(report.told, task.id)
                    self._conversations.keep(task, attempt, child, report, [*told, *self._talk.taken(task, report)])
                return over
            case ToolCalled() | ToolAnswered() | Progressed():
                self._talk.look(task)
                self._conversations.keep_call(task, report, call)
                self._hub.report(task, report)
            case Noted():
                self._answers.note(report, task)
            case LettersTaken() | QuestionDropped():
                self._talk.note(report, task)
            case Finished() | Failed():
                pass
            case _:
                assert_never(report)
        return []
