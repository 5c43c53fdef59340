"""Relay: passes connections on between Unix sockets of this machine and a line with TLS to another one.

A task's process speaks on its channel itself, and a TLS session cannot be handed to it. So each end of the line has a
relay: the host's takes plain connections on a Unix socket and makes one with TLS of each, the node's does the reverse.

Each direction is passed on by itself: what it still holds comes before its end, and its end is told in TLS, so that
nobody else can cut it off. It holds one piece at most, and takes the next when that is gone. All happens in the I/O
thread; it never waits.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final, cast

from ...actors import READ, SEND_BUFFER, WRITE, Address, IOThread, begin_to_connect
from .tls import TlsError, check_certificate

__all__ = ["Relay"]

_PIECE: Final = 131_072
"""Bytes that are read of a connection at a time."""

_PATIENCE: Final = 5.0
"""Seconds in which the other end must have proven itself."""

_MOST_UNPROVEN: Final = 64
"""Connections that may not have done so at a time, at the end that is connected to."""

_NO_ROOM: Final = 0.1
"""Seconds for which none is taken where this process has no room for another."""

_NOBODY: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNABORTED})
"""That none is there, or none any more."""

_AGAIN: Final = 0.01
"""Seconds until a connection is tried again for which there was no room."""


class Relay:
    """See the module. Its methods are for the I/O thread.

    Args:
        listener: what connections come to, which does not block; closed with the relay.
        to: where each goes on.
        context: of TLS.
        certificate: which the node must show, at the host's end; None: this is the node's end.
        io: the I/O thread.
    """

    def __init__(
        self,
        listener: socket.socket,
        to: Address,
        context: ssl.SSLContext,
        *,
        certificate: str | None,
        io: IOThread,
    ) -> None:
        self._listener = listener
        self._to = to
        self._context = context
        self._certificate = certificate
        self._io = io
        self._passages: dict[_Passage, None] = {}
        self._over: Callable[[], None] | None = None

    def open(self) -> None:
        """Take connections from now on."""
        self._io.watch(self._listener.fileno(), READ, lambda _: self._accept())

    def close(self, over: Callable[[], None]) -> None:
        """Take no more; `over` is called once those that there are have ended."""
        self._over = over
        self._io.unwatch(self._listener.fileno())
        self._listener.close()
        self._look_whether_over()

    def _accept(self) -> None:
        while True:
            try:
                one, address = self._listener.accept()
            except OSError as error:
                if error.errno not in _NOBODY:  # it would be called again at once
                    self._io.unwatch(self._listener.fileno())
                    self._io.call_later(_NO_ROOM, self._open_again)
                return
            one.setblocking(False)
            if self._certificate is None:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._make_room()
                self._add(one, None, self._enter, peer=address[0])
            else:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                self._reach(one)

    def _open_again(self) -> None:
        if self._over is None:
            self.open()

    def _add(
        self, line: socket.socket, plain: socket.socket | None, proven: Callable[[_Passage], None], peer: str = ""
    ) -> None:
        passage = _Passage(
            line,
            plain,
            peer=peer,
            context=self._context,
            certificate=self._certificate,
            io=self._io,
            proven=proven,
            forget=self._forget,
        )
        self._passages[passage] = None
        passage.begin()

    def _make_room(self) -> None:
        """Close one that has not proven itself, if there are too many: the oldest of whoever has most of them."""
        unproven = [passage for passage in self._passages if not passage.is_proven]
        if len(unproven) >= _MOST_UNPROVEN:
            ((most, _),) = Counter(passage.peer for passage in unproven).most_common(1)
            next(passage for passage in unproven if passage.peer == most).fail()

    def _enter(self, passage: _Passage) -> None:
        """The host has proven itself: have its connection go on."""
        try:
            plain = begin_to_connect(self._to)
        except BlockingIOError:
            self._io.call_later(_AGAIN, lambda: self._enter(passage))
        except OSError:
            passage.fail()
        else:
            passage.go_on(plain)

    def _reach(self, plain: socket.socket) -> None:
        """Have the host's connection go on to the node."""
        try:
            line = begin_to_connect(self._to)
        except OSError:
            plain.close()
        else:
            self._add(line, plain, lambda passage: passage.go_on(plain))

    def _forget(self, passage: _Passage) -> None:
        self._passages.pop(passage, None)
        self._look_whether_over()

    def _look_whether_over(self) -> None:
        if self._over is not None and not self._passages:
            self._over()


class _Passage:
    """One connection.

    Args:
        line: its end with TLS.
        plain: the other, where that is there already; closed with the passage.
        peer: the machine that it comes from, at the node's end.
        context: of TLS.
        certificate: see `Relay`.
        io: the I/O thread.
        proven: is called once the other end of the line has proven itself; `go_on` is to follow.
        forget: is called with it, last.

    Attributes:
        is_proven: whether the other end has done so.
        peer: see above.
    """

    def __init__(
        self,
        line: socket.socket,
        plain: socket.socket | None,
        *,
        peer: str,
        context: ssl.SSLContext,
        certificate: str | None,
        io: IOThread,
        proven: Callable[[_Passage], None],
        forget: Callable[[_Passage], None],
    ) -> None:
        self._line, self._plain = line, plain
        self.peer = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=certificate is None)
        self._certificate = certificate
        self._io = io
        self._proven = proven
        self._forget = forget
        self._late = io.call_later(_PATIENCE, self.fail)
        self.is_proven = self._goes_on = self._is_over = False
        self._to_plain = self._to_line = memoryview(b"")
        self._line_ended = self._plain_ended = False
        """Whether nothing more comes from there."""
        self._line_told = self._plain_told = False
        """Whether the other end there has been told that nothing more comes."""
        self._is_deaf = False
        """Whether the plain end takes nothing more; what is for it is dropped then, but read, as its end is to come.
        Else TCP would throw away what goes the other way."""

    def begin(self) -> None:
        """Begin to prove each other."""
        self._step(self._shake_hands)

    def go_on(self, plain: socket.socket) -> None:
        """Pass on to this end, and from it."""
        self._plain = plain
        if self._is_over:
            plain.close()
            return
        self._goes_on = True
        self._step(self._decrypt)  # what came with the proof

    def fail(self) -> None:
        """End it: nothing more can go by the line. What has come by it is passed on first."""
        self._line_ended = self._plain_ended = self._line_told = True
        self._to_line = memoryview(b"")
        self._settle()

    # --- what comes -------------------------------------------------------------------------------------------------

    def _on_line(self, events: int) -> None:
        if events & WRITE:
            self._step(self._send_line)
        if events & READ and not self._line_ended and not self._to_plain:
            self._step(self._read_line)

    def _on_plain(self, events: int) -> None:
        if events & WRITE:
            self._step(lambda: self._send_plain(self._to_plain))
        if events & READ and not self._plain_ended and not self._to_line:
            self._step(self._read_plain)

    def _step(self, do: Callable[[], None]) -> None:
        """Do something, and what follows from it."""
        if self._is_over:
            return
        try:
            do()
            self._settle()
        except (OSError, TlsError):  # of the line; those of the plain end are dealt with where they come
            self.fail()

    def _read_line(self) -> None:
        try:
            size = self._line.recv_into(self._io.buffer, _PIECE)
        except (BlockingIOError, InterruptedError):
            return
        if size:
            self._incoming.write(self._io.buffer[:size])
        else:
            self._incoming.write_eof()
        if self._goes_on:
            self._decrypt()
        elif not self.is_proven:
            self._shake_hands()

    def _shake_hands(self) -> None:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            self._send_line()
            return
        except ssl.SSLError:
            with contextlib.suppress(OSError):
                self._send_line()  # why it is refused
            raise
        self._send_line()
        if self._certificate is not None:
            check_certificate(self._session, self._certificate)
        self.is_proven = True
        self._late.cancel()
        self._proven(self)

    def _decrypt(self) -> None:
        """Pass on all that has come by the line; no whole record is left, so that what is held is bounded."""
        room = self._io.buffer
        size = 0
        try:
            while True:
                count = cast("int", self._session.read(len(room) - size, room[size:]))
                size += count
                if not count:
                    self._line_ended = True
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._line_ended = True
        finally:  # also what comes before a line that is cut
            self._send_plain(room[:size])

    def _read_plain(self) -> None:
        assert self._plain is not None  # noqa: S101 - it is watched
        try:
            size = self._plain.recv_into(self._io.buffer, _PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # there was something that its other end had not read
            size = 0
        if not size:
            self._plain_ended = True
            return
        position = 0
        while position < size:
            position += self._session.write(self._io.buffer[position:size])
        self._send_line()

    # --- what goes --------------------------------------------------------------------------------------------------

    def _send_line(self) -> None:
        """Send what the line takes now."""
        data = self._to_line or memoryview(self._outgoing.read())
        while data:
            try:
                data = data[self._line.send(data) :]
            except (BlockingIOError, InterruptedError):
                break
            data = data or memoryview(self._outgoing.read())
        self._to_line = data

    def _send_plain(self, data: memoryview) -> None:
        """Send what the plain end takes now; what it does not take is kept."""
        assert self._plain is not None  # noqa: S101 - it goes on
        try:
            while data and not self._is_deaf:
                data = data[self._plain.send(data) :]
        except (BlockingIOError, InterruptedError):
            self._to_plain = memoryview(bytes(data))
            return
        except OSError:
            self._is_deaf = True
        self._to_plain = memoryview(b"")

    # --- what follows -----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Pass on the ends of both directions, and see what is to be waited for now."""
        if self._is_over:
            return
        if self._line_ended and not self._to_plain and not self._plain_told and self._plain is not None:
            self._plain_told = True
            with contextlib.suppress(OSError):
                self._plain.shutdown(socket.SHUT_WR)
        if self._plain_ended and not self._to_line and not self._line_told:
            self._line_told = True
            with contextlib.suppress(ssl.SSLError):  # it would wait for the other's end, which `_decrypt` sees
                self._session.unwrap()
            self._send_line()
        if self._line_ended and self._line_told and not self._to_plain and not self._to_line:
            self._end()
        else:
            self._watch()

    def _watch(self) -> None:
        # Only what is waited for is watched: one whose other end is closed would be reported over and over.
        reads = not self._line_ended and not self._to_plain and (self._goes_on or not self.is_proven)
        self._watch_one(self._line, (READ if reads else 0) | (WRITE if self._to_line else 0), self._on_line)
        if self._plain is not None and self._goes_on:
            reads = not self._plain_ended and not self._to_line
            self._watch_one(self._plain, (READ if reads else 0) | (WRITE if self._to_plain else 0), self._on_plain)

    def _watch_one(self, end: socket.socket, events: int, callback: Callable[[int], None]) -> None:
        if events:
            self._io.watch(end.fileno(), events, callback)
        else:
            self._io.unwatch(end.fileno())

    def _end(self) -> None:
        self._is_over = True
        self._late.cancel()
        for end in (self._line, self._plain):
            if end is not None:
                self._io.unwatch(end.fileno())
                end.close()
        self._forget(self)
