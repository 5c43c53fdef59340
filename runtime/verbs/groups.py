"""Groups: the books of tasks that end together, and the way by which a group's tasks are started.

Both forms of a group keep their books here.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from ..errors import RunError, RuntimeClosedError
from ..tasks.ends import TaskFailed
from ..tasks.gateway import Nobody, ReplyTo
from ..tasks.messages import CheckData, Request, ResumeTask, RunTask, StopTasks, TaskAccepted, WaitTasks
from ..tasks.past import ResumePast
from ..tasks.views import Status, TaskList, TaskView
from ..text import one_line
from . import steps
from .arguments import check_choice
from .inbox import ReplyInto
from .steps import Steps
from .way import Former, Source, Way

if TYPE_CHECKING:
    from ..tasks.events import Event
    from .executor import TaskExecutor

__all__ = ["GroupBook", "GroupWay", "OnGroupError"]

OnGroupError: TypeAlias = Literal["stop", "collect"]

_MOST_NOTES: Final = 10
"""Tasks that are named in the notes of what a group raises."""


class GroupBook:
    """See the module. Every method may be called from any thread.

    A task with a key that others have asked for, too, is left to them: it does not fall with the group.

    Args:
        way: to the supervisor.
        on_error: whether a task that fails has the others stopped.

    Attributes:
        agents: its tasks by their ids, oldest first: what runs each.
        executors: those that it has given out; their futures are settled before the block ends as it should.
    """

    def __init__(self, way: Way, on_error: OnGroupError) -> None:
        check_choice("on_error", on_error, get_args(OnGroupError))
        self._way = way
        self._on_error = on_error
        self._lock = threading.Lock()
        self._is_stopped = False
        self._is_over = False
        self._failed = ""
        self._with_key: set[str] = set()
        self._ended: set[str] = set()
        self._failures: dict[str, str] = {}
        self.agents: dict[str, str] = {}
        self.executors: list[TaskExecutor] = []

    def check_open(self) -> None:
        """Raise RunError if the group starts no more tasks."""
        if self._is_over:
            raise RunError("The block of this group has ended. It starts no more tasks; make another group.")
        if self._is_stopped:
            why = f", as {self._failed} has failed" if self._failed else ""
            raise RunError(f"This group has been stopped{why}. It starts no more tasks.")

    def add(self, accepted: TaskAccepted, agent: str) -> None:
        """Take in a task that has been started. In a group that has been stopped it is stopped."""
        task_id = accepted.task_id
        with self._lock:
            if accepted.is_shared and task_id not in self.agents:
                self._way.held.claim(task_id)
                self._with_key.add(task_id)
            self.agents[task_id] = agent
            is_late = self._is_stopped
        if is_late and self._falls(task_id):
            self._stop([task_id])

    def watch(self, task_id: str) -> None:
        """Have the group stopped when this task of it fails, if that is wanted."""
        if self._on_error == "stop":
            self._way.send(WaitTasks([task_id], limit=0, peek=True, known_only=True), ReplyInto(self._hear))

    def stop(self) -> None:
        """Stop all tasks, with one request, and start no more. Returns at once."""
        with self._lock:
            is_first, self._is_stopped = not self._is_stopped, True
            tasks = list(self.agents) if is_first else []
        running = [task_id for task_id in tasks if task_id not in self._ended and self._falls(task_id)]
        if running:
            self._stop(running)

    def ended(self) -> Steps[list[TaskView]]:
        """Wait until all tasks have ended, also those that are started meanwhile; returns them, with no output.

        That counts as read; handles that are alive keep the results.
        """
        waited_for: set[str] = set()
        views: list[TaskView] = []
        while missing := [task_id for task_id in list(self.agents) if task_id not in waited_for]:
            waited_for.update(missing)
            reply: TaskList = yield WaitTasks(missing, limit=0, known_only=True)
            self._ended.update(view.id for view in reply.tasks)
            self._failures.update({view.id: view.reason for view in reply.tasks if view.status == "failed"})
            views += reply.tasks
        return views

    def close(self) -> None:
        """Let no more tasks be started: the block has ended."""
        self._is_over = True

    def failure(self) -> Steps[TaskFailed | None]:
        """Return what to raise if a task has failed, and the others were stopped for it; else None.

        What else has failed before it was stopped is told in its notes.
        """
        if not self._failed:
            return None
        handle = self._way.held.handle(self._failed)
        known = handle.end if handle is not None else None
        failure = TaskFailed((yield from steps.ended(self._failed, None, known)))
        others = {task_id: reason for task_id, reason in self._failures.items() if task_id != self._failed}
        for task_id, reason in itertools.islice(others.items(), _MOST_NOTES):
            failure.add_note(f"{task_id} ({self.agents.get(task_id, '')}) failed, too: {one_line(reason, 300)}")
        if len(others) > _MOST_NOTES:
            failure.add_note(f"{len(others) - _MOST_NOTES:,} more tasks of the group failed, too.")
        return failure

    def _falls(self, task_id: str) -> bool:
        """Whether a task falls with the group; one that does not is no longer of it."""
        with self._lock:
            if task_id not in self._with_key:
                return True
            self._with_key.discard(task_id)
            if self._way.held.release(task_id):
                return True
            del self.agents[task_id]
            return False

    def _hear(self, reply: Any) -> None:
        """Take note of the end of a task. In the thread that replies."""
        if isinstance(reply, TaskList) and reply.tasks:
            self._ended.add(reply.tasks[0].id)
            if reply.tasks[0].status == "failed" and not self._is_stopped:
                self._failed = reply.tasks[0].id
                self.stop()

    def _stop(self, task_ids: list[str]) -> None:
        with contextlib.suppress(RuntimeClosedError):  # then they are ending
            self._way.send(StopTasks(task_ids, limit=0, peek=True, known_only=True), Nobody())


class GroupWay:
    """The way of a group's verbs: whatever starts a task by it (`run`, `map`, an executor) has it in the group's book.

    Args:
        way: to the supervisor.
        book: the group's.
    """

    def __init__(self, way: Way, book: GroupBook) -> None:
        self._way = way
        self._book = book
        self.acknowledges = way.acknowledges
        self.sends_code = way.sends_code
        self.waits_for_room = way.waits_for_room
        self.held = way.held

    @property
    def max_running(self) -> int:
        """See `Way`."""
        return self._way.max_running

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """See `Way`.

        Raises:
            RunError: it would start a task, and the group starts no more.
        """
        if isinstance(request, RunTask | ResumeTask | ResumePast):
            self._book.check_open()
            agent = request.agent if isinstance(request, RunTask) else ""
            reply_to = _Registered(reply_to, self._book, agent)
        self._way.send(request, reply_to)

    def call_back(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._way.call_back(function)

    def settle(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._way.settle(function)

    def ask_again(self, function: Callable[[], object]) -> None:
        """See `Way`."""
        self._way.ask_again(function)

    def data_check(self, request: RunTask) -> CheckData | None:
        """See `Way`."""
        return self._way.data_check(request)

    def forget(self, reply_to: ReplyTo) -> None:
        """See `Way`."""
        self._way.forget(reply_to)

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """See `Way`."""
        self._way.acknowledge(task_ids)

    def status(self, task_id: str) -> Status | None:
        """See `Way`."""
        return self._way.status(task_id)

    def past(self, task_id: str) -> TaskView | None:
        """See `Way`."""
        return self._way.past(task_id)

    def former(self, task_id: str) -> Former | None:
        """See `Way`."""
        return self._way.former(task_id)

    def events(self, task_ids: Sequence[str] | None, since: str | None, limit: int) -> Source[Event]:
        """See `Way`."""
        return self._way.events(task_ids, since, limit)

    def speech(self, task_id: str) -> Source[str]:
        """See `Way`."""
        return self._way.speech(task_id)


class _Registered:
    """Address of the reply to a start: the task is in the group's book before anybody has its id; see `ReplyTo`."""

    __slots__ = ("_agent", "_book", "_reply_to")

    def __init__(self, reply_to: ReplyTo, book: GroupBook, agent: str) -> None:
        self._reply_to = reply_to
        self._book = book
        self._agent = agent

    def set(self, value: Any) -> None:
        """Note the task, and hand the reply over."""
        self._book.add(value, self._agent or value.agent)
        self._reply_to.set(value)

    def set_exception(self, error: BaseException) -> None:
        """Hand the error over."""
        self._reply_to.set_exception(error)
