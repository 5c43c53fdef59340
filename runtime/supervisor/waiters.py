"""Waiters: the requests that wait for tasks, by who waits and by what for. Keeps books, and decides nothing.

Used in the supervisor's thread only.
"""

from __future__ import annotations

from collections.abc import Callable

from ..tasks.gateway import ReplyTo
from .doing import begin_wait, end_wait
from .messages import Waiter
from .task import Task

__all__ = ["Waiters"]


class Waiters:
    """The requests that wait for tasks, by who waits and by what for. Keeps books, and decides nothing.

    Args:
        find: returns the task with an id; None if there is none.
    """

    def __init__(self, find: Callable[[str | None], Task | None]) -> None:
        self._find = find
        self._all: dict[ReplyTo, Waiter] = {}
        self._for_task: dict[str, dict[Waiter, None]] = {}
        self._of_caller: dict[str | None, dict[Waiter, None]] = {}
        self._numbered: dict[tuple[str | None, int], Waiter] = {}

    @property
    def all(self) -> list[Waiter]:
        """All who wait for an answer."""
        return list(self._all.values())

    def with_address(self, reply_to: ReplyTo) -> Waiter | None:
        """Return the request that is to be answered there; None if it has been, or never waited."""
        return self._all.get(reply_to)

    def with_number(self, caller: str | None, number: int) -> Waiter | None:
        """Return the request to which a caller has given a number; None as above."""
        return self._numbered.get((caller, number))

    def of(self, caller: str | None) -> list[Waiter]:
        """Return those of a caller's requests that wait for an answer."""
        return list(self._of_caller.get(caller, ()))

    def counts_of(self, caller: str | None) -> tuple[int, int]:
        """Return how many of a caller's requests wait for an answer, and for how many tasks, each counted anew."""
        waits = self._of_caller.get(caller, {})
        return len(waits), sum(len(waiter.tasks) for waiter in waits)

    def add(self, waiter: Waiter) -> None:
        """Take note of a request that waits for tasks, or is due already."""
        self._all[waiter.reply_to] = waiter
        self._of_caller.setdefault(waiter.caller, {})[waiter] = None
        if waiter.number:
            self._numbered[waiter.caller, waiter.number] = waiter
        for task in waiter.tasks:
            if not task.is_over:
                waiter.open += 1
                self._for_task.setdefault(task.id, {})[waiter] = None
        if not waiter.is_due:
            begin_wait(self._find(waiter.caller), waiter.reply_to)

    def remove(self, waiter: Waiter) -> bool:
        """Forget a request that is about to be answered; False if it has been."""
        if self._all.pop(waiter.reply_to, None) is None:
            return False
        end_wait(self._find(waiter.caller), waiter.reply_to)
        del self._of_caller[waiter.caller][waiter]
        if self._numbered.get((waiter.caller, waiter.number)) is waiter:
            del self._numbered[waiter.caller, waiter.number]
        if not self._of_caller[waiter.caller]:
            del self._of_caller[waiter.caller]
        for task in waiter.tasks:
            waiting = self._for_task.get(task.id)
            if waiting is not None:
                waiting.pop(waiter, None)
                if not waiting:
                    del self._for_task[task.id]
        return True

    def for_task(self, task: Task) -> list[Waiter]:
        """Return those that wait for a task."""
        return list(self._for_task.get(task.id, ()))

    def ended(self, task: Task) -> list[Waiter]:
        """Note that a task has its last status; return those who have waited for just that."""
        due = []
        for waiter in self._for_task.pop(task.id, ()):
            waiter.open -= 1
            if waiter.is_due:
                due.append(waiter)
        return due
