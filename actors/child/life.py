"""The life of one actor's process, from the fork to its exit.

Everything here runs in the forked process. It must leave nothing of the zygote in it (descriptors, signal handlers,
standard streams) and must not return before the host has been told how the actor ended, unless something killed it.
"""

from __future__ import annotations

import _thread
import contextlib
import fcntl
import os
import pickle
import socket
import sys
import termios
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeAlias

import msgspec

from ..errors import ForkedError, RemoteError, StartError
from ..linux import cgroup, kernel
from ..linux.mark import keep_mark
from ..regular_files import make, open_to_log
from ..wire.messages import (
    STANDS_BY,
    Answer,
    Ask,
    ErrorData,
    FrameDecoder,
    FromChild,
    ProcessLimits,
    Refused,
    Report,
    Request,
    Start,
    StartFailed,
    Stop,
    Tell,
    ToChild,
    decode_to_child,
    encode_frame,
    encode_plain,
    error_data,
    output_header,
)
from .breaking_off import comes_to_its_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ChildChannel", "Step", "rehearse", "serve"]

Step: TypeAlias = tuple[Callable[..., object], tuple[Any, ...]]
"""A function and its arguments."""

_READ = 32768
"""Bytes that are read at a time. To free 64 kB at once has the C library put its free memory in order, page by page."""

_NOTHING = bytes(4)

_SOCKET: Final = int(socket.SOL_SOCKET)
_PEER_CREDENTIALS: Final = int(socket.SO_PEERCRED)

_REHEARSAL_LIMIT: Final = 2.0
"""Seconds that a rehearsal may take: in the zygote requests wait meanwhile, and it may be the user's code."""

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
    """

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
        """Wait for the first message; None if the host went away before it sent one."""
        message = self.receive()
        return message if isinstance(message, Start) else None

    def receive(self, *, wait: bool = True) -> ToChild | None:
        """Return the host's next message; None if it closed the channel, or if nobody waits and there is none yet."""
        while not self._arrived:
            # Looked at before, as an exception would be a dozen pages.
            if not wait and fcntl.ioctl(self._socket, termios.FIONREAD, _NOTHING) == _NOTHING:
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
        _wait_for_the_end()


_serving: Final[list[ChildChannel]] = []
"""The channel of this process's actor, once it is one: empty in the zygote, which forks, too."""


def _after_fork() -> None:
    for channel in _serving:
        channel.is_forked = True


# Not to compare process ids: that would be a system call for each message.
os.register_at_fork(after_in_child=_after_fork)


def serve(
    channel_socket: socket.socket,
    zygote: int,
    steps: Sequence[Step],
    *,
    rehearsal: bytes | None,
) -> None:
    """Be the actor that the host's first message describes; returns when the actor's loop has ended.

    Args:
        channel_socket: the child's end of its channel.
        zygote: process id of the zygote.
        steps: what to call first, to be the zygote no more.
        rehearsal: the actor to rehearse with while the first message is awaited; None where it is on its way.
    """
    try:
        _leave_the_zygote(steps)
    except StartError as error:
        ChildChannel(channel_socket).send(StartFailed(error_data(error)))
        return
    if os.getppid() != zygote:
        os._exit(1)  # it had died before this process could ask to die with it
    if rehearsal is not None:
        rehearse(rehearsal)  # what fails here fails again, with somebody to tell, in the actor
        try:
            channel_socket.sendall(STANDS_BY)
        except ConnectionError:
            return  # the host has no more use for it
    channel = ChildChannel(channel_socket)
    _serving.append(channel)
    start = channel.receive_start()
    if start is None:
        return
    try:
        _settle_in(start)
        actor = _build_actor(start, channel, _listen)
    except BaseException as error:  # noqa: BLE001 - whatever a constructor raises is the host's to know
        channel.send(StartFailed(error_data(error)))
        return
    actor._subactors_serve()  # noqa: SLF001 - the class is made for this module


def rehearse(actor: bytes, *, threads: bool = True) -> bool:
    """Start an actor in this process, one that soon stops by itself, and let it end. Runs on the main thread.

    In a process that stands by, what that touches is the process's own afterwards, and the real start need not copy it
    page by page: most of its time. In the zygote, which may have no threads, it brings the interpreter to what it does
    with code that runs often: that writes to fewer pages in each process forked from then on.

    Whatever the actor does, it prints nothing, and nothing of it is left. Returns whether it came to its end, which it
    does not if it raises or exits, or takes longer than `_REHEARSAL_LIMIT`.
    """
    with kernel.silenced():
        return comes_to_its_end(lambda: _play(actor, threads=threads), _REHEARSAL_LIMIT)


def _play(actor: bytes, *, threads: bool) -> bool:
    """Be an actor from its start to its end, on a channel that leads nowhere; return whether nothing was raised."""
    _leave_the_zygote(((_do_nothing, ()),))
    near, far = socket.socketpair()
    with near, far:
        start = Start("", actor, b".", None, None, os.devnull.encode())
        near.sendall(encode_frame(start))
        channel = ChildChannel(far)
        received = channel.receive_start()
        assert received is not None  # noqa: S101 - it was sent above
        _settle_in(received)
        # The thread is over at once: one that reads a channel would end the process with it.
        listen = (lambda *_: _thread.start_new_thread(_do_nothing, ())) if threads else _do_nothing
        playing = _build_actor(received, channel, listen)
        playing._subactors_serve()  # noqa: SLF001 - made for this module
        return playing._subactors_failure is None  # noqa: SLF001 - the same


def _do_nothing(*_: object) -> None:
    pass


def _leave_the_zygote(steps: Sequence[Step]) -> None:
    # A table that the zygote has made: to look up functions and constants by their names would be a page or two each.
    for call, arguments in steps:
        call(*arguments)


def _settle_in(start: Start) -> None:
    """Take on the host's view of the moment: where output goes, and what else is not as it was for the zygote."""
    if start.capture is not None:
        capture = _open_log(start.capture)
        os.dup2(capture, 1)
        os.dup2(capture, 2)
        os.close(capture)
    os.chdir(start.directory)
    if start.environ is not None:
        keep_mark(start.environ, os.environb)
        os.environb.clear()
        os.environb.update(start.environ)
    if start.sys_path is not None:
        sys.path[:] = map(os.fsdecode, start.sys_path)
    if start.limits is not None:
        if start.group is not None:
            _enter_group(start.group, start.limits)
        kernel.limit_process(start.limits.cpu_seconds, start.limits.data_bytes)


def _open_log(path: bytes) -> int:
    """Open the file for standard output and error. It may have been replaced: by an earlier attempt, or a sibling."""
    try:
        return open_to_log(path)
    except OSError:
        with contextlib.suppress(OSError):
            return make(path)
    # Its folder is gone. A process that cannot log can work all the same.
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def _enter_group(group: str, limits: ProcessLimits) -> None:
    try:
        cgroup.enter(group, limits)
    except OSError as error:
        # It is one fence of several, and was there when the host looked.
        print(f"This process could not enter its control group {group}: {error}", file=sys.stderr)  # noqa: T201 - its log
    else:
        # A host in this process would make groups beside this one, and what it starts there would be out of the fence.
        os.environ.pop(cgroup.VARIABLE, None)


class Life(Protocol):
    """What a process needs of its actor; `ProcessActor` has it."""

    _subactors_failure: ErrorData | None

    def _subactors_connect(self, urn: str, channel: ChildChannel) -> None:
        """Take the way to the host. Called before the constructor."""

    def _subactors_serve(self) -> None:
        """Be the actor: from `Ready` to `Stopped`. Runs on the main thread."""

    def _subactors_deliver(self, body: bytes, ask_id: int | None) -> None:
        """Put a message in the mailbox. Runs in the mailbox thread."""

    def _subactors_deliver_stop(self) -> None:
        """Put a stop in the mailbox. Runs in the mailbox thread."""


def _build_actor(start: Start, channel: ChildChannel, listen: Callable[[Life, ChildChannel], object]) -> Life:
    actor_class, args, kwargs = pickle.loads(start.actor)  # noqa: S301 - the host is trusted
    actor: Life = actor_class.__new__(actor_class)
    actor._subactors_connect(start.urn, channel)  # noqa: SLF001 - the class is made for this module
    if start.capture is not None:
        channel.capture = start.capture
    # Here, and not in the thread: a stop that came before the process did must be known before any work begins.
    while (message := channel.receive(wait=False)) is not None:
        _sort(actor, channel, message)
    listen(actor, channel)
    actor.__init__(*args, **kwargs)  # type: ignore[misc]  # the channel must be there before the constructor runs
    if "actor_urn" not in vars(actor):
        raise TypeError(f"{actor_class.__name__}.__init__() did not call super().__init__().")
    return actor


def _listen(actor: Life, channel: ChildChannel) -> None:
    """Start the mailbox thread."""
    # Not threading.Thread: its start waits for the new thread's first steps, and both copy pages for its bookkeeping.
    _thread.start_new_thread(_deliver, (actor, channel))


def _deliver(actor: Life, channel: ChildChannel) -> None:
    """Sort the host's messages: the mailbox thread's whole life. It never runs the actor's message handlers."""
    while (message := channel.receive()) is not None:
        _sort(actor, channel, message)
    # Half a connection is none. If the host lives, what there is to tidy up can be.
    channel.give_up()
    actor._subactors_deliver_stop()  # noqa: SLF001 - the class is made for this module
    _wait_for_the_end()


def _wait_for_the_end() -> NoReturn:
    """Wait to be killed: by the zygote if the host is gone, or by the host, to which this process says nothing more."""
    time.sleep(_UNHEARD)
    os._exit(1)


def _sort(actor: Life, channel: ChildChannel, message: ToChild) -> None:
    match message:
        case Answer() | Refused():
            channel.settle(message)
        case Tell(body):
            actor._subactors_deliver(body, None)  # noqa: SLF001
        case Ask(ask_id, body):
            actor._subactors_deliver(body, ask_id)  # noqa: SLF001
        case Stop():
            actor._subactors_deliver_stop()  # noqa: SLF001
        case Start():
            pass  # it was the first message, and is never sent twice
