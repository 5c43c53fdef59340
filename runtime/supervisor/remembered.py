"""Remembered: what a host that is closed still answers, of the tasks that it remembers. All have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import RuntimeClosedError
from ..tasks.messages import StopTasks, ViewTask, WaitTasks
from ..tasks.views import TaskList, TaskView
from ..text import one_line

if TYPE_CHECKING:
    from ..tasks.gateway import ReplyTo
    from .registry import TaskRegistry

__all__ = ["AboutEnded", "RememberedIfClosed", "answer_remembered"]

AboutEnded: TypeAlias = WaitTasks | ViewTask | StopTasks
"""Requests that need nobody who works, once all tasks have ended."""


class RememberedIfClosed:
    """Address of the reply to a request that is made while the host closes, and may come too late; see `ReplyTo`."""

    def __init__(self, reply_to: ReplyTo, registry: TaskRegistry, request: AboutEnded) -> None:
        self._reply_to = reply_to
        self._registry = registry
        self._request = request

    def set(self, value: Any) -> None:
        """Hand the reply over."""
        self._reply_to.set(value)

    def set_exception(self, error: BaseException) -> None:
        """Hand the error over, or what is remembered."""
        if isinstance(error, RuntimeClosedError):
            answer_remembered(self._registry, self._request, self._reply_to)
        else:
            self._reply_to.set_exception(error)


def answer_remembered(registry: TaskRegistry, request: AboutEnded, reply_to: ReplyTo) -> None:
    """Answer a request, in any thread, once the supervisor is gone.

    With an error if a task is not remembered, or has not ended because the supervisor was killed.
    """
    try:
        reply = _remembered(registry, request)
    except RuntimeClosedError as error:
        reply_to.set_exception(error)
    else:
        reply_to.set(reply)


def _remembered(registry: TaskRegistry, request: AboutEnded) -> TaskView | TaskList:
    if isinstance(request, ViewTask):
        return _view(registry, request.task_id, request.limit)
    ids = request.task_ids
    if request.known_only:
        ids = [task_id for task_id in ids if registry.get(task_id) is not None]
    views = [_view(registry, task_id, request.limit) for task_id in dict.fromkeys(ids)]
    return TaskList(tasks=views, running=0, max_running=0)


def _view(registry: TaskRegistry, task_id: str, limit: int | None) -> TaskView:
    task = registry.get(task_id)
    if task is None or not task.is_over:
        raise RuntimeClosedError(f"The runtime is closed. It remembers no task {one_line(task_id, 50)!r}.")
    return task.view(limit=limit)
