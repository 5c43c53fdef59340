"""Awaited: the verbs for programs with an event loop, of asyncio or trio. No thread waits for them."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from ...actors import RestartPolicy
from ..errors import RunError
from ..tasks.ends import TaskStopped
from ..tasks.messages import RunTask
from ..tasks.talk import SteerReceipt
from ..tasks.views import TaskView
from ..team.config import Limits, Workdir
from . import steps
from .async_many import AsyncResults, completed, results
from .async_streams import AsyncEventStream, AsyncStream
from .awaiting import AsyncInbox, doorbell, driven, uncancelled
from .callbacks import check_callback
from .groups import GroupBook, GroupWay, OnGroupError
from .handle import QuestionRef, TaskHandle, TaskRef, TaskRefs, check_kind, id_of, ids_given, question_id
from .pieces import OnError, Pieces
from .request import call_request, options_of, run_request
from .steps import Mode
from .streams import LIMIT, events_of
from .way import Verbs, Way

if TYPE_CHECKING:
    from .executor import TaskExecutor

__all__ = ["AsyncGroup", "AsyncTask", "AsyncVerbs"]

TaskViews: TypeAlias = list[TaskView]
Tasks: TypeAlias = "list[AsyncTask]"
"""These have names, as `list` is a method in what follows."""


logger = logging.getLogger("subactors.runtime")

_OF_ASYNCIO: Final = "asyncio.tasks"
"""The module of `asyncio.wait`, which wants more of a future than a callback. It would wait for ever in some cases."""


class AsyncTask(TaskHandle):
    """A task, for programs with an event loop; `await task` is `await task.result()`.

    A wait that is cancelled stops no task. The handle may be used in any event loop, and in several. What takes
    awaitables takes it, as `asyncio.gather`, `wait_for`, `shield` and `as_completed`; what wants a coroutine, as
    `asyncio.create_task`, takes `task.result()`, and `asyncio.wait` a future: `asyncio.ensure_future(task)`.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    async def view(self) -> TaskView:
        """Return the task as it is now; see `Task.view`."""
        return await driven(self._way, steps.view(self.id, self._way.past, closely=True))

    async def result(self, timeout: float | None = None, *, type: Any = None) -> Any:  # noqa: A002, ASYNC109 - as `Task.result` has them; the supervisor keeps the time, in any event loop
        """Wait until the task has ended, and return its result; see `Task.result`."""
        check_kind(type)
        return self._result(await driven(self._way, steps.ended(self.id, timeout, self.end)), type)

    async def output(self) -> str:
        """Return what the task has said so far."""
        return (await driven(self._way, steps.view(self.id, self._way.past))).output

    def follow(self) -> AsyncStream[str]:
        """Return what the task says, from the first that is kept to its end, for `async for`; see `Task.follow`."""
        return AsyncStream(self._way.speech(self.id), f"the output of {self.id}")

    def events(self, *, since: str | None = None, limit: int = LIMIT) -> AsyncEventStream:
        """Return a stream of the task's events, to its `TaskEnded`; see `BlockingVerbs.events`."""
        return AsyncEventStream(*events_of(self._way, [self], since, limit))

    async def resume(self, message: str | None = None) -> AsyncTask:
        """Continue the task, which has ended, as a new one; see `BlockingVerbs.resume`."""
        accepted = await driven(self._way, steps.resume(self._way, self.id, message))
        return AsyncTask(accepted.task_id, accepted.agent, self._way)

    async def stop(self) -> TaskView:
        """Stop the task and all that it has started; see `Task.stop`. Cancelled, it stops them all the same."""
        return (await driven(self._way, steps.stop([self.id])))[0]

    async def steer(self, message: str) -> SteerReceipt:
        """Say something to the task; see `BlockingVerbs.steer`."""
        return await driven(self._way, steps.steer(self.id, message))

    def add_done_callback(self, function: Callable[[AsyncTask], object]) -> None:
        """Have a function called with this handle, in this event loop, when the task has ended; soon, if it has.

        It is called in the thread of the loop that runs where this is called, and holds that loop up. One that raises
        is logged, and so is one whose loop is closed by then, which is not called. The result still is to be read.

        Raises:
            TypeError: it is a coroutine function, or `asyncio.wait` asks, which takes futures only.
        """
        check_callback(function)
        if getattr(function, "__module__", "") == _OF_ASYNCIO:
            raise TypeError(
                "asyncio.wait takes futures, and a task is none: give it asyncio.ensure_future(task), or use "
                'await runtime.wait(tasks, mode="any").'
            )
        bell, unheard = doorbell(), functools.partial(_tell_unheard, self.id)
        self._have_called(function, lambda called: bell.call(called, unheard))


def _tell_unheard(task_id: str) -> None:
    logger.warning("A callback of %s was not called: the event loop that it was to be called in is closed.", task_id)


class AsyncVerbs(Verbs):
    """What a program asks, in awaitable form: each as in `BlockingVerbs`, where arguments and errors are told.

    Cancelling a wait drops it, and stops no task. Cancelling `run` or `submit` stops the task, which nobody would know.
    """

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
        place: str | None = None,
        near: TaskRef | None = None,
        key: str | None = None,
        output_schema: Any = None,
    ) -> AsyncTask:
        """Start a task of an agent and return at once; see `BlockingVerbs.run`."""
        options = options_of(limits, restart, workdir, key=key, output_schema=output_schema, place=place, near=near)
        return await self._start(run_request(agent, task, expected_output, data, options))

    async def submit(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        limits: Limits | None = None,
        restart: RestartPolicy | None = None,
        workdir: Workdir | None = None,
        place: str | None = None,
        near: TaskRef | None = None,
        key: str | None = None,
        output_schema: Any = None,
        **kwargs: Any,
    ) -> AsyncTask:
        """Run a function in a process of its own, and return at once; see `BlockingVerbs.submit`."""
        options = options_of(limits, restart, workdir, key=key, output_schema=output_schema, place=place, near=near)
        return await self._start(call_request(function, args, kwargs, name, options, by_value=self._way.sends_code))

    async def resume(self, task: TaskRef, message: str | None = None) -> AsyncTask:
        """Continue a task of an agent that has ended; see `BlockingVerbs.resume`."""
        accepted = await driven(self._way, steps.resume(self._way, id_of(task), message))
        return self._begun(accepted.task_id, accepted.agent)

    async def list(self) -> TaskViews:
        """Return all tasks, oldest first; of their output only the end."""
        return await driven(self._way, steps.list_tasks())

    async def view(self, task: TaskRef) -> TaskView:
        """Return one task, with its output; see `BlockingVerbs.view`."""
        return await driven(self._way, steps.view(id_of(task), self._way.past, closely=True))

    async def wait(
        self,
        tasks: TaskRefs | None = None,
        *more: TaskRef,
        mode: Mode = "all",
        timeout: float | None = None,  # noqa: ASYNC109 - the supervisor keeps the time, in any event loop
    ) -> TaskViews:
        """Wait until all, or any, of some tasks have ended; see `BlockingVerbs.wait`."""
        return await driven(self._way, steps.wait(None if tasks is None else ids_given(tasks, *more), mode, timeout))

    async def stop(self, *tasks: TaskRefs) -> TaskViews:
        """Stop tasks and all that they have started, at the same time; see `BlockingVerbs.stop`."""
        return await driven(self._way, steps.stop(ids_given(*tasks)))

    async def steer(self, task: TaskRef, message: str) -> SteerReceipt:
        """Say something to a task that has not ended; see `BlockingVerbs.steer`."""
        return await driven(self._way, steps.steer(id_of(task), message))

    async def answer(self, question: QuestionRef, text: str) -> None:
        """Answer a question that a task waits for; see `BlockingVerbs.answer`."""
        await driven(self._way, steps.answer(question_id(question), text))

    def events(
        self, tasks: Iterable[TaskRef] | None = None, *, since: str | None = None, limit: int = LIMIT
    ) -> AsyncEventStream:
        """Return a stream of what becomes of tasks, for `async for`; see `BlockingVerbs.events`.

        A cancelled wait loses no event. A stream may be left or dropped at any time; `async with` closes it, too.
        """
        return AsyncEventStream(*events_of(self._way, tasks, since, limit))

    def map(
        self,
        work: Callable[[Any], Any] | str,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int | None = None,
        place: str | None = None,
        chunksize: int = 1,
        on_error: OnError = "raise",
        ordered: bool = True,
    ) -> AsyncResults[Any]:
        """Run a function, or an agent, for each of many items: `async for result in …`; see `BlockingVerbs.map`.

        Items may come from an async iterable. A coroutine beside yours iterates it as there is room, and at the end
        closes it, if it is a generator. The items of a plain iterable are taken in the event loop: one that waits for
        something stops all else there. A wait that is cancelled loses nothing.
        """
        pieces = Pieces(work, place=place, chunksize=chunksize, on_error=on_error)
        return results(self._way, pieces, items, concurrency=concurrency, ordered=ordered)

    def as_completed(
        self,
        tasks: Iterable[TaskRef],
        *,
        timeout: float | None = None,
    ) -> AsyncResults[AsyncTask]:
        """Yield tasks as they end, each once: `async for task in …`; see `BlockingVerbs.as_completed`.

        To be called in the event loop. A wait that is cancelled loses nothing.
        """
        return completed(self._way, tasks, timeout, AsyncTask)

    def executor(self, max_workers: int | None = None, *, place: str | None = None) -> TaskExecutor:
        """Return an executor, as for `loop.run_in_executor`; see `BlockingVerbs.executor`."""
        from .executor import TaskExecutor  # noqa: PLC0415 - for programs that want one

        return TaskExecutor(self._way, max_workers, place)

    def group(self, *, on_error: OnGroupError = "stop") -> AsyncGroup:
        """Return a group: `async with runtime.group() as group:`; see `BlockingVerbs.group`."""
        return AsyncGroup(self._way, on_error)

    async def _start(self, request: RunTask) -> AsyncTask:
        accepted = await driven(self._way, steps.run(request, self._way.data_check(request)))
        if accepted.is_shared:
            self._way.held.claim(accepted.task_id)  # to its end: no group that asks for it, too, is to stop it
        return self._handle(accepted.task_id, request.agent)

    def _begun(self, task_id: str, agent: str) -> AsyncTask:
        """Return the handle of a task that these verbs have started."""
        return self._handle(task_id, agent)

    def _handle(self, task_id: str, agent: str) -> AsyncTask:
        """Return the handle of a task: the one that there is, if it is alive."""
        known = self._way.held.handle(task_id)
        return known if isinstance(known, AsyncTask) else AsyncTask(task_id, agent, self._way)


class AsyncGroup(AsyncVerbs):
    """Tasks that end with a block; see `Group`. Cancelled, as often as it may be, the block ends when they are gone."""

    def __init__(self, way: Way, on_error: OnGroupError) -> None:
        super().__init__(way)
        self._book = GroupBook(way, on_error)
        self._way = GroupWay(way, self._book)

    async def __aenter__(self) -> Self:
        self._book.check_open()
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            if error is None:
                try:
                    await self._executors_settled()
                    await driven(self._way, self._book.ended())
                except BaseException:
                    await self._end()
                    raise
            else:
                await self._end()
        finally:
            self._book.close()
        # What a block meets of a failure elsewhere in the group is not the news: the failure is.
        if error is None or isinstance(error, TaskStopped | RunError):
            failure = await driven(self._way, self._book.failure())
            if failure is not None:
                raise failure from error

    @property
    def tasks(self) -> Tasks:
        """Its tasks, oldest first."""
        return [self._handle(task_id, agent) for task_id, agent in list(self._book.agents.items())]

    def executor(self, max_workers: int | None = None, *, place: str | None = None) -> TaskExecutor:
        """As `AsyncVerbs.executor`. A block that ends as it should waits until all of its futures are settled."""
        executor = super().executor(max_workers, place=place)
        self._book.executors.append(executor)
        return executor

    async def list(self) -> TaskViews:
        """Return its tasks as they are now, oldest first; of their output only the end."""
        return [view for view in await super().list() if view.id in self._book.agents]

    async def wait(
        self,
        tasks: TaskRefs | None = None,
        *more: TaskRef,
        mode: Mode = "all",
        timeout: float | None = None,  # noqa: ASYNC109 - the supervisor keeps the time, in any event loop
    ) -> TaskViews:
        """As `AsyncVerbs.wait`; without tasks it waits for those of the group."""
        return await super().wait(self.tasks if tasks is None else tasks, *more, mode=mode, timeout=timeout)

    def events(
        self, tasks: Iterable[TaskRef] | None = None, *, since: str | None = None, limit: int = LIMIT
    ) -> AsyncEventStream:
        """As `AsyncVerbs.events`; without tasks those of the tasks that the group has started until now."""
        return super().events(self.tasks if tasks is None else tasks, since=since, limit=limit)

    async def stop(self, *tasks: TaskRefs) -> TaskViews:
        """Stop tasks of the group, without arguments all of them; see `Group.stop`."""
        if tasks:
            return await super().stop(*tasks)
        self._book.stop()
        return await driven(self._way, self._book.ended())

    async def _executors_settled(self) -> None:
        for executor in self._book.executors:
            settled: AsyncInbox[None] = AsyncInbox()
            executor.when_settled(functools.partial(settled.put, None))
            await settled.get()

    async def _end(self) -> None:
        """Stop all tasks, and wait until they are gone, whatever is cancelled meanwhile."""
        self._book.stop()
        await uncancelled(lambda: driven(self._way, self._book.ended()))

    async def _start(self, request: RunTask) -> AsyncTask:
        accepted = await driven(self._way, steps.run(request, self._way.data_check(request)))
        return self._begun(accepted.task_id, request.agent)

    def _begun(self, task_id: str, agent: str) -> AsyncTask:
        task = self._handle(task_id, agent)
        self._book.watch(task.id)
        return task
