"""Awaited: the verbs for programs with an event loop, of asyncio or trio. No thread waits for them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeAlias

from ...actors import RestartPolicy
from ..tasks.views import TaskView
from ..team.config import Limits, Workdir
from . import steps
from .awaiting import driven
from .handle import TaskHandle, TaskRef, id_of, ids_of
from .request import call_request, options_of, run_request
from .steps import Mode
from .way import Way

__all__ = ["AsyncTask", "AsyncVerbs"]

TaskViews: TypeAlias = list[TaskView]
"""Has a name, as `list` is a method in what follows."""


class AsyncTask(TaskHandle):
    """A task, for programs with an event loop; `await task` is `await task.result()`.

    A wait that is cancelled stops no task. The handle may be used in any event loop, and in several.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    async def view(self) -> TaskView:
        """Return the task as it is now; see `Task.view`."""
        return await driven(self._way, steps.view(self.id, self._way.past))

    async def result(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002, ASYNC109 - as `Task.result` has them; the supervisor keeps the time, in any event loop
        """Wait until the task has ended, and return its result; see `Task.result`."""
        end = self._end
        return self._result(end if end is not None else await driven(self._way, steps.ended(self.id, timeout)), type)

    async def output(self) -> str:
        """Return what the task has said so far."""
        return (await self.view()).output

    async def stop(self) -> TaskView:
        """Stop the task and all that it has started; see `Task.stop`. Cancelled, it stops them all the same."""
        return (await driven(self._way, steps.stop([self.id])))[0]


class AsyncVerbs:
    """What a program asks, in awaitable form: each as in `BlockingVerbs`, where arguments and errors are told.

    Cancelling a wait drops it, and stops no task. Cancelling `run` or `submit` stops the task, which nobody would know.

    Args:
        way: to the supervisor.
    """

    def __init__(self, way: Way) -> None:
        self._way = way

    async def run(
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
    ) -> AsyncTask:
        """Start a task of an agent and return at once; see `BlockingVerbs.run`."""
        options = options_of(limits, restart, workdir, key)
        request = run_request(agent, task, expected_output, data, options)
        return AsyncTask(await driven(self._way, steps.run(request)), agent, self._way)

    async def submit(
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
    ) -> AsyncTask:
        """Run a function in a process of its own, and return at once; see `BlockingVerbs.submit`."""
        request = call_request(function, args, kwargs, name, options_of(limits, restart, workdir, key))
        return AsyncTask(await driven(self._way, steps.run(request)), request.agent, self._way)

    async def list(self) -> TaskViews:
        """Return all tasks, oldest first; of their output only the end."""
        return await driven(self._way, steps.list_tasks())

    async def view(self, task: TaskRef) -> TaskView:
        """Return one task, with its output; see `BlockingVerbs.view`."""
        return await driven(self._way, steps.view(id_of(task), self._way.past))

    async def wait(
        self,
        tasks: Iterable[TaskRef] | None = None,
        *,
        mode: Mode = "all",
        timeout: float | None = None,  # noqa: ASYNC109 - as in `AsyncTask.result`
    ) -> TaskViews:
        """Wait until all, or any, of some tasks have ended; see `BlockingVerbs.wait`."""
        return await driven(self._way, steps.wait(None if tasks is None else ids_of(tasks), mode, timeout))

    async def stop(self, *tasks: TaskRef) -> TaskViews:
        """Stop tasks and all that they have started, at the same time; see `BlockingVerbs.stop`."""
        return await driven(self._way, steps.stop([id_of(task) for task in tasks]))
