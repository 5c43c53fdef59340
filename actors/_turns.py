"""Turns: what one child has for its supervisor, which takes a moment's work of each child at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

__all__ = ["TurnQueue"]

_DEAR: Final = 0.001
"""Seconds of CPU time beyond which a turn is charged at once."""

_CREDIT: Final = 0.1
_REGAINED: Final = 0.05
"""Seconds of CPU time that a child may have at a stretch, and how many it gets back each second: more is a flood."""

_REST_FACTOR: Final = 4.0
"""How long a child rests for what it is charged, by that time."""


class TurnQueue:
    """The messages of one child, in order. Any thread may `put`; only the supervisor's may `take` and `go_on`.

    The supervisor's mailbox has one turn of a child at most, so that what is waited for there comes soon, however much
    the child has sent.
    """

    __slots__ = ("_charged_at", "_credit", "_has_turn", "_lock", "_messages")

    def __init__(self) -> None:
        self._credit = _CREDIT
        self._charged_at = time.monotonic()
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

    def charge(self, used: float) -> float:
        """Charge the child so many seconds of CPU time; return for how long it is to rest, mostly 0."""
        now = time.monotonic()
        self._credit = min(_CREDIT, self._credit + (now - self._charged_at) * _REGAINED) - used
        self._charged_at = now
        if self._credit > -_DEAR:
            return used * _REST_FACTOR if used > _DEAR else 0.0
        owed, self._credit = -self._credit, 0.0
        return owed * _REST_FACTOR
