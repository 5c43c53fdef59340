"""Inbox: takes what other threads put in, for a thread that waits for it. `AsyncInbox` is its awaited form."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from ...actors.interrupts import LONGEST_SLEEP

__all__ = ["Inbox", "InboxLike", "ReplyInto"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class InboxLike(Protocol[T_contra]):
    """Where something can be put in, from any thread."""

    def put(self, item: T_contra, /) -> None:
        """Put something in."""


class Inbox(Generic[T]):
    """See the module. An interrupt (Ctrl-C) ends the wait."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put(self, item: T, /) -> None:
        """Put something in. In any thread."""
        self._items.put(item)

    def get(self) -> T:
        """Take the oldest out, once there is one."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self._items.get(timeout=LONGEST_SLEEP)

    def take(self) -> T | None:
        """Take the oldest out, if there is one."""
        try:
            return self._items.get_nowait()
        except queue.Empty:
            return None


class ReplyInto:
    """Address of a reply that goes into an inbox, or to any function; see `ReplyTo`.

    Args:
        take: is called with the reply, or with the error, in the thread that replies.
    """

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[Any], object]) -> None:
        self._take = take

    def set(self, value: Any) -> None:
        """Hand it over."""
        self._take(value)

    def set_exception(self, error: BaseException) -> None:
        """Hand the error over."""
        self._take(error)
