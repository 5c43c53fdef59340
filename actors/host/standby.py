"""Standby pool: processes forked ahead of time, so that the next actors need not wait for a fork.

A process is handed out at most once, one that has rehearsed first. One that dies on standby is dropped, and nobody is
told. It must never hand out a process that it has seen end.

When an actor has finished, the next process is asked for: then the zygote has nothing to do, and whoever starts one
actor after the other finds it forked, or at least on its way. A rehearsal takes more than a start does. So it waits,
as do further forks, until no start has been under way for a moment.
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

from ..wire import ancillary
from ..wire.standby import REHEARSE, STANDS_BY, TAKE
from .beginning import open_channel
from .io import READ, IOThread, Timer

if TYPE_CHECKING:
    from .forked_process import ForkedProcess
    from .process import ActorProcess

__all__ = ["Coming", "Standby", "StandbyPool"]

T = TypeVar("T")

_QUIET: Final = 0.03
"""Seconds without a start after which processes rehearse: longer than from one start to the next, also where one
comes after the other on a busy machine. A rehearsal takes as much processor time as two starts, with models as four."""


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
    process: ForkedProcess | None = None

    theirs: ClassVar[None] = None  # the process has it

    def appoint(self, process: ForkedProcess) -> None:
        """Be the process of an actor. Called with the pool's lock, in `StandbyPool.take`."""
        self.process = process
        process.on_asked_for()
        process.take_on(self.pid, self.pidfd)

    def begin(self, process: ActorProcess) -> None:
        """See to it that the process is heard, which has its first message."""
        if not self.is_watched:  # it has ended just now: its pidfd says so
            self.io.call(lambda: process.on_first_events(0))

    def hand_over(self, channel: socket.socket) -> None:
        """Have the process go on with another channel than the one by which it was forked. For the I/O thread."""
        self.io.unwatch(self.channel.fileno())
        _hand_over(self.channel, channel)

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


class Coming(msgspec.Struct):
    """A process that the zygote has been asked for, and the start of an actor by it.

    Attributes:
        key: number by which host and zygote name it.
        channel: the host's end of its channel.
        theirs: the process's end.
        link: what that one is called in `/proc/PID/fd`.
    """

    key: int
    channel: socket.socket
    theirs: socket.socket
    link: str

    def appoint(self, process: ForkedProcess) -> None:
        """Be the process of an actor. Called with the pool's lock, in `StandbyPool.take`."""
        process.on_asked_for()

    def begin(self, process: ActorProcess) -> None:
        """Nothing is left to be done: it is asked for, and will find its first message."""

    def hand_over(self, channel: socket.socket) -> None:
        """Have the process go on with another channel than the one by which it is being forked."""
        _hand_over(self.channel, channel)


def _hand_over(own: socket.socket, channel: socket.socket) -> None:
    with own, contextlib.suppress(OSError):  # it has ended: its pidfd says so
        ancillary.send(own, TAKE, channel.fileno())


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
        self._coming: dict[int, Coming] = {}
        self._fresh: dict[int, Standby] = {}
        self._rehearsing: dict[int, Standby] = {}
        self._waiting: dict[int, Standby] = {}
        self._ended: list[Standby] = []
        self._starts = 0
        self._is_quiet = False
        self._still_to_start = after
        self._fill_timer: Timer | None = None
        self._closed = False

    def take(self, appoint: Callable[[Standby | Coming], T]) -> T | None:
        """Begin a start with a process of these, and return what `appoint` makes of it; None if there is none.

        Args:
            appoint: makes it the actor's, and may raise: then it goes on standing by. Called with the pool's lock, so
                that who hears of its end finds it either here or where this has put it.
        """
        with self._lock:
            for those in (self._waiting, self._fresh):
                while those:
                    key, standby = next(iter(those.items()))
                    if not standby.has_ended():
                        taken = appoint(standby)
                        del those[key]
                        self._count_start()
                        return taken
                    # The zygote's word of it is on the way, and the I/O thread may be at its channel.
                    self._ended.append(those.pop(key))
                    self._io.call(self._close_ended)
            for key, coming in self._coming.items():
                taken = appoint(coming)
                del self._coming[key]
                self._count_start()
                return taken
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
        self._is_quiet = False

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
        """Fork what is missing, and have all rehearse that have not, unless an actor is being started."""
        with self._lock:
            if self._closed or self._starts or self._still_to_start > 0:
                return
            self._is_quiet = True
            for standby in [*self._fresh.values()]:
                self._have_rehearse(standby)
            self._fork_missing(self._size)

    def actor_finished(self) -> None:
        """An actor has come to its end: there may soon be another. Fork one process, if any is missing."""
        with self._lock:
            if not self._closed and self._still_to_start <= 0:
                self._fork_missing(1)

    def _fork_missing(self, most: int) -> None:
        """Fork what is missing, so many at most. Called with the lock."""
        there = len(self._coming) + len(self._fresh) + len(self._rehearsing) + len(self._waiting)
        # Where the host has no descriptor left, or no zygote, starts themselves will tell.
        with contextlib.suppress(OSError):
            for _ in range(min(most, self._size - there)):
                channel = open_channel()
                key = self._new_key()
                self._coming[key] = Coming(key, channel.ours, channel.theirs, channel.link)
                try:
                    self._fork(key, channel.theirs)
                except OSError:
                    self._drop(key)
                    raise

    def _have_rehearse(self, standby: Standby) -> None:
        """Have a process rehearse, which cannot be taken meanwhile. Called with the lock."""
        with contextlib.suppress(OSError):  # it has ended: its channel says so
            standby.channel.send(REHEARSE)
        self._rehearsing[standby.key] = self._fresh.pop(standby.key)

    def on_forked(self, key: int, pid: int, pidfd: int | None) -> bool:
        """A process exists; return whether it is one of these."""
        with self._lock:
            coming = self._coming.pop(key, None)
            if coming is None:
                return False
            coming.theirs.close()
            if pidfd is None:
                coming.channel.close()
                return True
            standby = self._fresh[key] = Standby(key, coming.channel, coming.link, pid, pidfd, self._io)
            self._io.watch(standby.channel.fileno(), READ, lambda events: self._on_events(standby, events))
            if self._is_quiet:
                self._have_rehearse(standby)
            return True

    def drop(self, key: int) -> bool:
        """A process could not be forked, or has ended; return whether it was one of these."""
        with self._lock:
            return self._drop(key)

    def _drop(self, key: int) -> bool:
        """Let one go. Called with the lock."""
        coming = self._coming.pop(key, None)
        if coming is not None:
            coming.channel.close()
            coming.theirs.close()
        rehearsing = self._rehearsing.pop(key, None)
        waiting = self._waiting.pop(key, None) or self._fresh.pop(key, None)
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
            for key in [*self._coming, *self._fresh, *self._rehearsing, *self._waiting]:
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
                elif standby.key in self._rehearsing or standby.key in self._waiting or standby.key in self._fresh:
                    standby.kill()
                    self._drop(standby.key)
                else:  # about to be closed
                    standby.is_watched = False
                    self._io.unwatch(standby.channel.fileno())
        if process is not None:
            process.on_first_events(events)
