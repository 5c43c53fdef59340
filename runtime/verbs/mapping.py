"""Mapping: a task for each of many items, some of them at a time, and their results. Who drives it waits; it does not.

Items are taken only as there is room, so that a million of them cost no memory, and no more results are kept than that.
A task is asked for without waiting for its id, so that to start the next costs no way there and back.
"""

from __future__ import annotations

import enum
import functools
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from ..errors import CapacityError, RuntimeClosedError
from ..tasks.calls import call_each, call_each_async
from ..tasks.ends import TaskFailed, TaskStopped
from ..tasks.messages import RunTask, TaskAccepted, ViewTask, WaitTasks
from ..tasks.views import TaskView
from ..team.callables import check_callable, label_of
from .arguments import check_choice, check_whole, several
from .inbox import InboxLike, ReplyInto
from .request import call_requests, run_request
from .steps import OUTPUT_OF_FAILED, result_of_view
from .way import Way, stop_unseen

__all__ = ["Mapping", "OnError", "outcomes_of", "requests_for"]

OnError: TypeAlias = Literal["raise", "collect"]

Request: TypeAlias = tuple[RunTask, int | None]
"""What to start, and for how many items; None: one, whose result is the task's own."""

_AHEAD: Final = 2
"""How many times as many items as may be at work are under way, with those whose turn to be given out has not come."""


class _State(enum.Enum):
    ASKED = enum.auto()
    RUNNING = enum.auto()
    ENDED = enum.auto()


class _Item:
    """One task of the mapping.

    Attributes:
        count: how many items it is for; None: one, whose result is the task's own.
        task_id: its id, once it is known.
        view: as it ended, once it has.
        error: with what it was refused, if it was.
        address: where the next reply about it goes.
        accepted: the reply with its id, in the thread that replies.
    """

    __slots__ = ("accepted", "address", "count", "error", "request", "state", "task_id", "view")

    def __init__(self, request: RunTask, count: int | None) -> None:
        self.request = request
        self.count = count
        self.state = _State.ASKED
        self.task_id = ""
        self.view: TaskView | None = None
        self.error: BaseException | None = None
        self.address: ReplyInto | None = None
        self.accepted: TaskAccepted | None = None


class Mapping:
    """One mapping. Its methods are called by one thread, or in one event loop.

    Args:
        way: to the supervisor.
        requests: what to start, in order; may be endless.
        inbox: takes replies, in any thread; each is to be given to `take`.
        concurrency: tasks at work at a time; None: as many as the runtime lets run.
        ordered: whether results are given out in the order of the items, or as they come.
    """

    def __init__(
        self,
        way: Way,
        requests: Iterator[Request],
        inbox: InboxLike[tuple[_Item, Any]],
        *,
        concurrency: int | None,
        ordered: bool,
    ) -> None:
        if concurrency is not None:
            check_whole("concurrency", concurrency)
        self._way = way
        self._requests = requests
        self._inbox = inbox
        self._most = concurrency if concurrency is not None else way.max_running
        # Where the runtime queues what cannot run yet, some wait there: the next starts as soon as one has ended.
        self._room = self._at_once = self._most if concurrency is not None else self._most * _AHEAD
        self._ordered = ordered
        self._line: deque[_Item] = deque()
        self._ended: deque[_Item] = deque()
        self._at_work = 0
        self._refused: deque[_Item] = deque()
        self._is_exhausted = False
        self._is_closed = False

    @property
    def is_over(self) -> bool:
        """Whether all items have been taken and given out."""
        return self._is_exhausted and not self._line and not self._ended

    def fill(self) -> None:
        """Start as many more as there is room for; raises what the items raise."""
        while self._at_work < self._at_once:
            if self._refused:
                item = self._refused.popleft()
            elif not self._is_exhausted and len(self._line) + len(self._ended) < self._at_once * _AHEAD:
                request = next(self._requests, None)
                if request is None:
                    self._is_exhausted = True
                    return
                item = _Item(*request)
                self._line.append(item)
            else:
                return
            self._at_work += 1
            self._ask(item, item.request)

    def take(self, arrived: tuple[_Item, Any]) -> None:
        """Take note of a reply."""
        item, reply = arrived
        match reply:
            case TaskAccepted(task_id):
                item.task_id, item.state = task_id, _State.RUNNING
                self._ask(item, WaitTasks([task_id], limit=0, peek=True))
            case CapacityError() if self._at_work > 1:
                # One of ours will make room.
                self._at_work -= 1
                self._at_once = max(1, self._at_work)
                self._refused.append(item)
            case BaseException() if item.view is not None:  # closed meanwhile: what is known of the end has to do
                self._end(item, view=item.view)
            case BaseException():
                self._end(item, error=reply)
            case TaskView():
                self._end(item, view=reply)
            case _ if reply.tasks[0].status == "completed":
                self._end(item, view=reply.tasks[0])
            case _:
                item.view = reply.tasks[0]
                self._ask(item, ViewTask(item.task_id, limit=OUTPUT_OF_FAILED, peek=True))

    def ready(self) -> Iterator[tuple[TaskView, int | None]]:
        """Yield how those ended that are to be given out now, and for how many items they are.

        Raises what one was refused with.
        """
        while (item := self._next()) is not None:
            if item.error is not None:
                raise item.error
            assert item.view is not None  # noqa: S101 - it has ended
            if self._way.acknowledges:
                self._way.acknowledge([item.task_id])
            yield item.view, item.count

    def close(self) -> None:
        """Stop what is at work, with one request; what is only being asked for is stopped when its id comes."""
        # Here this is set and a reply looked for, and in the thread that replies it is the other way round: at least
        # one of them finds both, and to stop a task twice does no harm.
        self._is_closed = True
        for item in self._line:
            if item.state is _State.RUNNING and item.address is not None:
                self._way.forget(item.address)
        known = [
            item.accepted.task_id for item in self._line if item.accepted is not None and item.state is not _State.ENDED
        ]
        if known:
            stop_unseen(self._way, known)

    def _ask(self, item: _Item, request: RunTask | WaitTasks | ViewTask) -> None:
        item.address = ReplyInto(lambda reply: self._arrived(item, reply))
        try:
            self._way.send(request, item.address)
        except RuntimeClosedError as error:
            self._inbox.put((item, error))

    def _arrived(self, item: _Item, reply: Any) -> None:
        """Hand a reply over. In the thread that replies."""
        if isinstance(reply, TaskAccepted):
            item.accepted = reply
            if self._is_closed:
                stop_unseen(self._way, [reply.task_id])
        self._inbox.put((item, reply))

    def _end(self, item: _Item, *, view: TaskView | None = None, error: BaseException | None = None) -> None:
        item.view, item.error, item.state = view, error, _State.ENDED
        self._at_work -= 1
        # Others may have had the room that was refused, and have it no longer.
        self._at_once = min(self._room, self._at_once + 1)
        if not self._ordered:
            self._line.remove(item)
            self._ended.append(item)

    def _next(self) -> _Item | None:
        if not self._ordered:
            return self._ended.popleft() if self._ended else None
        return self._line.popleft() if self._line and self._line[0].state is _State.ENDED else None


def requests_for(
    way: Way, work: Callable[..., Any] | str, items: Iterable[Any], chunksize: int, on_error: OnError
) -> Iterator[Request]:
    """Return what to start for items: an agent's task, or a call of a function, for each, or for some together.

    Args:
        way: to the supervisor.
        work: a function, or the name of an agent; an item that is no text is an agent's data, and its text as JSON.
        items: may be endless.
        chunksize: items of one task.
        on_error: is checked only, as the others.

    Raises:
        TypeError: an argument has the wrong type, or there is nothing to call.
        ValueError: an argument is out of its range.
    """
    check_choice("on_error", on_error, get_args(OnError))
    check_whole("chunksize", chunksize)
    if not isinstance(work, str):
        check_callable(work, "map")
    elif chunksize > 1:
        raise ValueError(f"chunksize is {chunksize}; it is 1 for an agent.")
    return _requests_for(work, several(items, "items"), chunksize, by_value=way.sends_code)


def _requests_for(
    work: Callable[..., Any] | str, items: Iterable[Any], chunksize: int, *, by_value: bool
) -> Iterator[Request]:
    if isinstance(work, str):
        for item in items:
            is_text = isinstance(item, str)
            task = run_request(work, item if is_text else "", None, None if is_text else item)
            yield (task if is_text else msgspec.structs.replace(task, task=task.data or "null")), None
        return
    name = label_of(work)
    if chunksize == 1:
        request = call_requests(work, name, by_value=by_value)
        for item in items:
            yield request(item), None
        return
    each = functools.partial(call_each_async if inspect.iscoroutinefunction(work) else call_each, work)
    request = call_requests(each, name, by_value=by_value)
    source = iter(items)
    while chunk := list(itertools.islice(source, chunksize)):
        yield request(chunk), len(chunk)


def outcomes_of(view: TaskView, count: int | None, on_error: OnError) -> list[Any]:
    """Return the results that a task has for its items; where it has none, raise why, or return that for each.

    Args:
        view: the task, as it ended.
        count: its items; None: one, whose result is the task's own.
        on_error: see `BlockingVerbs.map`.
    """
    try:
        result: Any = result_of_view(view)
    except (TaskFailed, TaskStopped) as error:
        if on_error == "raise":
            raise
        return [error] * (count or 1)
    return [result] if count is None else list(result)
