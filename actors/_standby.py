"""Processes that stand by: forked ahead of time, so that the next actors need not wait for a fork.

A process is handed out at most once, the oldest first. What dies while it stands by is dropped, and nobody
hears of it. New ones are forked when no start has been under way for a moment: a fork and its rehearsal would take
their time from the starts. It must never hand out a process that it has seen end.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ._io import IOThread, Timer
from ._wire import STANDS_BY

__all__ = ["Standby", "StandbyPool"]

_QUIET: Final = 0.01
"""Seconds without a start after which processes are forked ahead: longer than from one start to the next in a burst."""


@dataclass(frozen=True)
class Standby:
    """A process that waits for its first message.

    Attributes:
        key: number by which host and zygote name it.
        channel: the host's end of its channel.
        pid: its process id.
        pidfd: of the process; whoever takes it closes it.
    """

    key: int
    channel: socket.socket
    pid: int
    pidfd: int

    def has_ended(self) -> bool:
        """Whether the process is no more."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let it go: it ends as its channel closes."""
        self.channel.close()
        os.close(self.pidfd)


class StandbyPool:
    """Keeps some processes standing by. Used in the I/O thread, but `take`, which any thread may call with the lock.

    Args:
        size: how many.
        lock: the system's.
        io: watches their channels.
        new_key: returns the number for a process.
        fork: asks the zygote for a process of that number that serves a channel, which is closed when it is sent.
    """

    def __init__(
        self,
        size: int,
        *,
        lock: threading.Lock,
        io: IOThread,
        new_key: Callable[[], int],
        fork: Callable[[int, socket.socket], None],
    ) -> None:
        self._size = size
        self._lock = lock
        self._io = io
        self._new_key = new_key
        self._fork = fork
        self._coming: dict[int, socket.socket] = {}
        self._rehearsing: dict[int, Standby] = {}
        self._waiting: dict[int, Standby] = {}
        self._starts = 0
        self._fill_timer: Timer | None = None
        self._closed = False

    def take(self) -> Standby | None:
        """Return a process for an actor to be; None if none stands by. Called with the system's lock."""
        while self._waiting:
            standby = self._waiting.pop(next(iter(self._waiting)))
            if not standby.has_ended():
                return standby
            standby.close()  # the zygote's word of it is on the way
        return None

    def start_begun(self) -> None:
        """An actor is being started. Called with the system's lock, in any thread."""
        self._starts += 1

    def start_over(self) -> None:
        """An actor has been constructed, or has ended before. Called with the system's lock."""
        self._starts -= 1
        self._fill_soon()

    def _fill_soon(self) -> None:
        if self._fill_timer is not None:
            self._fill_timer.cancel()
            self._fill_timer = None
        if self._size and not self._closed and not self._starts:
            self._fill_timer = self._io.call_later(_QUIET, self._fill_after_quiet)

    def _fill_after_quiet(self) -> None:
        with self._lock:
            self.fill()

    def fill(self) -> None:
        """Fork what is missing, unless an actor is being started. Called with the system's lock."""
        if self._closed or self._starts:
            return
        # Where the host has no descriptor left, or no zygote, starts themselves will tell.
        with contextlib.suppress(OSError):
            while len(self._coming) + len(self._rehearsing) + len(self._waiting) < self._size:
                ours, theirs = socket.socketpair()
                ours.setblocking(False)
                key = self._new_key()
                self._coming[key] = ours
                try:
                    self._fork(key, theirs)
                except OSError:
                    del self._coming[key]
                    ours.close()
                    raise

    def on_forked(self, key: int, pid: int, pidfd: int | None) -> bool:
        """A process exists; return whether it is one of these."""
        channel = self._coming.pop(key, None)
        if channel is None:
            return False
        if pidfd is None:
            channel.close()
        else:
            self._rehearsing[key] = Standby(key, channel, pid, pidfd)
            self._io.watch(channel.fileno(), selectors.EVENT_READ, lambda _events: self._on_first_byte(key))
        return True

    def drop(self, key: int) -> None:
        """A process could not be forked, or has ended. Called with the system's lock."""
        channel = self._coming.pop(key, None)
        if channel is not None:
            channel.close()
        standby = self._rehearsing.pop(key, None)
        if standby is not None:
            self._io.unwatch(standby.channel.fileno())
        standby = standby or self._waiting.pop(key, None)
        if standby is not None:
            standby.close()
            self._fill_soon()

    def clear(self) -> None:
        """Drop all: there is no zygote any more. Called with the system's lock."""
        for key in [*self._coming, *self._rehearsing, *self._waiting]:
            self.drop(key)

    def close(self) -> None:
        """Drop all, and fork no more. Called with the system's lock."""
        self._closed = True
        if self._fill_timer is not None:
            self._fill_timer.cancel()
        self.clear()

    def _on_first_byte(self, key: int) -> None:
        """A process is through with its rehearsal; one that has ended is left to the zygote's word of it."""
        standby = self._rehearsing[key]
        self._io.unwatch(standby.channel.fileno())
        try:
            said = standby.channel.recv(len(STANDS_BY))
        except OSError:
            said = b""
        if said == STANDS_BY:
            with self._lock:
                self._waiting[key] = self._rehearsing.pop(key)
