"""Task queue: the tasks that are accepted and wait for a slot, first come first served for each owner.

Owners take turns, so hundreds of tasks of one do not keep the first task of another waiting. To queue a task costs the
same however many are queued; to take the next, a look at each owner, which are only those that run. Bookkeeping only:
`admission` decides who gets a slot. For the supervisor's thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from .task import Task

__all__ = ["Claim", "TaskQueue"]


class Claim(IntEnum):
    """Claim: which slots an owner may take; a smaller one takes more of the last slots."""

    ALL = 0
    """Every slot: the host, its orchestrators, and the root of a run."""
    FIRST = 1
    """All but the host's: a task in whose branch nothing else runs."""
    MORE = 2
    """All but those that are kept for others: any other task."""


@dataclass(eq=False, slots=True)
class _Line:
    """The queued tasks of one owner.

    Attributes:
        claim: the owner's.
        turn: the owner's place among owners; the smallest is next.
        tasks: by their ids, first come first.
    """

    claim: Claim
    turn: int
    tasks: dict[str, Task] = field(default_factory=dict)


class TaskQueue:
    """See the module."""

    def __init__(self) -> None:
        self._lines: dict[str | None, _Line] = {}
        self._turns = itertools.count()
        self._count = 0

    def __len__(self) -> int:
        """Return how many tasks are queued."""
        return self._count

    def has_any_of(self, owner: str | None) -> bool:
        """Tell whether tasks that an owner has started are queued; None stands for the host."""
        return owner in self._lines

    def place(self, task: Task) -> int:
        """Return a queued task's place, from 1; see `places`."""
        mine = self._lines[task.parent]
        if task.id == next(reversed(mine.tasks)):  # as it is when it has just been queued
            before = len(mine.tasks) - 1
        else:
            before = next(index for index, task_id in enumerate(mine.tasks) if task_id == task.id)
        others = (line for line in self._lines.values() if line is not mine)
        ahead = sum(min(len(line.tasks), before + (line.turn < mine.turn)) for line in others)
        return before + ahead + 1

    def places(self) -> dict[str, int]:
        """Return the place of every queued task: in which order they start if any task may take any slot."""
        rounds: list[Iterator[str]] = [
            iter(line.tasks) for line in sorted(self._lines.values(), key=lambda line: line.turn)
        ]
        places: dict[str, int] = {}
        while len(rounds) > 1:
            left = []
            for tasks in rounds:
                task_id = next(tasks, None)
                if task_id is not None:
                    places[task_id] = len(places) + 1
                    left.append(tasks)
            rounds = left
        for rest in rounds:
            places |= zip(rest, itertools.count(len(places) + 1))
        return places

    # --- changes ----------------------------------------------------------------------------------------------------

    def put(self, task: Task, claim: Claim) -> None:
        """Add a task behind those of the same owner.

        Args:
            task: the task.
            claim: the owner's; heeded if it has no other task queued.
        """
        line = self._lines.get(task.parent)
        if line is None:
            line = self._lines[task.parent] = _Line(claim, next(self._turns))
        line.tasks[task.id] = task
        self._count += 1

    def remove(self, task: Task) -> None:
        """Remove a task."""
        line = self._lines[task.parent]
        del line.tasks[task.id]
        self._count -= 1
        if not line.tasks:
            del self._lines[task.parent]

    def first(self, claim: Claim) -> Task | None:
        """Return the task that is next of those whose owners have this claim or a stronger one; None if none is."""
        lines = (line for line in self._lines.values() if line.claim <= claim)
        line = min(lines, key=lambda line: line.turn, default=None)
        return next(iter(line.tasks.values())) if line is not None else None

    def first_of_the_deepest(self, wanted: Callable[[Task], bool]) -> Task | None:
        """Return the first of those that tasks have started at the greatest depth, of the owner with the fewest left.

        Args:
            wanted: whether a task is wanted.
        """
        lines = [line for line in self._lines.values() if line.claim is not Claim.ALL]
        firsts = [(line, task) for line in lines if wanted(task := next(iter(line.tasks.values())))]
        if not firsts:
            return None
        return min(firsts, key=lambda each: (-len(each[1].chain), len(each[0].tasks), each[0].turn))[1]

    def had_its_turn(self, owner: str | None) -> None:
        """Note that a task of an owner has taken a slot: the owner comes behind all others now."""
        line = self._lines.get(owner)
        if line is not None:
            line.turn = next(self._turns)
            if line.claim is Claim.FIRST:
                line.claim = Claim.MORE  # what has just started runs in the owner's branch

    def is_alone(self, owner: str) -> None:
        """Note that nothing runs any more in the branch of a task beside itself."""
        line = self._lines.get(owner)
        if line is not None and line.claim is Claim.MORE:
            line.claim = Claim.FIRST
