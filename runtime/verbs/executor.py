"""Executor: the runtime as a `concurrent.futures.Executor`, for libraries that take one."""

from __future__ import annotations

import builtins
import functools
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from typing import Any, TypeVar

import msgspec

from ...actors.interrupts import LONGEST_SLEEP
from ..errors import CapacityError, UnreadResultsError
from ..tasks.ends import TaskFailed, TaskStopped
from ..tasks.exceptions import error_of
from ..tasks.messages import RunTask, TaskAccepted, ViewTask, WaitTasks
from ..tasks.views import TaskList, TaskView
from .arguments import type_name
from .inbox import ReplyInto
from .request import call_request, options_of
from .steps import OUTPUT_OF_FAILED, result_of_view
from .way import Way

__all__ = ["TaskCrashed", "TaskExecutor"]

T = TypeVar("T")


class _Work(msgspec.Struct, eq=False):
    """A function to be called.

    Attributes:
        future: of its result.
        request: has it called.
        end: how its task ended, if that is no result.
    """

    future: Future[Any]
    request: RunTask
    end: TaskView | None = None


class TaskCrashed(TaskFailed, BrokenExecutor):
    """A task of an executor has failed by more than an exception of its function: a crash, a limit, a hang.

    Only its own future raises it; the executor lives on.
    """


class TaskExecutor(Executor):
    """Calls each function in a process of its own; see `Runtime.executor`. May be used from any thread.

    A result becomes plain data. An exception of one of Python's own types is raised as what it was, with the
    `TaskFailed` as its cause, and with its arguments if these are plain data, else with its message; of any other type,
    as `TaskFailed`. Futures are settled in threads of the runtime's, so that a callback that does not return holds up
    no other. Where the runtime has no room, functions wait for it.

    Args:
        way: to the supervisor.
        max_workers: functions at work at a time; None: as many as the runtime lets run.
        place: see `BlockingVerbs.submit`.

    Raises:
        TypeError, ValueError: an argument has the wrong type, or cannot be.
    """

    def __init__(self, way: Way, max_workers: int | None = None, place: str | None = None) -> None:
        if max_workers is not None and (isinstance(max_workers, bool) or not isinstance(max_workers, int)):
            raise TypeError(f"max_workers is {type_name(max_workers)}; it must be a whole number.")
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers}.")
        self._way = way
        self._options = options_of(place=place)
        self._most = max_workers or way.max_running
        self._changed = threading.Condition()
        self._waiting: deque[_Work] = deque()
        self._refused: list[_Work] = []
        self._at_work = 0
        self._telling: Counter[int] = Counter()
        self._is_filling = False
        self._is_pausing = False
        self._is_shut_down = False
        self._when_settled: list[Callable[[], object]] = []

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
            # No keyword of the function's can be meant for the runtime here.
            called = call_request(fn, args, kwargs, None, by_value=self._way.sends_code)
            request = msgspec.structs.replace(called, options=self._options)
        except TypeError as error:
            future.set_exception(error)
        with self._changed:
            if self._is_shut_down:
                raise RuntimeError("This executor has been shut down, and takes no more functions.")
            if request is not None:
                self._waiting.append(_Work(future, request))
        self._fill()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more functions, and wait until those there are have returned; see `Executor.shutdown`.

        It waits for the callbacks of their futures, too, except for one that calls this.
        """
        cancelled: list[_Work] = []
        with self._changed:
            self._is_shut_down = True
            if cancel_futures:
                cancelled = list(self._waiting)
                self._waiting.clear()
                self._changes()
        for work in cancelled:
            if work.future.cancel():
                work.future.set_running_or_notify_cancel()
        with self._changed:
            while wait and self._is_busy(threading.get_ident()):
                self._changed.wait(LONGEST_SLEEP)  # an interrupt is not slept through

    def when_settled(self, function: Callable[[], object]) -> None:
        """Shut down, without waiting, and have a function called, in any thread, when all futures are settled.

        It must return at once.
        """
        self.shutdown(wait=False)
        with self._changed:
            self._when_settled.append(function)
            self._changes()

    def _is_busy(self, besides: int | None = None) -> bool:
        """Whether a future is still to be settled, by another thread than one. Called with the lock."""
        return bool(self._waiting or self._refused or self._at_work or self._telling.keys() - {besides})

    def _changes(self) -> None:
        """Tell whoever waits for the end. Called with the lock."""
        self._changed.notify_all()
        if self._when_settled and not self._is_busy():
            for function in self._when_settled:
                function()
            self._when_settled.clear()

    def _fill(self) -> None:
        """Start as many more as there is room for. In any thread; one does it at a time."""
        with self._changed:
            if self._is_filling:
                return  # it looks again
            self._is_filling = True
        while (work := self._next()) is not None:
            if _begins(work.future):
                self._ask(work, work.request, self._accepted)
            else:
                with self._changed:
                    self._at_work -= 1
                    self._changes()

    def _next(self) -> _Work | None:
        with self._changed:
            # What was refused is tried again first.
            if self._refused or not self._waiting or self._at_work >= self._most:
                self._is_filling = False
                return None
            self._at_work += 1
            return self._waiting.popleft()

    def _ask(
        self,
        work: _Work,
        request: RunTask | WaitTasks | ViewTask,
        then: Callable[[_Work, Any], None],
    ) -> None:
        try:
            self._way.send(request, ReplyInto(functools.partial(then, work)))
        except Exception as error:  # noqa: BLE001 - the runtime is closed: the future tells
            then(work, error)

    def _accepted(self, work: _Work, reply: TaskAccepted | BaseException) -> None:
        """Wait for the task. In the thread that replies, as the next two."""
        if isinstance(reply, TaskAccepted):
            self._ask(work, WaitTasks([reply.task_id], limit=0, peek=True), self._ended)
        elif isinstance(reply, CapacityError) and not isinstance(reply, UnreadResultsError) and self._may_wait():
            self._put_back(work)
        else:
            self._settle(work, reply)

    def _ended(self, work: _Work, reply: TaskList | BaseException) -> None:
        if isinstance(reply, BaseException):
            self._settle(work, reply)
            return
        view = reply.tasks[0]
        if view.status == "completed":
            self._settle(work, view)
        else:
            work.end = view
            self._ask(work, ViewTask(view.id, limit=OUTPUT_OF_FAILED, peek=True), self._viewed)

    def _viewed(self, work: _Work, reply: TaskView | BaseException) -> None:
        # The runtime may have been closed meanwhile. How the task ended is known all the same.
        self._settle(work, reply if isinstance(reply, TaskView) else work.end or reply)

    def _may_wait(self) -> bool:
        """Whether there may be room some time. A task may hold what it waits for itself."""
        return self._way.waits_for_room or self._at_work > 1

    def _put_back(self, work: _Work) -> None:
        """Try again after a while, or when one of this executor's tasks has ended."""
        with self._changed:
            self._at_work -= 1
            self._refused.append(work)
            is_pausing, self._is_pausing = self._is_pausing, True
        if not is_pausing:
            self._way.ask_again(self._try_again)

    def _try_again(self) -> None:
        with self._changed:
            self._is_pausing = False
            self._take_up_refused()
        self._fill()

    def _take_up_refused(self) -> None:
        self._waiting.extendleft(reversed(self._refused))
        self._refused.clear()

    def _settle(self, work: _Work, reply: TaskView | BaseException) -> None:
        """Have a future settled, and start the next. In the thread that replies."""
        with self._changed:
            self._at_work -= 1
            self._telling[0] += 1
            self._take_up_refused()
        self._way.settle(functools.partial(self._tell, work.future, reply))
        self._fill()

    def _tell(self, future: Future[Any], reply: TaskView | BaseException) -> None:
        """Settle a future, which calls its callbacks. In a thread that they may hold up."""
        here = threading.get_ident()
        self._count_telling(0, here)
        try:
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
        finally:
            self._count_telling(here, None)

    def _count_telling(self, before: int, after: int | None) -> None:
        """Note in which thread a future is settled; 0: in none yet; None: it has been."""
        with self._changed:
            self._telling[before] -= 1
            if not self._telling[before]:
                del self._telling[before]
            if after is not None:
                self._telling[after] += 1
            self._changes()


def _begins(future: Future[Any]) -> bool:
    """Note that a function is about to be called; False if its future has been cancelled, or settled by somebody."""
    try:
        return future.running() or future.set_running_or_notify_cancel()
    except InvalidStateError:
        return False


def _as_raised(end: TaskFailed | TaskStopped) -> BaseException:
    """Return what a function has raised, as far as its type is one of Python's own.

    Not a StopIteration: no coroutine and no generator can be raised one, and a future of asyncio would wait for ever.
    """
    if isinstance(end, TaskStopped):
        return end
    if not end.view.error:
        return TaskCrashed(end.view)
    kind = getattr(builtins, end.view.error, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, StopIteration):
        return end
    error = error_of(end.view.error, end.view.error_args)
    if error is None:  # its arguments are not plain data
        try:
            error = kind(end.reason.removeprefix(end.view.error).removeprefix(": "))
        except TypeError:
            return end  # a type whose constructor wants more than a message
    error.__cause__ = end
    return error
