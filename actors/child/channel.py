"""Child channel: a process's end of the channel to its host.

It knows messages, not what an actor does with them. It must never write to what has the channel's number by now, and
never let two processes speak on one channel.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import termios
import threading
import time
import traceback
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from ..errors import ForkedError, RemoteError
from ..wire.ancillary import ROOM, descriptors_in
from ..wire.frames import FrameDecoder, decode_to_child, encode_frame, encode_plain, output_header
from ..wire.inheritance import received_descriptors
from ..wire.messages import Answer, FromChild, Refused, Report, Request, Start, ToChild

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ChildChannel", "given_start", "name_of_actor", "serving", "wait_for_the_end"]

_READ = 32768
"""Bytes that are read at a time. To free 64 kB at once has the C library put its free memory in order, page by page."""

_NOTHING: Final = bytes(4)

_waiting: Final = bytearray(4)
"""How many bytes wait, as the kernel writes it. For `bytes` there would be two errors before, page by page."""

_SOCKET: Final = int(socket.SOL_SOCKET)
_PEER_CREDENTIALS: Final = int(socket.SO_PEERCRED)
_FLAGS: Final = int(socket.MSG_CMSG_CLOEXEC)

_UNHEARD: Final = 6.0
"""Seconds that a process lives on without its channel: more than its host, if that lives, takes to notice and kill."""

_PEER: Final = 4
"""Bytes of the id of the process at a socket's other end, which comes before its user and group."""

_OUTPUT_FRAME = 65536
"""Longest piece of output in one frame; longer text is split, so that no single frame delays the ones behind it."""


class ChildChannel:
    """The child's end of its channel.

    Sending blocks while the host does not read: that is the back-pressure for what an actor says. Any thread may send.
    Receiving is for the mailbox thread alone, and before it starts for the main thread.

    The actor's own code may close the channel, as whoever becomes a daemon closes all that is open, and something else
    may have its number then: nothing is ever written to that, nor read from it. It may also fork, and two processes on
    one channel would tear each other's messages: only the one that made this object can send.

    Attributes:
        capture: the file that takes what the process writes to descriptors 1 and 2; empty if they are the host's.
        descriptors: what came with the first message.
        start: what the process was started with; None until that has come.
        actor_class: class of the actor that it is for, once that is known.
    """

    descriptors: Sequence[int] = ()
    start: Start | None = None
    actor_class: type | None = None

    is_forked = False
    """Whether this is a process that the actor's own code has forked."""

    def __init__(self, channel: socket.socket) -> None:
        self.capture = b""
        self._socket = channel
        self._peer = channel.getsockopt(_SOCKET, _PEER_CREDENTIALS, _PEER)
        # Reentrant: a finalizer, or a signal handler, may run in the middle of it, and say something.
        self._lock = threading.RLock()
        self._sending = False
        self._later: list[bytes] = []
        self._decoder = FrameDecoder(limit=None)
        self._pending: dict[int, Future[bytes]] = {}
        self._requests = 0
        self._arrived: deque[ToChild] = deque()

    def send(self, message: FromChild) -> None:
        """Send one message.

        Raises:
            PlainDataError: it holds something that is not plain data; nothing was sent.
            ForkedError: this process was forked from the actor's.
        """
        # Encoded before the lock is taken: a value that cannot be encoded must not cost the others their channel.
        self._send_bytes(encode_frame(message))

    def send_output(self, text: str) -> None:
        """Send text that the actor says; characters that UTF-8 cannot carry become question marks."""
        data = text.encode("utf-8", "replace")
        for start in range(0, len(data), _OUTPUT_FRAME):
            piece = data[start : start + _OUTPUT_FRAME]
            self._send_bytes(output_header(len(piece)) + piece)

    def report(self, message: msgspec.Struct) -> None:
        """Send the supervisor a message of the layer above."""
        self.send(Report(encode_plain(message)))

    def request(self, message: msgspec.Struct) -> Future[bytes]:
        """Ask the supervisor; the future holds the answer's encoded body, or raises RemoteError."""
        future: Future[bytes] = Future()
        body = encode_plain(message)
        with self._lock:
            self._requests += 1
            request_id = self._requests
            self._pending[request_id] = future
        self.send(Request(request_id, body))
        return future

    def receive_start(self) -> Start | None:
        """Wait for the first message, and what comes with it; None if the host went away before it sent one."""
        data, ancillary, _, _ = self._socket.recvmsg(_READ, ROOM, _FLAGS)
        if ancillary:
            self.descriptors = received_descriptors[:] = descriptors_in(ancillary)
        self._arrived.extend(decode_to_child(payload) for _, payload in self._decoder.feed(data))
        message = self.receive()
        if isinstance(message, Start) and message.memory is not None:
            with os.fdopen(self.descriptors[message.memory], "rb") as file:
                file.seek(0)
                self._arrived.extend(decode_to_child(payload) for _, payload in self._decoder.feed(file.read()))
            message = self._arrived.popleft()
        # Here, where rehearsals go, too; before the actor is unpickled, which may ask for it.
        self.start = message if isinstance(message, Start) else None
        return self.start

    def receive(self, *, wait: bool = True) -> ToChild | None:
        """Return the host's next message; None if it closed the channel, or if nobody waits and there is none yet."""
        while not self._arrived:
            if not wait:
                # Looked at before, as an exception would be a dozen pages.
                fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, _waiting)
                if _waiting == _NOTHING:
                    return None
            data = self._read()
            if not data:
                return None
            self._arrived.extend(decode_to_child(payload) for _, payload in self._decoder.feed(data))
        return self._arrived.popleft()

    def settle(self, message: Answer | Refused) -> None:
        """Hand an answer to whoever asked. Runs in the mailbox thread."""
        with self._lock:
            future = self._pending.pop(message.request_id, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if isinstance(message, Answer):
            future.set_result(bytes(message.body))
        else:
            error = message.error
            future.set_exception(RemoteError(error.type_name, error.message, error.traceback))

    @contextlib.contextmanager
    def hold(self, patience: float) -> Iterator[bool]:
        """Let nobody send anything while the block runs; see `SupervisorRef.hold`."""
        held = self._lock.acquire(timeout=patience)
        try:
            yield held
        finally:
            if held:
                self._lock.release()

    def give_up(self) -> None:
        """Have the host know that nothing comes any more, if the channel is still there."""
        with contextlib.suppress(OSError):
            if self._is_there():
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it, where all that the host says was in the first message."""
        self._socket.close()

    def end_fork(self, error: BaseException | None) -> None:
        """End this process if it is a forked one whose code has come back from where it was forked.

        It would go on as the actor, of which there would be two. It ends as a program does at its end.

        Args:
            error: what the code raised.
        """
        if not self.is_forked:
            return
        code = 0 if error is None else 1
        try:
            if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
                code = error.code or 0
            elif error is not None:
                traceback.print_exception(error)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        finally:
            os._exit(code & 0xFF)

    def _is_there(self) -> bool:
        """Whether the descriptor is still that of the channel. Raises OSError where it is no socket, or none at all."""
        return self._socket.getsockopt(_SOCKET, _PEER_CREDENTIALS, _PEER) == self._peer

    def _read(self) -> bytes:
        try:
            return self._socket.recv(_READ) if self._is_there() else b""
        except OSError:
            return b""

    def _send_bytes(self, data: bytes) -> None:
        if self.is_forked:
            raise ForkedError
        try:
            with self._lock:
                if self._sending:
                    self._later.append(data)  # this thread is in the middle of a frame
                    return
                if self._is_there():
                    self._sending = True
                    try:
                        self._socket.sendall(data)
                        while self._later:
                            self._socket.sendall(self._later.pop(0))
                    finally:
                        self._sending = False
                    return
        except OSError:
            pass
        wait_for_the_end()


def wait_for_the_end() -> NoReturn:
    """Wait to be killed: by the zygote if the host is gone, or by the host, to which this process says nothing more."""
    time.sleep(_UNHEARD)
    os._exit(1)


serving: Final[list[ChildChannel]] = []
"""The channel of this process's actor, once it is one: empty in the zygote, which forks, too."""


def _after_fork() -> None:
    for channel in serving:
        channel.is_forked = True


# Not to compare process ids: that would be a system call for each message.
os.register_at_fork(after_in_child=_after_fork)


def given_start() -> Start | None:
    """Return what this process's actor was started with; None where there is none."""
    return serving[0].start if serving else None


def name_of_actor() -> str:
    """Return what the actor of this process is called; nothing where there is none yet, or never will be."""
    start, actor_class = given_start(), serving[0].actor_class if serving else None
    return f"{actor_class.__name__} ({start.urn})" if start is not None and actor_class is not None else ""
