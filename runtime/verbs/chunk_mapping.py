"""Chunk mapping: a mapping whose tasks work through one chunk after the other; see `tasks/next_chunk`.

A process is started for a chunk where no other of the mapping is free, and where those that there are would take longer
for what waits than a start does. So short chunks go through a few processes, and long ones through as many as may run.
"""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from ..errors import CapacityError
from ..tasks.gateway import Nobody
from ..tasks.messages import Request, RunTask, TaskAccepted, WaitTasks
from ..tasks.next_chunk import AwaitChunk, ChunkDone
from ..tasks.views import TaskList
from .inbox import InboxLike, ReplyInto
from .mapping import Arrived, Item, Mapping
from .pieces import Piece, Pieces
from .way import Way, stop_unseen

__all__ = ["mapping_of"]

_STARTS: Final = max(2, len(os.sched_getaffinity(0)))
"""Processes that are started at a time, at most: they share the cores until they have begun."""

_START: Final = 0.01
"""Seconds that a start takes, and takes from what is at work."""


_Chunk: TypeAlias = tuple[Item, RunTask]
"""A chunk, and the request for a task that begins with it."""


class _Worker:
    """One task of the mapping.

    Attributes:
        chunk: what it works through; None: it has nothing to do.
        task_id: its id, once it is known.
        has_begun: whether its process has.
        since: when it began with its chunk (`time.monotonic`).
        address: where the word of its end goes.
    """

    __slots__ = ("address", "chunk", "has_begun", "since", "task_id")

    def __init__(self, chunk: _Chunk) -> None:
        self.chunk: _Chunk | None = chunk
        self.task_id = ""
        self.has_begun = False
        self.since = 0.0
        self.address: ReplyInto | None = None


def mapping_of(
    way: Way,
    wanted: Pieces,
    pieces: Iterator[Piece],
    inbox: InboxLike[Arrived],
    *,
    concurrency: int | None,
    ordered: bool,
) -> Mapping:
    """Return a mapping that has not begun; see `Mapping`."""
    kind = _ChunkMapping if wanted.chunksize > 1 else Mapping
    return kind(way, pieces, inbox, on_error=wanted.on_error, concurrency=concurrency, ordered=ordered)


class _ChunkMapping(Mapping):
    """See the module, and `Mapping`. Behind the lock is what whoever iterates and the thread that replies change."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._room = self._at_once = self._most
        self._lock = threading.Lock()
        self._prepared: deque[_Chunk] = deque()
        self._workers: dict[_Worker, None] = {}
        self._free: deque[_Worker] = deque()
        self._starting = 0
        self._pace = math.inf  # seconds that the shortest chunk has taken
        self._is_asking = False

    @property
    def is_over(self) -> bool:
        """See `Mapping`: when all results are given out, the last tasks may still be ending."""
        return super().is_over and (self._is_closed or not self._workers)

    def fill(self) -> None:
        """See `Mapping`."""
        while not self._is_closed and (item := self._next_taken()) is not None:
            if isinstance(item.request, RunTask):
                with self._lock:
                    self._prepared.append((item, item.request))
            else:
                self._end(item, error=item.request)
        self._go_on()

    def take(self, arrived: Arrived) -> None:
        """See `Mapping`; without an item it only wakes whoever iterates."""
        if arrived[0] is not None:
            super().take(arrived)

    def _may_wait(self, error: CapacityError) -> bool:
        """See `Mapping`; what may wait never gets as far as whoever iterates."""
        del error
        return False

    def _give_room(self) -> None:
        """See `Mapping`; here it is a task that gives it."""

    def _give_up(self) -> list[str]:
        """See `Mapping`. What has nothing to do is let end."""
        with self._lock:
            busy = [worker for worker in self._workers if worker.chunk is not None and worker.task_id]
            free, self._free = self._free, deque()
        for worker in free:
            self._let_end(worker)
        for worker in busy:
            if worker.address is not None:
                self._way.forget(worker.address)
                worker.address = None
        return [worker.task_id for worker in busy]

    # --- in any thread ----------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Do all that can be done now."""
        while (step := self._step()) is not None:
            step()

    def _step(self) -> Callable[[], None] | None:
        """Return what is to be done next: give a chunk to a task that is free, start one, or let one end."""
        with self._lock:
            if self._is_closed:
                return None
            if self._prepared and self._free:
                worker, worker.chunk = self._free.popleft(), self._prepared.popleft()
                worker.since = time.monotonic()
                return functools.partial(self._give, worker, *worker.chunk)
            if self._prepared and self._is_room() and self._pays_to_start():
                chunk = self._prepared.popleft()
                # One waits in the queue if it must, and no other while that goes on with more.
                request = msgspec.structs.replace(chunk[1], may_queue=not self._workers)
                worker = _Worker(chunk)
                self._workers[worker] = None
                self._starting += 1
                return functools.partial(self._start, worker, request)
            if self._free and self._is_exhausted:
                return functools.partial(self._let_end, self._free.popleft())
            return None

    def _is_room(self) -> bool:
        """Whether another task may be started, as far as is known; looks again later. Behind the lock."""
        if self._at_once < self._room:
            self._ask_again()
        return len(self._workers) < self._at_once

    def _pays_to_start(self) -> bool:
        """Whether to start another task. Behind the lock."""
        busy = len(self._busy_since())
        if self._starting >= max(1, min(busy, _STARTS)):
            return False  # there is more to do when that has begun
        if not self._is_exhausted or len(self._prepared) * self._pace >= busy * _START:
            return True
        self._ask_again()
        return False

    def _busy_since(self) -> list[float]:
        return [worker.since for worker in self._workers if worker.has_begun and worker.chunk is not None]

    def _ask_again(self) -> None:
        """Look again after a while. Behind the lock."""
        if not self._is_asking:
            self._is_asking = True
            self._way.ask_again(self._try_again)

    def _start(self, worker: _Worker, request: RunTask) -> None:
        self._send(request, worker, lambda reply: self._accepted(worker, reply))

    def _give(self, worker: _Worker, item: Item, request: RunTask) -> None:
        item.task_id = worker.task_id
        self._await(worker, request.call)

    def _await(self, worker: _Worker, call: bytes = b"") -> None:
        request = AwaitChunk(worker.task_id, call, has_begun=worker.has_begun)
        self._send(request, worker, lambda reply: self._heard(worker, reply))

    def _let_end(self, worker: _Worker) -> None:
        self._send(AwaitChunk(worker.task_id, is_last=True), worker, None)

    def _send(self, request: Request[Any], worker: _Worker, reply: Callable[[Any], object] | None) -> None:
        try:
            self._way.send(request, ReplyInto(reply) if reply is not None else Nobody())
        except Exception as error:  # noqa: BLE001 - closed, or no task can be like this: raised in its turn
            self._gone(worker, error)

    # --- in the thread that replies ---------------------------------------------------------------------------------

    def _accepted(self, worker: _Worker, reply: TaskAccepted | BaseException) -> None:
        if isinstance(reply, BaseException):
            self._turned_down(worker, reply)
            return
        with self._lock:
            worker.task_id = reply.task_id
            is_closed = self._is_closed
            if worker.chunk is not None:
                worker.chunk[0].task_id = reply.task_id
        if is_closed:
            stop_unseen(self._way, [reply.task_id])
            return
        worker.address = ReplyInto(lambda reply: self._gone(worker, reply))
        try:
            self._way.send(WaitTasks([reply.task_id], limit=0, peek=True), worker.address)
        except Exception as error:  # noqa: BLE001 - closed meanwhile: raised in its turn
            self._gone(worker, error)
            return
        self._await(worker)

    def _turned_down(self, worker: _Worker, error: BaseException) -> None:
        """Have its chunk wait for a task that is free, or for room, and ask for room again after a while."""
        with self._lock:
            chunk = self._forget(worker)
            others = len(self._workers)
            may_wait = isinstance(error, CapacityError) and (others or super()._may_wait(error))
            if may_wait and chunk is not None:
                self._prepared.appendleft(chunk)
                self._at_once = others
                self._ask_again()
        if not may_wait and chunk is not None:
            self._inbox.put((chunk[0], error))
        self._go_on()

    def _try_again(self) -> None:
        """Others may have had the room that was refused, and what is at work may take longer than what was before.

        In a thread that must not be held up.
        """
        with self._lock:
            self._is_asking = False
            self._at_once = min(self._room, max(self._at_once, len(self._workers) + 1))
            if since := self._busy_since():
                self._pace = max(self._pace, time.monotonic() - max(since))
        self._go_on()

    def _heard(self, worker: _Worker, reply: ChunkDone | BaseException) -> None:
        if isinstance(reply, BaseException):
            return  # the word of its end is on its way
        is_over = reply.view is not None or reply.is_refused
        with self._lock:
            if worker not in self._workers or (worker.has_begun and not is_over):
                return  # it has ended, or is about to
            now = time.monotonic()
            if not worker.has_begun:
                worker.has_begun, worker.since = True, now
                self._starting -= 1
            elif reply.view is not None:
                self._pace = min(self._pace, now - worker.since)
            chunk = worker.chunk
            if is_over:
                worker.chunk = None
            if reply.view is not None:
                self._free.append(worker)
            elif is_over and chunk is not None:
                self._prepared.appendleft(chunk)
        if not is_over:
            self._await(worker)
        elif reply.view is not None and chunk is not None:
            self._inbox.put((chunk[0], reply.view))
        self._go_on()

    def _gone(self, worker: _Worker, reply: TaskList | BaseException) -> None:
        """Take note of the end of a task. Of one that was free nobody wants to know more."""
        with self._lock:
            if worker not in self._workers:
                return
            chunk = self._forget(worker)
            self._at_once = min(self._room, self._at_once + 1)
        if chunk is not None:
            self._arrived(chunk[0], reply)
        else:
            self._acknowledge(worker.task_id)
            self._inbox.put((None, None))
        self._go_on()

    def _forget(self, worker: _Worker) -> _Chunk | None:
        """Let a task be none of the mapping any more; return what it was at. Behind the lock."""
        del self._workers[worker]
        if worker in self._free:
            self._free.remove(worker)
        if not worker.has_begun:
            self._starting -= 1
        chunk, worker.chunk = worker.chunk, None
        worker.address = None  # as it refers back to the worker
        return chunk
