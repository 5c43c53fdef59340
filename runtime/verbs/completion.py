"""Completion: hears of the ends of several tasks, one after the other, as they come."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

from ..tasks.messages import WaitTasks
from ..tasks.views import TaskList, TaskView
from .arguments import check_seconds
from .handle import TaskHandle, TaskRef, id_of, several_tasks
from .inbox import InboxLike, ReplyInto
from .way import Way

__all__ = ["Completions", "Ended"]

Handle = TypeVar("Handle", bound=TaskHandle)

Ended: TypeAlias = tuple[TaskRef, Any]
"""A task, and the reply to the question whether it has ended: a `TaskList`, or an error."""


class Completions(Generic[Handle]):
    """Has the ends of tasks put into an inbox; each is put in once. Nothing counts as read for it.

    Args:
        way: to the supervisor.
        tasks: which.
        inbox: takes each, with its reply.
        handle: makes a handle of an id and a name of an agent.
        timeout: seconds until which all must have ended; None: without end.
    """

    def __init__(
        self,
        way: Way,
        tasks: Iterable[TaskRef],
        inbox: InboxLike[Ended],
        handle: Callable[[str, str, Way], Handle],
        timeout: float | None,
    ) -> None:
        check_seconds(timeout)
        self._way = way
        self._timeout = timeout
        self._handle = handle
        self._open: dict[str, ReplyInto] = {}
        for task_id, task in {id_of(task): task for task in several_tasks(tasks)}.items():
            reply_to = self._open[task_id] = ReplyInto(functools.partial(_put, inbox, task))
            if isinstance(task, TaskHandle) and task.end is not None:
                inbox.put((task, None))
            else:
                way.send(WaitTasks([task_id], timeout=timeout, limit=0, peek=True), reply_to)

    def __len__(self) -> int:
        return len(self._open)

    def take(self, ended: Ended) -> Handle:
        """Return the task that has ended; raises what the question was refused with, or TimeoutError."""
        task, reply = ended
        if isinstance(reply, TaskList) and not reply.tasks:
            count = len(self._open)
            time = f"after {self._timeout:g} s"
            if count == 1:
                raise TimeoutError(f"1 task has not ended {time}; it goes on.")
            raise TimeoutError(f"{count} tasks have not ended {time}; they go on.")
        del self._open[str(task)]
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(task, TaskHandle):
            return task  # type: ignore[return-value]  # whoever gave it has them of one form
        view: TaskView = reply.tasks[0]
        return self._handle(view.id, view.agent, self._way)

    def close(self) -> None:
        """Want to hear no more."""
        for reply_to in self._open.values():
            self._way.forget(reply_to)
        self._open = {}


def _put(inbox: InboxLike[Ended], task: TaskRef, reply: Any) -> None:
    inbox.put((task, reply))
