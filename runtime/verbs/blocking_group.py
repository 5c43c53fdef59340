"""Blocking group: tasks that end with a block, for programs whose threads wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from ..errors import RunError
from ..tasks.ends import TaskStopped
from ..tasks.messages import RunTask
from . import steps
from .blocking import BlockingVerbs, Tasks, TaskViews
from .driving import drive
from .groups import GroupBook, GroupWay
from .handle import TaskRef, TaskRefs
from .steps import Mode
from .streams import LIMIT, EventStream
from .task import Task
from .way import Way

if TYPE_CHECKING:
    from .executor import TaskExecutor
    from .groups import OnGroupError

__all__ = ["Group"]


class Group(BlockingVerbs):
    """Tasks that end with a block; see `BlockingVerbs.group`.

    Its verbs start tasks of it, and `list` and `wait` know no others. A block that ends as it should waits for them.
    One that an exception or an interrupt leaves stops them, and waits until they are gone.
    """

    def __init__(self, way: Way, on_error: OnGroupError) -> None:
        super().__init__(way)
        self._book = GroupBook(way, on_error)
        self._way = GroupWay(way, self._book)

    def __enter__(self) -> Self:
        self._book.check_open()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None:
            self._book.stop()
        try:
            if error is None:
                for executor in self._book.executors:
                    executor.shutdown()
            drive(self._way, self._book.ended())
        except BaseException:
            self._book.stop()
            drive(self._way, self._book.ended())
            raise
        finally:
            self._book.close()
        # What a block meets of a failure elsewhere in the group is not the news: the failure is.
        if error is None or isinstance(error, TaskStopped | RunError):
            failure = drive(self._way, self._book.failure())
            if failure is not None:
                raise failure from error

    @property
    def tasks(self) -> Tasks:
        """Its tasks, oldest first."""
        return [self._handle(task_id, agent) for task_id, agent in list(self._book.agents.items())]

    def executor(self, max_workers: int | None = None) -> TaskExecutor:
        """As `BlockingVerbs.executor`. A block that ends as it should waits until all of its futures are settled."""
        executor = super().executor(max_workers)
        self._book.executors.append(executor)
        return executor

    def list(self) -> TaskViews:
        """Return its tasks as they are now, oldest first; of their output only the end."""
        return [view for view in super().list() if view.id in self._book.agents]

    def wait(
        self, tasks: TaskRefs | None = None, *more: TaskRef, mode: Mode = "all", timeout: float | None = None
    ) -> TaskViews:
        """As `BlockingVerbs.wait`; without tasks it waits for those of the group."""
        return super().wait(self.tasks if tasks is None else tasks, *more, mode=mode, timeout=timeout)

    def events(
        self, tasks: Iterable[TaskRef] | None = None, *, since: str | None = None, limit: int = LIMIT
    ) -> EventStream:
        """As `BlockingVerbs.events`; without tasks those of the tasks that the group has started until now."""
        return super().events(self.tasks if tasks is None else tasks, since=since, limit=limit)

    def stop(self, *tasks: TaskRefs) -> TaskViews:
        """Stop tasks of the group, without arguments all of them, and return when they are gone.

        A group of which all are stopped starts no more.
        """
        if tasks:
            return super().stop(*tasks)
        self._book.stop()
        return drive(self._way, self._book.ended())

    def _start(self, request: RunTask) -> Task:
        accepted = drive(self._way, steps.run(request, self._way.data_check(request)))
        return self._begun(accepted.task_id, request.agent)

    def _begun(self, task_id: str, agent: str) -> Task:
        task = self._handle(task_id, agent)
        self._book.watch(task.id)
        return task
