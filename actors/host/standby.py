"""Standby pool: processes forked ahead of time, so that the next actors need not wait for a fork.

A process is handed out at most once, the oldest first. One that dies on standby is dropped, and nobody is told. New
ones are forked when no start has been under way for a moment, because a fork and its rehearsal would take their time
from the starts. It must never hand out a process that it has seen end.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import msgspec

from ..wire.messages import STANDS_BY
from .beginning import NewChannel, open_channel
from .io import READ, IOThread, Timer

if TYPE_CHECKING:
    from .process import ActorProcess

__all__ = ["Standby", "StandbyPool"]

T = TypeVar("T")

_QUIET: Final = 0.01
"""Seconds without a start after which processes are forked ahead: longer than from one start to the next in a burst."""


class Standby(msgspec.Struct):
    """A process that waits for its first message, and the start of an actor by it.

    Attributes:
        key: number by which host and zygote name it.
        channel: the host's end of its channel.
        link: what the other end is called in `/proc/PID/fd`.
        pid: its process id.
        pidfd: of the process; whoever takes it closes it.
        io: the I/O thread.
        is_watched: whether that looks at the channel.
        process: what it has become, once it is taken. This and `is_watched` change with the pool's lock.
    """

    key: int
    channel: socket.socket
    link: str
    pid: int
    pidfd: int
    io: IOThread
    is_watched: bool = True
    process: ActorProcess | None = None

    theirs: ClassVar[None] = None  # the process has it

    def appoint(self, process: ActorProcess) -> None:
        """Be the process of an actor. Called with the pool's lock, in `StandbyPool.take`."""
        self.process = process
        process.on_asked_for()
        process.take_on(self.pid, self.pidfd)

    def begin(self, process: ActorProcess) -> None:
        """See to it that the process is heard, which has its first message."""
        if not self.is_watched:  # it has ended just now: its pidfd says so
            self.io.call(lambda: process.on_first_events(0))

    def has_ended(self) -> bool:
        """Whether the process is no more."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self) -> None:
        """Send SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Let it go: it ends as its channel closes."""
        self.channel.close()
        os.close(self.pidfd)


class StandbyPool:
    """Keeps some processes standing by.

    `take`, `start_begun` and `start_over` are for any thread, all else is for the I/O thread.

    Args:
        size: how many.
        io: watches their channels.
        new_key: returns the number for a process.
        fork: asks the zygote for a process of that number that serves a channel.
        after: how many actors must have been started before any process stands by.
    """

    def __init__(
        self,
        size: int,
        *,
        io: IOThread,
        new_key: Callable[[], int],
        fork: Callable[[int, socket.socket], None],
        after: int = 0,
    ) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._io = io
        self._new_key = new_key
        self._fork = fork
        self._coming: dict[int, NewChannel] = {}
        self._rehearsing: dict[int, Standby] = {}
        self._waiting: dict[int, Standby] = {}
        self._ended: list[Standby] = []
        self._starts = 0
        self._still_to_start = after
        self._fill_timer: Timer | None = None
        self._closed = False

    def take(self, appoint: Callable[[Standby], T]) -> T | None:
        """Begin a start with a process that stands by, and return what `appoint` makes of it; None if none does.

        Args:
            appoint: makes it the actor's, and may raise: then it goes on standing by. Called with the pool's lock, so
                that who hears of its end finds it either here or where this has put it.
        """
        with self._lock:
            while self._waiting:
                key, standby = next(iter(self._waiting.items()))
                if not standby.has_ended():
                    taken = appoint(standby)
                    del self._waiting[key]
                    self._count_start()
                    return taken
                # The zygote's word of it is on the way, and the I/O thread may be at its channel.
                self._ended.append(self._waiting.pop(key))
                self._io.call(self._close_ended)
        return None

    def _close_ended(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, []
        for standby in ended:
            self._io.unwatch(standby.channel.fileno())
            standby.close()

    def start_begun(self) -> None:
        """An actor is being started without a process of these."""
        with self._lock:
            self._count_start()

    def _count_start(self) -> None:
        self._starts += 1
        self._still_to_start -= 1

    def start_over(self) -> None:
        """An actor has finished starting, or died first."""
        with self._lock:
            self._starts -= 1
            self._fill_soon()

    def _fill_soon(self) -> None:
        """Fork what is missing after a moment without a start. Called with the lock."""
        if self._fill_timer is not None:
            self._fill_timer.cancel()
            self._fill_timer = None
        if self._size and not self._closed and not self._starts:
            self._fill_timer = self._io.call_later(_QUIET, self.fill)

    def fill(self) -> None:
        """Fork what is missing, unless an actor is being started."""
        with self._lock:
            if self._closed or self._starts or self._still_to_start > 0:
                return
            # Where the host has no descriptor left, or no zygote, starts themselves will tell.
            with contextlib.suppress(OSError):
                while len(self._coming) + len(self._rehearsing) + len(self._waiting) < self._size:
                    channel = open_channel()
                    key = self._new_key()
                    self._coming[key] = channel
                    try:
                        self._fork(key, channel.theirs)
                    except OSError:
                        self._drop(key)
                        raise

    def on_forked(self, key: int, pid: int, pidfd: int | None) -> bool:
        """A process exists; return whether it is one of these."""
        with self._lock:
            coming = self._coming.pop(key, None)
            if coming is None:
                return False
            channel, theirs, link = coming
            theirs.close()
            if pidfd is None:
                channel.close()
            else:
                standby = self._rehearsing[key] = Standby(key, channel, link, pid, pidfd, self._io)
                self._io.watch(channel.fileno(), READ, lambda events: self._on_events(standby, events))
            return True

    def drop(self, key: int) -> bool:
        """A process could not be forked, or has ended; return whether it was one of these."""
        with self._lock:
            return self._drop(key)

    def _drop(self, key: int) -> bool:
        """Let one go. Called with the lock."""
        coming = self._coming.pop(key, None)
        if coming is not None:
            coming.ours.close()
            coming.theirs.close()
        rehearsing, waiting = self._rehearsing.pop(key, None), self._waiting.pop(key, None)
        standby = rehearsing or waiting
        if standby is not None:
            self._io.unwatch(standby.channel.fileno())
            standby.close()
        if waiting is not None:  # else the next would go the same way; it is tried again with the next start
            self._fill_soon()
        return coming is not None or standby is not None

    def clear(self) -> None:
        """Drop all: there is no zygote any more."""
        with self._lock:
            for key in [*self._coming, *self._rehearsing, *self._waiting]:
                self._drop(key)

    def close(self) -> None:
        """Drop all, and fork no more."""
        with self._lock:
            self._closed = True
            if self._fill_timer is not None:
                self._fill_timer.cancel()
        self.clear()

    def _on_events(self, standby: Standby, events: int) -> None:
        """A process is through with its rehearsal; or it has ended, or closed its channel and is of no more use.

        Or the actor that it has become says its first word, and this thread has not heard yet which actor that is.
        """
        said = b""
        with self._lock:
            process = standby.process
            if process is None:
                if standby.key in self._rehearsing:
                    with contextlib.suppress(OSError):
                        said = standby.channel.recv(len(STANDS_BY))
                if said == STANDS_BY:
                    self._waiting[standby.key] = self._rehearsing.pop(standby.key)
                elif standby.key in self._rehearsing or standby.key in self._waiting:
                    standby.kill()
                    self._drop(standby.key)
                else:  # about to be closed
                    standby.is_watched = False
                    self._io.unwatch(standby.channel.fileno())
        if process is not None:
            process.on_first_events(events)
