"""Event hub: numbers what becomes of tasks, keeps the latest of it, and hands it to any number of readers.

The supervisor and the I/O thread publish; they never wait for a reader. Output is not copied: an entry of output is a
range of the task's own files, which grows in place until a reader has taken it. All readers share the entries. Each has
a line of those that it wants and has not taken, with a bound on it; one that is behind loses the oldest.

Until the first reader comes, nothing is kept, nor numbered. What a task had said before then is in its files, what it
is stands in its record: whoever wants a task's events from the first gets these before what was kept, its backlog.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, assert_never
from weakref import WeakSet

from ..runs.output import OutputFiles
from ..runs.output_text import incomplete, leading
from ..tasks.events import (
    Event,
    Lagged,
    TaskCalledTool,
    TaskEnded,
    TaskGotToolAnswer,
    TaskProgress,
    TaskQueued,
    TaskStarted,
)
from ..tasks.messages import Progressed, ToolAnswered, ToolCalled
from ..tasks.views import iso_time
from .cursor import Position
from .reader import Entry, Reader

if TYPE_CHECKING:
    from .task import Task

__all__ = ["EventHub"]

_KEPT: Final = 10_000
"""Events that are kept for readers that come back."""

_KEPT_BYTES: Final = 16_000_000
"""Bytes of these."""


class _Said:
    """What has been told of one task's output.

    Attributes:
        end: up to which offset; behind a whole character.
        entry: the entry that may grow; None if there is none.
        begun: the bytes behind `end`, of a character that has begun.
    """

    __slots__ = ("begun", "end", "entry", "output")

    def __init__(self, output: OutputFiles, end: int) -> None:
        self.output = output
        self.end = end
        self.entry: Entry | None = None
        self.begun = b""


class EventHub:
    """See the module. Every method may be called from any thread and returns at once.

    Attributes:
        lock: held by whoever changes what is kept or waits, for microseconds. The supervisor holds it, too, while a
            task starts or gets its last status: whoever opens a stream finds that told, or still to come.
        is_recording: whether anybody has ever opened a stream; until then there is nothing to publish for.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_recording = False
        self._token = os.urandom(4).hex()
        self._last = 0
        self._kept: deque[Entry] = deque()
        self._kept_bytes = 0
        self._said: dict[str, _Said] = {}
        # By the task that they follow, None for those that follow all. A reader that its program has dropped is gone.
        self._readers: dict[str | None, WeakSet[Reader]] = {}
        self._closed = False

    # --- readers ----------------------------------------------------------------------------------------------------

    def open(self, tasks: Sequence[Task] | None = None, since: str | None = None, limit: int = _KEPT) -> Reader:
        """Return a reader of events; it has ended if the hub is closed.

        Args:
            tasks: whose events it wants, from the first that is kept; it ends with the last of them. None: those of
                all tasks, from now on.
            since: a cursor: from there on, in place of the above.
            limit: how many may wait for it; beyond, the oldest are lost.
        """
        with self.lock:
            reader = self._reader(tasks, limit)
            position, lost = self._begin(tasks, since)
            entries = self._kept_from(position, tasks)
            offset = position.offset
            if not entries or entries[0].event is not None or entries[0].position_at(0)[:2] != position[:2]:
                offset = None  # what it had begun is not among them
            if lost is not None:
                entries.insert(0, Entry("", Lagged(missed=lost, cursor=position.text(self._token))))
            reader.replay(entries, offset)
            return reader

    def follow(self, task: Task) -> Reader:
        """Return a reader that tells when something becomes of a task from now on; it has ended if the task has."""
        with self.lock:
            return self._reader([task], 1)

    def _reader(self, tasks: Iterable[Task] | None, limit: int) -> Reader:
        self.is_recording = True
        for said in self._said.values():
            said.entry = None  # what grows from now on is new to this reader
        unfinished = None if tasks is None else {task.id for task in tasks if not task.is_over}
        reader = Reader(self.lock, self._token, limit, unfinished)
        if self._closed:
            reader.close()
        else:
            for key in [None] if unfinished is None else unfinished:
                self._readers.setdefault(key, WeakSet()).add(reader)
        return reader

    def _begin(self, tasks: Sequence[Task] | None, since: str | None) -> tuple[Position, int | None]:
        """Return where a reader begins, and how many events it has missed; None: none."""
        first = self._kept[0].number if self._kept else self._last + 1
        if since is None:
            return (Position(self._last) if tasks is None else Position(first - 1, step=0)), None
        position = Position.of(since, self._token)
        if position is None or position.number > self._last:
            return Position(first - 1, step=None if tasks is None else 0), 0
        if position.number < first - 1:
            return Position(first - 1), first - 1 - position.number
        return position, None

    def _kept_from(self, position: Position, tasks: Sequence[Task] | None) -> list[Entry]:
        """Return what is kept from a position on."""
        first = self._kept[0].number if self._kept else self._last + 1
        wanted = None if tasks is None else {task.id for task in tasks}
        kept = [
            entry
            for entry in itertools.islice(self._kept, position.number + 1 - first, None)
            if wanted is None or entry.task_id in wanted
        ]
        if tasks is None or position.step is None:
            return kept
        return [*self._backlog(tasks, kept, position.number)[position.step :], *kept]

    def _backlog(self, tasks: Iterable[Task], kept: Iterable[Entry], number: int) -> list[Entry]:
        """Return what became of tasks before what is kept of them from a number on.

        It is the same whenever it is asked for with the same tasks and number, as long as that is kept.
        """
        starts: dict[str, int] = {}
        told: set[tuple[str, type]] = set()
        for entry in kept:
            if entry.event is None:
                starts.setdefault(entry.task_id, entry.start)
            told.add((entry.task_id, type(entry.event)))
        entries = []
        for task in sorted(tasks, key=lambda task: task.number):
            if task.queued_at is not None and (task.id, TaskQueued) not in told:
                entries.append(Entry(task.id, functools.partial(_as_now, TaskQueued, task, task.queued_at)))
            if task.is_told and (task.id, TaskStarted) not in told:
                entries.append(Entry(task.id, functools.partial(_as_now, TaskStarted, task, task.started_at)))
            end = starts[task.id] if task.id in starts else self._told_of(task).end
            if end:
                entries.append(Entry(task.id, None, task.output, 0, end))
                entries[-1].came = task.started_at  # or later: nobody has looked at the clock
            if task.is_over and (task.id, TaskEnded) not in told:
                entries.append(
                    Entry(task.id, functools.partial(_as_now, TaskEnded, task, task.ended_at or task.started_at))
                )
        for step, entry in enumerate(entries, 1):
            entry.number, entry.step = number, step
        return entries

    def _told_of(self, task: Task) -> _Said:
        """Return what has been told of a task's output; of one that was not looked at, all that is there now."""
        said = self._said.get(task.id)
        if said is None:
            size = task.output.size
            said = _Said(task.output, size)
            if not task.is_over:
                tail = task.output.read_from(max(0, size - 3)).data[: min(3, size)]
                said.begun = tail[len(tail) - incomplete(tail) :]
                said.end -= len(said.begun)
                self._said[task.id] = said
        return said

    # --- what is published ------------------------------------------------------------------------------------------

    def tell(self, make: Callable[[], Event]) -> None:
        """Publish an event, which is made if there is anybody to publish for: to look at a task takes long."""
        if self.is_recording:
            self.publish(make())

    def report(self, task: Task, report: ToolCalled | ToolAnswered | Progressed) -> None:
        """Tell of what a task has reported of itself."""
        match report:
            case ToolCalled(_, name, arguments):
                self.publish(TaskCalledTool(task.id, name, arguments))
            case ToolAnswered(_, name, text, is_error):
                self.publish(TaskGotToolAnswer(task.id, name, text, is_error))
            case Progressed(progress):
                task.progress = progress
                self.publish(TaskProgress(task.id, progress))
            case _:
                assert_never(report)

    def publish(self, event: Event) -> None:
        """Give an event to every reader that wants it."""
        if not self.is_recording or isinstance(event, Lagged):
            return
        with self.lock:
            task_id = event.task.id if hasattr(event, "task") else event.task_id
            if not isinstance(event, TaskEnded):
                self._add(Entry(task_id, event))
                return
            said = self._said.pop(task_id, None)
            if said is not None and said.output.size > said.end:  # half a character, that nothing came after
                self._add(Entry(task_id, None, said.output, said.end, said.output.size))
            self._add(Entry(task_id, event))
            self._readers.pop(task_id, None)

    def output(self, task_id: str, output: OutputFiles, data: bytes) -> None:
        """Tell every reader that wants it that a task's output has grown, by some data. For the I/O thread only."""
        if not self.is_recording or not data:
            return
        with self.lock:
            said = self._said.get(task_id)
            if said is None:
                said = self._said[task_id] = _Said(output, output.size - len(data) + leading(data))
            tail = data[-3:] if len(data) > 2 else (said.begun + data)[-3:]  # noqa: PLR2004 - a character has four
            begun = incomplete(tail)
            said.begun = tail[-begun:] if begun else b""
            end = output.size - begun
            if end <= said.end:
                return
            entry = said.entry
            if entry is None or entry.is_taken:
                said.entry = Entry(task_id, None, output, said.end, end)
                self._add(said.entry)
            else:
                entry.end = end
            said.end = end

    def _add(self, entry: Entry) -> None:
        self._last += 1
        entry.number = self._last
        if entry.event is not None and not callable(entry.event):
            entry.mark(entry.event, self._token)
        self._kept.append(entry)
        self._kept_bytes += entry.size
        while len(self._kept) > _KEPT or (self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1):
            self._kept_bytes -= self._kept.popleft().size
        for key in (None, entry.task_id):
            for reader in self._readers.get(key, ()):
                reader.add(entry)

    def close(self) -> None:
        """End every reader; what has been published can still be read."""
        with self.lock:
            self._closed = True
            readers = [reader for those in self._readers.values() for reader in those]
            self._readers.clear()
            self._said.clear()
            for reader in readers:
                reader.close()


def _as_now(kind: type[TaskQueued | TaskStarted | TaskEnded], task: Task, came: float) -> Event:
    """Return what became of a task before anybody looked: an event of then, with the task as it is now."""
    return kind(task.view(output=False), time=iso_time(came))
