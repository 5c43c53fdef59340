"""What one child has sent its supervisor and is not handled yet: when it is too much, the child is no longer read.

A child that is not read waits in its own write, so it is held to the speed of its supervisor, and the host keeps
little.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

__all__ = ["Backlog"]

_HIGH: Final = 256
_LOW: Final = 64
"""Messages with which it becomes full, and with which it is full no longer."""

_HIGH_BYTES: Final = 1024 * 1024
"""As `_HIGH`, for their size; it is full no longer at half of it. A single message may be longer."""


class Backlog:
    """The sizes of messages that wait, in their order. Filled by the I/O thread, emptied by the supervisor's.

    Attributes:
        is_full: whether the child is not to be read.
    """

    def __init__(self) -> None:
        self.is_full = False
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> bool:
        """Count a message in; return whether the backlog is full by it."""
        with self._lock:
            self._sizes.append(size)
            self._bytes += size
            fills = not self.is_full and (len(self._sizes) >= _HIGH or self._bytes >= _HIGH_BYTES)
            # Not after the lock: the supervisor might get to the low mark in between, and nobody would go on.
            self.is_full |= fills
        return fills

    def take(self) -> bool:
        """Count out the oldest message; return whether the backlog is full no longer by it."""
        with self._lock:
            self._bytes -= self._sizes.popleft()
            relieves = self.is_full and len(self._sizes) <= _LOW and self._bytes <= _HIGH_BYTES // 2
            if relieves:
                self.is_full = False
        return relieves
