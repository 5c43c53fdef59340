"""Reader: one reader's line of events. The core of every stream, blocking and awaited.

It waits for nothing: `take` returns what is there, and `arm` has a function called when there is more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import RLock
from typing import Final

import msgspec

from ..runs.output import OutputFiles
from ..runs.output_text import read_text
from ..tasks.events import Event, Lagged, TaskEnded, TaskOutput
from ..tasks.views import TaskView, iso_time
from .cursor import Position

__all__ = ["Entry", "Reader", "Speech"]

_WAITING_BYTES: Final = 16_000_000
"""Bytes of events that wait for one reader at most; most of them wait for others, too, and are there once."""

_ENTRY_SIZE: Final = 1_000
"""About how many bytes an entry takes, beside the texts in its event."""


class Entry:
    """An event, or a range of a task's output.

    Attributes:
        task_id: the task that it is of.
        event: the event, or what makes it: whoever takes it does that, without the hub's lock. None: it is output.
        output: where the output is.
        start: the offset at which it begins.
        end: the offset behind it; it grows until the entry is taken.
        came: when it was made, in seconds since the epoch.
        is_taken: whether a reader has taken it, or lost it.
        number: its number; of one of a backlog, that of the event before it.
        step: its place in the backlog, from 1 on; None: it is not part of one.
        size: about how many bytes it takes.
    """

    __slots__ = ("came", "end", "event", "is_taken", "number", "output", "size", "start", "step", "task_id")

    def __init__(
        self,
        task_id: str,
        event: Event | Callable[[], Event] | None,
        output: OutputFiles | None = None,
        start: int = 0,
        end: int = 0,
    ) -> None:
        self.task_id = task_id
        self.event = event
        self.output = output
        self.start = start
        self.end = end
        self.came = time.time()
        self.is_taken = False
        self.number = 0
        self.step: int | None = None
        self.size = _ENTRY_SIZE + _texts(event)

    def position(self) -> Position:
        """Return the place behind it."""
        return Position(self.number, self.step)

    def position_at(self, offset: int) -> Position:
        """Return the place behind a part of it, which is output."""
        if self.step is not None:
            return Position(self.number, self.step - 1, offset)
        return Position(self.number - 1, None, offset)

    def told(self, token: str) -> Event | None:
        """Return the event; None if it is output."""
        if not callable(self.event):
            return self.event
        event = self.event()
        self.mark(event, token)
        return event

    def mark(self, event: Event, token: str) -> None:
        """Write the cursor into the event: once, before anybody has it, as a copy for each reader would cost more."""
        msgspec.structs.force_setattr(event, "cursor", self.position().text(token))

    def goes_on_in(self, other: Entry) -> bool:
        """Whether another is output of the same task that is right behind this one."""
        return other.event is None and other.task_id == self.task_id and other.start == self.end

    def joined(self, other: Entry) -> Entry:
        """Return all output from this to another, with nothing missing between, as one that ends as the other does."""
        entry = Entry(self.task_id, None, self.output, self.start, other.end)
        entry.came, entry.number, entry.step = self.came, other.number, other.step
        return entry


class Reader:
    """See the module. One thread, or one event loop, takes; any thread adds.

    Args:
        lock: the hub's.
        token: the run's, for cursors.
        limit: how many events may wait.
        unfinished: the ids of the tasks whose ends are awaited; None: it follows all tasks, and has no end.
    """

    def __init__(self, lock: RLock, token: str, limit: int, unfinished: set[str] | None) -> None:
        self._lock = lock
        self._token = token
        self._limit = limit
        self._unfinished = unfinished
        self._replay: deque[Entry] = deque()
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._missed = 0
        self._last_missed = 0
        self._current: Entry | None = None
        self._offset: int | None = None
        self._wake: Callable[[], object] | None = None
        self._closed = False

    # --- the hub's side, with its lock ------------------------------------------------------------------------------

    def replay(self, entries: Iterable[Entry], offset: int | None) -> None:
        """Give it what is kept, however much it is; of the first, which is output, only what is behind an offset."""
        self._replay.extend(entries)
        self._offset = offset

    def add(self, entry: Entry) -> None:
        """Give it an event; the oldest that waits is lost if there are too many."""
        if self._closed:
            return
        self._waiting.append(entry)
        self._waiting_bytes += entry.size
        while len(self._waiting) > self._limit or (self._waiting_bytes > _WAITING_BYTES and len(self._waiting) > 1):
            self._last_missed = self._next(self._waiting).number
            self._missed += 1
        if self._unfinished is not None and isinstance(entry.event, TaskEnded):
            self._unfinished.discard(entry.task_id)
        self._ring()

    def _ring(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    # --- the reader's side ------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all that was published before is taken."""
        with self._lock:
            return self._has_ended() and not self._has_some()

    def take(self) -> Event | None:
        """Return the next event; None if there is none now."""
        while True:
            if self._current is None:
                with self._lock:
                    self._current = self._pop()
            entry = self._current
            if entry is None:
                return None
            if entry.event is None:
                output = self._read(entry)
                if output is not None:
                    return output
                continue
            self._current = None
            return entry.told(self._token)

    def arm(self, wake: Callable[[], object]) -> bool:
        """Have a function called, once, in any thread, as soon as there is something to take, or the end has come.

        It must return at once. False if there is something already: then it is not called.
        """
        with self._lock:
            if self._has_some() or self._has_ended():
                return False
            self._wake = wake
            return True

    def disarm(self) -> None:
        """Have it not called any more."""
        self._wake = None

    def skip(self) -> bool:
        """Drop all that waits; return whether nothing comes any more."""
        with self._lock:
            while self._waiting:
                self._next(self._waiting)
            self._missed = 0
            return self._has_ended()

    def close(self) -> None:
        """End it; what has been published can still be taken. In any thread."""
        with self._lock:
            self._closed = True
            self._ring()

    def _has_ended(self) -> bool:
        return self._closed or (self._unfinished is not None and not self._unfinished)

    def _has_some(self) -> bool:
        return bool(self._current is not None or self._replay or self._missed or self._waiting)

    def _pop(self) -> Entry | None:
        """Return what is next, with all output of the same task that is right behind it."""
        if not self._replay and self._missed:
            lagged = Lagged(missed=self._missed, cursor=Position(self._last_missed).text(self._token))
            self._missed = 0
            return Entry("", lagged)
        line = self._replay or self._waiting
        if not line:
            return None
        entry = last = self._next(line)
        while line and last.event is None and last.goes_on_in(line[0]):
            last = self._next(line)
        return entry if last is entry else entry.joined(last)

    def _next(self, line: deque[Entry]) -> Entry:
        entry = line.popleft()
        entry.is_taken = True  # what grows in it from now on would be lost to this reader
        if line is self._waiting:
            self._waiting_bytes -= entry.size
        return entry

    def _read(self, entry: Entry) -> TaskOutput | None:
        """Return the next piece of an entry of output; None if nothing of it is left."""
        assert entry.output is not None  # noqa: S101 - an entry has it, or an event
        offset = entry.start if self._offset is None else self._offset
        piece = read_text(entry.output, offset, entry.end)
        self._offset = piece.end
        position = entry.position_at(piece.end)
        if piece.end >= entry.end:
            position = entry.position()
            self._current = self._offset = None
        if not piece.text and not piece.missed:
            return None
        cursor = position.text(self._token)
        return TaskOutput(entry.task_id, piece.text, piece.missed, time=iso_time(entry.came), cursor=cursor)


class Speech:
    """All that one task says, as text; with the methods of a reader for whoever takes.

    The texts come from the task's files, not from the line of events: a reader that is behind loses nothing that is
    kept there.

    Args:
        reader: tells when there is more.
        output: the task's output.
    """

    def __init__(self, reader: Reader, output: OutputFiles) -> None:
        self._reader = reader
        self._output = output
        self._offset = 0
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the task has ended, and all it has said is taken."""
        return self._is_over

    def take(self) -> str | None:
        """Return the next piece; None if there is none now. What is not kept is a line that says so."""
        has_ended = self._reader.skip()  # before the look: what comes after it wakes
        piece = read_text(self._output, self._offset, self._output.size, is_final=has_ended)
        self._offset = piece.end
        if piece.missed:
            return f"\n\n[{piece.missed:,} bytes left out here.]\n\n{piece.text}"
        self._is_over = has_ended and not piece.text
        return piece.text or None

    def arm(self, wake: Callable[[], object]) -> bool:
        """See `Reader.arm`."""
        return self._reader.arm(wake)

    def disarm(self) -> None:
        """See `Reader.disarm`."""
        self._reader.disarm()

    def close(self) -> None:
        """See `Reader.close`."""
        self._reader.close()


def _texts(event: Event | Callable[[], Event] | None) -> int:
    """Return about how many bytes the texts of an event take; none of one that is not made yet."""
    match event:
        case None | Lagged() | TaskOutput():
            return 0
        case _ if isinstance(view := getattr(event, "task", None), TaskView):
            return sum(
                map(len, (view.task, view.output, view.traceback, view.error_args, view.reason, view.result_json or ""))
            )
        case _:
            return len(getattr(event, "arguments", "")) + len(getattr(event, "text", ""))
