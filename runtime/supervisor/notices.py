"""Notices: the ends that are owed to whoever started a task, and who waits for one.

An end is owed from when it is announced until its owner has been told: by a turn that tells of it, or by an answer in
which it has seen it. Nothing here waits. Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from typing import Final

import msgspec

from ...actors import Timer
from ..runs import schema
from ..runs.output import LAST
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.news import News, Notice, TakeNews
from ..tasks.questions import Question
from ..tasks.result import decode_result
from ..text import encodable, one_line
from .doing import begin_wait, end_wait
from .messages import Mailbox, NewsDue
from .registry import TaskRegistry
from .task import Task

__all__ = ["Notices"]

_MOST: Final = 60
_MOST_TEXT: Final = 24_000
"""Ends in one answer, and characters of their heads: less than one tool answer may have."""

_MOST_HEAD: Final = 2000
_MOST_REASON: Final = 300
"""Characters of one of them."""


class _Waiting(msgspec.Struct, eq=False):
    """A `TakeNews` that is not answered yet."""

    caller: Caller
    reply_to: ReplyTo
    patience: float
    since: float
    known: frozenset[str]
    is_asked: bool
    timer: Timer | None = None


class Notices:
    """See the module.

    Args:
        registry: the tasks.
        mailbox: the supervisor's.
    """

    def __init__(self, registry: TaskRegistry, mailbox: Mailbox) -> None:
        self._registry = registry
        self._mailbox = mailbox
        self._owed: dict[str | None, dict[str, tuple[Task, float]]] = {}
        self._waiting: dict[str | None, dict[ReplyTo, _Waiting]] = {}
        self._asked: set[str | None] = set()
        self._nudged: set[str | None] = set()

    @property
    def owed_answers(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [reply_to for waiting in self._waiting.values() for reply_to in waiting]

    def take(self, request: TakeNews, caller: Caller, reply_to: ReplyTo) -> None:
        """Answer, or keep the request until there is something to be told."""
        if request.patience is None:
            reply_to.set(self._news(caller, request.known, is_asked=request.is_asked))
            return
        # What it was nudged for may have come to it when it was about to ask.
        patience = -1.0 if caller.id in self._nudged else request.patience
        self._nudged.discard(caller.id)
        self._waiting.setdefault(caller.id, {})[reply_to] = _Waiting(
            caller, reply_to, patience, time.monotonic(), frozenset(request.known), request.is_asked
        )
        begin_wait(self._registry.get(caller.id), reply_to)
        self._look(caller.id)

    def ended(self, task: Task) -> None:
        """The end of a task has been announced."""
        if task.is_owed:
            self._owed.setdefault(task.parent, {})[task.id] = (task, time.monotonic())
        self._forget(task.id)
        if task.parent in self._waiting:
            self._look(task.parent)

    def told(self, task: Task) -> bool:
        """Whoever started a task has been told of its end; return whether that was owed."""
        task.is_owed = False
        owed = self._owed.get(task.parent, {})
        was_owed = owed.pop(task.id, None) is not None
        if not owed:
            self._owed.pop(task.parent, None)
        return was_owed

    def told_by_turn(self, task_ids: Sequence[str], caller: str) -> list[schema.Statement]:
        """Take note of ends that a caller's turn tells of; return what is to be written with that turn."""
        statements: list[schema.Statement] = []
        for task in filter(None, map(self._registry.get, task_ids)):
            if caller in task.owners and task.is_over:
                is_owner = task.parent == caller
                if is_owner:
                    self.told(task)
                self._registry.note_read(task)
                statements += schema.mark_read(task.id, told=is_owner)
        return statements

    def caller_gone(self, caller: str) -> None:
        """The process of a task has ended; what it is owed, its next one is told."""
        for waiting in self._waiting.pop(caller, {}).values():
            self._let_go(waiting)

    def forget(self, reply_to: ReplyTo) -> None:
        """Nobody waits for that answer any more."""
        for waiting in self._waiting.values():
            if (left := waiting.pop(reply_to, None)) is not None:
                self._let_go(left)

    def nudge(self, caller: str | None) -> None:
        """A caller has something else to see to: if it waits, or when it does, it is answered as things are."""
        if caller not in self._waiting:
            self._nudged.add(caller)
        for waiting in self._waiting.get(caller, {}).values():
            waiting.patience = -1.0
        self._look(caller)

    def asked(self, caller: str | None) -> None:
        """A task that a caller has started asks something."""
        self._asked.add(caller)
        self._look(caller)

    def due(self, caller: str | None) -> None:
        """Answer those of a caller's requests that are due; `NewsDue` came."""
        for waiting in self._waiting.get(caller, {}).values():
            waiting.timer = None
        self._look(caller)

    def _look(self, caller: str | None) -> None:
        for waiting in list(self._waiting.get(caller, {}).values()):
            due_in = self._due_in(waiting)
            if due_in is None:
                continue
            if due_in > 0:
                if waiting.timer is None:
                    waiting.timer = self._mailbox.tell_later(due_in, NewsDue(caller))
                continue
            self._let_go(waiting)
            del self._waiting[caller][waiting.reply_to]
            if not self._waiting[caller]:
                del self._waiting[caller]
            waiting.reply_to.set(self._news(waiting.caller, waiting.known, is_asked=waiting.is_asked))

    def _due_in(self, waiting: _Waiting) -> float | None:
        """Return in how many seconds a request is to be answered; None: when something has ended."""
        caller = waiting.caller.id
        if waiting.patience < 0 or not self._registry.unended_of(caller):
            return 0.0
        if waiting.is_asked and self._questions(caller, waiting.known):
            return 0.0
        owed = self._owed.get(caller)
        if not owed:
            return None
        _, ended = next(iter(owed.values()))
        return max(0.0, max(ended, waiting.since) + waiting.patience - time.monotonic())

    def _questions(self, caller: str | None, known: Container[str]) -> list[Question]:
        """Return what a caller is asked by its tasks, and does not know of."""
        if caller not in self._asked:  # of most, as of thousands of tasks each would be looked at
            return []
        asking = (task for task in self._registry.unended_tasks(caller) if task.questions and task.parent == caller)
        questions = [question for task in asking for question in task.questions if question.to == "owner"]
        if not questions:
            self._asked.discard(caller)
        return [question for question in questions if question.id not in known]

    def _news(self, caller: Caller, known: Container[str], *, is_asked: bool) -> News:
        owed = [task for task, _ in self._owed.get(caller.id, {}).values()]
        shown = owed[:_MOST]
        room = min(_MOST_HEAD, _MOST_TEXT // max(1, len(shown)))
        return News(
            [_notice(task, room) for task in shown],
            len(owed) - len(shown),
            self._registry.unended_of(caller.id),
            self._questions(caller.id, known)[:_MOST] if is_asked else [],
        )

    def _forget(self, caller: str) -> None:
        """A task has ended for good: nobody is there any more to be told."""
        self.caller_gone(caller)
        self._asked.discard(caller)
        self._nudged.discard(caller)
        for task, _ in self._owed.pop(caller, {}).values():
            task.is_owed = False

    def _let_go(self, waiting: _Waiting) -> None:
        end_wait(self._registry.get(waiting.caller.id), waiting.reply_to)
        if waiting.timer is not None:
            waiting.timer.cancel()


def _notice(task: Task, room: int) -> Notice:
    text = _said(task)
    head = text[:room]
    return Notice(
        task.id,
        task.agent,
        task.status,
        one_line(task.reason, _MOST_REASON),
        task.ran_for or 0.0,
        head,
        len(text) - len(head),
    )


def _said(task: Task) -> str:
    if task.result_file:
        return f"(in {task.result_file})"
    if task.result in {None, "null"}:
        return task.output.last_lines(LAST).strip()
    result = decode_result(task.result or "null")
    return encodable(result if isinstance(result, str) else task.result or "").strip()
