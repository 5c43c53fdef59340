"""Room: asks again, after a while, for what was refused because there was no room. One thread sleeps for all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Room"]

_PAUSE: Final = 0.05
"""Seconds after which what was refused is asked for again."""

_AT_A_TIME: Final = 32
"""How many ask again after one pause, so that a thousand that wait do not flood the supervisor."""


class Room:
    """See the module. Every method may be called from any thread.

    Args:
        settle: has a function called in a thread that it may hold up.
    """

    def __init__(self, settle: Callable[[Callable[[], object]], object]) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._due: deque[Callable[[], object]] = deque()
        self._is_pausing = False

    def ask_again(self, function: Callable[[], object]) -> None:
        """Have a function called, which must return at once: after a pause, and after those that came before it."""
        with self._lock:
            self._due.append(function)
            begins, self._is_pausing = not self._is_pausing, True
        if begins:
            self._settle(self._pause)

    def _pause(self) -> None:
        time.sleep(_PAUSE)
        with self._lock:
            now = [self._due.popleft() for _ in range(min(_AT_A_TIME, len(self._due)))]
            goes_on = self._is_pausing = bool(self._due)
        for function in now:
            function()
        if goes_on:
            self._settle(self._pause)
