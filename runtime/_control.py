"""The control server: lets the user's other processes look at, and stop, the tasks of this host.

It listens on a Unix socket in the run's folder and lives in the host's I/O thread, where it must never wait: whoever
sends garbage, sends half a message or does not read loses the connection, and nobody else notices. Only processes of
the same user, or root's, are heard; what they ask is decoded against a closed union.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ..actors._io import READ, WRITE
from ._control_wire import Answer, Asked, Cutter, Refusal, address, frame
from ._encodable import encodable
from ._errors import RunError, StateError
from ._forks import let_go_when_forked
from ._messages import RunTask, TaskRequest, WaitTasks
from ._supervisor_messages import ReplyTo

__all__ = ["ControlServer", "Loop"]

_CONNECTIONS: Final = 32
"""How many there may be at once; the next one is closed at once."""

_REQUEST_LIMIT: Final = 256 * 1024
"""Longest request, in bytes."""

_PENDING: Final = 16
"""Requests of one connection that may wait for an answer; one more costs the connection."""

_UNSENT_LIMIT: Final = 64_000_000
"""Bytes of answers that may wait to be taken, of all connections together; one beyond that is refused."""

_LONGEST_WAIT: Final = 60.0
"""Seconds; whoever wants to wait longer asks again. It bounds how long the supervisor remembers one who has gone."""

_PATIENCE: Final = 10.0
"""Seconds; a connection to which nothing is owed, and on which nothing has moved for that long, is closed."""

_CREDENTIALS: Final = struct.Struct("iII")

_request = msgspec.msgpack.Decoder(TaskRequest)
_asked = msgspec.msgpack.Decoder(Asked)


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Let it not happen."""
        ...


class Loop(Protocol):
    """What the server needs of the host's I/O thread; see `subactors.actors._io.IOThread`."""

    def call(self, callback: Callable[[], None], /) -> None:
        """Have the I/O thread make a call; from any thread."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Have the I/O thread make a call in `delay` seconds; from any thread."""
        ...

    def watch(self, descriptor: int, events: int, callback: Callable[[int], None], /) -> None:
        """Call back when a descriptor is ready; from the I/O thread."""
        ...

    def unwatch(self, descriptor: int, /) -> None:
        """Forget a descriptor; from the I/O thread."""
        ...


class ControlServer:
    """Listens from its making until `close`, both in any thread of the host.

    Args:
        loop: the host's I/O thread.
        path: the socket, in a folder that is the user's alone.
        answer: is called in the I/O thread with each request and where its answer goes, and must not wait. The answer
            may come at any time and from any thread; what `answer` raises is the answer.

    Raises:
        StateError: the socket cannot be made.
    """

    def __init__(self, loop: Loop, path: Path, answer: Callable[[TaskRequest, ReplyTo], None]) -> None:
        self._loop = loop
        self._path = path
        self._answer = answer
        self._connections: set[_Connection] = set()
        self._closed = False
        self.unsent = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            with address(path) as name:
                self._listener.bind(name)
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise StateError(
                f"The control socket {path} cannot be made: {error.strerror or error}. "
                "Choose another state folder with state_dir, --state-dir or SUBACTORS_STATE_DIR."
            ) from error
        let_go_when_forked(self)
        loop.call(self._listen)

    def close(self) -> None:
        """Hear nobody any more; answers that have been given before are sent as far as the socket takes them.

        To be called before the I/O thread is closed. May be repeated.
        """
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._loop.call(self._close)

    def let_go(self) -> None:
        """Close, in a process that was forked from the host, what is the host's."""
        self._listener.close()
        for connection in self._connections:
            connection.socket.close()

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def request(self, message: bytes, connection: _Connection) -> bool:
        """Take a request; False if it is none, and the connection is not worth keeping."""
        try:
            asked = _asked.decode(message)
        except msgspec.MsgspecError:
            return False
        reply_to = _ReplyAddress(self._loop, connection, asked.id)
        try:
            request = _request.decode(asked.request)
            if isinstance(request, RunTask):
                raise RunError("Tasks cannot be started from another process.")  # noqa: TRY301 - an answer as any other
            if isinstance(request, WaitTasks):
                timeout = _LONGEST_WAIT if request.timeout is None else min(_LONGEST_WAIT, request.timeout)
                request = msgspec.structs.replace(request, timeout=timeout)
            self._answer(request, reply_to)
        except msgspec.MsgspecError as error:
            reply_to.set_exception(RunError(f"The host does not understand the request: {error}."))
        except Exception as error:  # noqa: BLE001 - the runtime may be closed: whoever asked hears it
            reply_to.set_exception(error)
        return True

    def forget(self, connection: _Connection) -> None:
        """A connection is closed."""
        self._connections.discard(connection)

    def _listen(self) -> None:
        if not self._closed:
            self._loop.watch(self._listener.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                # Whoever waits stays ready: to look again at once would be to do nothing else.
                self._loop.unwatch(self._listener.fileno())
                self._loop.call_later(1.0, self._listen)
            return
        if len(self._connections) >= _CONNECTIONS or _user(peer) not in {os.geteuid(), 0}:
            peer.close()
            return
        peer.setblocking(False)
        self._connections.add(_Connection(self, self._loop, peer))

    def _close(self) -> None:
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.close()


class _Connection:
    """Another process. Everything here happens in the I/O thread."""

    def __init__(self, server: ControlServer, loop: Loop, peer: socket.socket) -> None:
        self.socket = peer
        self._server = server
        self._loop = loop
        self._cutter = Cutter(_REQUEST_LIMIT)
        self._unsent: deque[memoryview] = deque()
        self._pending = 0
        self._moved = True
        self._closed = False
        self._timer = loop.call_later(_PATIENCE, self._check)
        self._watch()

    def send(self, data: bytes) -> None:
        """Send an answer, or what there is room to say instead of it."""
        self._pending -= 1
        if self._closed:
            return
        self._server.unsent += len(data)
        self._unsent.append(memoryview(data))
        self._flush()

    def close(self) -> None:
        """Drop it."""
        if self._closed:
            return
        self._closed = True
        self._timer.cancel()
        self._server.unsent -= sum(map(len, self._unsent))
        self._unsent.clear()
        self._loop.unwatch(self.socket.fileno())
        self.socket.close()
        self._server.forget(self)

    def has_room(self, size: int) -> bool:
        """Whether an answer of that size may be kept until it is taken."""
        return self._server.unsent + size <= _UNSENT_LIMIT

    def _watch(self) -> None:
        # Nothing more is asked of us before what we have said is taken.
        events = WRITE if self._unsent else READ
        self._loop.watch(self.socket.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        else:
            self._read()

    def _read(self) -> None:
        try:
            data = self.socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._moved = True
        try:
            for message in self._cutter.feed(data):
                self._pending += 1
                if self._pending > _PENDING or not self._server.request(message, self):
                    self.close()
                    return
        except ValueError:
            self.close()

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self.socket.send(self._unsent[0], socket.MSG_NOSIGNAL)  # SIGPIPE is the host's to set
                self._moved = True
                self._server.unsent -= sent
                if sent == len(self._unsent[0]):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = self._unsent[0][sent:]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        self._watch()

    def _check(self) -> None:
        """Close it if it is dead weight; runs every now and then."""
        if not self._moved and (self._unsent or not self._pending):
            self.close()
            return
        self._moved = False
        self._timer = self._loop.call_later(_PATIENCE, self._check)


class _ReplyAddress:
    """Where the answer to one request goes; see `ReplyTo`."""

    def __init__(self, loop: Loop, connection: _Connection, request_id: int) -> None:
        self._loop = loop
        self._connection = connection
        self._id = request_id

    def set(self, value: Any) -> None:
        """Answer."""
        try:
            data = frame(Answer(self._id, msgspec.Raw(msgspec.msgpack.encode(value))))
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
            self.set_exception(RunError(f"The answer cannot be sent: {error}."))
            return
        self._loop.call(lambda: self._send(data))

    def set_exception(self, error: BaseException) -> None:
        """Answer with an error."""
        data = frame(Refusal(self._id, type(error).__name__, encodable(str(error))))
        self._loop.call(lambda: self._connection.send(data))

    def _send(self, data: bytes) -> None:
        if not self._connection.has_room(len(data)):
            error = RunError(f"The answer has {len(data):,} bytes, and too much waits to be taken already. Ask again.")
            data = frame(Refusal(self._id, type(error).__name__, str(error)))
        self._connection.send(data)


def _user(peer: socket.socket) -> int:
    """Return the user id of the process at the other end, as the kernel knows it."""
    user: int = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
    return user
