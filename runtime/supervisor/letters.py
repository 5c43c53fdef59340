"""Letters: what is said to tasks while they run, kept until they have taken it.

A task that has a process is told at once. What it has not taken is told again to its next process. Used in the
supervisor's thread only.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from ...actors import Child, Timer
from ..errors import CapacityError
from ..runs.journal import Journal
from ..runs.letters import insert_letter, note_letters_taken
from ..runs.schema import Statement
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.talk import MOST_LETTERS, Letter, LettersTaken, Listen, SteerReceipt, SteerTask
from ..tasks.wording import size
from .messages import Mailbox, NewsDue, TalkDue
from .task import LetterBook, Task

__all__ = ["Letters"]

_MOST_TEXT: Final = 1_000_000
"""Characters of the letters that a task has not taken yet."""


_MOST: Final = 100_000
"""Letters that one task may get in all: each is in the journal."""


_PATIENCE: Final = 2.0
"""Seconds that a receipt is kept back until a function that waits for a letter has said that it has it."""


class _Kept(NamedTuple):
    """A receipt that is kept back."""

    reply_to: ReplyTo
    timer: Timer


class Letters:
    """See the module.

    Args:
        journal: is told of each before the one who has sent it.
        mailbox: the supervisor's; hears that a task which waits for the ends of its own has something else to see to.
    """

    def __init__(self, journal: Journal, mailbox: Mailbox) -> None:
        self._journal = journal
        self._mailbox = mailbox
        self._late: dict[Task, list[tuple[SteerTask, Caller, ReplyTo]]] = {}
        self._kept: dict[Task, dict[int, _Kept]] = {}

    def send(self, task: Task, request: SteerTask, caller: Caller, reply_to: ReplyTo) -> None:
        """Take a letter for a task; the one who has sent it gets a `SteerReceipt`.

        Raises:
            CapacityError: the task has too many that it has not taken.
        """
        if task.is_over:
            reply_to.set(SteerReceipt(task.id, "ended", task.status, task.reason))
            return
        if task.concluded or (task.attempt is not None and task.attempt.finished is not None):
            # It takes no more, and how it ends is known soon.
            self._late.setdefault(task, []).append((request, caller, reply_to))
            return
        book = task.letters = task.letters or LetterBook()
        kept = sum(len(letter.text) for letter in book.waiting)
        if len(book.waiting) >= MOST_LETTERS or kept + len(request.message) > _MOST_TEXT:
            raise CapacityError(
                f"Task {task.id} has not taken {len(book.waiting)} of the messages to it, of {size(kept)} in all. "
                "Wait until it has."
            )
        if book.count >= _MOST:
            raise CapacityError(f"Task {task.id} has got {_MOST:,} messages, and gets no more.")
        book.count += 1
        letter = Letter(book.count, str(caller), request.message)
        book.waiting.append(letter)
        # One that waits may wait no longer when it comes: it is delivered when the task says so.
        is_kept = book.listeners > 0
        book.listeners = max(0, book.listeners - 1)
        if is_kept:
            timer = self._mailbox.tell_later(_PATIENCE, TalkDue(task.id, letter.number))
            self._kept.setdefault(task, {})[letter.number] = _Kept(reply_to, timer)
        outcome = SteerReceipt(task.id, "queued", task.status)

        def written() -> None:
            self._tell(task, [letter])
            # Behind the letter: a task that is woken finds it.
            self._mailbox.tell_for(None, NewsDue(task.id, has_other=True))
            if not is_kept:
                reply_to.set(outcome)

        statements = [insert_letter(task.id, letter.number, time.time(), letter.sender, letter.text)]
        self._journal.write(statements, written)

    def ready(self, task: Task) -> None:
        """A process of a task can be told what has come for it."""
        if task.letters is not None:
            task.letters.listeners = 0
            self._tell(task, task.letters.waiting)
        for request, caller, reply_to in self._late.pop(task, ()):
            try:
                self.send(task, request, caller, reply_to)
            except CapacityError as error:
                reply_to.set_exception(error)

    def heard(self, task: Task, report: LettersTaken | Listen) -> None:
        """A task's function has taken letters, or waits for one."""
        if task.letters is None:
            task.letters = LetterBook()
        task.letters.listeners = report.waiting
        if isinstance(report, LettersTaken):
            for number in report.numbers:
                self._settle(task, number, "delivered")
        if isinstance(report, LettersTaken) and (statements := self.taken(task, report.numbers)):
            self._journal.write_in_time(statements)

    def due(self, task: Task, number: int) -> None:
        """A function that waited for a letter has not said that it has it."""
        self._settle(task, number, "queued")

    def _settle(self, task: Task, number: int, outcome: Literal["delivered", "queued", "ended"]) -> None:
        """Hand over a receipt that was kept back, if it has not been."""
        kept = self._kept.get(task, {}).pop(number, None)
        if kept is None:
            return
        kept.timer.cancel()
        if not self._kept[task]:
            del self._kept[task]
        kept.reply_to.set(SteerReceipt(task.id, outcome, task.status, task.reason if outcome == "ended" else ""))

    def taken(self, task: Task, numbers: Iterable[int]) -> list[Statement]:
        """Note that a task has taken letters; return what is to be written down of it."""
        if task.letters is None or not numbers:
            return []
        done = frozenset(numbers)
        had = [letter.number for letter in task.letters.waiting if letter.number in done]
        task.letters.waiting = [letter for letter in task.letters.waiting if letter.number not in done]
        return note_letters_taken(task.id, had, time.time())

    def ended(self, task: Task) -> None:
        """Tell those how a task has ended whose letters have come too late."""
        task.letters = None
        for number in list(self._kept.get(task, ())):
            self._settle(task, number, "ended")
        for _, _, reply_to in self._late.pop(task, ()):
            reply_to.set(SteerReceipt(task.id, "ended", task.status, task.reason))

    @property
    def owed(self) -> list[ReplyTo]:
        """Where receipts are owed."""
        kept = [each.reply_to for kept in self._kept.values() for each in kept.values()]
        return kept + [reply_to for late in self._late.values() for _, _, reply_to in late]

    @staticmethod
    def _tell(task: Task, letters: Iterable[Letter]) -> None:
        """Tell a task's process, if it has one that is ready; else it is told when it is. In any thread."""
        child: Child | None = task.running_child
        if child is not None and task.status != "starting":
            for letter in letters:
                child.process.tell(letter)
