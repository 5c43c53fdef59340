"""Blocking: the verbs for programs whose threads wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ..errors import RunError
from ..tasks.ends import TaskStopped
from ..tasks.messages import RunTask
from ..tasks.talk import SteerReceipt
from ..tasks.views import TaskView
from . import steps
from .blocking_starts import BlockingStarts
from .driving import drive
from .handle import QuestionRef, TaskRef, TaskRefs, id_of, ids_given, question_id
from .steps import Mode
from .streams import LIMIT, EventStream, events_of
from .task import Task
from .way import Way

if TYPE_CHECKING:
    from .executor import TaskExecutor
    from .groups import OnGroupError
    from .pieces import OnError

__all__ = ["BlockingVerbs", "Group"]

TaskViews: TypeAlias = list[TaskView]
Tasks: TypeAlias = "list[Task]"
"""These have names, as `list` is a method in what follows."""


class BlockingVerbs(BlockingStarts):
    """What a program asks, in blocking form, in any thread; raises RuntimeClosedError once the runtime is closed."""

    def list(self) -> TaskViews:
        """Return all tasks, oldest first; of their output only the end."""
        return drive(self._way, steps.list_tasks())

    def view(self, task: TaskRef) -> TaskView:
        """Return one task, with its output: of this run, or of an earlier one in the same state folder.

        One that is silent is looked at from outside, which takes a quarter of a second (`TaskView.silence`). Raises
        UnknownTaskError: there is no such task.
        """
        return drive(self._way, steps.view(id_of(task), self._way.past, closely=True))

    def wait(
        self, tasks: TaskRefs | None = None, *more: TaskRef, mode: Mode = "all", timeout: float | None = None
    ) -> TaskViews:
        """Wait until all, or any, of some tasks have ended, and return those that have, in the order given.

        Args:
            tasks: which, as a list, or one by one, with `more`; None is all there are now.
            more: see `tasks`.
            mode: wait for all of them, or for any.
            timeout: seconds to wait at most; then fewer are returned.

        Raises:
            UnknownTaskError: one of them is unknown.
        """
        return drive(self._way, steps.wait(None if tasks is None else ids_given(tasks, *more), mode, timeout))

    def stop(self, *tasks: TaskRefs) -> TaskViews:
        """Stop tasks, given one by one or as a list, and all that they have started; return them when it is gone.

        That is within the grace period and a second. A task that has ended is returned as it is. Raises
        UnknownTaskError: there is no such task; none is stopped then.
        """
        return drive(self._way, steps.stop(ids_given(*tasks)))

    def steer(self, task: TaskRef, message: str) -> SteerReceipt:
        """Say something to a task that has not ended; return what becomes of it, at once or within two seconds.

        An agent finds it between two turns of its model, also where that has just answered: then it goes on. A function
        gets it from `task.receive()`. A task that is restarted finds again what it had not taken. A message has up to
        100,000 characters.

        Raises:
            UnknownTaskError: there is no such task.
            RunError: it is a group; or has not taken 100 messages, or a million characters of them (CapacityError).
            TypeError, ValueError: the message is no text, or empty, or too long.
        """
        return drive(self._way, steps.steer(id_of(task), message))

    def answer(self, question: QuestionRef, text: str) -> None:
        """Answer a question that a task waits for; the task goes on.

        Args:
            question: a `Question` or its id, or a task that asks one thing only.
            text: the answer; to an approval one of its choices. A reason may follow `deny`, behind a colon.

        Raises:
            UnknownQuestionError: there is no such question, or it waits no more.
            RunError: the answer is none of the choices.
            TypeError: an argument has the wrong type.
        """
        drive(self._way, steps.answer(question_id(question), text))

    def events(
        self, tasks: Iterable[TaskRef] | None = None, *, since: str | None = None, limit: int = LIMIT
    ) -> EventStream:
        """Return a stream of what becomes of tasks: started, output, tool calls, ended. Each event has its `time`.

        Within a task, tool calls arrive in order, output arrives in order, and both precede its end. Their order
        relative to each other is not guaranteed. Iterating blocks until something happens.

        Args:
            tasks: whose events, from the first that is kept, also if it has ended; the stream ends with the last of
                them. Of what came before the first stream of this runtime was opened, tool calls are not kept. None:
                those of all tasks, from now on; the stream ends when it, or the runtime, is closed.
            since: the `cursor` of an event: the stream goes on behind it, without a loss and without a double, for the
                same tasks. Where that is not possible any more, it begins with `Lagged`. The latest 10,000 events are
                kept, 16 MB of them at most.
            limit: how many events may wait for whoever iterates; beyond, the oldest are lost, and `Lagged` says how
                many. What a task says is one event for as long as nobody has taken it.

        Raises:
            UnknownTaskError: there is no such task, or it is forgotten by now.
        """
        return EventStream(*events_of(self._way, tasks, since, limit))

    def map(
        self,
        work: Callable[[Any], Any] | str,
        items: Iterable[Any],
        *,
        concurrency: int | None = None,
        place: str | None = None,
        chunksize: int = 1,
        on_error: OnError = "raise",
        ordered: bool = True,
    ) -> Iterator[Any]:
        """Run a function, or an agent, for each of many items, and yield the results, as `Executor.map` does.

        Nothing runs before the first result is asked for, and items are taken only as there is room, which others may
        take meanwhile. What the items raise is raised after the results before it. When the iterator is closed or
        dropped, or an exception or an interrupt leaves the loop over it, what still runs is stopped.

        Args:
            work: a function of one argument (pickled once if it goes by value), or the name of an agent: a text is its
                task, all else its data.
            items: may be endless.
            concurrency: tasks at work at a time; None: as many as the runtime lets run.
            place: see `run` and `submit`.
            chunksize: items that a process works through before it is given more, for functions. One that is free
                takes the next chunk, unless tasks have limits.
            on_error: raise what a task has failed with, or yield it in place of its result: each item of a chunk then
                fails by itself, unless its process ends. An item that cannot be sent is yielded as its error.
            ordered: yield in the order of the items, or as they end.

        Raises:
            TaskFailed, TaskStopped: a task has failed, or was stopped by somebody else.
            TypeError, ValueError: the function, or an item, cannot be sent to a process, or an argument cannot be.
        """
        from .many import Pieces, results  # noqa: PLC0415 - for programs that have many

        pieces = Pieces(work, place=place, chunksize=chunksize, on_error=on_error)
        return results(self._way, pieces, items, concurrency=concurrency, ordered=ordered)

    def as_completed(self, tasks: Iterable[TaskRef], *, timeout: float | None = None) -> Iterator[Task]:
        """Yield tasks as they end, each once; their results are still to be read.

        Args:
            tasks: which.
            timeout: seconds from now, until which all must have ended; None: without end.

        Raises:
            TimeoutError: some have not ended in time; they go on.
            UnknownTaskError: one of them is unknown.
        """
        from .many import completed  # noqa: PLC0415 - for programs that have many

        return completed(self._way, tasks, timeout, Task)

    def executor(self, max_workers: int | None = None, *, place: str | None = None) -> TaskExecutor:
        """Return a `concurrent.futures.Executor` that calls each function in a process of its own.

        Args:
            max_workers: functions at work at a time; None: as many as the runtime lets run.
            place: name of the place where they run, as of `submit`. Where there is none of that name, the futures fail
                with RunError.

        Raises:
            TypeError, ValueError: an argument has the wrong type, or cannot be.
        """
        from .executor import TaskExecutor  # noqa: PLC0415 - for programs that want one

        return TaskExecutor(self._way, max_workers, place)

    def group(self, *, on_error: OnGroupError = "stop") -> Group:
        """Return a group: `with runtime.group() as group:`. The tasks that it starts end with the block.

        Args:
            on_error: when one of its tasks fails: stop the others, and raise its `TaskFailed` at the end of the block;
                or let them go on, and raise nothing.
        """
        return Group(self._way, on_error)


class Group(BlockingVerbs):
    """Tasks that end with a block; see `BlockingVerbs.group`.

    Its verbs start tasks of it, and `list` and `wait` know no others. A block that ends as it should waits for them.
    One that an exception or an interrupt leaves stops them, and waits until they are gone.
    """

    def __init__(self, way: Way, on_error: OnGroupError) -> None:
        super().__init__(way)
        from .groups import GroupBook, GroupWay  # noqa: PLC0415 - for programs that want one

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

    def executor(self, max_workers: int | None = None, *, place: str | None = None) -> TaskExecutor:
        """As `BlockingVerbs.executor`. A block that ends as it should waits until all of its futures are settled."""
        executor = super().executor(max_workers, place=place)
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
