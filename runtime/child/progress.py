"""Progress: what a task tells of how far it has come, some of it at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Final

from ...actors import ForkedError, SupervisorRef
from ..tasks.messages import Progressed
from ..tasks.views import LONGEST_NOTE, Progress
from ..text import encodable, one_line

__all__ = ["ProgressReporter"]

_EVERY: Final = 0.1
"""Seconds between two reports: more often than a person looks, and as little as the host should hear."""

_EXACT: Final = 2**53
"""Whole numbers beyond it are told as others are, with some 16 digits."""


class ProgressReporter:
    """Reports the first progress at once, and of those that come soon after one another the last. In any thread.

    Args:
        supervisor: hears of it.
    """

    def __init__(self, supervisor: SupervisorRef) -> None:
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._due = 0.0
        self._latest: Progress | None = None
        self._timer: threading.Timer | None = None

    def tell(self, done: float, total: float | None, note: str) -> None:
        """Take note of a progress; see `EntrypointTask.progress`."""
        latest = Progress(_number(done, "done"), None if total is None else _number(total, "total"), _text(note))
        with self._lock:
            self._latest = latest
            wait = self._due - time.monotonic()
            if wait <= 0:
                self._report()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Report what has not been reported."""
        with self._lock:
            self._report()

    def _report(self) -> None:
        """Called with the lock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        latest, self._latest = self._latest, None
        if latest is not None:
            self._due = time.monotonic() + _EVERY
            with contextlib.suppress(ForkedError):  # what a task has forked has no part in its progress
                self._supervisor.tell(Progressed(latest))


def _number(value: float, name: str) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is of type {type(value).__name__}; a progress is told in numbers.")
    return int(value) if isinstance(value, int) and abs(value) <= _EXACT else float(value)


def _text(note: str) -> str:
    if not isinstance(note, str):
        raise TypeError(f"note is of type {type(note).__name__}; it is text.")
    return encodable(one_line(note, LONGEST_NOTE))
