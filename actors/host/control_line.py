"""Control line: the messages of a connection between a host and the agent of a node, at either end.

It knows frames, and when the other end was last heard of; not what is said. It never waits.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from ..errors import ProtocolError
from ..wire.frames import FrameDecoder
from ..wire.node import Beat, FromNode, ToNode, encode_node
from .io import READ, WRITE, IOThread, Timer
from .outbox import Outbox

__all__ = ["ControlLine", "Pipes"]

logger = logging.getLogger("subactors.actors")

_Received = TypeVar("_Received")

_LOOK_EVERY: Final = 0.5
"""Seconds between two looks at whether the other end has been heard of."""

_STEP: Final = 0.01
"""Seconds between two looks at whether the other end has taken the last message."""


class Pipes:
    """Two pipes, one to read from and one to write to, as one end of a connection.

    Args:
        reading: descriptor to read from.
        writing: descriptor to write to.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self.writing = reading, writing

    def fileno(self) -> int:
        """Return the descriptor to read from; -1 once all is closed."""
        return self._reading

    def setblocking(self, flag: bool) -> None:
        """Have both wait, or not."""
        os.set_blocking(self._reading, flag)
        os.set_blocking(self.writing, flag)

    def recv(self, size: int) -> bytes:
        """Read; raises OSError."""
        return os.read(self._reading, size)

    def send(self, data: memoryview, /) -> int:
        """Write what is taken; raises OSError."""
        return os.write(self.writing, data)

    def close(self) -> None:
        """Close both."""
        for descriptor in {self._reading, self.writing} - {-1}:
            os.close(descriptor)
        self._reading = self.writing = -1


class ControlLine(Generic[_Received]):
    """See the module. `send` is for any thread, all else is for the I/O thread.

    Args:
        end: this end of the connection, which does not block; closed with the line.
        io: the I/O thread.
        decode: makes a message of a payload; raises ProtocolError.
        receive: takes each message.
        lost: is called once, with a clause that can follow "because": the other end is gone, or silent, or has sent
            what it may not. Nothing of it is heeded from then on. The line is still to be closed, by `close` or `part`.
        patience: seconds for which nothing may come.
        beat_every: seconds between two signs of life that this end gives.
    """

    def __init__(
        self,
        end: socket.socket | Pipes,
        io: IOThread,
        *,
        decode: Callable[[memoryview], _Received],
        receive: Callable[[_Received], None],
        lost: Callable[[str], None],
        patience: float,
        beat_every: float,
    ) -> None:
        self._end = end
        self._io = io
        self._decode = decode
        self._receive = receive
        self._lost = lost
        self._patience = patience
        self._beat_every = beat_every
        self._decoder = FrameDecoder()
        self._outbox = Outbox(end)
        self._lock = threading.Lock()
        self._closed = False
        self._is_over = False
        self._heard = time.monotonic()
        self._beaten = 0.0
        self._timer: Timer | None = None

    def wait_no_longer_than(self, seconds: float) -> None:
        """Have another patience from now on."""
        self._patience = seconds

    @property
    def silent(self) -> float:
        """Seconds since the other end was last heard of."""
        return time.monotonic() - self._heard

    def send(self, message: ToNode | FromNode) -> None:
        """Send a message; without effect once the line is closed."""
        with self._lock:
            if self._closed:
                return
            waited = bool(self._outbox)
            self._outbox.put(memoryview(encode_node(message)))
            waits = bool(self._outbox)
        if waits and not waited:
            self._io.call(self._watch)

    def begin(self) -> None:
        """Begin to listen, and to give signs of life."""
        self._watch()
        self._look()

    @property
    def is_closed(self) -> bool:
        """Whether this end is closed, as it is when the other one is."""
        return self._closed

    def part(self, last: FromNode, done: Callable[[], None], *, within: float) -> None:
        """Send a last message, and close this end when the other one is closed for it, or after some seconds."""
        self.send(last)
        self._wait_for_close(done, time.monotonic() + within)

    def _wait_for_close(self, done: Callable[[], None], until: float) -> None:
        # Not as soon as it is sent: what is closed with something unread takes back what is still on its way.
        if not self._closed and time.monotonic() < until:
            self._io.call_later(_STEP, lambda: self._wait_for_close(done, until))
        else:
            self.close()
            done()

    def close(self) -> None:
        """Close this end; `lost` is not called."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._outbox.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._unwatch()
        if isinstance(self._end, socket.socket):
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _watch(self) -> None:
        if self._closed:
            return
        waits = WRITE if self._outbox else 0
        if isinstance(self._end, Pipes) and self._end.writing != self._end.fileno():
            self._io.watch(self._end.fileno(), READ, self._on_events)
            if waits:
                self._io.watch(self._end.writing, WRITE, self._on_events)
            else:
                self._io.unwatch(self._end.writing)
        else:
            self._io.watch(self._end.fileno(), READ | waits, self._on_events)

    def _unwatch(self) -> None:
        self._io.unwatch(self._end.fileno())
        if isinstance(self._end, Pipes):
            self._io.unwatch(self._end.writing)

    def _on_events(self, events: int) -> None:
        if events & WRITE:
            with self._lock:
                self._outbox.flush()
            self._watch()
        if events & READ:
            self._read()

    def _read(self) -> None:
        try:
            data = self._end.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionResetError:  # there was something that it had not read
            data = b""
        except OSError as error:
            self._break_off(f"the connection to it broke: {error.strerror or error}")
            return
        if not data:
            self._break_off("it closed its connection")
            return
        self._heard = time.monotonic()
        try:
            for _, payload in self._decoder.feed(data) if not self._is_over else ():
                message = self._decode(payload)
                if not isinstance(message, Beat) and not self._closed:
                    self._receive(message)
        except ProtocolError as error:
            self._give_up(f"it sent {error}")
        except Exception as error:
            logger.exception("What the other end of a line to a node has sent cannot be handled.")
            self._give_up(f"what it sent cannot be handled: {type(error).__name__}: {error}")

    def _look(self) -> None:
        """See whether the other end is still there, and say that this one is."""
        if self._closed or self._is_over:
            return
        if self.silent > self._patience:
            self._give_up(f"no sign of life for {self._patience:g} s")
            return
        now = time.monotonic()
        if now - self._beaten >= self._beat_every:
            self._beaten = now
            self.send(Beat())
        self._timer = self._io.call_later(min(_LOOK_EVERY, self._beat_every), self._look)

    def _break_off(self, why: str) -> None:
        """The other end is gone."""
        self.close()
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        was_over, self._is_over = self._is_over, True
        if not was_over:
            self._lost(why)
