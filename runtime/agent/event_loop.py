"""Event loop: runs one coroutine, which another thread or a signal can cancel.

Not `asyncio.run`: at its end that waits for worker threads without a bound, and a `python/…` model may be stuck in one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

__all__ = ["CancellableLoop"]

Result = TypeVar("Result")

_TIME_TO_TIDY_UP: Final = 1.0
"""Seconds that coroutines which are left behind have to end, once they are cancelled."""


class CancellableLoop:
    """Runs one coroutine at a time. `run` belongs to one thread; `cancel` may be called from any, and from a signal."""

    has_cancelled = False
    """Whether the coroutine has been cancelled: not yet where it keeps the loop busy."""

    def __init__(self) -> None:
        # Reentrant: a signal handler that cancels may interrupt the very thread that holds it.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._cancelled = False

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the calling thread to the end; what it leaves is cancelled, and waited for a moment.

        Raises:
            asyncio.CancelledError: `cancel` was called, before or meanwhile, and the coroutine let it end it.
            BaseException: what the coroutine raised.
        """
        loop = asyncio.new_event_loop()
        try:
            main = loop.create_task(coroutine)
            with self._lock:
                self._loop, self._main = loop, main
                if self._cancelled:
                    self._cancel(main)
            return loop.run_until_complete(main)
        finally:
            with self._lock:
                self._loop = self._main = None
            try:
                _cancel_the_rest(loop)
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                loop.close()  # whoever interrupts may do so twice

    def cancel(self) -> None:
        """Cancel the coroutine; one that is run later is cancelled at its start."""
        with self._lock:
            self._cancelled = True
            if self._loop is not None and self._main is not None:
                self._loop.call_soon_threadsafe(self._cancel, self._main)

    def _cancel(self, main: asyncio.Task[Any]) -> None:
        self.has_cancelled = True
        main.cancel()


def _cancel_the_rest(loop: asyncio.AbstractEventLoop) -> None:
    leftover = asyncio.all_tasks(loop)
    for task in leftover:
        task.cancel()
    if leftover:
        # One that lets nobody cancel it must not keep the result.
        ended, _ = loop.run_until_complete(asyncio.wait(leftover, timeout=_TIME_TO_TIDY_UP))
        for task in ended:
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not write it to standard error
