"""Budget views: what a task may use, and what is left of that, as others see it. Decides nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ..tasks.views import Budget, TaskBudget

if TYPE_CHECKING:
    from .purse import Purse
    from .task import Task

__all__ = ["budget_in_use", "budget_of", "longest_still", "seconds_left", "stood_still"]

_QUESTIONS: Final = 10
"""How many questions that nobody answers a limit on time stands still for; whatever asks on must come to an end."""


def budget_of(task: Task) -> Budget | None:
    """Return what a new task may use; None if there is no limit."""
    turns, seconds = _turns(task), task.setup.limits.wall_clock
    if not task.purses and not turns and seconds is None:
        return None
    left = {purse.unit: purse.left for purse in task.purses}
    tokens = left.get("tokens")
    return Budget(
        turns=turns or None,
        tokens=int(tokens) if tokens is not None else None,
        cost=left.get("cost"),
        seconds=seconds,
        shared=tuple(purse.unit for purse in task.purses if _is_shared(purse, task)),
    )


def budget_in_use(task: Task) -> TaskBudget | None:
    """Return what a task may use, and what is left; None if there is no limit, as there is none for most."""
    turns, seconds = _turns(task), task.setup.limits.wall_clock
    if not task.purses and not turns and seconds is None:
        return None
    given = {purse.unit: purse.limit for purse in task.purses}
    left = {purse.unit: max(0.0, purse.left) for purse in task.purses}
    tokens, tokens_left = given.get("tokens"), left.get("tokens")
    is_group = task.group is not None
    taken = 0 if is_group else task.attempt.turns if task.attempt is not None else task.usage.requests
    return TaskBudget(
        turns=turns or None,
        tokens=int(tokens) if tokens is not None else None,
        cost=given.get("cost"),
        seconds=seconds,
        shared=tuple(purse.unit for purse in task.purses if _is_shared(purse, task)),
        left=Budget(
            turns=max(0, turns - taken) if turns and not is_group else None,
            tokens=int(tokens_left) if tokens_left is not None else None,
            cost=left.get("cost"),
            seconds=seconds_left(task),
        ),
    )


def seconds_left(task: Task) -> float | None:
    """Return how long a task may run still; None: without end."""
    limit = task.setup.limits.wall_clock
    if limit is None or not task.attempts:
        return limit
    ran = time.monotonic() - task.started if task.ran_for is None else task.ran_for
    return min(limit, max(0.0, limit - ran + stood_still(task) + unplaced(task)))


def stood_still(task: Task) -> float:
    """Return the seconds for which the time of a task has stood still, as it did nothing but wait for answers."""
    waits = time.monotonic() - task.waits_since if task.waits_since is not None else 0.0
    return min(task.waited + waits, longest_still(task))


def unplaced(task: Task) -> float:
    """Return the seconds for which a task has waited for nodes."""
    waits = time.monotonic() - task.unplaced_since if task.unplaced_since is not None else 0.0
    return task.unplaced + waits


def longest_still(task: Task) -> float:
    """Return the seconds for which it may in all: those that ten questions wait."""
    return _QUESTIONS * task.setup.settings.question_timeout


def _turns(task: Task) -> int:
    """Return the turns that a task may take, or those of each item of a group; 0: without end."""
    if task.group is not None:
        return task.group.request.turns or 0
    return task.setup.agent.max_iterations


def _is_shared(purse: Purse, task: Task) -> bool:
    return purse.holder != task.id or purse.is_bounded_above
