"""Watchers: answers those who watch tasks, the user's other processes, with what has changed.

Nothing here costs anything while nobody watches: tasks are looked at when somebody waits for news of them, twenty times
a second at most. A task that is as it was costs a comparison. Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from ...actors import Timer
from ..errors import CapacityError, RunError
from ..tasks.changes import ChangeLog
from ..tasks.gateway import Caller, ReplyTo
from ..tasks.views import Vitals, iso_time
from ..tasks.watching import LONGEST_TASK, TaskChanges, TaskRow, WatchTasks, last_line
from ..text import bounded, encodable
from .doing import doing, doing_began
from .messages import Mailbox, WatchDue
from .registry import TaskRegistry
from .task import Task

if TYPE_CHECKING:
    from ..place.base import Place

__all__ = ["Watchers"]

_SHORTEST: Final = 0.05
_LONGEST: Final = 0.2
"""Seconds between two looks at the tasks: after one that has found something, and in the end where nothing happens."""

_FORGOTTEN: Final = 30.0
"""Seconds after which what was told is forgotten, if nobody has asked any more."""

_MOST: Final = 100
"""Requests that may wait."""

_TAIL: Final = 1200
"""Bytes of output in which the last line is looked for."""


_HOST: Final = Caller()


class _Waiting(msgspec.Struct, eq=False):
    request: WatchTasks
    reply_to: ReplyTo
    deadline: float


class Watchers:
    """See the module.

    Args:
        registry: the tasks.
        mailbox: the supervisor's.
        place: where tasks run.
        max_running: how many tasks may run.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        mailbox: Mailbox,
        *,
        place: Place,
        max_running: int,
    ) -> None:
        self._registry = registry
        self._mailbox = mailbox
        self._place = place
        self._max_running = max_running
        self._log: ChangeLog[TaskRow] = ChangeLog()
        self._seen: dict[str, tuple[object, ...]] = {}
        self._waiting: list[_Waiting] = []
        self._looked = self._asked = 0.0
        self._pause = _SHORTEST
        self._timer: Timer | None = None

    @property
    def owed(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [each.reply_to for each in self._waiting]

    def watch(self, request: WatchTasks, caller: Caller, reply_to: ReplyTo) -> None:
        """Answer a request, or keep it.

        Raises:
            RunError: a task asks, or too many requests wait.
        """
        if caller.id is not None:
            raise RunError("Only the host and its user watch all tasks. List your own.")
        if len(self._waiting) >= _MOST:
            raise CapacityError(f"{_MOST} requests wait for changes of tasks already. Ask again later.")
        now = self._asked = time.monotonic()
        waiting = _Waiting(request, reply_to, now + request.timeout)
        if not (request.cursor and self._seen):  # what was seen may be forgotten: to say "nothing" would be wrong
            self._look()
        if not self._answer(waiting, now):
            self._waiting.append(waiting)
        self._pause = _SHORTEST
        self._wake(max(0.0, self._looked + _SHORTEST - now) if self._waiting else _FORGOTTEN)

    def forget(self, reply_to: ReplyTo) -> None:
        """Nobody waits for that answer any more."""
        self._waiting = [each for each in self._waiting if each.reply_to is not reply_to]

    def due(self) -> None:
        """Look, and answer those who have news or have waited long enough; `WatchDue` came."""
        now = time.monotonic()
        if self._waiting:
            before = self._log.version
            self._look()
            self._pause = _SHORTEST if self._log.version != before else min(_LONGEST, self._pause * 1.5)
            self._waiting = [each for each in self._waiting if not self._answer(each, now)]
        elif now - self._asked >= _FORGOTTEN:
            self._log, self._seen, self._timer = ChangeLog(), {}, None
            return
        self._wake(self._pause if self._waiting else _FORGOTTEN)

    def _wake(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._mailbox.tell_later(seconds, WatchDue())

    def _answer(self, waiting: _Waiting, now: float) -> bool:
        """Answer a request if there is something to tell, or its time is over; return whether it was."""
        changed = self._log.since(waiting.request.cursor)
        if changed.is_empty and now < waiting.deadline:
            return False
        samples = {}
        if waiting.request.samples:
            running = (task.id for task in self._registry.unended_tasks())
            samples = {task_id: found for task_id in running if (found := self._place.samples(task_id))}
        waiting.reply_to.set(
            TaskChanges(
                cursor=changed.cursor,
                reset=changed.reset,
                changed=changed.changed,
                gone=changed.gone,
                samples=samples,
                running=self._registry.running,
                max_running=self._max_running,
            )
        )
        return True

    def _look(self) -> None:
        """Take note of what has changed of all tasks since the last look."""
        self._looked = time.monotonic()
        self._place.watched()
        registry, log = self._registry, self._log
        places = registry.queue.places() if registry.queued else {}
        tasks = registry.visible(_HOST)
        seen: dict[str, tuple[object, ...]] = {}
        for task in tasks:
            vitals = None if task.is_over else self._place.latest(task.id)
            state = _state(task, vitals, places.get(task.id, 0))
            if self._seen.get(task.id) != state:
                log.put(_row(task, vitals, places.get(task.id, 0)))
            seen[task.id] = state
        for task_id in self._seen.keys() - seen.keys():
            log.drop(task_id)
        self._seen = seen


def _state(task: Task, vitals: Vitals | None, place: int) -> tuple[object, ...]:
    """Return what differs whenever the row of a task does."""
    return (
        *(task.status, task.last_sign, task.output.size, task.total_usage, vitals, place, task.attempts),
        *(task.reason, task.questions, task.progress, task.rate_wait, task.waits_since, task.ended_at),
        *(
            task.turns.waits_since,
            next(iter(task.waits.values()), None),
            task.body.pid,
            task.body.waits_for,
            bool(task.silent_for),
            task.has_result,
        ),
    )


def _row(task: Task, vitals: Vitals | None, place: int) -> TaskRow:
    began, silent = doing_began(task), task.silent_for
    return TaskRow(
        id=task.id,
        agent=task.agent,
        task=bounded(task.text, LONGEST_TASK),
        status=task.status,
        reason=bounded(task.reason, LONGEST_TASK),
        error=task.error,
        queued_at=iso_time(task.queued_at) if task.queued_at is not None else None,
        queue_place=place,
        started_at=iso_time(task.started_at) if task.attempts else None,
        ended_at=iso_time(task.ended_at) if task.ended_at is not None and task.is_over else None,
        words=last_line(task.output.last_lines(_TAIL)),
        output_size=task.output.size,
        has_result=task.has_result,
        usage=task.usage,
        total_usage=task.total_usage,
        vitals=task.vitals or vitals,
        attempts=task.attempts,
        parent=task.parent,
        group=task.item_of,
        pid=None if task.is_over else task.body.pid,
        node=task.body.node,
        workdir=encodable(task.body.present_folder()),
        doing=doing(task),
        doing_began_at=iso_time(began) if began is not None else None,
        tools=task.tools,
        silent_since=iso_time(time.time() - silent) if silent else None,
        progress=task.progress,
        continues=task.continues,
        questions=[*task.questions],
    )
