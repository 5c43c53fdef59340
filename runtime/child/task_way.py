"""Task's way: how the verbs reach the supervisor from inside a task's process. It sees the task's own subtree only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from ...actors import SupervisorRef
from ..errors import RunError
from ..tasks.gateway import ReplyTo, TaskGateway
from ..tasks.messages import ListTasks, Request, RunTask
from ..tasks.views import Status, TaskView
from ..verbs.callbacks import CallbackThread

__all__ = ["TaskWay"]

_NO_EVENTS: Final = (
    "Only the host program follows events. Inside a task, `wait`, `view` and `output` tell how its tasks get on."
)


class TaskWay:
    """See the module, and `Way`. Replies come in the mailbox thread of the process.

    Args:
        supervisor: the task's.
        max_running: see `Way`.
    """

    acknowledges = False

    def __init__(self, supervisor: SupervisorRef, max_running: int) -> None:
        self._gateway = TaskGateway(supervisor)
        self._callbacks = CallbackThread()
        self.max_running = max_running

    def data_check(self, request: RunTask) -> None:
        """See `Way`: the process of the task that is started finds out."""
        del request

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """See `Way`."""
        self._gateway.send(request, reply_to)

    def forget(self, reply_to: ReplyTo) -> None:
        """See `Way`. What waits in the host goes on waiting, with a bound, until the task ends."""

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """See `Way`: what a reply shows to a task counts as read at once."""

    def status(self, task_id: str) -> Status | None:
        """See `Way`. Asks the host, which takes a millisecond; not in the mailbox thread."""
        listed = self._gateway.ask(ListTasks()).result().tasks
        return next((view.status for view in listed if view.id == task_id), None)

    def past(self, task_id: str) -> TaskView | None:
        """See `Way`: a task knows its own run only."""
        del task_id
        return None

    def call_back(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._callbacks.call(function)

    def events(self, task_ids: Sequence[str] | None, since: str | None, limit: int) -> NoReturn:
        """See `Way`: events do not reach tasks."""
        del task_ids, since, limit
        raise RunError(_NO_EVENTS)

    def speech(self, task_id: str) -> NoReturn:
        """See `Way`: nor does what other tasks say, as it comes."""
        del task_id
        raise RunError(_NO_EVENTS)
