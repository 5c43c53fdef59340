"""Executor: the runtime as a `concurrent.futures.Executor`, for libraries that take one."""

from __future__ import annotations

import builtins
import functools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, Final, TypeVar

from ...actors.interrupts import LONGEST_SLEEP
from ..tasks.ends import TaskFailed, TaskStopped
from ..tasks.messages import RunTask, TaskAccepted, ViewTask, WaitTasks
from ..tasks.views import TaskView
from .inbox import ReplyInto
from .request import call_request
from .steps import result_of_view
from .way import Way

__all__ = ["TaskCrashed", "TaskExecutor"]

T = TypeVar("T")

_OUTPUT_OF_FAILED: Final = 100_000
"""Bytes of what a failed task has said that go with its error."""


class TaskCrashed(TaskFailed, BrokenExecutor):
    """A task of an executor has failed by more than an exception of its function: a crash, a limit, a hang.

    Only its own future raises it; the executor lives on.
    """


class TaskExecutor(Executor):
    """Calls each function in a process of its own; see `Runtime.executor`. May be used from any thread.

    A result becomes plain data. An exception of one of Python's own types is raised as what it was, with the
    `TaskFailed` as its cause; of any other type, as `TaskFailed`. Futures are settled in a thread of the runtime's.

    Args:
        way: to the supervisor.
        max_workers: functions at work at a time; None: as many as the runtime lets run.
    """

    def __init__(self, way: Way, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers}.")
        self._way = way
        self._most = max_workers or way.max_running
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], RunTask]] = deque()
        self._at_work = 0
        self._is_shut_down = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a function called, as soon as there is room; returns at once.

        A future that waits for room can be cancelled. What cannot be sent to another process fails the future, with
        TypeError.

        Raises:
            RuntimeError: the executor is shut down.
        """
        future: Future[T] = Future()
        request: RunTask | None = None
        try:
            request = call_request(fn, args, kwargs, None, by_value=self._way.sends_code)
        except TypeError as error:
            future.set_exception(error)
        with self._changed:
            if self._is_shut_down:
                raise RuntimeError("This executor has been shut down, and takes no more functions.")
            if request is not None:
                self._waiting.append((future, request))
        self._fill()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more functions, and wait until those there are have returned; see `Executor.shutdown`."""
        cancelled: list[Future[Any]] = []
        with self._changed:
            self._is_shut_down = True
            if cancel_futures:
                cancelled = [future for future, _ in self._waiting]
                self._waiting.clear()
        for future in cancelled:
            if future.cancel():
                future.set_running_or_notify_cancel()
        with self._changed:
            while wait and (self._waiting or self._at_work):
                self._changed.wait(LONGEST_SLEEP)  # an interrupt is not slept through

    def _fill(self) -> None:
        """Start as many more as there is room for. In any thread."""
        while True:
            with self._changed:
                if not self._waiting or self._at_work >= self._most:
                    return
                future, request = self._waiting.popleft()
                self._at_work += 1
            if future.set_running_or_notify_cancel():
                self._ask(future, request, self._accepted)
            else:
                self._leave()

    def _ask(
        self,
        future: Future[Any],
        request: RunTask | WaitTasks | ViewTask,
        then: Callable[[Future[Any], Any], None],
    ) -> None:
        try:
            self._way.send(request, ReplyInto(functools.partial(then, future)))
        except Exception as error:  # noqa: BLE001 - the runtime is closed: the future tells
            self._settle(future, error)

    def _accepted(self, future: Future[Any], reply: TaskAccepted | BaseException) -> None:
        if isinstance(reply, BaseException):
            self._settle(future, reply)
        else:
            self._ask(future, WaitTasks([reply.task_id], limit=0, peek=True), self._ended)

    def _ended(self, future: Future[Any], reply: Any) -> None:
        if isinstance(reply, BaseException) or reply.tasks[0].status == "completed":
            self._settle(future, reply if isinstance(reply, BaseException) else reply.tasks[0])
        else:
            self._ask(future, ViewTask(reply.tasks[0].id, limit=_OUTPUT_OF_FAILED, peek=True), self._settle)

    def _settle(self, future: Future[Any], reply: TaskView | BaseException) -> None:
        """Have a future settled, and start the next. In the thread that replies."""
        self._way.call_back(functools.partial(self._tell, future, reply))

    def _tell(self, future: Future[Any], reply: TaskView | BaseException) -> None:
        """Settle a future. In the thread of the callbacks."""
        self._leave()
        self._fill()
        if isinstance(reply, BaseException):
            future.set_exception(reply)
            return
        if self._way.acknowledges:
            self._way.acknowledge([reply.id])
        try:
            result = result_of_view(reply)
        except (TaskFailed, TaskStopped) as error:
            future.set_exception(_as_raised(error))
        except Exception as error:  # noqa: BLE001 - the file of a large result is gone, say
            future.set_exception(error)
        else:
            future.set_result(result)

    def _leave(self) -> None:
        with self._changed:
            self._at_work -= 1
            self._changed.notify_all()


def _as_raised(end: TaskFailed | TaskStopped) -> BaseException:
    """Return what a function has raised, as far as its type is one of Python's own."""
    if isinstance(end, TaskStopped):
        return end
    if not end.view.error:
        return TaskCrashed(end.view)
    kind = getattr(builtins, end.view.error, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return end
    try:
        error = kind(end.reason.removeprefix(end.view.error).removeprefix(": "))
    except TypeError:
        return end  # a type whose constructor wants more than a message
    error.__cause__ = end
    return error
