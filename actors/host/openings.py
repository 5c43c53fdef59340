"""Openings: the connections that the processes of a node begin with, some at a time, in the order of the starts.

Over a network anybody may be at the other end, so nothing is said there before it has proven what it is (`Knock`).

All happens in the I/O thread. It never waits.
"""

from __future__ import annotations

import hmac
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from ..wire.node import PATIENCE, Opening, encode_node
from .connecting import Address, begin_to_connect
from .handshake import HostHandshake
from .io import READ, WRITE, IOThread, Timer

__all__ = ["Openings"]

_AGAIN: Final = 0.01
"""Seconds until a connection that found no room is tried again."""

_MOST_OPENED: Final = 32
"""Processes that a node is asked for at a time: half of the connections that its door lets in unproven."""


class Openings:
    """See the module.

    Args:
        address: where the node takes connections.
        io: the I/O thread.
        handshake: with the node, for the proofs.
        is_wanted: whether the process of a key has not ended meanwhile.
        dead: is called where the node does not take one, with a clause about it: what leads there takes nothing, though
            the node's own connection may live.
    """

    def __init__(
        self,
        address: Address,
        io: IOThread,
        handshake: HostHandshake,
        is_wanted: Callable[[int], bool],
        dead: Callable[[str], None],
    ) -> None:
        self._address = address
        self._io = io
        self._handshake = handshake
        self._is_wanted = is_wanted
        self._dead = dead
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._opened: set[int] = set()
        self._late: dict[int, Timer] = {}
        self._knocks: set[Knock] = set()
        self._is_closed = False

    def open(self, connected: Callable[[socket.socket], None], failed: Callable[[str], None]) -> None:
        """Begin to connect to the node, and hand over the connection, by which may be sent at once.

        Args:
            connected: takes it.
            failed: takes why there is none.
        """
        try:
            channel = begin_to_connect(self._address)
        except BlockingIOError:
            if not self._is_closed:
                self._io.call_later(_AGAIN, lambda: self.open(connected, failed))
        except OSError as error:
            failed(error.strerror or str(error))
        else:
            connected(channel)

    def ask(
        self, opening: Opening, connected: Callable[[socket.socket, bytes], None], failed: Callable[[str], None]
    ) -> None:
        """Ask the node for a process, as soon as it is its turn.

        Args:
            opening: what its connection begins with, still without proof.
            connected: takes the connection, and what is to be sent by it first.
            failed: takes why there is none.
        """
        opening = self._handshake.proven(opening)

        def knock(channel: socket.socket) -> None:
            if channel.family == socket.AF_UNIX:
                connected(channel, encode_node(opening))
                return

            def answered(one: Knock, why: str) -> None:
                self._knocks.discard(one)
                if why:
                    failed(why)
                else:
                    connected(channel, b"")

            expected = self._handshake.entered(opening)
            self._knocks.add(Knock(self._io, channel, encode_node(opening), expected, answered))

        self._waiting.append((opening.key, lambda: self.open(knock, failed)))
        self._go_on()

    def came(self, key: int) -> None:
        """The node has a process's connection."""
        if (late := self._late.pop(key, None)) is not None:
            late.cancel()

    def done(self, key: int) -> None:
        """The node has begun a process, or never will: the next may come."""
        self.came(key)
        self._opened.discard(key)
        self._go_on()

    def close(self) -> None:
        """Open no more, and close those that are not answered yet; nobody is told."""
        self._is_closed = True
        for late in self._late.values():
            late.cancel()
        for knock in self._knocks:
            knock.close()

    def _go_on(self) -> None:
        while self._waiting and len(self._opened) < _MOST_OPENED and not self._is_closed:
            key, begin = self._waiting.popleft()
            if self._is_wanted(key):
                self._opened.add(key)
                self._late[key] = self._io.call_later(PATIENCE, self._give_up)
                begin()

    def _give_up(self) -> None:
        self._dead(f"it took no connection for a task within {PATIENCE:g} s")


class Knock:
    """A connection that is to be answered before anything that matters is sent by it.

    Args:
        io: the I/O thread.
        channel: a connection that may be under way; closed if it is not answered as expected.
        first: what is sent.
        expected: what is to be the answer.
        done: is called once, with this, and with why it was in vain, or with an empty text.
    """

    def __init__(
        self, io: IOThread, channel: socket.socket, first: bytes, expected: bytes, done: Callable[[Knock, str], None]
    ) -> None:
        self._io = io
        self._channel = channel
        self._first = first
        self._expected = expected
        self._answer = b""
        self._done = done
        self._late = io.call_later(PATIENCE, lambda: self._end(f"no answer for {PATIENCE:g} s"))
        io.watch(channel.fileno(), READ | WRITE, lambda _: self._go_on())

    def close(self) -> None:
        """Wait no longer, and close the connection; nobody is told."""
        self._late.cancel()
        self._io.unwatch(self._channel.fileno())
        self._channel.close()

    def _end(self, why: str) -> None:
        self._late.cancel()
        self._io.unwatch(self._channel.fileno())
        if why:
            self._channel.close()
        self._done(self, why)

    def _go_on(self) -> None:
        try:
            if self._first:
                self._first = self._first[self._channel.send(self._first) :]
            if not self._first:
                self._io.watch(self._channel.fileno(), READ, lambda _: self._go_on())
            came = self._channel.recv(len(self._expected) - len(self._answer))
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        self._answer += came
        if not came:
            self._end("it closed the connection")
        elif len(self._answer) == len(self._expected):
            is_right = hmac.compare_digest(self._answer, self._expected)
            self._end("" if is_right else "no proof that it is the agent that was started")
