"""Door: takes a node's connections, and sees what each is, before anything of it is believed.

No byte is taken that belongs to whoever goes on with a connection.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from ..errors import ProtocolError
from ..host.io import READ, IOThread, Timer
from ..wire.node import MOST_OPENING, First, decode_first

__all__ = ["Door"]

_PATIENCE: Final = 5.0
"""Seconds in which a connection must have said what it is."""

_MOST_UNPROVEN: Final = 64
"""Connections that may not have said so at a time; a host with many starts has a few."""

_AGAIN: Final = 0.01
"""Seconds until a beginning that came in part is looked at again."""


class Door:
    """See the module. For the I/O thread.

    Args:
        listener: what connections come to; closed with the door.
        io: the I/O thread.
        enter: is called with what a connection begins with, and takes it, or returns False.
    """

    def __init__(self, listener: socket.socket, io: IOThread, enter: Callable[[First, socket.socket], bool]) -> None:
        self._listener = listener
        self._io = io
        self._enter = enter
        self._unproven: dict[socket.socket, Timer] = {}

    def open(self) -> None:
        """Take connections from now on."""
        self._listener.setblocking(False)
        self._io.watch(self._listener.fileno(), READ, lambda _: self._accept())

    def close(self) -> None:
        """Take no more, and close those that have not entered."""
        self._io.unwatch(self._listener.fileno())
        self._listener.close()
        for channel in [*self._unproven]:
            self._refuse(channel)

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:  # none is there, or this process has no descriptor left: then the host tries again
                return
            if len(self._unproven) >= _MOST_UNPROVEN:
                # Whoever floods it pushes out itself: the host says at once what it wants.
                self._refuse(next(iter(self._unproven)))
            channel.setblocking(False)
            if channel.family != socket.AF_UNIX:
                channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            late = self._io.call_later(_PATIENCE, lambda one=channel: self._refuse(one))  # type: ignore[misc]
            self._unproven[channel] = late
            self._watch(channel)

    def _watch(self, channel: socket.socket) -> None:
        if channel in self._unproven:
            self._io.watch(channel.fileno(), READ, lambda _: self._read(channel))

    def _refuse(self, channel: socket.socket) -> None:
        """Close a connection that has not said what it is, or nothing that is known here."""
        if channel in self._unproven:
            self._let_go(channel)
            channel.close()

    def _let_go(self, channel: socket.socket) -> None:
        self._unproven.pop(channel).cancel()
        self._io.unwatch(channel.fileno())

    def _read(self, channel: socket.socket) -> None:
        try:
            seen = channel.recv(MOST_OPENING, socket.MSG_PEEK)
            first, size = decode_first(seen)
            if first is not None:
                channel.recv(size)
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            self._refuse(channel)
            return
        if first is not None:
            self._let_go(channel)
            if not self._enter(first, channel):
                channel.close()
        elif seen:
            # It would be called again at once, as what has come is not taken.
            self._io.unwatch(channel.fileno())
            self._io.call_later(_AGAIN, lambda: self._watch(channel))
        else:
            self._refuse(channel)
