"""Turns: what one child has for its supervisor, which takes one message of each child at a time."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["TurnQueue"]


class TurnQueue:
    """The messages of one child, in order. Any thread may `put`; only the supervisor's may `take` and `go_on`.

    The supervisor's mailbox has one turn of a child at most, so that what is waited for there comes soon, however much
    the child has sent.
    """

    __slots__ = ("_has_turn", "_lock", "_messages")

    def __init__(self) -> None:
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
