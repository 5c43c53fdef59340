"""Callbacks: calls a program's functions in a thread that they may hold up, in the order in which they came."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["CallbackThread"]

logger = logging.getLogger("subactors.runtime")

_PATIENCE: Final = 5.0
"""Seconds that closing waits for a function that does not return."""


class CallbackThread:
    """See the module. The thread begins with the first callback, and ends when it is closed."""

    def __init__(self) -> None:
        self._due: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def call(self, function: Callable[[], object]) -> None:
        """Have a function called soon. In any thread; returns at once. One that raises is logged."""
        with self._lock:
            if not self._closed:
                self._due.put(function)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="subactors-callbacks", daemon=True)
                    self._thread.start()
                return
        _call(function)  # the supervisor, which must not be held up, is gone

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def close(self) -> None:
        """Call what is due, and end the thread. Bounded."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._due.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)

    def _work(self) -> None:
        while (function := self._due.get()) is not None:
            _call(function)


def _call(function: Callable[[], object]) -> None:
    try:
        function()
    except Exception:
        logger.exception("A callback of a task has raised an exception.")
