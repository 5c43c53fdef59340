"""Blocking: takes verbs to their ends in the calling thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

from ...actors import RestartPolicy
from ...actors.interrupts import result_of
from ..tasks.gateway import Nobody, ReplyToFuture
from ..tasks.messages import Request, StopTasks, TaskAccepted
from ..tasks.views import TaskView
from ..team.config import Limits, Workdir
from . import steps
from .handle import TaskHandle, TaskRef, id_of, ids_of
from .request import call_request, options_of, run_request
from .steps import Mode, Steps
from .way import Way

__all__ = ["BlockingVerbs", "Task", "drive"]

TaskViews: TypeAlias = list[TaskView]
"""Has a name, as `list` is a method in what follows."""

T = TypeVar("T")
Reply = TypeVar("Reply")


def drive(way: Way, verb: Steps[T]) -> T:
    """Take a verb to its end. An interrupt (`KeyboardInterrupt`) ends the wait, and stops no task that is known."""
    try:
        request = next(verb)
        while True:
            try:
                reply = _answer(way, request)
            except BaseException as error:  # noqa: BLE001 - the verb decides
                request = verb.throw(error)
            else:
                request = verb.send(reply)
    except StopIteration as done:
        value: T = done.value
        return value


def _answer(way: Way, request: Request[Reply]) -> Reply:
    future: Future[Reply] = Future()
    reply_to = ReplyToFuture(future)
    way.send(request, reply_to)
    try:
        return result_of(future)
    except BaseException as error:
        if not future.done() or future.exception() is not error:  # interrupted
            way.forget(reply_to)
            future.add_done_callback(lambda late: _stop_unknown(late, way))
        raise


def _stop_unknown(late: Future[Any], way: Way) -> None:
    """Stop a task whose id came too late for whoever had it started. Runs in the thread that answers."""
    if not late.cancelled() and late.exception() is None and isinstance(late.result(), TaskAccepted):
        way.send(StopTasks([late.result().task_id], limit=0), Nobody())


class Task(TaskHandle):
    """A task, for programs that block. Every member may be used from any thread."""

    __slots__ = ()

    def view(self) -> TaskView:
        """Return the task as it is now, with its output.

        Raises:
            UnknownTaskError: it has ended and was read, and is forgotten by now.
        """
        return drive(self._way, steps.view(self.id, self._way.past))

    def result(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002 - the name that users read
        """Wait until the task has ended, and return its result.

        Args:
            timeout: seconds to wait at most; None: without end.
            type: what to make of the result: a dataclass, msgspec struct, pydantic model, TypedDict, or an annotation
                of these; None leaves it plain data.

        Raises:
            TaskFailed: it has failed.
            TaskStopped: it was stopped.
            TimeoutError: it has not ended in time; it goes on.
            NotOfTypeError: the result is not of that type.
            UnknownTaskError: it was read by other means, and is forgotten by now.
        """
        end = self._end
        return self._result(end if end is not None else drive(self._way, steps.ended(self.id, timeout)), type)

    def output(self) -> str:
        """Return what the task has said so far; raises as `view`."""
        return self.view().output

    def stop(self) -> TaskView:
        """Stop the task and all that it has started; return when all of it is gone.

        That is within the grace period and a second. A task that has ended is returned as it is.
        """
        return drive(self._way, steps.stop([self.id]))[0]


class BlockingVerbs:
    """What a program asks, in blocking form. Every method may be called from any thread.

    Args:
        way: to the supervisor.
    """

    def __init__(self, way: Way) -> None:
        self._way = way

    def run(
        self,
        agent: str,
        task: str,
        *,
        expected_output: str | None = None,
        data: Any = None,
        limits: Limits | None = None,
        restart: RestartPolicy | None = None,
        workdir: Workdir | None = None,
        key: str | None = None,
    ) -> Task:
        """Start a task of an agent and return at once, while its process is still starting.

        Args:
            agent: its name.
            task: what to do.
            expected_output: what the answer should look like.
            data: what to work on, as plain data; the agent's function finds it in `task.data`.
            limits: narrow those of the agent, for this task.
            restart: replaces the agent's policy, for this task.
            workdir: replaces the agent's, for this task.
            key: names this piece of work. A second call with the same key starts nothing and returns the same task.

        Raises:
            UnknownAgentError: the team has no such agent.
            EmptyTaskError: there is nothing to do.
            CapacityError: as many tasks run, or wait to be read, as may.
            RequirementError: the agent, or one it may start, needs something this machine lacks.
            RuntimeClosedError: the runtime is closed.
            TypeError: an argument has the wrong type.
        """
        options = options_of(limits, restart, workdir, key)
        request = run_request(agent, task, expected_output, data, options)
        return Task(drive(self._way, steps.run(request)), agent, self._way)

    def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        limits: Limits | None = None,
        restart: RestartPolicy | None = None,
        workdir: Workdir | None = None,
        key: str | None = None,
        **kwargs: Any,
    ) -> Task:
        """Run a function in a process of its own, and return at once. Its result becomes plain data.

        Args:
            function: any callable, sync or async.
            args: its arguments.
            name: what the task is called; None: the function's name.
            limits: what the task may use.
            restart: when it is started again; None: never.
            workdir: where it works; None: in the runtime's working directory.
            key: see `run`.
            kwargs: its keyword arguments.

        Raises:
            TypeError: it, or an argument, cannot be sent to another process.
            CapacityError: as many tasks run, or wait to be read, as may.
            RuntimeClosedError: the runtime is closed.
        """
        request = call_request(function, args, kwargs, name, options_of(limits, restart, workdir, key))
        return Task(drive(self._way, steps.run(request)), request.agent, self._way)

    def list(self) -> TaskViews:
        """Return all tasks, oldest first; of their output only the end."""
        return drive(self._way, steps.list_tasks())

    def view(self, task: TaskRef) -> TaskView:
        """Return one task, with its output: of this run, or of an earlier one in the same state folder.

        Raises:
            UnknownTaskError: there is no such task.
        """
        return drive(self._way, steps.view(id_of(task), self._way.past))

    def wait(
        self, tasks: Iterable[TaskRef] | None = None, *, mode: Mode = "all", timeout: float | None = None
    ) -> TaskViews:
        """Wait until all, or any, of some tasks have ended, and return those that have, in the order given.

        Args:
            tasks: which; None is all there are now.
            mode: wait for all of them, or for any.
            timeout: seconds to wait at most; then fewer are returned.

        Raises:
            UnknownTaskError: one of them is unknown.
        """
        return drive(self._way, steps.wait(None if tasks is None else ids_of(tasks), mode, timeout))

    def stop(self, *tasks: TaskRef) -> TaskViews:
        """Stop tasks and all that they have started, at the same time; return them when all of it is gone.

        That is within the grace period and a second. A task that has ended is returned as it is.

        Raises:
            UnknownTaskError: there is no such task; none is stopped then.
        """
        return drive(self._way, steps.stop([id_of(task) for task in tasks]))
