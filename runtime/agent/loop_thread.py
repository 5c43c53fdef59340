"""Loop thread: an event loop on a thread of its own, for programs that call coroutines from any thread or loop.

What is opened in it (connections, programs) stays in it, and is closed in it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

from ...actors.interrupts import result_of
from ..errors import RuntimeClosedError

__all__ = ["LoopThread"]

logger = logging.getLogger("subactors.runtime")

_TIME_TO_CLOSE: Final = 10.0
"""Seconds that closing takes at most: longer than any toolset needs, and for a coroutine that keeps the loop busy."""

T = TypeVar("T")


class LoopThread:
    """See the module. Every method may be called from any thread; the thread begins with the first coroutine.

    Args:
        name: of the thread.
        what: what it is for, as the beginning of a sentence: `The toolset`.
    """

    def __init__(self, name: str, what: str) -> None:
        self._name = name
        self._what = what
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._owner = os.getpid()
        self._closed = False
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def start(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Future[T]:
        """Run a coroutine; to cancel the future cancels it.

        Raises:
            RuntimeClosedError: this is closed, or belongs to the process that this one was forked from.
        """
        if os.getpid() != self._owner:
            raise RuntimeClosedError(f"{self._what} belongs to the process that this one was forked from.")
        with self._lock:
            if self._closed:
                raise RuntimeClosedError(f"{self._what} is closed.")
            # Under the lock, so that a `close` finds it in the loop.
            return asyncio.run_coroutine_threadsafe(self._noted(function(*args)), self._running_loop())

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, called: str = "this") -> T:
        """Run a coroutine, and wait for what it returns.

        Args:
            function: makes it.
            args: for that.
            called: what it is called in an error.

        Raises:
            RuntimeClosedError: as `start`; or this was closed meanwhile.
            RuntimeError: the coroutine would wait for the one that calls.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("A function that runs in an event loop must await here; the blocking form would hang.")
        future = self.start(function, *args)
        try:
            return result_of(future)
        except CancelledError:
            raise self.cut_short(called) from None
        except BaseException:
            future.cancel()  # interrupted
            raise

    def cut_short(self, called: str) -> RuntimeClosedError:
        """Return the error of what was at work when this was closed."""
        return RuntimeClosedError(f"{self._what} was closed while {called} was at work.")

    def close(self, last: Callable[[], Awaitable[object]]) -> None:
        """Cancel what is at work, run one more coroutine, and end the thread. Nothing if that has never begun.

        Bounded: a thread whose loop somebody's code keeps busy ends when that lets it.

        Args:
            last: closes what was opened in the loop.
        """
        if os.getpid() != self._owner:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(last), loop)
        ending.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        try:
            result_of(ending, _TIME_TO_CLOSE)
        except TimeoutError:
            if ending.done():
                raise
            logger.warning("%s could not be closed: something of it keeps its event loop busy.", self._what)
        finally:
            if ending.done():
                thread.join()

    async def _noted(self, coroutine: Coroutine[Any, Any, T]) -> T:
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - a coroutine that runs is in a task
        self._running.add(this)
        try:
            return await coroutine
        finally:
            self._running.discard(this)

    async def _end(self, last: Callable[[], Awaitable[object]]) -> None:
        # What was called, and not every task of the loop: a toolset ends its own by closing.
        running = set(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await last()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop, which the first coroutine starts. Called with the lock held."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=[self._loop], name=self._name, daemon=True)
            self._thread.start()
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
