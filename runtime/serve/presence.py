"""Presence: whether a client is there, and what happens when it has been away for long enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

__all__ = ["Presence"]


class Presence:
    """Somebody is there while a `with` block of it is open; used in one event loop.

    Args:
        linger: seconds after which one who is away is gone.
        gone: is called then, once.
    """

    def __init__(self, linger: float, gone: Callable[[], object]) -> None:
        self._linger = linger
        self._gone = gone
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        self._count += 1
        self._cancel()
        return self

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count and not self.is_over:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self.end)

    def end(self) -> None:
        """It is gone now."""
        self._cancel()
        if not self.is_over:
            self.is_over = True
            self._gone()

    def close(self) -> None:
        """Look no longer: nobody is told any more."""
        self.is_over = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
