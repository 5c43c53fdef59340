"""Door: takes a node's connections, and sees what each is, before anything of it is believed.

What is to be the host's own connection stays here until both ends have proven what they are. No byte is taken that
belongs to whoever goes on with a connection. Strangers who come in numbers push out each other, and not the host.
"""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final

from ..errors import ProtocolError
from ..host.beginning import SEND_BUFFER
from ..host.io import READ, IOThread, Timer
from ..wire.frames import HEADER_SIZE
from ..wire.node import MOST_OPENING, Beat, Control, First, Proof, decode_first, encode_node
from .handshake import Handshake

__all__ = ["Door"]

_PATIENCE: Final = 5.0
"""Seconds in which a connection must have said what it is."""

_MOST_UNPROVEN: Final = 64
"""Connections that may not have said so at a time; a host with many starts has a few."""

_AGAIN: Final = 0.01
"""Seconds until a beginning that came in part is looked at again."""

_NO_ROOM: Final = 0.1
"""Seconds for which none is taken where this process has no room for another."""

_NOBODY: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNABORTED})
"""That none is there, or none any more."""


class _Visitor:
    """A connection that has not entered.

    Attributes:
        peer: the machine that it comes from; empty for this one.
        late: closes it.
        handshake: that with the host, if this is to be the host's own connection.
    """

    def __init__(self, peer: str, late: Timer) -> None:
        self.peer = peer
        self.late = late
        self.handshake: Handshake | None = None


class Door:
    """See the module. For the I/O thread.

    Args:
        listener: what connections come to; closed with the door.
        io: the I/O thread.
        token: what host and agent know.
        enter: is called with what a connection begins with, and takes it, or returns False. Of the host's own
            connection that is its proof, and comes with the handshake that it belongs to.
    """

    def __init__(
        self,
        listener: socket.socket,
        io: IOThread,
        token: bytes,
        enter: Callable[[First, socket.socket, Handshake | None], bool],
    ) -> None:
        self._listener = listener
        self._io = io
        self._token = token
        self._enter = enter
        self._visitors: dict[socket.socket, _Visitor] = {}
        self._again: Timer | None = None

    def open(self) -> None:
        """Take connections from now on."""
        self._listener.setblocking(False)
        self._io.watch(self._listener.fileno(), READ, lambda _: self._accept())

    def close(self) -> None:
        """Take no more, and close those that have not entered."""
        self._io.unwatch(self._listener.fileno())
        if self._again is not None:
            self._again.cancel()
        self._listener.close()
        for channel in [*self._visitors]:
            self._refuse(channel)

    def _accept(self) -> None:
        """Take a connection; it is called again as long as there are others, and all else has its turn in between."""
        try:
            channel, address = self._listener.accept()
        except OSError as error:
            if error.errno not in _NOBODY:  # it would be called again at once, and the host tries again
                self._io.unwatch(self._listener.fileno())
                self._again = self._io.call_later(_NO_ROOM, self.open)
            return
        if len(self._visitors) >= _MOST_UNPROVEN:
            self._make_room()
        channel.setblocking(False)
        peer = ""
        if channel.family == socket.AF_UNIX:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # as it may be a task's
        else:
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = address[0]
        self._visitors[channel] = _Visitor(peer, self._io.call_later(_PATIENCE, lambda: self._refuse(channel)))
        self._watch(channel)

    def _make_room(self) -> None:
        """Close a connection, unless it has brought its proof meanwhile: the oldest of whoever has most of them."""
        ((most, _),) = Counter(visitor.peer for visitor in self._visitors.values()).most_common(1)
        longest = next(channel for channel, visitor in self._visitors.items() if visitor.peer == most)
        self._read(longest)
        self._refuse(longest)

    def _watch(self, channel: socket.socket) -> None:
        if channel in self._visitors:
            self._io.watch(channel.fileno(), READ, lambda _: self._read(channel))

    def _refuse(self, channel: socket.socket) -> None:
        """Close a connection that has not said what it is, or nothing that is known here."""
        if channel in self._visitors:
            self._let_go(channel)
            channel.close()

    def _let_go(self, channel: socket.socket) -> None:
        self._visitors.pop(channel).late.cancel()
        self._io.unwatch(channel.fileno())

    def _read(self, channel: socket.socket) -> None:
        try:
            seen = channel.recv(HEADER_SIZE + MOST_OPENING, socket.MSG_PEEK)
            first, size = decode_first(seen)
            if first is not None:
                channel.recv(size)
                self._hear(first, channel)
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            self._refuse(channel)
            return
        if first is not None:
            return
        if seen:
            # It would be called again at once, as what has come is not taken.
            self._io.unwatch(channel.fileno())
            self._io.call_later(_AGAIN, lambda: self._watch(channel))
        else:
            self._refuse(channel)

    def _hear(self, first: First, channel: socket.socket) -> None:
        visitor = self._visitors[channel]
        match first:
            case Control() if visitor.handshake is None:
                visitor.handshake = Handshake(self._token, first)
                channel.send(encode_node(visitor.handshake.challenge))  # it is the first, so there is room for it
            case Proof() if visitor.handshake is None or not visitor.handshake.accepts(first):
                self._refuse(channel)
            case Control():
                self._refuse(channel)
            case Beat():
                pass  # a host's own connection has them from the beginning
            case _:
                self._let_go(channel)
                if not self._enter(first, channel, visitor.handshake):
                    channel.close()
