"""Async streams: what becomes of tasks, to be iterated in an event loop. The awaited form of `streams`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Generic, Self, TypeVar

from ..tasks.events import Event
from .arguments import NotPickled
from .awaiting import AsyncInbox, breathe
from .way import Source

__all__ = ["AsyncEventStream", "AsyncStream"]

_AT_A_TIME: Final = 16
"""Items that a stream gives its event loop without a pause; a flood must not keep the loop from all else."""

T = TypeVar("T")


class AsyncStream(NotPickled, AsyncIterator[T], Generic[T]):
    """Items as they come, for one coroutine at a time, in any event loop. A context manager, which closes it.

    A wait that is cancelled loses nothing: the next `anext` returns what has come. No thread waits.

    Args:
        source: where they come from; of this stream alone.
        of: what they are of, to be shown.
    """

    def __init__(self, source: Source[T], of: str = "all tasks") -> None:
        self._source = source
        self._of = of
        self._is_read = False
        self._taken = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._of}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_read:
            raise RuntimeError("This stream is read by another coroutine already. Open one for each.")
        self._is_read = True
        try:
            if self._taken >= _AT_A_TIME:
                self._taken = 0
                await breathe()
            while True:
                # Nothing is awaited from here to the caller: what is taken cannot be cancelled any more.
                item = self._source.take()
                if item is not None:
                    self._taken += 1
                    return item
                if self._source.is_over:
                    raise StopAsyncIteration
                await self._wait()
        finally:
            self._is_read = False

    async def _wait(self) -> None:
        bell: AsyncInbox[None] = AsyncInbox()
        try:
            if self._source.arm(lambda: bell.put(None)):
                await bell.get()
                self._taken = 0
        finally:
            self._source.disarm()

    def close(self) -> None:
        """End the stream; what has been published can still be read. In any thread."""
        self._source.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()


class AsyncEventStream(AsyncStream[Event]):
    """Events as they happen; see `AsyncStream`, and for its end `EventStream`."""
