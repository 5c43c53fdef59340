"""Registry: the tasks that a supervisor remembers, whose they are, which have slots, and which are queued.

Bookkeeping only. Starting and ending a task must cost the same however many there are, so totals are kept, not
recomputed. For the supervisor's thread; any thread may call `get`.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..errors import UnknownTaskError
from ..models.base import Usage
from ..tasks.gateway import Caller
from ..tasks.views import ID_PREFIX
from ..text import bounded
from .task import Task
from .task_queue import Claim, TaskQueue

__all__ = ["TaskRegistry"]

_MOST_NAMED: Final = 20
"""Tasks that an error names."""

_FORGOTTEN: Final = 100
"""Entries of tasks that are forgotten by now among those that may be, beyond as many as there are tasks."""


class TaskRegistry:
    """See the module.

    Attributes:
        queue: the tasks that wait for a slot.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._owned: dict[str, dict[str, Task]] = {}
        self._started: Counter[str | None] = Counter()
        self._unended: dict[str, Task] = {}
        self.queue = TaskQueue()
        self._waiting_branches: dict[str, Task] = {}
        self._running = self._parents_of_queued = self._ended = self._unread_of_tasks = 0
        self._unread: Counter[str | None] = Counter()
        self._numbers = itertools.count()
        self._forgettable: list[tuple[int, str]] = []
        self._forgettable_of: dict[str, dict[str, Task]] = {}
        self._kept: dict[str | None, int] = {}
        self._by_key: dict[tuple[str | None, str], Task] = {}

    @property
    def running(self) -> int:
        """Number of tasks that have slots: they have started and not ended; roots not counted."""
        return self._running

    @property
    def queued(self) -> int:
        """Number of tasks that wait for a slot."""
        return len(self.queue)

    @property
    def ended_count(self) -> int:
        """Number of remembered tasks that have ended, roots not counted."""
        return self._ended

    @property
    def all_wait_for_queued(self) -> bool:
        """Whether each task that has a slot has started, itself or by what it has started, one that is queued."""
        return 0 < self._running == self._parents_of_queued

    @property
    def has_waiting_branch(self) -> bool:
        """Whether there is a branch in which that is so of each task that has a slot."""
        return bool(self._waiting_branches)

    def is_in_waiting_branch(self, task: Task) -> bool:
        """Tell whether that is so in the branch of a task."""
        return self.first_of_branch(task).id in self._waiting_branches

    @property
    def all_ended(self) -> bool:
        """Whether no task runs or is queued, nor a root."""
        return not self._unended

    def unread(self, *, of_tasks: bool) -> int:
        """Return how many tasks have ended and must not be forgotten, as nobody has seen that; roots not counted.

        Args:
            of_tasks: whether those that tasks have started are wanted, or all others.
        """
        return self._unread_of_tasks if of_tasks else sum(self._unread.values()) - self._unread_of_tasks

    def unread_of(self, caller: str) -> int:
        """Return how many of these a caller has started."""
        return self._unread[caller]

    def get(self, task_id: str | None) -> Task | None:
        """Return a task; None if it is not remembered, or None was asked for."""
        return self._tasks.get(task_id) if task_id is not None else None

    def with_key(self, caller: str | None, key: str) -> Task | None:
        """Return the task that a caller has started with a key; None if there is none, or it is forgotten."""
        return self._by_key.get((caller, key))

    def visible(self, caller: Caller, only: Iterable[str] | None = None) -> Iterable[Task]:
        """Return the tasks that a caller may see, oldest first; `only` has ids: each, and then what it has started."""
        seen = self._tasks if caller.id is None else self._owned.get(caller.id, {})
        if only is None:
            return seen.values()
        wanted = dict.fromkeys(each for given in only for each in (given, *self._owned.get(given, ())))
        return [seen[each] for each in wanted if each in seen]

    def add_usage(self, task: Task, usage: Usage) -> None:
        """Count what a task has used as its own, and in its total and in those of all who own it."""
        task.usage += usage
        owners = (self.get(owner) for owner in task.owners)
        for user in (task, *filter(None, owners)):
            user.total_usage += usage
            user.last_entry = None  # an owner may have ended before what it started has

    def find(self, task_id: str, caller: Caller) -> Task:
        """Return a task that a caller may see.

        Raises:
            UnknownTaskError: no task has this id, or the caller may not see it.
        """
        task = self.get(task_id)
        if task is None or not self.may_see(caller, task):
            known = [task.id for task in itertools.islice(self.visible(caller), _MOST_NAMED + 1)]
            names = ", ".join(known[:_MOST_NAMED]) + (" and more" if len(known) > _MOST_NAMED else "")
            raise UnknownTaskError(
                f"There is no task {bounded(task_id, 60)!r} here. "
                + (f"Known tasks: {names}." if known else "No task has been started yet.")
            )
        return task

    def may_see(self, caller: Caller, task: Task) -> bool:
        """Tell whether a task is the caller's own, or one of its own tasks'; the host sees all.

        What a task had started belongs to the one, too, that continues it.
        """
        if caller.id is None or caller.id in task.owners:
            return True
        return any(continued in task.owners for continued in self._continued(caller.id))

    def continued_elsewhere(self, caller: str | None) -> str:
        """Return the task of an earlier run that a caller continues; empty if there is none."""
        *_, first = ["", *self._continued(caller)]
        return "" if first in self._tasks else first

    def _continued(self, caller: str | None) -> Iterator[str]:
        """The tasks that a caller continues, the last first; no more than are remembered, and one of before."""
        asker = self.get(caller)
        while asker is not None and asker.continues:
            yield asker.continues
            asker = self.get(asker.continues)

    def unended_tasks(self, owner: str | None = None) -> list[Task]:
        """Return the tasks that have not ended, oldest first; only those of an owner if one is given."""
        if owner is None:
            return list(self._unended.values())
        return [task for task in self._owned.get(owner, {}).values() if not task.is_over]

    def unended_of(self, caller: str | None) -> int:
        """Return how many tasks have not ended that a caller has started itself."""
        return self._started[caller]

    def first_of_branch(self, task: Task) -> Task:
        """Return the first task of another's branch.

        A branch is what a root, or the host, has started, with all that it has started in turn.
        """
        return next((owner for owner in self._owners(task) if not owner.is_root), task)

    def claim(self, parent: Task | None) -> Claim:
        """Return which slots the tasks of a parent may take; None stands for a parent that is not a task."""
        if parent is None or parent.is_root:
            return Claim.ALL
        return Claim.MORE if self.first_of_branch(parent).running_below else Claim.FIRST

    def kept_of(self, caller: str | None) -> int:
        """Return about how many bytes are kept of what the tasks that a caller has started were given and answered."""
        return self._kept.get(caller, 0)

    # --- changes ----------------------------------------------------------------------------------------------------

    def add(self, task: Task) -> None:
        """Remember a task that is about to start, or is queued; its status tells which."""
        task.number = next(self._numbers)
        self._tasks[task.id] = self._unended[task.id] = task
        self._started[task.parent] += 1
        self._count_kept(task, task.kept_size())
        if task.key is not None:
            self._by_key[task.parent, task.key] = task
        for owner in task.owners:
            self._owned.setdefault(owner, {})[task.id] = task
        if task.status == "queued":
            self._queue_up(task)
        else:
            self._take_slot(task)

    def start(self, task: Task) -> None:
        """Give a slot to a queued task."""
        self.leave_queue(task)
        self._take_slot(task)
        self.queue.had_its_turn(task.parent)

    def leave_queue(self, task: Task) -> None:
        """Note that a task is not queued any more."""
        self.queue.remove(task)
        for owner in self._owners(task):
            owner.queued_below -= 1
            if owner.has_slot and not owner.queued_below:
                self._count_parent(owner, -1)

    def remove(self, task: Task) -> None:
        """Forget a task: one that could not be started, or that has ended."""
        del self._tasks[task.id]
        if self._unended.pop(task.id, None) is not None:
            self._count_ended(task)
            self._give_slot_back(task)
        else:
            self._ended -= not task.is_root
        self._count_kept(task, 0)
        self._forgettable_of.pop(task.id, None)
        if task.parent in self._forgettable_of:
            self._forgettable_of[task.parent].pop(task.id, None)
        if len(self._forgettable) > 2 * len(self._tasks) + _FORGOTTEN:
            self._forgettable = [entry for entry in self._forgettable if entry[1] in self._tasks]
            heapq.heapify(self._forgettable)
        self._waiting_branches.pop(task.id, None)
        if task.key is not None:
            del self._by_key[task.parent, task.key]
        for owner in task.owners:
            self._owned[owner].pop(task.id, None)
            if not self._owned[owner]:
                del self._owned[owner]

    def ended(self, task: Task) -> None:
        """Note that a task has its last status."""
        del self._unended[task.id]
        self._count_ended(task)
        self._give_slot_back(task)
        self._ended += not task.is_root
        self._count_unread(task, 1)
        self._count_kept(task, task.kept_size())
        for below in self._owned.get(task.id, {}).values():
            if below.is_over:
                self._let_forget(below)
        if task.is_abandoned or any(owner.is_over for owner in self._owners(task)):
            self._let_forget(task)

    def abandon(self, caller: str | None, task_ids: Sequence[str] | None) -> list[Task]:
        """Note that nobody waits for the ends any more of what a caller has started, or of some; return these tasks."""
        owned = self._owned.get(caller or "", {})
        named = owned.values() if task_ids is None else filter(None, map(owned.get, task_ids))
        left = [task for task in named if task.parent == caller]
        for task in left:
            task.is_abandoned, task.is_owed = True, False
            if task.is_over:
                self._let_forget(task)
        return left

    def note_read(self, task: Task) -> bool:
        """Note that somebody has seen a task as it is; return whether that was its end, for the first time.

        It is not forgotten before its owner has been told, if that is owed.
        """
        if not task.is_over:
            return False
        if not task.is_owed:
            self._let_forget(task)
        was_read, task.read = task.read, True
        return not was_read

    def forget_oldest(self) -> bool:
        """Forget the oldest task whose end has been seen, or whose owner has ended; False if there is none."""
        while self._forgettable:
            task = self._tasks.get(heapq.heappop(self._forgettable)[1])
            if task is not None:  # else it was forgotten as one of its parent's
                self._forget(task)
                return True
        return False

    def forget_oldest_of(self, caller: str | None) -> bool:
        """Forget the one whose end was seen first of those that a task has started; False if there is none."""
        seen = self._forgettable_of.get(caller) if caller is not None else None
        if not seen:
            return False
        self._forget(next(iter(seen.values())))
        return True

    def _forget(self, task: Task) -> None:
        """Forget an ended task, and with a group its items: nobody would know any more that they are some."""
        items = list(self._owned.get(task.id, {}).values()) if task.group is not None else ()
        for each in (*items, task):
            self.remove(each)

    def _let_forget(self, task: Task) -> None:
        """Let an ended task be forgotten when room is needed: its end was seen, or whoever it was for has ended."""
        if task.is_forgettable:
            return
        task.is_forgettable = True
        self._count_unread(task, -1)
        heapq.heappush(self._forgettable, (task.number, task.id))
        if task.parent in self._tasks:
            self._forgettable_of.setdefault(task.parent, {})[task.id] = task

    def _count_ended(self, task: Task) -> None:
        self._started[task.parent] -= 1
        if not self._started[task.parent]:
            del self._started[task.parent]

    def _count_unread(self, task: Task, change: int) -> None:
        if task.is_root:
            return
        self._unread[task.parent] += change
        if not self._unread[task.parent]:
            del self._unread[task.parent]
        if task.parent is not None and task.parent.startswith(ID_PREFIX):
            self._unread_of_tasks += change

    def _owners(self, task: Task) -> Iterator[Task]:
        """Return those of a task's owners that are tasks and remembered, the first of its branch, or a root, first."""
        return filter(None, map(self._tasks.get, task.owners))

    def _queue_up(self, task: Task) -> None:
        self.queue.put(task, self.claim(self.get(task.parent)))
        for owner in self._owners(task):
            owner.queued_below += 1
            if owner.has_slot and owner.queued_below == 1:
                self._count_parent(owner, 1)

    def _take_slot(self, task: Task) -> None:
        task.has_slot = not task.is_root
        self._running += task.has_slot
        for owner in self._owners(task):
            owner.running_below += 1
        if task.owners:
            self._look_at_branch(self.first_of_branch(task))

    def _give_slot_back(self, task: Task) -> None:
        if not task.has_slot:
            return  # it was queued to its end, or is a root
        task.has_slot = False
        self._running -= 1
        if task.queued_below:
            self._count_parent(task, -1)
        for owner in self._owners(task):
            owner.running_below -= 1
        first = self.first_of_branch(task)
        self._look_at_branch(first)
        if not first.running_below:
            self.queue.is_alone(first.id)

    def _count_parent(self, task: Task, change: int) -> None:
        """Count that one more task with a slot owns queued ones, or one less."""
        self._parents_of_queued += change
        first = self.first_of_branch(task)
        first.waiting_in_branch += change
        self._look_at_branch(first)

    def _look_at_branch(self, first: Task) -> None:
        """Note whether all that run in a branch may wait for queued ones."""
        if first.waiting_in_branch and first.waiting_in_branch == first.running_below + first.has_slot:
            self._waiting_branches[first.id] = first
        else:
            self._waiting_branches.pop(first.id, None)

    def _count_kept(self, task: Task, size: int) -> None:
        """Count a task as one that is kept with so many bytes, in place of what it was counted as."""
        self._kept[task.parent] = self._kept.get(task.parent, 0) + size - task.counted_size
        task.counted_size = size
        if self._kept[task.parent] <= 0:
            del self._kept[task.parent]
