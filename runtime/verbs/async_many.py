"""Async many: mapping and completion, for a coroutine that awaits each. The awaited form of `many`.

A wait that is cancelled loses nothing: the next `anext` returns what has come, as with `AsyncStream`.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, Self, TypeVar

from .arguments import NotPickled
from .awaiting import AsyncInbox, begin
from .chunk_mapping import mapping_of
from .completion import Completions, Ended
from .handle import TaskHandle, TaskRef
from .mapping import Arrived, Mapping
from .pieces import LATER, Pieces, pieces_of
from .way import Way

__all__ = ["AsyncResults", "completed", "results"]

logger = logging.getLogger("subactors.runtime")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Handle = TypeVar("Handle", bound=TaskHandle)


class _Source(Protocol[T_co]):
    """What is iterated, for one coroutine at a time."""

    async def next(self) -> T_co:
        """Return the next; raises StopAsyncIteration at the end. Cancelled, it has taken nothing."""
        ...

    def close(self) -> None:
        """Let nothing more come, in any thread."""


class AsyncResults(NotPickled, AsyncIterator[T], Generic[T]):
    """What comes of many tasks, for one coroutine at a time. Closed or dropped, it stops what a mapping has at work.

    Args:
        source: where it comes from; of this alone.
    """

    def __init__(self, source: _Source[T]) -> None:
        self._source = source
        self._is_read = False

    def __del__(self) -> None:
        self._source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_read:
            raise RuntimeError("This iterator is read by another coroutine already.")
        self._is_read = True
        try:
            return await self._source.next()
        except Exception:
            self.close()
            raise
        finally:
            self._is_read = False
            # Else the traceback of a loop that was cancelled would keep this, and what is at work with it.
            del self

    def close(self) -> None:
        """End it, and stop what a mapping has at work. In any thread."""
        self._source.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()


def results(
    way: Way,
    wanted: Pieces,
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    concurrency: int | None,
    ordered: bool,
) -> AsyncResults[Any]:
    """Return the results of a mapping; see `BlockingVerbs.map`."""
    feed: _Feed | None = None
    if isinstance(items, AsyncIterable) and not isinstance(items, Iterable):
        items = feed = _Feed(items)
    pieces = pieces_of(way, wanted, items)

    def mapping(inbox: AsyncInbox[Arrived]) -> Mapping:
        return mapping_of(way, wanted, pieces, inbox, concurrency=concurrency, ordered=ordered)

    return AsyncResults(_Mapped(mapping, feed))


def completed(
    way: Way, tasks: Iterable[TaskRef], timeout: float | None, handle: Callable[[str, str, Way], Handle]
) -> AsyncResults[Handle]:
    """Return tasks as they end; see `BlockingVerbs.as_completed`. To be called in the event loop."""
    inbox: AsyncInbox[Ended | None] = AsyncInbox()
    return AsyncResults(_Completed(Completions(way, tasks, inbox, handle, timeout), inbox))


class _Completed(Generic[Handle]):
    def __init__(self, completions: Completions[Handle], inbox: AsyncInbox[Ended | None]) -> None:
        self._completions = completions
        self._inbox = inbox

    async def next(self) -> Handle:
        ended = await self._inbox.get() if len(self._completions) else None
        if ended is None or not len(self._completions):
            raise StopAsyncIteration
        return self._completions.take(ended)

    def close(self) -> None:
        self._completions.close()
        self._inbox.put(None)  # for whoever waits


class _Mapped:
    """A mapping that begins in the event loop in which its first result is asked for."""

    def __init__(self, begins: Callable[[AsyncInbox[Arrived]], Mapping], feed: _Feed | None) -> None:
        self._begins = begins
        self._feed = feed
        self._mapping: Mapping | None = None
        self._is_closed = False
        self._outcomes: deque[Any] = deque()

    async def next(self) -> Any:
        if self._is_closed:
            raise StopAsyncIteration
        if self._mapping is None:
            self._inbox: AsyncInbox[Arrived] = AsyncInbox()
            if self._feed is not None:
                self._feed.begin(self._inbox)
            self._mapping = self._begins(self._inbox)
        mapping = self._mapping
        while True:
            if self._outcomes:
                return self._outcomes.popleft()
            mapping.fill()
            outcomes = mapping.ready()
            if outcomes is not None:
                self._outcomes.extend(outcomes)
                continue
            if mapping.is_over:
                raise StopAsyncIteration
            # Nothing is lost where this is cancelled: it has taken nothing then.
            mapping.take(await self._inbox.get())
            while (arrived := self._inbox.take()) is not None:
                mapping.take(arrived)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._feed is not None:
            self._feed.close()
        if self._mapping is not None:
            self._mapping.close()
            self._inbox.put((None, None))  # for whoever waits


class _Feed(Iterator[Any]):
    """The items of an async iterable, for a mapping that cannot await them: `LATER` in place of one that has not come.

    One coroutine of its own iterates them, as the scopes of a generator want it. It takes the next only when the
    mapping has room for that.
    """

    def __init__(self, items: AsyncIterable[Any]) -> None:
        self._items = items
        self._come: deque[Any] = deque()
        self._is_asked = False
        self._is_over = False
        self._error: BaseException | None = None
        self._cancel: Callable[[], None] | None = None

    def begin(self, inbox: AsyncInbox[Arrived]) -> None:
        """Begin to iterate. In the event loop."""
        self._wanted: AsyncInbox[bool] = AsyncInbox()
        self._arrived = inbox
        self._cancel = begin(self._take_all)

    def __next__(self) -> Any:
        if self._come:
            return self._come.popleft()
        if self._error is not None:
            raise self._error
        if self._is_over:
            raise StopIteration
        if not self._is_asked:
            self._is_asked = True
            self._wanted.put(True)
        return LATER

    def close(self) -> None:
        """Cancel what iterates. In any thread."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()

    async def _take_all(self) -> None:
        try:
            await self._wanted.get()
            async for item in self._items:
                self._is_asked = False
                self._come.append(item)
                self._arrived.put((None, None))
                await self._wanted.get()
        except Exception as error:  # noqa: BLE001 - of the program's own iterable; the mapping raises it
            self._error = error
        except BaseException:
            self._error = RuntimeError("The iteration over the items of this map was cancelled.")
            await self._end_items()
            raise
        finally:
            self._is_over = True
            self._arrived.put((None, None))

    async def _end_items(self) -> None:
        """End a generator where it yields: nobody else can, as its scopes are of this coroutine."""
        if inspect.isasyncgen(self._items):
            try:
                await self._items.aclose()
            except Exception:
                logger.exception("The async generator that a map has taken its items from has raised as it was closed.")
            except BaseException:  # noqa: BLE001, S110 - the cancellation again, with the generator's own end in a group
                pass
