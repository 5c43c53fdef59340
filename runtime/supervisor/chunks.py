"""Chunks: has a process that has worked through a chunk of a mapping go on with the next; see `tasks/next_chunk`.

Used in the supervisor's thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ..tasks.gateway import Caller, ReplyTo
from ..tasks.next_chunk import AwaitChunk, ChunkDone, ChunkGiven, NextChunk
from ..tasks.views import TaskView
from ..team.config import Limits
from .registry import TaskRegistry
from .task import Task

__all__ = ["Chunks"]

_UNLIMITED: Final = Limits()


class Chunks:
    """See the module.

    Args:
        registry: the tasks.
        view: returns a task as it is now, without its output.
    """

    def __init__(self, registry: TaskRegistry, view: Callable[[Task], TaskView]) -> None:
        self._registry = registry
        self._view = view
        self._done: dict[str, tuple[ReplyTo, str]] = {}
        """Where processes wait for their next chunk, and what came of the last, by the id of the task."""
        self._waiting: dict[str, tuple[ReplyTo, bool]] = {}
        """Where somebody waits to hear of a task, and whether its beginning is known there, by the id of the task."""

    @property
    def owed(self) -> list[ReplyTo]:
        """Where answers are owed."""
        return [reply_to for reply_to, _ in (*self._done.values(), *self._waiting.values())]

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
        """Somebody wants a slot, or a node without tasks: what has nothing to do ends."""
        for task_id in [*self._done]:
            self._give(task_id, ChunkGiven())

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
        self._done[task.id] = (reply_to, result)
        self._tell(task)

    def _tell(self, task: Task) -> None:
        """Tell whoever waits for it what came of a chunk, if that is known."""
        if task.id not in self._done or task.id not in self._waiting:
            return
        reply_to, _ = self._waiting.pop(task.id)
        _, result = self._done[task.id]
        reply_to.set(ChunkDone(msgspec.structs.replace(self._view(task), status="completed", result_json=result)))

    def _give(self, task_id: str, given: ChunkGiven) -> None:
        if task_id in self._done:
            reply_to, _ = self._done.pop(task_id)
            reply_to.set(given)

    def _may_go_on(self, task: Task) -> bool:
        """Whether a task may take another chunk.

        What has limits is held to them chunk by chunk, one that would be restarted would begin with its first chunk,
        and nobody waits longer for a slot, or a node, than for the end of a chunk.
        """
        return (
            task.stop is None
            and not task.limit_reached
            and task.setup.limits == _UNLIMITED
            and not task.purses
            and task.setup.agent.restart.restart == "temporary"
            and not self._registry.queued
            and not task.body.is_wanted
        )
