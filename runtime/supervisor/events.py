"""Events: what becomes of tasks, as a stream that any number of readers follow, each at its own speed.

The supervisor and the I/O thread publish; they never wait for a reader. Output is not queued: a reader that is behind
finds it in the task's own buffer, so a slow reader costs no memory.
"""

from __future__ import annotations

import codecs
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Final, Self, TypeAlias

import msgspec

from ...actors.interrupts import LONGEST_SLEEP
from ..runs.output import OutputFiles
from ..tasks.views import TaskView, iso_time

__all__ = [
    "Event",
    "EventHub",
    "EventStream",
    "EventsMissed",
    "TaskCalledTool",
    "TaskEnded",
    "TaskGotToolAnswer",
    "TaskOutput",
    "TaskQueued",
    "TaskRestarting",
    "TaskStarted",
]

_QUEUE_LIMIT: Final = 10_000
"""Events, other than output, that wait for one reader; beyond it tool events are counted instead of kept."""


class _Dated(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events.

    Attributes:
        time: when it happened, in the form of `TaskView.started_at`; of output, when the first of its text had come.
    """

    time: str = msgspec.field(default_factory=lambda: iso_time(time.time()))


class TaskQueued(_Dated, frozen=True, tag_field="event", tag="queued"):
    """A task was accepted and waits for a slot. `TaskStarted` comes when it has one, `TaskEnded` alone if never."""

    task: TaskView


class TaskStarted(_Dated, frozen=True, tag_field="event", tag="started"):
    """A task's first process is starting: the task was accepted, or has waited in the queue."""

    task: TaskView


class TaskOutput(_Dated, frozen=True, tag_field="event", tag="output"):
    """A task said something; `missed` counts the bytes before it that had already fallen out of its buffer."""

    task_id: str
    text: str
    missed: int = 0


class TaskCalledTool(_Dated, frozen=True, tag_field="event", tag="tool_call"):
    """A task's model called a tool; `arguments` is JSON text as the model wrote it."""

    task_id: str
    name: str
    arguments: str


class TaskGotToolAnswer(_Dated, frozen=True, tag_field="event", tag="tool_answer"):
    """A tool answered; `text` is the beginning of the answer."""

    task_id: str
    name: str
    text: str
    is_error: bool


class TaskEnded(_Dated, frozen=True, tag_field="event", tag="ended"):
    """A task has reached its terminal status; all of its output came before. `task` has the end of its output only."""

    task: TaskView


class TaskRestarting(_Dated, frozen=True, tag_field="event", tag="restarting"):
    """An attempt of a task has failed, for the view's reason, and another begins after `delay` seconds."""

    task: TaskView
    delay: float


class EventsMissed(_Dated, frozen=True, tag_field="event", tag="missed"):
    """This reader was so far behind that tool events were dropped."""

    count: int


Event: TypeAlias = (
    TaskQueued
    | TaskStarted
    | TaskOutput
    | TaskCalledTool
    | TaskGotToolAnswer
    | TaskEnded
    | TaskRestarting
    | EventsMissed
)


class _Follower:
    """Position of one reader in one task's output."""

    def __init__(self, task_id: str, output: OutputFiles) -> None:
        self.task_id = task_id
        self.output = output
        self.offset = 0
        self.waiting = False
        self.waiting_since = 0.0
        # A piece of output may end inside a character.
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")


class EventStream(Iterator[Event]):
    """One reader's view of the events since it was made. Iterate it in one thread; close it from any.

    The iteration ends when the stream or the runtime is closed, and what was published before has been read.
    """

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._condition = threading.Condition()
        self._queue: deque[Event | _Follower] = deque()
        self._followers: dict[str, _Follower] = {}
        self._missed = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def next(self, timeout: float | None = None) -> Event | None:
        """Return the next event, waiting up to `timeout` seconds for it; None if there is none, or the stream ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._condition:
                while not self._queue:
                    remaining = None if deadline is None else deadline - time.monotonic()
                    if self._closed or (remaining is not None and remaining <= 0):
                        return None
                    self._condition.wait(LONGEST_SLEEP if remaining is None else min(LONGEST_SLEEP, remaining))
                item = self._queue.popleft()
                if not isinstance(item, _Follower):
                    return item
                item.waiting = False
                since = item.waiting_since
            event = self._read(item, iso_time(since))
            if event is not None:
                return event

    def close(self) -> None:
        """End the stream; what has been published can still be read."""
        self._hub.remove(self)
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def publish(self, event: Event) -> None:
        """Add an event; called by the hub."""
        with self._condition:
            if len(self._queue) >= _QUEUE_LIMIT and isinstance(event, TaskCalledTool | TaskGotToolAnswer):
                self._missed += 1
                return
            if self._missed:
                self._queue.append(EventsMissed(self._missed, time=event.time))
                self._missed = 0
            self._queue.append(event)
            self._condition.notify_all()

    def follow(self, task_id: str, output: OutputFiles) -> None:
        """Note that a task's output has grown; called by the hub."""
        with self._condition:
            follower = self._followers.get(task_id)
            if follower is None:
                follower = self._followers[task_id] = _Follower(task_id, output)
            if not follower.waiting:
                follower.waiting = True
                follower.waiting_since = time.time()
                self._queue.append(follower)
                self._condition.notify_all()

    def forget(self, task_id: str) -> None:
        """Stop following a task that has ended, once its last output is queued; called by the hub."""
        with self._condition:
            self._followers.pop(task_id, None)

    def _read(self, follower: _Follower, since: str) -> TaskOutput | None:
        piece = follower.output.read_from(follower.offset)
        follower.offset = piece.end
        if piece.missed:
            follower.decoder.reset()  # of a character that had begun, the rest is gone
        if piece.more:
            with self._condition:
                if not follower.waiting:
                    follower.waiting = True
                    self._queue.appendleft(follower)  # before `ended`, which may be in the queue
        text = follower.decoder.decode(piece.data)
        return TaskOutput(follower.task_id, text, piece.missed, time=since) if text else None


class EventHub:
    """Hands events to every open stream. Every method may be called from any thread and returns at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: tuple[EventStream, ...] = ()
        self._closed = False

    def stream(self) -> EventStream:
        """Open a stream of the events from now on; of a hub that is closed there are none."""
        stream = EventStream(self)
        with self._lock:
            if not self._closed:
                self._streams = (*self._streams, stream)
                return stream
        stream.close()
        return stream

    def remove(self, stream: EventStream) -> None:
        """Give a stream no more events."""
        with self._lock:
            self._streams = tuple(other for other in self._streams if other is not stream)

    @property
    def has_streams(self) -> bool:
        """Whether anybody would get an event."""
        return bool(self._streams)

    def publish(self, event: Event) -> None:
        """Give an event to every stream."""
        for stream in self._streams:
            stream.publish(event)
            if isinstance(event, TaskEnded):
                stream.forget(event.task.id)

    def output(self, task_id: str, output: OutputFiles) -> None:
        """Tell every stream that a task's output has grown."""
        for stream in self._streams:
            stream.follow(task_id, output)

    def close(self) -> None:
        """End every stream."""
        with self._lock:
            self._closed = True
            streams = self._streams
        for stream in streams:
            stream.close()
