"""Interruptible waits: an interrupt at the terminal (Ctrl-C) ends them, whenever it comes.

CPython runs signal handlers in the main thread, between two instructions. A signal may arrive while that thread is
about to wait for a lock, or the system may give it to another thread. Then it does not end the wait: the handler runs
when the wait is over, which may be never. So a wait that can take long is many short ones.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from time import monotonic
from typing import Final, TypeVar

__all__ = ["LONGEST_SLEEP", "acquire", "result_of"]

LONGEST_SLEEP: Final = 0.5
"""Seconds for which an interrupt may be overlooked."""

T = TypeVar("T")


def result_of(future: Future[T], timeout: float | None = None) -> T:
    """Return what `future.result` does, or raise that. For any thread; it is in the main thread that it matters.

    Raises:
        TimeoutError: there is none after `timeout` seconds.
    """
    deadline = None if timeout is None else monotonic() + timeout
    try:
        while not future.done():
            remaining = LONGEST_SLEEP if deadline is None else min(LONGEST_SLEEP, deadline - monotonic())
            try:
                return future.result(max(0.0, remaining))
            except TimeoutError:
                if deadline is not None and monotonic() >= deadline:
                    break
        return future.result(0)
    finally:
        del future  # it holds what is raised, and that this call: a circle, as `concurrent.futures` has it broken, too


def acquire(lock: threading.Lock, timeout: float | None = None) -> bool:
    """Acquire a lock; False if it cannot be had for `timeout` seconds. For any thread, as `result_of`."""
    deadline = None if timeout is None else monotonic() + timeout
    while True:
        remaining = LONGEST_SLEEP if deadline is None else deadline - monotonic()
        if lock.acquire(timeout=min(LONGEST_SLEEP, max(0.0, remaining))):
            return True
        if deadline is not None and monotonic() >= deadline:
            return False
