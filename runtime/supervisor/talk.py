"""Talk: what is said to tasks while they run, and what they ask: the one way to `letters` and `questions`.

Used in the supervisor's thread only.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from ..errors import CapacityError, RunError
from ..runs.journal import Journal
from ..runs.schema import Statement
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.messages import CallsBegan, RunTask, TurnEnded
from ..tasks.next_chunk import AwaitChunk, NextChunk
from ..tasks.questions import AnswerQuestion, AskApproval, AskQuestion
from ..tasks.talk import LettersTaken, Listen, Listening, SteerTask, TalkReport, TalkRequest
from ..tasks.views import Status
from ..team.config import Settings
from .chunks import Chunks
from .events import EventHub
from .letters import Letters
from .limits import LimitKeeper
from .messages import Mailbox, TalkDue
from .questions import People, Questions
from .registry import TaskRegistry
from .task import Task
from .waiting import Answers

__all__ = ["Talk"]


class StatusMailbox(Mailbox, Protocol):
    """The supervisor's mailbox, and how a task's status changes."""

    def change_status(self, task: Task, status: Status) -> None:
        """Note a task's new status. In the supervisor's thread."""


class Talk:
    """See the module.

    Args:
        registry: the tasks.
        journal: is told of all of it.
        mailbox: the supervisor's, which has tasks wait, and run on.
        hub: takes the events.
        people: the persons whom the host can ask.
        limits: have their time stand still while a task waits.
        answers: hears of each task that has asked.
        settings: those in force.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        journal: Journal,
        mailbox: StatusMailbox,
        hub: EventHub,
        people: People,
        *,
        limits: LimitKeeper,
        answers: Answers,
        settings: Settings,
    ) -> None:
        self._registry = registry
        self._answers = answers
        self._letters = Letters(journal, mailbox)
        self._chunks = Chunks(registry, mailbox, lambda task: answers.view(task, output=False))
        self._questions = Questions(
            registry,
            journal,
            mailbox=mailbox,
            hub=hub,
            people=people,
            limits=limits,
            timeout=settings.question_timeout,
            change_status=mailbox.change_status,
            asked=answers.asked,
            is_waited_for=answers.is_waited_for,
        )

    @property
    def owed(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [*self._letters.owed, *self._questions.owed, *self._chunks.owed]

    def answer(self, request: TalkRequest, caller: Caller, reply_to: ReplyTo) -> None:
        """Answer a request, or keep it.

        Raises:
            RunError: it is refused.
        """
        match request:
            case SteerTask(task_id):
                task = self._registry.find(task_id, caller)
                self._refuse_group(task)
                self._letters.send(task, request, caller, reply_to)
            case Listen():
                if (listener := self._registry.get(caller.id)) is not None:  # nobody says anything to the host
                    self._letters.heard(listener, request)
                reply_to.set(Listening())
            case AskQuestion() | AskApproval():
                self._questions.ask(request, caller, reply_to)
            case AnswerQuestion():
                self._questions.answer(request, caller, reply_to)
            case NextChunk() | AwaitChunk():
                self._chunks.answer(request, caller, reply_to)
            case _:
                assert_never(request)

    def _refuse_group(self, task: Task) -> None:
        """Raise RunError for a group: nothing of it could hear what is said to it, but its tasks could."""
        if task.group is None or task.is_over:
            return
        items = [each.id for each in self._registry.unended_tasks(task.id) if each.parent == task.id]
        shown = f"{', '.join(items[:20])}{', …' if len(items) > 20 else ''}"  # noqa: PLR2004 - as many as one reads
        whom = f"Say it to its tasks that have not ended: {shown}." if items else "None of its tasks runs now."
        raise RunError(f"{task.id} is a group of tasks, and hears nothing itself. {whom}")

    def note(self, report: TalkReport, task: Task) -> None:
        """Take note of what a task has taken of what was said to it, or of what it does not ask any more."""
        if isinstance(report, LettersTaken):
            self._letters.heard(task, report)
        else:
            self._questions.drop(task, report.number)

    def taken(self, task: Task, report: TurnEnded | CallsBegan) -> list[Statement]:
        """Note what a turn has taken of what was said to a task; return what is to be written down of it."""
        return self._letters.taken(task, report.letters)

    def ready(self, task: Task) -> None:
        """A process of a task can be told what has come for it."""
        self._letters.ready(task)
        self._chunks.ready(task)

    def look(self, task: Task) -> None:
        """A task that asks something has begun or ended a call of a tool."""
        self._questions.look(task)

    def due(self, due: TalkDue) -> None:
        """The time of a question is over, or that of a receipt, or processes have waited for chunks."""
        if not due.of:
            self._chunks.due()
        elif not due.letter:
            self._questions.due(due.of)
        elif (task := self._registry.get(due.of)) is not None:
            self._letters.due(task, due.letter)

    def caller_gone(self, task: Task) -> None:
        """A task is to stop, or its process has ended: it gets no answers any more."""
        self._questions.caller_gone(task.id)
        self._chunks.release(task)

    def ended(self, task: Task) -> None:
        """A task has its last status."""
        self._letters.ended(task)
        self._questions.ended(task)
        self._chunks.ended(task)

    def refused(self, request: object, error: RunError) -> None:
        """A request was refused. If that was for want of room, and not of one that only tries, some is made."""
        if isinstance(error, CapacityError) and not (isinstance(request, RunTask) and not request.may_queue):
            self._chunks.make_room()

    def make_room(self) -> None:
        """Somebody wants a slot: what only waits for more to do ends."""
        self._chunks.make_room()
