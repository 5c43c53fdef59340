"""Groups: the books of tasks that end together. Both forms of a group keep theirs here."""

from __future__ import annotations

import threading
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from ..errors import RunError
from ..tasks.ends import TaskFailed
from ..tasks.gateway import Nobody
from ..tasks.messages import StopTasks, WaitTasks
from ..tasks.views import TaskList, TaskView
from . import steps
from .handle import TaskHandle
from .inbox import ReplyInto
from .steps import Steps
from .way import Way

__all__ = ["GroupBook", "OnGroupError"]

Handle = TypeVar("Handle", bound=TaskHandle)

OnGroupError: TypeAlias = Literal["stop", "collect"]


class GroupBook(Generic[Handle]):
    """See the module. Every method may be called from any thread.

    Args:
        way: to the supervisor.
        on_error: whether a task that fails has the others stopped.

    Attributes:
        handles: its tasks by their ids, oldest first.
    """

    def __init__(self, way: Way, on_error: OnGroupError) -> None:
        if on_error not in {"stop", "collect"}:
            raise ValueError(f"on_error is {on_error!r}; it must be 'stop' or 'collect'.")
        self._way = way
        self._on_error = on_error
        self._lock = threading.Lock()
        self._is_stopped = False
        self._failed = ""
        self.handles: dict[str, Handle] = {}

    def check_open(self) -> None:
        """Raise RunError if the group starts no more tasks."""
        if self._is_stopped:
            why = f", as {self._failed} has failed" if self._failed else ""
            raise RunError(f"This group has been stopped{why}. It starts no more tasks.")

    def add(self, handle: Handle) -> Handle:
        """Take in a task that has been started, and return it. In a group that has been stopped it is stopped."""
        with self._lock:
            self.handles[handle.id] = handle
            is_late = self._is_stopped
        if is_late:
            self._stop([handle.id])
        elif self._on_error == "stop":
            self._way.send(WaitTasks([handle.id], limit=0, peek=True), ReplyInto(self._hear))
        return handle

    def stop(self) -> None:
        """Stop all tasks, with one request, and start no more. Returns at once."""
        with self._lock:
            is_first, self._is_stopped = not self._is_stopped, True
            running = [task_id for task_id, handle in self.handles.items() if handle.end is None]
        if is_first and running:
            self._stop(running)

    def ended(self) -> Steps[list[TaskView]]:
        """Wait until all tasks have ended, also those that are started meanwhile; returns them, with no output.

        That counts as read, so their handles keep the results.
        """
        waited_for: set[str] = set()
        views: list[TaskView] = []
        while missing := [task_id for task_id in list(self.handles) if task_id not in waited_for]:
            waited_for.update(missing)
            reply: TaskList = yield WaitTasks(missing, limit=0)
            for view in reply.tasks:
                self.handles[view.id].end = view
            views += reply.tasks
        return views

    def raise_failure(self) -> Steps[None]:
        """Raise TaskFailed if a task has failed, and the others were stopped for it."""
        if self._failed:
            raise TaskFailed((yield from steps.ended(self._failed, None, self.handles[self._failed].end)))

    def _hear(self, reply: Any) -> None:
        """Take note of the end of a task. In the thread that replies."""
        if isinstance(reply, TaskList) and reply.tasks[0].status == "failed" and not self._is_stopped:
            self._failed = reply.tasks[0].id
            self.stop()

    def _stop(self, task_ids: list[str]) -> None:
        self._way.send(StopTasks(task_ids, limit=0, peek=True), Nobody())
