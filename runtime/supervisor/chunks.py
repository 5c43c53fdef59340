"""Chunks: has a process that has worked through a chunk of a mapping go on with the next; see `tasks/next_chunk`.

Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from ..tasks.gateway import Caller, ReplyTo
from ..tasks.next_chunk import AwaitChunk, ChunkDone, ChunkGiven, NextChunk
from ..tasks.views import TaskView
from ..team.config import Limits
from .messages import Mailbox, TalkDue
from .registry import TaskRegistry
from .task import Task

__all__ = ["Chunks"]

_UNLIMITED: Final = Limits()

_MOST_IDLE: Final = 0.1
"""Seconds that a process waits for a chunk, at least, and not twice as long. Somebody may wait for the end of its task,
and whoever reads a map so slowly loses little by another start."""


class _Done(NamedTuple):
    """A process that waits for its next chunk: where, what came of the last, and since when (`time.monotonic`)."""

    reply_to: ReplyTo
    result: str
    since: float


class Chunks:
    """See the module.

    Args:
        registry: the tasks.
        mailbox: the supervisor's.
        view: returns a task as it is now, without its output.
    """

    def __init__(self, registry: TaskRegistry, mailbox: Mailbox, view: Callable[[Task], TaskView]) -> None:
        self._registry = registry
        self._mailbox = mailbox
        self._view = view
        self._is_due = self._is_room_wanted = False
        self._done: dict[str, _Done] = {}
        """Those that wait for their next chunk, by the id of the task."""
        self._waiting: dict[str, tuple[ReplyTo, bool]] = {}
        """Where somebody waits to hear of a task, and whether its beginning is known there, by the id of the task."""

    @property
    def owed(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [done.reply_to for done in self._done.values()] + [reply_to for reply_to, _ in self._waiting.values()]

    def answer(self, request: NextChunk | AwaitChunk, caller: Caller, reply_to: ReplyTo) -> None:
        """Answer a request, or keep it.

        Raises:
            UnknownTaskError: the caller has no such task.
        """
        if isinstance(request, NextChunk):
            self._ask(request.result, self._registry.get(caller.id), reply_to)
            return
        task = self._registry.find(request.task_id, caller)
        if request.call and not (task.id in self._done and self._may_go_on(task)):
            self.release(task)
            reply_to.set(ChunkDone(is_refused=True))
            return
        if request.call or request.is_last:
            self._give(task.id, ChunkGiven(request.call))
        if request.is_last or task.is_over or task.id in self._waiting:
            reply_to.set(ChunkDone())
            return
        self._waiting[task.id] = (reply_to, request.has_begun)
        if task.status not in {"queued", "starting"}:
            self.ready(task)
        self._tell(task)

    def ready(self, task: Task) -> None:
        """A process of a task has begun."""
        reply_to, has_begun = self._waiting.get(task.id, (None, True))
        if reply_to is not None and not has_begun:
            del self._waiting[task.id]
            reply_to.set(ChunkDone())

    def release(self, task: Task) -> None:
        """A task is to end: its process gets no other chunk."""
        self._give(task.id, ChunkGiven())

    def make_room(self) -> None:
        """Somebody wants a slot: what has nothing to do ends. Where nobody can wait in the queue, so does the next."""
        self._is_room_wanted = not self._registry.queued
        for task_id in [*self._done]:
            self._give(task_id, ChunkGiven())

    def due(self) -> None:
        """Let those end that have waited for long enough."""
        self._is_due = False
        for task_id, done in [*self._done.items()]:
            if time.monotonic() - done.since >= _MOST_IDLE:
                self._give(task_id, ChunkGiven())
        self._look_later()

    def _look_later(self) -> None:
        if self._done and not self._is_due:
            self._is_due = True
            self._mailbox.tell_later(_MOST_IDLE, TalkDue(""))

    def ended(self, task: Task) -> None:
        """A task has its last status."""
        self._done.pop(task.id, None)
        reply_to, _ = self._waiting.pop(task.id, (None, True))
        if reply_to is not None:
            reply_to.set(ChunkDone())

    def _ask(self, result: str, task: Task | None, reply_to: ReplyTo) -> None:
        if task is None or task.id in self._done or not self._may_go_on(task):
            reply_to.set(ChunkGiven())
            return
        self._done[task.id] = _Done(reply_to, result, time.monotonic())
        self._look_later()
        self._tell(task)

    def _tell(self, task: Task) -> None:
        """Tell whoever waits for it what came of a chunk, if that is known."""
        if task.id not in self._done or task.id not in self._waiting:
            return
        reply_to, _ = self._waiting.pop(task.id)
        view = msgspec.structs.replace(self._view(task), status="completed", result_json=self._done[task.id].result)
        reply_to.set(ChunkDone(view))

    def _give(self, task_id: str, given: ChunkGiven) -> None:
        if task_id in self._done:
            self._done.pop(task_id).reply_to.set(given)

    def _may_go_on(self, task: Task) -> bool:
        """Whether a task may take another chunk.

        What has limits is held to them chunk by chunk, one that would be restarted would begin with its first chunk,
        and nobody waits longer for a slot, or a node, than for the end of a chunk.
        """
        is_wanted, self._is_room_wanted = self._is_room_wanted, False  # one that ends makes room for one
        return (
            not is_wanted
            and task.stop is None
            and not task.limit_reached
            and task.setup.limits == _UNLIMITED
            and not task.purses
            and task.setup.agent.restart.restart == "temporary"
            and not self._registry.queued
            and not task.body.is_wanted
        )
