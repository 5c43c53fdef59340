"""Mapping: a task for each of many items, some of them at a time, and their results. Who drives it waits; it does not.

Items are taken only as there is room, so that a million of them cost no memory, and no more results are kept than that.
A task is asked for without waiting for its id, so that to start the next costs no way there and back.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from ..errors import CapacityError, UnreadResultsError
from ..tasks.messages import RunTask, TaskAccepted, ViewTask, WaitTasks
from ..tasks.views import TaskList, TaskView
from .arguments import check_whole
from .inbox import InboxLike, ReplyInto
from .pieces import OnError, Piece, outcomes_of
from .steps import OUTPUT_OF_FAILED
from .way import Way, stop_unseen

__all__ = ["Arrived", "Item", "Mapping"]

_AHEAD: Final = 2
"""How many times as many items as may be at work are under way, with those whose turn to be given out has not come."""


class _State(enum.Enum):
    ASKED = enum.auto()
    RUNNING = enum.auto()
    ENDED = enum.auto()


class Item:
    """What one task of the mapping is for: an item of the program's, or a chunk of them.

    Attributes:
        request: what to start; an error in its place: it cannot be.
        count: how many items it is for; None: one, whose result is the task's own.
        task_id: its id, once it is known.
        view: as it ended, once it has.
        error: with what it was refused, if it was.
        address: where the next reply about it goes.
        accepted: the reply with its id, in the thread that replies.
    """

    __slots__ = ("accepted", "address", "count", "error", "request", "state", "task_id", "view")

    def __init__(self, request: RunTask | Exception, count: int | None) -> None:
        self.request = request
        self.count = count
        self.state = _State.ASKED
        self.task_id = ""
        self.view: TaskView | None = None
        self.error: BaseException | None = None
        self.address: ReplyInto | None = None
        self.accepted: TaskAccepted | None = None


Arrived: TypeAlias = tuple[Item | None, Any]
"""A reply about an item; without an item, news that something may be started."""


class Mapping:
    """One mapping. Its methods are called by one thread, or in one event loop.

    Args:
        way: to the supervisor.
        pieces: what to start, in order; may be endless.
        inbox: takes replies, in any thread; each is to be given to `take`.
        on_error: see `BlockingVerbs.map`.
        concurrency: tasks at work at a time; None: as many as the runtime lets run.
        ordered: whether results are given out in the order of the items, or as they come.
    """

    def __init__(
        self,
        way: Way,
        pieces: Iterator[Piece],
        inbox: InboxLike[Arrived],
        *,
        on_error: OnError,
        concurrency: int | None,
        ordered: bool,
    ) -> None:
        if concurrency is not None:
            check_whole("concurrency", concurrency)
        self._way = way
        self._pieces = pieces
        self._inbox = inbox
        self._on_error = on_error
        self._most = concurrency if concurrency is not None else way.max_running
        # Where the runtime queues what cannot run yet, some wait there: the next starts as soon as one has ended.
        self._room = self._at_once = self._most if concurrency is not None else self._most * _AHEAD
        self._ordered = ordered
        self._line: deque[Item] = deque()
        self._ended: deque[Item] = deque()
        self._at_work = 0
        self._refused: deque[Item] = deque()
        self._is_exhausted = False
        self._broken: Exception | None = None
        self._is_closed = False

    @property
    def is_over(self) -> bool:
        """Whether all items have been taken and given out, or the mapping is closed."""
        return self._is_closed or (self._is_exhausted and not self._line and not self._ended)

    def fill(self) -> None:
        """Start as many more as there is room for. What taking an item raises is raised after all results before it."""
        while self._at_work < self._at_once and not self._is_closed:
            item = self._refused.popleft() if self._refused else self._next_taken()
            if item is None:
                return
            self._at_work += 1
            if isinstance(item.request, RunTask):
                self._ask(item, item.request)
            else:
                self._end(item, error=item.request)

    def _next_taken(self) -> Item | None:
        if self._is_exhausted or len(self._line) + len(self._ended) >= self._at_once * _AHEAD:
            return None
        try:
            request, count = next(self._pieces)
        except StopIteration:
            self._is_exhausted = True
            return None
        except Exception as error:  # noqa: BLE001 - of the program's own iterator; it is raised to whoever iterates
            self._is_exhausted, self._broken = True, error
            return None
        if request is None:
            return None  # it comes later
        item = Item(request, count)
        self._line.append(item)
        return item

    def take(self, arrived: Arrived) -> None:
        """Take note of a reply."""
        item, reply = arrived
        if item is None:
            self._at_once = max(1, self._at_once)
            return
        match reply:
            case CapacityError() if self._may_wait(reply):
                self._put_back(item)
            case BaseException() if item.view is not None:  # closed meanwhile: what is known of the end has to do
                self._end(item, view=item.view)
            case BaseException():
                self._end(item, error=reply)
            case _:
                self._end(item, view=reply)

    def ready(self) -> list[Any] | None:
        """Return the outcomes for the items of the task that is to be given out now; None if there is none now.

        Raises what one was refused or has failed with, where that is not collected, and at last what the items raised.
        """
        item = self._next()
        if item is None:
            if self._broken is not None and not self._line and not self._ended:
                raise self._broken
            return None
        if item.error is not None:
            # Of the item itself: it cannot be sent, or is no task.
            if self._on_error == "collect" and isinstance(item.error, TypeError | ValueError):
                return [item.error] * (item.count or 1)
            raise item.error
        assert item.view is not None  # noqa: S101 - it has ended
        if item.view.result_file:
            self._acknowledge(item.task_id)
        return outcomes_of(item.view, item.count, self._on_error)

    def _may_wait(self, error: CapacityError) -> bool:
        """Whether there may be room some time. A task may hold what it waits for itself."""
        if self._at_work > 1:
            return True  # one of ours will make room
        return self._way.waits_for_room and not isinstance(error, UnreadResultsError)

    def _put_back(self, item: Item) -> None:
        """Ask for it again when one of ours has ended, or after a while."""
        self._at_work -= 1
        self._at_once = self._at_work
        self._refused.append(item)
        if not self._at_work:
            self._way.ask_again(lambda: self._inbox.put((None, None)))

    def close(self) -> None:
        """Stop what is at work, with one request; what is only being asked for is stopped when its id comes."""
        # Here this is set and a reply looked for, and in the thread that replies it is the other way round: at least
        # one of them finds both, and to stop a task twice does no harm.
        self._is_closed = True
        unfinished = self._give_up()
        if unfinished:
            stop_unseen(self._way, unfinished)
        for item in [*self._line, *self._ended]:
            if item.view is not None and item.view.result_file:
                self._acknowledge(item.task_id)
            item.address = None  # as at its end

    def _give_up(self) -> list[str]:
        """Have no end told any more of what is at work; return the ids of those that are to be stopped."""
        for item in self._line:
            if item.state is _State.RUNNING and item.address is not None:
                self._way.forget(item.address)
        return [
            item.accepted.task_id for item in self._line if item.accepted is not None and item.state is not _State.ENDED
        ]

    def _ask(self, item: Item, request: RunTask | WaitTasks | ViewTask) -> None:
        item.address = ReplyInto(lambda reply: self._arrived(item, reply))
        try:
            self._way.send(request, item.address)
        except Exception as error:  # noqa: BLE001 - closed, or no task can be like this: raised in its turn
            self._inbox.put((item, error))

    def _arrived(self, item: Item, reply: Any) -> None:
        """Ask on, or hand over what has come at last. In the thread that replies.

        This waits for no consumer: a task that has ended takes up no room of unread ones, however long nobody asks for
        the next result. One whose result is in a file does, as that goes when the task is forgotten.
        """
        match reply:
            case TaskAccepted(task_id):
                item.task_id, item.accepted, item.state = task_id, reply, _State.RUNNING
                if self._is_closed:
                    stop_unseen(self._way, [task_id])
                else:
                    self._ask(item, WaitTasks([task_id], limit=0, peek=True))
                return
            case TaskList(tasks=[view]):
                item.view = reply = view
                if view.status != "completed" and not self._is_closed:
                    self._ask(item, ViewTask(view.id, limit=OUTPUT_OF_FAILED, peek=True))
                    return
            case _:
                pass  # an error, or the view of a task that has no result
        if isinstance(reply, TaskView) and not reply.result_file:
            self._acknowledge(reply.id)
        self._inbox.put((item, reply))

    def _acknowledge(self, task_id: str) -> None:
        if self._way.acknowledges:
            self._way.acknowledge([task_id])

    def _end(self, item: Item, *, view: TaskView | None = None, error: BaseException | None = None) -> None:
        item.view, item.error, item.state = view, error, _State.ENDED
        item.address = None  # it refers back to the item, and would have it wait for the collector
        self._give_room()
        if not self._ordered:
            self._line.remove(item)
            self._ended.append(item)

    def _give_room(self) -> None:
        self._at_work -= 1
        # Others may have had the room that was refused, and have it no longer.
        self._at_once = min(self._room, self._at_once + 1)

    def _next(self) -> Item | None:
        if not self._ordered:
            return self._ended.popleft() if self._ended else None
        return self._line.popleft() if self._line and self._line[0].state is _State.ENDED else None
