"""Streams: what becomes of tasks, to be iterated by a thread. `async_streams` has the awaited form of the same source.

A stream that its program drops is gone, whether it was closed or not: nothing else holds it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from ...actors.interrupts import LONGEST_SLEEP
from ..text import one_line
from .arguments import NotPickled, check_seconds, check_whole, type_name
from .handle import TaskRef, ids_of
from .way import Source, Way

if TYPE_CHECKING:
    from ..tasks.events import Event

__all__ = ["LIMIT", "EventStream", "Stream", "events_of"]

LIMIT: Final = 10_000
"""Events that wait for one stream, where nobody says otherwise."""

_LONGEST_LIST: Final = 100
"""Characters of the list of tasks that a stream shows."""

T = TypeVar("T")


def events_of(way: Way, tasks: Iterable[TaskRef] | None, since: str | None, limit: int) -> tuple[Source[Event], str]:
    """Return the source of a stream of events, and what it is of.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the limit is below 1.
    """
    if since is not None and not isinstance(since, str):
        raise TypeError(f"since is {type_name(since)}; it must be the cursor of an event, which is text.")
    check_whole("limit", limit)
    ids = None if tasks is None else ids_of(tasks)
    return way.events(ids, since, limit), "all tasks" if ids is None else one_line(", ".join(ids), _LONGEST_LIST)


class Stream(NotPickled, Iterator[T], Generic[T]):
    """Items as they come. Iterate it in one thread; close it from any. A context manager, which closes it.

    Args:
        source: where they come from; of this stream alone.
        of: what they are of, to be shown.
    """

    def __init__(self, source: Source[T], of: str = "all tasks") -> None:
        self._source = source
        self._of = of
        self._bell = threading.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._of}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        item = self.next()
        if item is None:
            raise StopIteration
        return item

    def next(self, timeout: float | None = None) -> T | None:
        """Return the next, waiting up to `timeout` seconds for it; None if there is none, or the stream has ended."""
        check_seconds(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                item = self._source.take()
                if item is not None:
                    return item
                remaining = LONGEST_SLEEP if deadline is None else deadline - time.monotonic()
                if self._source.is_over or remaining <= 0:
                    return None
                self._bell.clear()
                if self._source.arm(self._bell.set):
                    self._bell.wait(min(LONGEST_SLEEP, remaining))
        finally:
            self._source.disarm()

    def close(self) -> None:
        """End the stream; what has been published can still be read."""
        self._source.close()


class EventStream(Stream["Event"]):
    """Events as they happen; see `Stream`.

    The iteration ends when the stream or the runtime is closed, or the last of its tasks has ended, and what was
    published before has been read.
    """
