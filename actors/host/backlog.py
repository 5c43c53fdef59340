"""Backlog and turns: what one child has sent its supervisor, and when the supervisor takes it up.

When too much is not handled yet, the child is no longer read. It waits in its own write then, held to the speed of its
supervisor, and the host keeps little. The supervisor takes up a moment's work of each child at a time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

__all__ = ["Backlog", "TurnQueue"]

_HIGH: Final = 256
_LOW: Final = 64
"""Messages with which it becomes full, and with which it is full no longer."""

_HIGH_BYTES: Final = 1024 * 1024
"""As `_HIGH`, for their size; it is full no longer at half of it. A single message may be longer."""

_DEAR: Final = 0.001
"""Seconds of CPU time beyond which a turn is charged at once."""

_CREDIT: Final = 0.1
_REGAINED: Final = 0.05
"""Seconds of CPU time that a child may have at a stretch, and how many it gets back each second: more is a flood."""

_REST_FACTOR: Final = 4.0
"""How long a child rests for what it is charged, by that time."""


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


class TurnQueue:
    """The messages of one child, in order. Any thread may `put`; only the supervisor's may `take` and `go_on`.

    The supervisor's mailbox has one turn of a child at most, so that what is waited for there comes soon, however much
    the child has sent.
    """

    __slots__ = ("_began", "_charged_at", "_cpu_began", "_credit", "_has_turn", "_is_measured", "_lock", "_messages")

    def __init__(self) -> None:
        self._credit = _CREDIT
        self._charged_at = self._began = time.monotonic()
        self._cpu_began = 0.0
        self._is_measured = False
        self._messages: deque[object] = deque()
        self._has_turn = False
        self._lock = threading.Lock()

    def put(self, message: object) -> bool:
        """Add a message; return whether the child must now be given a turn."""
        with self._lock:
            self._messages.append(message)
            needs_turn = not self._has_turn
            self._has_turn = True
        return needs_turn

    def take(self) -> object | None:
        """Return the oldest message; None if there is none."""
        return self._messages.popleft() if self._messages else None

    def go_on(self) -> bool:
        """Note that a turn is over; return whether the child must be given another."""
        with self._lock:
            self._has_turn = bool(self._messages)
            return self._has_turn

    def begin(self) -> float:
        """Note that a turn begins; return the time."""
        self._began = time.monotonic()
        if self._is_measured:
            self._cpu_began = time.thread_time()
        return self._began

    def end(self, extra: float) -> float:
        """Charge the child for its turn; return for how long it is to rest, mostly 0.

        CPU time is a system call, so it is measured from the first long turn on; until then the clock has to do.

        Args:
            extra: seconds of CPU time that the turn makes elsewhere.
        """
        used = time.monotonic() - self._began
        if self._is_measured:
            return self.charge(time.thread_time() - self._cpu_began + extra)
        self._is_measured = used > _DEAR
        return self.charge(min(used, _DEAR) + extra)

    def charge(self, used: float) -> float:
        """Charge the child that many seconds of CPU time; return for how long it is to rest."""
        now = time.monotonic()
        self._credit = min(_CREDIT, self._credit + (now - self._charged_at) * _REGAINED) - used
        self._charged_at = now
        if self._credit > -_DEAR:
            return used * _REST_FACTOR if used > _DEAR else 0.0
        owed, self._credit = -self._credit, 0.0
        self._is_measured = True
        return owed * _REST_FACTOR
