"""Ends: has the end of a task written down, and tells of it when it is; not before all that it has started has ended.

Used in the supervisor's thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import ProcessExit
from ..runs.journal import Journal
from ..tasks.events import TaskEnded
from . import record
from .course import Course
from .ending import conclude
from .events import EventHub
from .messages import Mailbox, Recorded
from .outcome import Outcome
from .registry import TaskRegistry
from .task import Task
from .waiting import Answers

if TYPE_CHECKING:
    from typing import Protocol

    from ..place.base import Place

    class StopOwned(Protocol):
        """Sends tasks down the stop ladder that have lost their owner."""

        def __call__(self, tasks: list[Task], *, target: None, ended_owner: str) -> None:
            """See the class."""


__all__ = ["Ends"]

_MOST_NAMED: Final = 20
"""Tasks that a reason names."""


class Ends:
    """See the module.

    Args:
        registry: the tasks.
        journal: is told of an end before anybody else.
        hub: takes the events.
        answers: tells those who have waited.
        place: where tasks run.
        mailbox: the supervisor's.
        course: of the tasks; hears of their ends, too.
        stop: stops what has lost its owner.
        settle: is called when a task has ended, and everybody has been told.
    """

    def __init__(
        self,
        *,
        registry: TaskRegistry,
        journal: Journal,
        hub: EventHub,
        answers: Answers,
        place: Place,
        mailbox: Mailbox,
        course: Course,
        stop: StopOwned,
        settle: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._hub = hub
        self._answers = answers
        self._place = place
        self._mailbox = mailbox
        self._course = course
        self._stop = stop
        self._settle = settle
        self._held: dict[str, tuple[Task, Outcome]] = {}

    def conclude(self, task: Task, outcome: Outcome, end: ProcessExit | None) -> None:
        """Decide how a task ended, for good. What it has started is stopped first: its end says that nothing runs."""
        conclude(task, end, peak=self._place.take_peak(task.id))
        owned = self._registry.unended_tasks(task.id)
        if not owned:
            self._write(task, outcome)
            return
        # Where the whole tree was stopped, each of it says so itself.
        self._held[task.id] = (task, outcome if task.stop is not None else _with_those_that_fall(outcome, owned))
        self._stop(owned, target=None, ended_owner=task.agent)

    def announce(self, task: Task, outcome: Outcome) -> None:
        """Tell everybody that a task has ended, as its end is written."""
        task.reason = outcome.reason
        self._course.ended(task, outcome)
        with self._hub.lock:  # whoever opens a stream finds the end either told, or not there
            task.status = outcome.status
            task.release()  # thousands may be remembered
            has_more = bool(task.traceback)  # than stands in lists
            self._hub.tell(lambda: TaskEnded(self._answers.view(task, output=False) if has_more else task.entry(None)))
        self._registry.ended(task)
        self._answers.task_ended(task)
        for owner in task.owners:
            if owner in self._held and not self._registry.unended_tasks(owner):
                self._write(*self._held.pop(owner))
        self._settle()
        self._answers.budgets.look_again()  # with the tasks that have slots now

    def _write(self, task: Task, outcome: Outcome) -> None:
        self._answers.budgets.close(task)
        recorded = Recorded(task, outcome)
        self._journal.write(
            record.ended(task, outcome.status, outcome.reason), lambda: self._mailbox.tell_for(None, recorded)
        )


def _with_those_that_fall(outcome: Outcome, owned: list[Task]) -> Outcome:
    """Return how a task ended, with the tasks that it had started and that are stopped for that."""
    names = [f"{each.id} ({each.agent})" for each in owned[:_MOST_NAMED]]
    more = f" and {len(owned) - len(names)} more" if len(owned) > len(names) else ""
    were = "was" if len(owned) == 1 else "were"
    fallen = f"{', '.join(names)}{more} had not ended, and {were} stopped."
    return msgspec.structs.replace(outcome, reason=f"{outcome.reason} {fallen}".strip())
