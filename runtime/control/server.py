"""Control server: lets the user's other processes look at, and stop, the tasks of this host.

It listens on a Unix socket in the run's folder and lives in the host's I/O thread, where it must never wait. A peer
that sends garbage, sends half a message or does not read loses the connection, and nobody else notices. It answers only
processes of the same user, or root's, and decodes their requests against a closed union.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from ...actors import READ, WRITE
from ..errors import RunError, StateError
from ..runs.forks import close_when_forked
from ..tasks.gateway import ReplyTo
from ..tasks.messages import StartRequest, TaskRequest, WaitTasks
from ..tasks.nodes import NodeRequest
from ..tasks.request import in_words
from ..tasks.watching import WatchTasks
from ..text import encodable
from .loop import Loop
from .wire import Answer, Asked, Cutter, Face, Refusal, address, frame, peer_of

__all__ = ["ControlRequest", "ControlServer"]

logger = logging.getLogger("subactors.runtime")

_CONNECTIONS: Final = 32
"""How many there may be at once; the next one takes the place of one of the process that has most of them."""

_ACCEPTED_AT_ONCE: Final = 16
"""Connections that are taken before others are heard again."""

_REQUEST_LIMIT: Final = 256 * 1024
"""Longest request, in bytes."""

_PENDING: Final = 16
"""Requests of one connection that may wait for an answer; one more costs the connection."""

_UNSENT_LIMIT: Final = 64_000_000
"""Bytes of answers that may wait to be taken, of all connections together; one beyond that is refused."""

_LONGEST_WAIT: Final = 60.0
"""Seconds; a peer that wants to wait longer asks again. It bounds how long the supervisor remembers one that hangs."""

_PATIENCE: Final = 10.0
"""Seconds; a connection to which nothing is owed, and on which nothing has moved for that long, is closed."""

_LOOK_AGAIN: Final = 5.0
"""Seconds between two looks at whether the socket is still where others look for it."""

ControlRequest: TypeAlias = TaskRequest | WatchTasks | NodeRequest
_request = msgspec.msgpack.Decoder(ControlRequest)
_asked = msgspec.msgpack.Decoder(Asked)


class ControlServer:
    """Listens from its making until `close`, both in any thread of the host.

    Args:
        loop: the host's I/O thread.
        path: the socket, in a folder that is the user's alone.
        answer: is called in the I/O thread with each request, where its answer goes and who asks; must not wait. The
            answer may come at any time and from any thread; what `answer` raises is the answer.
        forget: is called in the I/O thread with each of these places to which nobody listens any more, though an answer
            is owed there; must not wait.

    Raises:
        StateError: the socket cannot be made.
    """

    def __init__(
        self,
        loop: Loop,
        path: Path,
        answer: Callable[[ControlRequest, ReplyTo, Face], None],
        forget: Callable[[ReplyTo], None] = lambda _reply_to: None,
    ) -> None:
        self._loop = loop
        self._path = path
        self._answer = answer
        self.forget_request = forget
        self._connections: dict[_Connection, None] = {}  # in the order of their last use
        self._closed = False
        self.unsent = 0
        try:
            self._listener = _listening(path)
            self._place = os.lstat(path)
        except OSError as error:
            raise StateError(
                f"The control socket {path} cannot be made: {error.strerror or error}. "
                "Choose another state folder with state_dir, --state-dir or SUBACTORS_STATE_DIR."
            ) from error
        close_when_forked(self)
        loop.call(self._listen)
        self._timer = loop.call_later(_LOOK_AGAIN, self._look)

    def close(self) -> None:
        """Hear nobody any more; answers that have been given before are sent as far as the socket takes them.

        To be called before the I/O thread is closed. May be repeated.
        """
        if not self._closed:
            self._closed = True
            self._timer.cancel()
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._loop.call(self._close)

    def close_descriptors(self) -> None:
        """Close the sockets in a process that was forked from the host."""
        self._listener.close()
        for connection in self._connections:
            connection.socket.close()

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def request(self, message: bytes, connection: _Connection) -> bool:
        """Take a request; False if it is not one, and the connection is not worth keeping."""
        try:
            asked = _asked.decode(message)
        except msgspec.MsgspecError:
            return False
        reply_to = connection.owed(asked.id)
        try:
            request = _request.decode(asked.request)
            if isinstance(request, StartRequest):
                raise RunError("Tasks cannot be started from another process.")  # noqa: TRY301 - an answer as any other
            if isinstance(request, WaitTasks):
                timeout = _LONGEST_WAIT if request.timeout is None else min(_LONGEST_WAIT, request.timeout)
                request = msgspec.structs.replace(request, timeout=timeout)
            self._answer(request, reply_to, asked.face)
        except msgspec.MsgspecError as error:
            reply_to.set_exception(RunError(f"The host does not understand the request: {in_words(error)}"))
        except Exception as error:  # noqa: BLE001 - the runtime may be closed: whoever asked hears it
            reply_to.set_exception(error)
        return True

    def forget(self, connection: _Connection) -> None:
        """A connection is closed."""
        self._connections.pop(connection, None)

    def used(self, connection: _Connection) -> None:
        """A connection has sent a whole request, or has got an answer."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def _listen(self) -> None:
        if not self._closed:
            self._loop.watch(self._listener.fileno(), READ, self._accept)

    def _look(self) -> None:
        """Make the socket anew if somebody has removed it, or put something else there."""
        if self._closed:
            return
        self._timer = self._loop.call_later(_LOOK_AGAIN, self._look)
        try:
            if os.path.samestat(os.lstat(self._path), self._place):
                return
            os.unlink(self._path)  # noqa: PTH108 - as with what is next
        except FileNotFoundError:
            pass
        except OSError:
            return
        try:
            listener = _listening(self._path)
            self._place = os.lstat(self._path)
        except OSError:
            return  # the folder is gone, too, which the journal says
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        self._listener = listener
        self._listen()
        logger.warning("Somebody had removed or replaced the control socket %s. It has been made anew.", self._path)

    def _accept(self, _events: int) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Take a connection; False if there is none to be had."""
        try:
            peer, _ = self._listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                # Whoever waits stays ready: to look again at once would be to do nothing else.
                self._loop.unwatch(self._listener.fileno())
                self._loop.call_later(1.0, self._listen)
            return False
        process, user = peer_of(peer)
        if user not in {os.geteuid(), 0}:
            peer.close()
            return True
        if len(self._connections) >= _CONNECTIONS:
            self._drop_one()
        peer.setblocking(False)
        self._connections[_Connection(self, self._loop, peer, process)] = None
        return True

    def _drop_one(self) -> None:
        """Make room: a connection of the process that has most goes, idle for long if there is one, or else in use.

        So nobody who holds all of them keeps another process out.
        """
        counts = Counter(connection.process for connection in self._connections)
        most = max(counts.values())
        of_most = [connection for connection in self._connections if counts[connection.process] == most]
        next((connection for connection in of_most if connection.is_idle), of_most[0]).close()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()  # it may have been made anew since
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.close()


class _Connection:
    """Another process. Everything here happens in the I/O thread."""

    def __init__(self, server: ControlServer, loop: Loop, peer: socket.socket, process: int) -> None:
        self.socket = peer
        self.process = process
        self._server = server
        self._loop = loop
        self._cutter = Cutter(_REQUEST_LIMIT)
        self._unsent: deque[memoryview] = deque()
        self._pending: set[_ReplyToConnection] = set()
        self._moved = True
        self._begun: float | None = None
        self._closed = False
        self._timer = loop.call_later(_PATIENCE, self._check)
        self._watch()

    def owed(self, request_id: int) -> _ReplyToConnection:
        """Return where the answer to a request goes."""
        reply_to = _ReplyToConnection(self._loop, self, request_id)
        self._pending.add(reply_to)
        return reply_to

    def send(self, data: bytes, reply_to: _ReplyToConnection) -> None:
        """Send an answer, or what there is room to say instead of it."""
        self._pending.discard(reply_to)
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
        while self._pending:
            self._server.forget_request(self._pending.pop())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is owed to it."""
        return not self._pending and not self._unsent

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
                self._begun = None
                self._server.used(self)
                if len(self._pending) >= _PENDING or not self._server.request(message, self):
                    self.close()
                    return
        except ValueError:
            self.close()
            return
        if not self._cutter.has_begun:
            self._begun = None
        elif self._begun is None:
            self._begun = time.monotonic()

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
        slow = self._begun is not None and time.monotonic() - self._begun >= _PATIENCE
        if slow or (not self._moved and (self._unsent or not self._pending)):
            self.close()
            return
        self._moved = False
        self._timer = self._loop.call_later(_PATIENCE, self._check)


class _ReplyToConnection:
    """Address on a connection, for the answer to one request; see `ReplyTo`."""

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
        self._loop.call(lambda: self._connection.send(data, self))

    def _send(self, data: bytes) -> None:
        if not self._connection.has_room(len(data)):
            error = RunError(f"The answer has {len(data):,} bytes, and too much waits to be taken already. Ask again.")
            data = frame(Refusal(self._id, type(error).__name__, str(error)))
        self._connection.send(data, self)


def _listening(path: Path) -> socket.socket:
    """Return a socket that listens there; raises OSError if it cannot."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with address(path) as name:
            listener.bind(name)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
