"""Host channel: the host's end of the channel to one process. Frames go out without waiting, and come in in turns.

It knows frames, not what they mean: that is for their receiver. All reading happens in the I/O thread. A write that
would block is kept, and goes on when the socket is writable. A child that takes nothing of what waits for it is
reported. A child is not read while its supervisor is behind. What a child sends is handled for a millisecond at a time.
A child that sends more, or costs longer, rests for it, and all who flood share one part of the thread.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import ProtocolError
from ..wire import ancillary
from ..wire.frames import OUTPUT, FrameDecoder, decode_from_child
from ..wire.messages import FromChild
from .backlog import Backlog
from .exit import NOBODY
from .io import READ, WRITE
from .outbox import STUCK_AFTER, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from .io import IOThread

__all__ = ["ChannelReceiver", "HostChannel"]

logger = logging.getLogger("subactors.actors")

_DRAIN_READS: Final = 64
"""Reads of what an ended process left in its channel; where the zygote was killed, a descendant may go on writing."""

_NETWORK_READS: Final = 65_536
"""The same for a channel over a network, which may hold much more than a buffer; its other end may go on for ever."""

_DRAIN_SIZE: Final = 32 * 1024
"""Bytes for each of those; for more the C library would tidy up all its heap, at every end."""

_FLOOD: Final = 64 * 1024
"""Bytes of output in one read that count as a flood."""

_MUCH: Final = 512 * 1024
"""Bytes of a flood after which there is a rest. A full channel has more in one read; what a network, or a program in
between, brings comes in parts, and with a rest for each the rests would be what bounds it."""

_REST: Final = 0.001
"""Seconds for which a child that floods is not read, at least; the shortest that epoll can sleep.

To read it all the time takes a core, and the interpreter's lock, for which all that other actors do would have to wait.
With what fits into the buffer of a channel it is some 400 MB a second that get through.
"""

_TURN: Final = 0.001
"""Seconds for which frames of a child are handled before others get their turn."""

_REST_FACTOR: Final = 4.0
"""The rest of a child that floods, by the CPU time that it has taken: all who flood get a fifth of the thread."""

_FULL: Final = 1024 * 1024
"""Bytes that may wait for a child before its next request is taken up; an answer may be longer."""

_LAST_TURNS: Final = 2.0
"""Seconds for which what an ended process has sent waits for a supervisor that is behind; then it is handed over."""


class ChannelReceiver(Protocol):
    """Who takes what comes. Every method is called in the I/O thread and must return at once."""

    def on_output(self, data: bytes) -> None:
        """The actor said something."""

    def on_message(self, message: FromChild) -> None:
        """A message; raises ProtocolError if it should not have come."""

    def on_channel_closed(self) -> None:
        """The process has closed its end, or is gone."""

    def on_violation(self, what: str) -> None:
        """What the process did breaks the protocol."""


class HostChannel:
    """See the module. `send`, `waiting` and `handled` are for any thread, all else is for the I/O thread.

    Args:
        end: the host's end, which does not block; closed by `close`. None: it comes with `connect`.
        io: the I/O thread.
        receiver: takes what comes.

    Attributes:
        ends_itself: whether nobody can go on writing once the process has ended, as far as the other machine is to be
            believed; then what is left is read, which may be more than fits into a buffer.
    """

    ends_itself = False

    def __init__(self, end: socket.socket | None, io: IOThread, receiver: ChannelReceiver) -> None:
        self._end = end
        self._io = io
        self._receiver: ChannelReceiver = receiver
        self._decoder = FrameDecoder()
        self._backlog = Backlog()
        self._outbox = Outbox(end)
        self._lock = threading.Lock()
        self._closed = False
        self._unreadable = False
        self._resting = False
        self._on_room: Callable[[], None] | None = None
        self._drained: Callable[[], None] | None = None
        self._reads_left = _DRAIN_READS
        self._has_flooded = False
        self._flooded = 0
        self._hurries = False
        self._finishes = False

    @property
    def _socket(self) -> socket.socket:
        assert self._end is not None  # noqa: S101 - nothing is read or watched before there is one
        return self._end

    # --- from any thread --------------------------------------------------------------------------------------------

    def connect(self, end: socket.socket, frame: bytes) -> None:
        """Take the host's end, which may still be connecting, and send a frame before all that has been sent."""
        with self._lock:
            if self._closed:
                end.close()
                return
            self._end = end
            self._outbox.begin(end, memoryview(frame))
        self._io.call(self.watch)

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a frame; without effect when the channel is closed.

        Args:
            frame: what to send.
            descriptors: what goes along; for the first frame only, of which a part is taken at once.
        """
        with self._lock:
            if self._closed:
                return
            waited = bool(self._outbox)
            view = memoryview(frame)
            if descriptors:
                with contextlib.suppress(ConnectionError):  # one that stood by has ended; its exit is on the way
                    view = view[ancillary.send_first(self._socket, view, descriptors) :]
            self._outbox.put(view)
            size, stuck = self._outbox.size, self._outbox.is_stuck
        if waited and stuck:
            why = "it stopped reading" if self._end is not None else "nothing reads for it yet"
            self._io.call(lambda: self._receiver.on_violation(f"{why}; {size:,} bytes waited for it"))
        elif size and not waited:
            self._io.call(self.watch)

    @property
    def waiting(self) -> int:
        """Bytes that the process has not taken yet."""
        with self._lock:
            return self._outbox.size

    def lacks_room(self, callback: Callable[[], None]) -> bool:
        """Tell whether so much waits for the process that it is to read first; then the call is made when it has.

        Also when it has ended. In the I/O thread, or before this returns.
        """
        with self._lock:
            if self._closed or self._drained is not None or self._outbox.size <= _FULL:
                return False
            self._on_room = callback
        self._io.call_later(STUCK_AFTER, lambda: self._look_at_reader(callback))
        return True

    def handled(self) -> None:
        """Say that the oldest message that was counted is dealt with; reading goes on when enough of them are."""
        if self._backlog.take():
            self._io.call(self._resume)

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    @property
    def is_torn(self) -> bool:
        """Whether what has come ends inside a frame."""
        return self._decoder.torn

    def count(self, size: int) -> None:
        """Count a message of that many bytes that has come, and for which `handled` is owed."""
        if self._backlog.add(size):
            self.watch()

    def watch(self) -> None:
        """Have the I/O thread wait for what there is to wait for now."""
        if self._closed or self._end is None:
            return
        events = (READ if self._is_read else 0) | (WRITE if self._outbox else 0)
        if events:
            self._io.watch(self._socket.fileno(), events, self.on_events)
        else:
            self._io.unwatch(self._socket.fileno())

    def on_events(self, events: int) -> None:
        """Write and read what is possible now."""
        if events & WRITE:
            with self._lock:
                self._outbox.flush()
                on_room = self._on_room if self._outbox.size <= _FULL // 2 else None
                if on_room is not None:
                    self._on_room = None
            self.watch()
            if on_room is not None:
                on_room()
        if events & READ and self._is_read:
            self._read_once()

    def stop_reading(self) -> None:
        """Read no more."""
        self._unreadable = True
        if self._end is not None:
            self._io.unwatch(self._end.fileno())

    def drain(self, drained: Callable[[], None]) -> None:
        """Hand over what the process said before it ended, and make the call then: mostly before this returns.

        What one that has flooded has left is handled in turns as before, and its supervisor has time to come after.
        """
        with self._lock:
            if self.ends_itself:
                self._reads_left = _NETWORK_READS
            self._drained = drained
            on_room, self._on_room = self._on_room, None
        if on_room is not None:
            on_room()
        if self._may_go_on:
            self._drain_on()
        if self._drained is not None:
            self._io.call_later(_LAST_TURNS, self._hurry)

    def _hurry(self) -> None:
        self._hurries = True
        self._resume()

    def finish(self) -> None:
        """Come to the end of `drain` at once; for whoever has ended the I/O thread."""
        if self._drained is not None:
            self._hurries = self._finishes = True
            self._drain_on()

    def _drain_on(self) -> None:
        more = True
        while more and self._may_go_on:
            if self._decoder.has_left:
                more = self._handle(b"")
            elif self._reads_left:
                self._reads_left -= 1
                more = self._read_once()
            else:
                more = False
        if not more and self._drained is not None:
            drained, self._drained = self._drained, None
            drained()

    def close(self) -> None:
        """Close the host's end; what waits is dropped."""
        with self._lock:
            self._closed = True
            self._outbox.clear()
            on_room, self._on_room = self._on_room, None
        if self._end is not None:
            self._io.unwatch(self._end.fileno())
            self._end.close()
        if on_room is not None:
            on_room()
        self._receiver = NOBODY

    def _look_at_reader(self, callback: Callable[[], None]) -> None:
        """Report a process that has read nothing of its answers for long; else look again later."""
        with self._lock:
            if self._on_room is not callback:
                return
            size, left = self._outbox.size, STUCK_AFTER - self._outbox.idle
        if left > 0:
            self._io.call_later(left, lambda: self._look_at_reader(callback))
        else:
            self._receiver.on_violation(f"it stopped reading; {size:,} bytes waited for it")

    @property
    def _may_go_on(self) -> bool:
        return self._finishes or not (self._resting or (self._backlog.is_full and not self._hurries))

    @property
    def _is_read(self) -> bool:
        return self._drained is None and not self._unreadable and self._may_go_on

    def _read_once(self) -> bool:
        """Read and handle what is there; False when there is no more."""
        data: bytes | memoryview
        if self._end is None:
            return False
        try:
            if self._drained is not None:
                # Not into the buffer: its bytes may be in use, when another's message has led to this end.
                data = self._socket.recv(_DRAIN_SIZE)
            else:
                # Not recv, which takes memory for all that might come.
                data = self._io.buffer[: self._socket.recv_into(self._io.buffer)]
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self.stop_reading()
            self._receiver.on_channel_closed()
            return False
        return self._handle(data)

    def _handle(self, data: bytes | memoryview) -> bool:
        """Handle the frames that are whole with this, for no longer than a turn; False if one was wrong."""
        said: list[memoryview] = []
        flood = 0
        until = time.monotonic() + _TURN
        began = time.thread_time() if self._has_flooded else 0.0
        is_over = False
        try:
            try:
                for kind, payload in self._decoder.feed(data):
                    if kind == OUTPUT:
                        said.append(payload)
                    else:
                        flood += self._hand_over(said)
                        self._receiver.on_message(decode_from_child(payload))
                    is_over = time.monotonic() > until
                    if (is_over or (self._backlog.is_full and not self._hurries)) and not self._finishes:
                        break  # the rest stays in the decoder
            finally:
                flood += self._hand_over(said)
        except ProtocolError as error:
            self._receiver.on_violation(str(error))
            return False
        except Exception as error:
            # Frames behind this one may be lost, so the actor cannot go on; the others can.
            logger.exception("%s: the host could not handle what it sent.", self._receiver)
            self._receiver.on_violation(f"the host could not handle what it sent: {type(error).__name__}: {error}")
            return False
        if is_over:
            # CPU time is a system call, so it is not measured before it matters.
            used = time.thread_time() - began if self._has_flooded else _TURN
            self._has_flooded = True
            self._rest(max(_REST, used * _REST_FACTOR))
        elif flood >= _FLOOD:
            self._flooded += flood
            if self._flooded >= _MUCH:
                self._flooded = 0
                self._rest(_REST)
        return True

    def _hand_over(self, said: list[memoryview]) -> int:
        """Hand over pieces of output as one: a flood of small ones costs little more than a few large ones."""
        if not said:
            return 0
        data = b"".join(said)
        said.clear()
        self._receiver.on_output(data)
        return len(data)

    def _rest(self, seconds: float) -> None:
        if self._resting or self._finishes:
            return
        self._resting = True
        self.watch()
        if self._drained is None:
            self._io.rest(seconds, self._end_rest)
        else:
            # There is not much more to come; who waits for the end is not to wait for those who flood.
            self._io.call_later(_REST, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = False
        self._resume()

    def _resume(self) -> None:
        if self._closed or not self._may_go_on:
            return
        if self._drained is not None:
            self._drain_on()
        elif not self._unreadable:
            self._handle(b"")  # what was there already, and may fill the backlog again
            self.watch()
