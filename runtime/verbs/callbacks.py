"""Callbacks: calls a program's functions in threads that they may hold up."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["MOST_SETTLING", "Callbacks", "check_callback"]

logger = logging.getLogger("subactors.runtime")

MOST_SETTLING: Final = 32
"""Threads that settle futures at a time: as many as a `ThreadPoolExecutor` of Python's has at most, unless told."""

_PATIENCE: Final = 5.0
"""Seconds that closing waits for functions that do not return."""

_LINGER: Final = 0.2
"""Seconds that a thread waits for more to call before it ends."""


class Callbacks:
    """See the module. Threads begin when there is something to call, and end soon after.

    Args:
        most: threads at a time. With one, functions are called in the order in which they came, one after the other.
            With more, one that does not return holds up no other, until there are as many of them.
    """

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._due: deque[Callable[[], object]] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closed = False

    def call(self, function: Callable[[], object]) -> None:
        """Have a function called soon. In any thread; waits for nothing. One that raises is logged."""
        with self._changed:
            if not self._closed:
                self._due.append(function)
                self._start_thread(self._most)
                self._changed.notify()
                return
        _call(function)  # the supervisor, which must not be held up, is gone

    @property
    def are_here(self) -> bool:
        """Whether one of these threads asks."""
        return threading.current_thread() in self._threads

    def close(self) -> None:
        """Call what is due, and end the threads. Bounded."""
        with self._changed:
            self._closed = True
            if self._most > 1:
                self._start_thread(self._most + 1)  # those there are may all wait for what is due
            self._changed.notify_all()
            others = self._threads - {threading.current_thread()}
            until = time.monotonic() + _PATIENCE
            while others & self._threads and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        while not self._threads and self._due:  # no thread could be started
            _call(self._due.popleft())
        for thread in others - self._threads:
            thread.join()  # it has nothing more to do

    def _start_thread(self, most: int) -> None:
        if self._idle >= len(self._due) or len(self._threads) >= most:
            return
        thread = threading.Thread(target=self._work, name="subactors-callbacks", daemon=True)
        self._threads.add(thread)
        self._idle += 1
        try:
            thread.start()
        except RuntimeError:  # out of threads, or the interpreter ends: another thread, or whoever closes, calls it
            self._threads.remove(thread)
            self._idle -= 1

    def _work(self) -> None:
        while (function := self._next()) is not None:
            _call(function, BaseException)  # `SystemExit`, too: the thread has others to call
            del function  # it would be kept until the next comes
            with self._changed:
                self._idle += 1

    def _next(self) -> Callable[[], object] | None:
        """Take what is due next; None: this thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._due or self._closed, _LINGER)
            self._idle -= 1
            if self._due:
                return self._due.popleft()
            self._threads.discard(threading.current_thread())
            self._changed.notify_all()
            return None


def check_callback(function: Callable[..., object]) -> None:
    """Raise TypeError if a function would have to be awaited."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(
            "A callback of a task is called, and not awaited: give a plain function. It may start a coroutine, with "
            "`loop.create_task`, say."
        )


def _call(function: Callable[[], object], caught: type[BaseException] = Exception) -> None:
    try:
        outcome = function()
        if inspect.iscoroutine(outcome):
            outcome.close()  # else Python warns, somewhere, some time, that it was never awaited
            logger.error(
                "The callback %s of a task is a coroutine function, and was not run: in a blocking program nothing "
                "awaits it. Give a plain function.",
                outcome.__qualname__,
            )
    except caught:
        logger.exception("A callback of a task has raised an exception.")
