"""Beginning: a new channel, the process that is to have its other end, until there is one, and who waits for that.

Below: what of the host's present state such a process is to have.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
import threading
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, InvalidStateError
from typing import Final, NamedTuple

from ..errors import SubactorsError

__all__ = [
    "SEND_BUFFER",
    "Beginning",
    "NewChannel",
    "Readiness",
    "current_directory",
    "encoded",
    "environment",
    "module_path",
    "open_channel",
]

SEND_BUFFER: Final = 512 * 1024
"""Bytes that a child can write while it is not read. The system doubles it, or has a bound of its own."""

_KNOWN_BY: Final = 128
"""Bytes by which a first message is known: the actor's URN is among them."""

_MOST_LOST: Final = 2
"""Zygotes that a process may lose before it has begun: what it starts with may be what they end of."""


class NewChannel(NamedTuple):
    """Both ends of a channel.

    Attributes:
        ours: the host's end, which does not block.
        theirs: the process's.
        link: what that one is called in `/proc/PID/fd`.
    """

    ours: socket.socket
    theirs: socket.socket
    link: str


def open_channel() -> NewChannel:
    """Make a channel. Raises OSError."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return NewChannel(ours, theirs, f"socket:[{os.fstat(theirs.fileno()).st_ino}]")


class Beginning:
    """A process that has been asked for, until the host hears that there is one.

    The process's end of its channel stays open here so long, with the first message in it. A zygote that is lost before
    it has forked takes nothing with it then: the next one is given the same end. It must never be given to a second
    process where a first one has read from it. Used by one thread at a time.

    Args:
        theirs: the process's end of its channel; None where a process stood by that has it.

    Attributes:
        theirs: the same, until it is let go of.
    """

    def __init__(self, theirs: socket.socket | None) -> None:
        self.theirs = theirs
        self._first = b""
        self._lost = 0

    def sent(self, frame: bytes) -> None:
        """Take note of the first message, which is being sent."""
        self._first = frame[:_KNOWN_BY]

    def may_be_repeated(self) -> bool:
        """Whether another zygote can be asked: nobody has read the first message. Called once for each that is lost."""
        self._lost += 1
        # Where no first message is known, nothing is to be told by what is there: at the end of a channel, that is
        # nothing, too.
        return self._lost <= _MOST_LOST and bool(self._first) and self._unread() == self._first

    def came(self) -> None:
        """Take note of the first message, which somebody else has sent; unknown where it is still on its way."""
        self._first = self._unread()

    def _unread(self) -> bytes:
        """Return what a process would read first; nothing where there is nothing."""
        if self.theirs is not None:
            with contextlib.suppress(OSError):
                return self.theirs.recv(_KNOWN_BY, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return b""

    def over(self) -> None:
        """Close their end: a process has it, or none ever will."""
        theirs, self.theirs = self.theirs, None
        if theirs is not None:
            theirs.close()


class Readiness:
    """Readiness: whether an actor's constructor has returned, for who waits for that. For any thread.

    Hardly anybody does: a supervisor is told. So what one can wait for, which is a dozen objects, is made for the first
    who asks.
    """

    __slots__ = ("_error", "_future", "_has_come", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._future: Future[None] | None = None
        self._has_come = False
        self._error: Exception | None = None

    def future(self) -> Future[None]:
        """Return what is done when it has come, or raises why it never will."""
        with self._lock:
            if self._future is not None:
                return self._future
            future = self._future = Future()
        self._tell(future)
        return future

    def come(self) -> None:
        """It has come."""
        with self._lock:
            self._has_come = True
            future = self._future
        self._tell(future)

    def end(self, error: Exception) -> None:
        """It never will; whoever waits for it is to get this error."""
        with self._lock:
            self._error = error
            future = self._future
        self._tell(future)

    def _tell(self, future: Future[None] | None) -> None:
        """Tell who waits, if that is known, and somebody does."""
        if future is None or not (self._has_come or self._error):
            return
        # Whoever asks first and who knows may come at the same time; each tells, once.
        with contextlib.suppress(InvalidStateError):
            if self._error is not None:
                future.set_exception(self._error)
            else:
                future.set_result(None)


# --- the host's view of this moment, which a process that starts is to have ------------------------------------------


def module_path() -> list[bytes]:
    """Return the module search path; an empty entry means the current directory, which a child may leave."""
    path = _encoded_entries(tuple(sys.path))
    return path if all(path) else [entry or current_directory() for entry in path]


@functools.lru_cache(maxsize=1)
def _encoded_entries(entries: tuple[str, ...]) -> list[bytes]:
    """Return a module path's entries as bytes; the same list for as long as they are the same."""
    return [os.fsencode(entry) for entry in entries]


def current_directory() -> bytes:
    """Return the current directory; raises SubactorsError if it has been removed."""
    try:
        return os.getcwdb()  # noqa: PTH109 - as bytes, whatever its name is
    except FileNotFoundError:
        raise SubactorsError(
            "The host's working directory has been removed, so a process cannot start in it. Change to one that exists."
        ) from None


def environment(withheld: AbstractSet[bytes] = frozenset()) -> dict[bytes, bytes]:
    """Return the environment without the variables of these names."""
    # Its own dictionary where it has one, as in CPython: to go through the mapping is a call for each variable.
    variables = dict(getattr(os.environb, "_data", os.environb))
    for name in variables.keys() & withheld:  # of some fifty, hardly any is there
        del variables[name]
    return variables


def encoded(environ: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return an environment as bytes."""
    return {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
