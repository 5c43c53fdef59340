"""I/O thread: the host's only one, with every channel, every pidfd, the zygote's socket and all timers in one epoll.

What epoll has no room for is polled beside it.

It must never wait for anything else. What goes wrong for one descriptor must not reach the others: an exception in a
callback is logged, and the loop goes on.

Not over a selector of the standard library, whose keys and maps were a tenth of what a task costs the host.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import logging
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from ..errors import StartError

__all__ = ["READ", "WRITE", "IOThread", "Timer"]

logger = logging.getLogger("subactors.actors")

Callback: TypeAlias = Callable[[], None]
EventCallback: TypeAlias = Callable[[int], object]

READ: Final = 1
WRITE: Final = 2
"""Events, to be combined. A descriptor with an error, or whose other end is closed, is ready for both."""

_LONGEST_SLEEP = 3600.0
"""Seconds. The system takes no timeout of more than 24 days, let alone an infinite one, as a timer may have."""

_READ_SIZE: Final = 1_048_576
"""Bytes read from one descriptor before the next gets its turn."""

_LEAST_PAUSE: Final = 0.001
"""Seconds between two who flood, the shortest that epoll can sleep: all others have their turn in between."""

_TIDY_LEAST: Final = 100
"""Timers up to which cancelled ones are not looked for; beyond, that is done each time their number has doubled."""


class Timer:
    """A call that is due at a time; `cancel` may be called from any thread, more than once and too late."""

    __slots__ = ("_callback", "cancelled", "due")

    def __init__(self, due: float, callback: Callback) -> None:
        self.due = due
        self.cancelled = False
        self._callback: Callback | None = callback

    def cancel(self) -> None:
        """Let the call not happen, unless it has."""
        self.cancelled = True
        self._callback = None

    def fire(self) -> None:
        """Make the call; runs in the I/O thread."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class _Watch(NamedTuple):
    events: int
    callback: EventCallback


class IOThread:
    """An event loop on a daemon thread of its own, started by the first use.

    `call`, `call_later` and `close` may be used from any thread; the other methods only from the I/O thread.

    Attributes:
        buffer: for reads whose bytes are dealt with before the next; for use in the I/O thread only.
        owner: id of the process that has this thread; a fork of it has not.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.owner = os.getpid()
        self.buffer = memoryview(bytearray(_READ_SIZE))
        self._epoll = select.epoll()
        self._poll: select.poll | None = None
        self._beside: set[int] = set()
        self._watches: dict[int, _Watch] = {}
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._calls: deque[Callback] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._tidy_at = _TIDY_LEAST
        self._sequence = itertools.count()
        self._resting: deque[tuple[float, Callback]] = deque()
        self._rests_until = 0.0
        self._woken = False
        self._closing = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.watch(self._wakeup, READ, lambda _: os.eventfd_read(self._wakeup))

    def begin(self) -> None:
        """Start the thread now, if that is not done.

        Raises:
            StartError: the machine has no room for a thread; the next use tries again.
        """
        with self._lock:
            if self._thread is None and not self._closing:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    raise StartError(f"The thread {self._name} did not start: {error}.") from error
                self._thread = thread

    def call(self, callback: Callback) -> None:
        """Have the I/O thread make a call; without effect once the thread is closed."""
        self._calls.append(callback)
        self._wake()

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Have the I/O thread make a call in `delay` seconds; the timer can cancel it."""
        timer = Timer(time.monotonic() + delay, callback)
        if threading.current_thread() is self._thread:
            self._add_timer(timer)
        else:
            self.call(lambda: self._add_timer(timer))
        return timer

    def close(self) -> None:
        """Make the calls that are queued, end the thread and wait for it. Not to be called from the I/O thread."""
        with self._lock:
            self._closing = True
            thread = self._thread
        if thread is None:
            self._release()
            return
        self._wake()
        thread.join()

    def watch(self, descriptor: int, events: int, callback: EventCallback) -> None:
        """Call back with the ready events for as long as the descriptor is watched; replaces an earlier watch."""
        if self._epoll.closed:
            return
        before, watch = self._watches.get(descriptor), _Watch(events, callback)
        if before is None:
            self._register(descriptor, _mask(events))
        elif before.events != events:
            (self._poll if self._poll is not None and descriptor in self._beside else self._epoll).modify(
                descriptor, _mask(events)
            )
        if watch != before:
            self._watches[descriptor] = watch

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor; it need not be watched. To be called before it is closed."""
        if self._watches.pop(descriptor, None) is None:
            return
        if self._poll is not None and descriptor in self._beside:
            self._poll.unregister(descriptor)
            self._beside.discard(descriptor)
            if not self._beside:
                self._poll = None
            return
        with contextlib.suppress(OSError):
            self._epoll.unregister(descriptor)

    def _register(self, descriptor: int, mask: int) -> None:
        try:
            self._epoll.register(descriptor, mask)
        except OSError as error:
            # All processes of a user share how much they may have watched in this way, so any of them can use it up.
            if error.errno != errno.ENOSPC:
                raise
            if self._poll is None:
                self._poll = select.poll()
                self._poll.register(self._epoll.fileno(), select.POLLIN)
            self._poll.register(descriptor, mask)  # the bits mean the same
            self._beside.add(descriptor)

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if self._poll is None:
            return self._epoll.poll(timeout)
        ready = self._poll.poll(None if timeout is None else math.ceil(timeout * 1000))
        return [found for found in ready if found[0] in self._beside] + self._epoll.poll(0)

    def rest(self, seconds: float, callback: Callback) -> None:
        """Have a call made for one who floods, after a rest.

        The rests of all who flood follow each other, so that together they get no more of this thread than one alone.
        """
        now = time.monotonic()
        self._rests_until = max(self._rests_until, now) + seconds
        self._resting.append((self._rests_until, callback))
        if len(self._resting) == 1:
            self.call_later(seconds, self._end_rest)

    def _end_rest(self) -> None:
        # It stays in the queue during its call: if that asks for another rest, there is one timer all the same.
        self._guard(self._resting[0][1])
        self._resting.popleft()
        if self._resting:
            self.call_later(max(_LEAST_PAUSE, self._resting[0][0] - time.monotonic()), self._end_rest)

    def _wake(self) -> None:
        # The I/O thread itself makes the calls that are queued before it sleeps again.
        if (self._woken and self._thread is not None) or threading.current_thread() is self._thread:
            return
        self.begin()
        with self._lock:
            if not self._woken and not self._epoll.closed:
                self._woken = True
                os.eventfd_write(self._wakeup, 1)

    def _run(self) -> None:
        while True:
            self._call_back(self._wait(self._timeout()))
            # Cleared before the queue is emptied: a call that arrives from here on wakes the thread again.
            self._woken = False
            self._fire_due_timers()
            while self._calls:
                self._guard(self._calls.popleft())
            if self._closing and not self._calls:
                break
        self._release()

    def _call_back(self, ready: list[tuple[int, int]]) -> None:
        """Make the calls of a round. No name for the last one stays behind: it may hold a process that has ended."""
        for (descriptor, mask), watch in zip(ready, [self._watches.get(one) for one, _ in ready], strict=True):
            # An earlier callback of this round may have ended the watch, and even given its number to another.
            if watch is not None and self._watches.get(descriptor) is watch:
                events = (READ if mask & ~select.EPOLLOUT else 0) | (WRITE if mask & ~select.EPOLLIN else 0)
                self._guard(watch.callback, events & watch.events)

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return min(max(0.0, self._timers[0][0] - time.monotonic()), _LONGEST_SLEEP) if self._timers else None

    def _add_timer(self, timer: Timer) -> None:
        if len(self._timers) >= self._tidy_at:
            # Most are cancelled long before they are due, and would stay until then.
            self._timers = [entry for entry in self._timers if not entry[2].cancelled]
            heapq.heapify(self._timers)
            self._tidy_at = 2 * len(self._timers) + _TIDY_LEAST
        heapq.heappush(self._timers, (timer.due, next(self._sequence), timer))

    def _fire_due_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._guard(heapq.heappop(self._timers)[2].fire)

    def _guard(self, callback: Callable[..., object], *arguments: int) -> None:
        try:
            callback(*arguments)
        except BaseException:  # the thread's end would be everybody's, even if a callback means only itself by exiting
            logger.exception("A callback failed in the I/O thread; the others go on.")

    def _release(self) -> None:
        with self._lock:
            if not self._epoll.closed:
                self._watches.clear()
                self._epoll.close()
                os.close(self._wakeup)


def _mask(events: int) -> int:
    return (select.EPOLLIN if events & READ else 0) | (select.EPOLLOUT if events & WRITE else 0)
