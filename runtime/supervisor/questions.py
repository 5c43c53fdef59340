"""Questions: what tasks ask, and wait for; who may answer; and what calls of tools a person has allowed for longer.

Nothing here waits: a question is kept with the address of its answer, until there is one, its time is over, or its task
has ended. Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from ...actors import Timer
from ..errors import CapacityError, NoAnswerError, RunError, UnknownQuestionError
from ..runs.journal import Journal
from ..runs.open_work import insert_question, note_question_settled
from ..tasks.events import TaskAnswered, TaskAsked
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.questions import (
    APPROVAL,
    Answered,
    AnswerQuestion,
    AskApproval,
    AskQuestion,
    Question,
    QuestionSettled,
    Settled,
)
from ..tasks.views import ID_PREFIX, Ids, Status, iso_time
from ..text import duration, one_line
from .events import EventHub
from .limits import LimitKeeper
from .messages import Mailbox, TalkDue
from .registry import TaskRegistry
from .task import Task

__all__ = ["People", "Questions"]

_MOST: Final = 100
"""Questions of one task that may wait for an answer at a time."""

_MOST_TEXT: Final = 1_000_000
"""Characters of the questions of one task that may wait at a time: all of them are in each view of it."""

_MOST_ASKED: Final = 10_000
"""Questions that one task may ask in all: each is in the journal."""

_NOBODY: Final = "nobody can be asked here"

_ONCE, _TASK, _RUN, _DENY = APPROVAL
_WORDS: Final = {
    **dict.fromkeys((_ONCE, "once", "allow", "yes", "y"), _ONCE),
    **dict.fromkeys((_TASK, "task", "always task"), _TASK),
    **dict.fromkeys((_RUN, "run", "always run", "always"), _RUN),
    **dict.fromkeys((_DENY, "no", "n"), _DENY),
}
"""What people write, and which answer to an approval that is."""


class People(Protocol):
    """The persons whom the host can ask. Every method returns at once."""

    @property
    def are_there(self) -> bool:
        """Whether there is anybody."""
        ...

    def ask(self, question: Question) -> None:
        """Show them a question; they answer with an `AnswerQuestion`."""

    def settled(self, question_id: str, how: Settled) -> None:
        """Tell them that a question waits for no answer any more."""


class _Open(msgspec.Struct, eq=False):
    """A question that waits for its answer.

    Attributes:
        question: what is asked.
        caller: who asks.
        task: the same, if it is a task.
        reply_to: where the answer goes.
        number: see `AskQuestion`.
        seconds: how long it waits.
        timer: due when its time is over.
        pattern: of an approval, the pattern of the permissions that the call matches; else empty.
        is_aside: see `AskQuestion`.
    """

    question: Question
    caller: Caller
    task: Task | None
    reply_to: ReplyTo
    number: int
    seconds: float
    timer: Timer | None = None
    pattern: str = ""
    is_aside: bool = False


class Questions:
    """See the module.

    Args:
        registry: the tasks.
        journal: is told of each question, and how it ended.
        mailbox: the supervisor's.
        hub: takes the events.
        people: the persons whom the host can ask.
        limits: have their time stand still while a task waits.
        timeout: seconds that a question waits which does not say how long.
        change_status: has a task wait, or run on.
        asked: is called with a task that has asked, so that who waits for it hears of it.
        is_waited_for: tells whether the owner of a task does nothing but wait for its end.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        journal: Journal,
        *,
        mailbox: Mailbox,
        hub: EventHub,
        people: People,
        limits: LimitKeeper,
        timeout: float,
        change_status: Callable[[Task, Status], None],
        asked: Callable[[Task], None],
        is_waited_for: Callable[[Task], bool],
    ) -> None:
        self._ids = Ids("question_")
        self._registry = registry
        self._journal = journal
        self._mailbox = mailbox
        self._hub = hub
        self._people = people
        self._limits = limits
        self._timeout = timeout
        self._change_status = change_status
        self._asked = asked
        self._is_waited_for = is_waited_for
        self._open: dict[str, _Open] = {}
        self._asked_by: Counter[str] = Counter()
        self._allowed: set[str] = set()
        self._allowed_for: dict[str, set[str]] = {}

    @property
    def owed(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [each.reply_to for each in self._open.values()]

    def ask(self, request: AskQuestion | AskApproval, caller: Caller, reply_to: ReplyTo) -> None:
        """Take a question of a task, or of an orchestrator in the host.

        Raises:
            RunError: the host asks, or the task has too many questions.
        """
        if caller.id is None:
            raise RunError("Only a task, or an orchestrator, asks questions; the host program answers them.")
        waiting = self._of(caller.id)
        if len(waiting) >= _MOST or sum(len(each.question.text) for each in waiting) > _MOST_TEXT:
            raise CapacityError(
                f"{len(waiting)} questions of this task wait for an answer already. Wait for some of them."
            )
        if self._asked_by[caller.id] >= _MOST_ASKED:
            raise CapacityError(f"This task has asked {_MOST_ASKED:,} questions already. Decide for yourself.")
        if isinstance(request, AskApproval):
            allowed = self._allowed | self._allowed_for.get(caller.id, set())
            if request.pattern in allowed or not self._people.are_there:
                reply_to.set(Answered(_ONCE if request.pattern in allowed else _NOBODY))
                return
        task = self._registry.get(caller.id)
        if isinstance(request, AskApproval):
            text = self._approval(request, caller, task)
            wanted = AskQuestion(text, APPROVAL, "person", number=request.number)
        else:
            wanted = request
        seconds = self._timeout if wanted.timeout is None else wanted.timeout
        now = time.time()
        question = Question(
            id=self._ids.new(),
            task_id=caller.id,
            agent=caller.agent or "",
            text=wanted.text,
            choices=[*wanted.choices],
            to=wanted.to,
            kind="question" if wanted is request else "approval",
            asked_at=iso_time(now),
            deadline=iso_time(now + seconds),
            default=wanted.default,
            schema=wanted.schema,
        )
        opened = _Open(question, caller, task, reply_to, request.number, seconds, is_aside=wanted.is_aside)
        self._open[question.id] = opened
        if isinstance(request, AskApproval):
            opened.pattern = request.pattern
        self._asked_by[caller.id] += 1
        form = msgspec.json.encode(msgspec.structs.replace(question, text="")).decode()
        self._journal.write_in_time(
            [insert_question(question.id, caller.id, now, whom=question.to, body=question.text, form=form)]
        )
        opened.timer = self._mailbox.tell_later(seconds, TalkDue(question.id))
        if task is not None:
            self._let_wait(task, question)
        if question.to == "person" or not self._owner_answers(task):
            self._people.ask(question)

    def answer(self, request: AnswerQuestion, caller: Caller, reply_to: ReplyTo) -> None:
        """Take an answer.

        Raises:
            UnknownQuestionError: there is no such question, or the caller may not answer it.
            RunError: it is none of the choices.
        """
        waiting = self._find(request.question, caller)
        answered = _read(waiting.question, request.text)
        answered = msgspec.structs.replace(answered, by=str(caller))
        if waiting.pattern and answered.text == _TASK:
            self._allowed_for.setdefault(waiting.question.task_id, set()).add(waiting.pattern)
        elif waiting.pattern and answered.text == _RUN:
            self._allowed.add(waiting.pattern)
        self._settle(waiting, "answered", answered)
        reply_to.set(QuestionSettled(waiting.question.id, waiting.question.task_id))

    def due(self, question_id: str) -> None:
        """The time of a question is over; `TalkDue` came."""
        waiting = self._open.get(question_id)
        if waiting is None:
            return
        question = waiting.question
        if question.default is not None:
            self._settle(waiting, "default", Answered(question.default))
            return
        whom = "A person was asked" if question.to == "person" else "Whoever started this task was asked"
        self._settle(waiting, "too late", None)
        waiting.reply_to.set_exception(
            NoAnswerError(f"{whom}, and nobody answered within {duration(waiting.seconds)}. Decide for yourself.")
        )

    def drop(self, task: Task, number: int) -> None:
        """A task's code does not want to know the answer any more."""
        for waiting in self._of(task.id):
            if waiting.number == number != 0:
                self._settle(waiting, "withdrawn", None)

    def caller_gone(self, caller: str) -> None:
        """A task is to stop, or its process has ended: it gets no answers any more."""
        for waiting in self._of(caller):
            self._settle(waiting, "withdrawn", None)
            waiting.reply_to.set_exception(NoAnswerError("The task has been asked to stop before there was an answer."))

    def ended(self, task: Task) -> None:
        """A task has ended: what was allowed for it is not any more."""
        self._allowed_for.pop(task.id, None)
        del self._asked_by[task.id]

    def look(self, task: Task) -> None:
        """Have the time of a task that asks stand still while it does nothing but wait, and go on else.

        It does something else where it is in more tools than there are questions, or has asked in another thread only.
        """
        if task.status == "waiting" and task.attempt is not None:
            asked = self._of(task.id)
            only_waits = len(asked) >= len(task.attempt.tools) and not all(each.is_aside for each in asked)
            (self._limits.pause if only_waits else self._limits.go_on)(task)

    def _owner_answers(self, task: Task | None) -> bool:
        """Whether a model answers what a task asks its owner, by a tool; else a person is shown it at once, too.

        One that waits for the very task (`transfer_task`) cannot.
        """
        if task is None or task.parent is None:
            return False
        owner = self._registry.get(task.parent)
        if owner is not None and owner.group is not None:
            owner = self._registry.get(owner.parent)
        if self._is_waited_for(task):
            return False
        has_tool = any(each.type == "ask_parent" for each in task.setup.agent.toolsets)
        if owner is None:
            return has_tool  # an orchestrator in the host
        agent = owner.setup.agent
        is_orchestrator = any(each.type == "background_agents" for each in agent.toolsets)
        return agent.entrypoint is None and is_orchestrator and owner.setup.is_asked

    def _of(self, caller: str) -> list[_Open]:
        return [waiting for waiting in self._open.values() if waiting.caller.id == caller]

    def _let_wait(self, task: Task, question: Question) -> None:
        for shows in self._shown_by(task):
            shows.questions = (*shows.questions, question)
        if task.status == "running":
            self._change_status(task, "waiting")
        self.look(task)
        self._hub.publish(TaskAsked(task.id, question))
        for shows in self._shown_by(task):
            self._asked(shows)

    def _shown_by(self, task: Task) -> list[Task]:
        """Return a task that asks, and the group that is listed in its place, if it does an item of one."""
        group = self._registry.get(task.parent)
        return [task] if group is None or group.group is None else [task, group]

    def _settle(self, waiting: _Open, how: Settled, answered: Answered | None) -> None:
        """Take a question back from all who have it, and hand over its answer, if there is one."""
        question, task = waiting.question, waiting.task
        del self._open[question.id]
        if waiting.timer is not None:
            waiting.timer.cancel()
        self._people.settled(question.id, how)
        text, by = ("", "") if answered is None else (answered.text, answered.by)
        self._journal.write_in_time(note_question_settled(question.id, time.time(), how, text, by))
        if task is not None:
            for shows in self._shown_by(task):
                shows.questions = tuple(each for each in shows.questions if each.id != question.id)
            self._hub.publish(TaskAnswered(task.id, question.id, how, text, by))
            if not task.questions:
                self._limits.go_on(task)
                if task.status == "waiting":
                    self._change_status(task, "running")
            self.look(task)
            task.last_sign = time.monotonic()
        if answered is not None:
            waiting.reply_to.set(answered)

    def _find(self, wanted: str, caller: Caller) -> _Open:
        """Return the question that is meant; raises UnknownQuestionError."""
        may = [waiting for waiting in self._open.values() if self._may_answer(waiting, caller)]
        found = [waiting for waiting in may if wanted == waiting.question.id] or [
            waiting for waiting in may if wanted in {waiting.question.task_id, *self._group_of(waiting)}
        ]
        if len(found) == 1:
            return found[0]
        shown = one_line(wanted, 50)
        if found:
            which = "; ".join(f"{each.question.id}: {one_line(each.question.text, 100)}" for each in found[:20])
            raise UnknownQuestionError(f"{shown} asks {len(found)} things. Answer each by its own id: {which}")
        names = ", ".join(f"{each.question.id} (of {each.question.task_id})" for each in may[:20])
        others = f"Those that wait: {names}." if names else "None waits for an answer."
        raise UnknownQuestionError(f"{self._why_not(wanted, shown, caller)} {others}")

    def _why_not(self, wanted: str, shown: str, caller: Caller) -> str:
        if not wanted.startswith(ID_PREFIX):
            return f"There is no question {shown!r} that you could answer, or not any more."
        task = self._registry.get(wanted)
        if task is None or not self._registry.may_see(caller, task):
            return f"There is no task {shown!r}."
        if task.is_over:
            why = f"it has ended already ({task.status})"
            return f"Task {task.id} has no question that you could answer, or not any more: {why}."
        return f"Task {task.id} has no question that you could answer, or not any more."

    def _group_of(self, waiting: _Open) -> list[str]:
        """Return the id of the group that shows a question, if the one that asks does an item of one."""
        return [] if waiting.task is None else [shows.id for shows in self._shown_by(waiting.task)[1:]]

    def _may_answer(self, waiting: _Open, caller: Caller) -> bool:
        """Whether somebody may answer: a person any, a task what its own tasks ask their owner."""
        if caller.id is None:
            return True
        is_owner = waiting.task is not None and self._registry.may_see(caller, waiting.task)
        return is_owner and waiting.question.to == "owner"

    def _approval(self, request: AskApproval, caller: Caller, task: Task | None) -> str:
        """Return the question whether a tool may be called, which names who wants to."""
        chain = " ← ".join(reversed(task.chain)) if task is not None else caller.agent or "an orchestrator"
        return (
            f"{chain} ({caller.id}) wants to call the tool {request.tool}, and the team file wants a person to be "
            f"asked (ask: {request.pattern}).\nArguments: {request.arguments}"
        )


def _read(question: Question, text: str) -> Answered:
    """Return an answer as its asker gets it.

    Raises:
        RunError: it is none of the choices, or empty.
    """
    said = text.strip()
    if question.kind == "approval":
        head, _, word = said.partition(":")
        meant = _WORDS.get(head.strip().lower())
        if meant is not None and (meant == _DENY or not word):
            return Answered(meant, word.strip())
    elif not said:
        raise RunError("The answer is empty.")
    elif not question.choices:
        return Answered(text)
    else:
        alike = [choice for choice in question.choices if said.casefold() == choice.strip().casefold()]
        if alike:
            return Answered(text if text in alike else alike[0])
    listed = ", ".join(repr(choice) for choice in question.choices)
    more = " A reason may follow the last, as in `deny: not here`." if question.kind == "approval" else ""
    raise RunError(f"{one_line(said, 100)!r} is not one of the answers to choose from: {listed}.{more}")
