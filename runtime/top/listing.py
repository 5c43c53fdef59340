"""Listing: all runs and tasks as rows of a tree, filtered and folded, and what they come to. It draws nothing."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..tasks.questions import Question
from ..watching.model import Model, RunSeen, TaskSeen
from .words import moment, tokens_of

__all__ = ["Listing", "Row", "Totals"]

_EVERY: Final = 1.0
"""Seconds after which sums are made anew, where figures alone have changed."""


class Row(NamedTuple):
    """A row of the tree.

    Attributes:
        id: that of a task, or of a run.
        level: 0 for a run.
        children: how many rows are right below it, or would be if it were not folded.
    """

    id: str
    level: int
    children: int

    @property
    def is_run(self) -> bool:
        """Whether it is a run's."""
        return self.level == 0


@dataclass
class Totals:
    """What tasks come to.

    Attributes:
        counts: tasks by status.
        tokens: of all of them.
        cost: in US dollars.
        first: when the first began, in seconds since the epoch; None if none has.
        last: when the last ended.
        is_over: whether all have.
    """

    counts: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    cost: float = 0.0
    first: float | None = None
    last: float = 0.0
    is_over: bool = True

    def add(self, task: TaskSeen) -> None:
        """Count a task."""
        self.counts[task.status] += 1
        self.tokens += tokens_of(task.usage)
        self.cost += task.usage.cost
        began = moment(task.queued_at) or moment(task.started_at)
        if began is not None and (self.first is None or began < self.first):
            self.first = began
        self.last = max(self.last, moment(task.ended_at) or 0.0)
        self.is_over = self.is_over and task.ended

    def between(self) -> tuple[float, float]:
        """Return when the first began, and when the last ended, or now."""
        now = time.time()
        first = now if self.first is None else self.first
        return first, max(first, self.last if self.is_over else now)


class Listing:
    """See the module. For one thread.

    Attributes:
        runs: those known, by id.
        tasks: the same; one comes after what had started it.
        rows: the rows as they are shown.
        past: whether runs are shown that were over before anybody looked.
        total: what all shown tasks come to.
    """

    def __init__(self) -> None:
        self.runs: dict[str, RunSeen] = {}
        self.tasks: dict[str, TaskSeen] = {}
        self.rows: list[Row] = []
        self.past = False
        self.total = Totals()
        self._of_run: dict[str, Totals] = {}
        self._folded: set[str] = set()
        self._words: list[str] = []
        self._fits: dict[str, bool] = {}
        self._place: dict[str, int] = {}
        self._cursor = ""
        self._is_stale = True
        self._sums_are_stale = True
        self._summed_at = 0.0

    # --- what comes in ----------------------------------------------------------------------------------------------

    def take(self, model: Model) -> set[str]:
        """Take what has changed; return the ids of tasks and runs of which something has."""
        seen = model.since(self._cursor)
        self._cursor = seen.cursor
        if seen.reset:
            self.runs.clear()
            self.tasks.clear()
            self._fits.clear()
            self._is_stale = True
        changed = set()
        for data in seen.runs:
            if (run := model.run(data["id"])) is not None:
                self._is_stale = self._is_stale or _is_moved(self.runs.get(run.id), run)
                self.runs[run.id] = run
                changed.add(run.id)
        for data in seen.tasks:
            if (task := model.task(data["id"])) is not None:
                self._take(task)
                changed.add(task.id)
        for run_id in seen.runs_gone:
            self._is_stale = self.runs.pop(run_id, None) is not None or self._is_stale
        for task_id in seen.gone:
            self._fits.pop(task_id, None)
            self._is_stale = self.tasks.pop(task_id, None) is not None or self._is_stale
        return changed

    def _take(self, task: TaskSeen) -> None:
        before = self.tasks.get(task.id)
        self.tasks[task.id] = task
        self._sums_are_stale = True
        if before is None or before.status != task.status:
            self._summed_at = 0.0
        if before is None or before.parent != task.parent:
            self._is_stale = True
        if self._words:
            fits = self._is_fit(task)
            if fits != self._fits.get(task.id):
                self._fits[task.id] = fits
                self._is_stale = True

    # --- how it is shown --------------------------------------------------------------------------------------------

    @property
    def is_filtered(self) -> bool:
        """Whether a filter leaves something out."""
        return bool(self._words)

    def filter(self, text: str) -> None:
        """Show only tasks with all of these words, and who owns them; `status:`, `agent:` and `run:` name a field."""
        self._words = text.lower().split()
        self._fits = {task.id: self._is_fit(task) for task in self.tasks.values()} if self._words else {}
        self._is_stale = True

    def show_past(self, past: bool) -> None:
        """Show runs, too, that were over before anybody looked; or do not."""
        self.past = past
        self._is_stale = True

    def fold(self, row_id: str, folds: bool) -> None:
        """Hide what is below a row, or show it."""
        (self._folded.add if folds else self._folded.discard)(row_id)
        self._is_stale = True

    def is_folded(self, row_id: str) -> bool:
        """Whether what is below a row is hidden. A filter shows it all the same."""
        return row_id in self._folded and not self._words

    def place(self, row_id: str) -> int | None:
        """Return the number of a row, from 0; None if it is not shown."""
        return self._place.get(row_id)

    def owner(self, place: int) -> int | None:
        """Return the number of the row that a row is below; None if it is a run's."""
        level = self.rows[place].level
        return next((above for above in range(place - 1, -1, -1) if self.rows[above].level < level), None)

    def lay_out(self) -> bool:
        """Make rows and sums anew, if they are not what they should be; return whether rows may have moved."""
        if (self._is_stale or self._sums_are_stale) and (
            self._is_stale or time.monotonic() - self._summed_at >= _EVERY
        ):
            self._sum()
        if not self._is_stale:
            return False
        self._is_stale = False
        below: defaultdict[str, list[TaskSeen]] = defaultdict(list)
        for task in self.tasks.values():
            owner = self.tasks.get(task.parent or "")
            below[owner.id if owner is not None and owner.run == task.run else task.run].append(task)
        shown = self._shown()
        runs = [run for run in self.runs.values() if self._is_shown(run) and (shown is None or run.id in shown)]
        runs.sort(key=lambda run: (run.started_at or "", run.id), reverse=True)
        runs.sort(key=lambda run: not run.live)
        self.rows = []
        pending = [(run.id, 0) for run in reversed(runs)]
        while pending:  # no recursion: how deep a tree is, others decide
            row_id, level = pending.pop()
            children = [task for task in below[row_id] if shown is None or task.id in shown]
            self.rows.append(Row(row_id, level, len(children)))
            if not self.is_folded(row_id):
                pending += [(task.id, level + 1) for task in reversed(children)]
        self._place = {row.id: place for place, row in enumerate(self.rows)}
        return True

    def _is_shown(self, run: RunSeen | None) -> bool:
        return run is not None and (self.past or not run.is_former)

    def _shown(self) -> set[str] | None:
        """Return the ids of tasks that fit the filter, of their owners and of their runs; None: all do."""
        if not self._words:
            return None
        found: set[str] = set()
        for task in reversed(self.tasks.values()):  # owners come before what they own
            if self._fits.get(task.id) or task.id in found:
                found.update((task.id, task.run))
                if task.parent is not None:
                    found.add(task.parent)
        return found

    def _is_fit(self, task: TaskSeen) -> bool:
        return all(_fits(task, word) for word in self._words)

    # --- what it comes to -------------------------------------------------------------------------------------------

    def totals(self, run_id: str) -> Totals:
        """Return what the tasks of a run come to."""
        return self._of_run.get(run_id) or Totals()

    def _sum(self) -> None:
        self._sums_are_stale, self._summed_at = False, time.monotonic()
        self._of_run = defaultdict(Totals)
        for task in self.tasks.values():
            self._of_run[task.run].add(task)
        self.total = Totals()
        for run_id, of_run in self._of_run.items():
            if self._is_shown(self.runs.get(run_id)):
                self.total.counts += of_run.counts
                self.total.tokens += of_run.tokens
                self.total.cost += of_run.cost

    def questions(self) -> list[Question]:
        """Return the questions that wait, the oldest first, each once."""
        found = {
            question.id: question
            for task in self.tasks.values()
            if task.questions and task.live and not task.ended
            for question in task.questions
        }
        return sorted(found.values(), key=lambda question: question.asked_at)

    def ran_for(self, task: TaskSeen) -> float | None:
        """Return the seconds that a task has run; None if it has not begun."""
        began = moment(task.started_at)
        return None if began is None else max(0.0, (moment(task.ended_at) or time.time()) - began)


def _is_moved(before: RunSeen | None, now: RunSeen) -> bool:
    return before is None or (before.live, before.is_former, before.started_at) != (
        now.live,
        now.is_former,
        now.started_at,
    )


def _fits(task: TaskSeen, word: str) -> bool:
    key, colon, value = word.partition(":")
    if colon and key == "status":
        return task.status.startswith(value)
    if colon and key in {"agent", "run"}:
        return value in getattr(task, key).lower()
    texts = (task.agent, task.id, task.status, task.task, task.words, task.reason)
    return any(word in text.lower() for text in texts)
