"""Life: what an actor's process does from the fork to its exit.

Everything here runs in the forked process. It must leave nothing of the zygote in it (descriptors, signal handlers,
standard streams) and must not return before the host has been told how the actor ended, unless something killed it.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import pickle
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import StartError
from ..linux import cgroup, kernel
from ..linux.mark import keep_mark
from ..regular_files import make, open_to_log
from ..wire import ancillary
from ..wire.frames import encode_frame
from ..wire.messages import (
    Answer,
    Ask,
    ProcessLimits,
    Refused,
    Start,
    StartFailed,
    Stop,
    Tell,
    ToChild,
    error_data,
)
from ..wire.standby import REHEARSE, STANDS_BY, TAKE
from .actor_life import Life
from .breaking_off import comes_to_its_end
from .channel import ChildChannel, serving, wait_for_the_end

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Step", "rehearse", "serve"]

Step: TypeAlias = tuple[Callable[..., object], tuple[Any, ...]]
"""A function and its arguments."""

_REHEARSAL_LIMIT: Final = 2.0
"""Seconds that a rehearsal may take: in the zygote requests wait meanwhile, and it may be the user's code."""


plain_processes: Final[list[Callable[[Start, ChildChannel], int]]] = []
"""What a process of `multiprocessing` does: nothing, until the zygote knows that there will be some."""


def serve(
    channel_socket: socket.socket,
    zygote: int,
    steps: Sequence[Step],
    *,
    rehearsal: bytes | None,
) -> int:
    """Be what the host's first message describes; returns the exit status when that has ended.

    Args:
        channel_socket: the child's end of its channel.
        zygote: process id of the zygote.
        steps: what to call first, to be the zygote no more.
        rehearsal: the actor to rehearse with if the host has time for that; None where it has asked for no such thing.
    """
    try:
        _leave_the_zygote(steps)
    except StartError as error:
        ChildChannel(channel_socket).send(StartFailed(error_data(error)))
        return 0
    if os.getppid() != zygote:
        os._exit(1)  # it had died before this process could ask to die with it
    if rehearsal is not None and not _stand_by(channel_socket, rehearsal):
        return 0
    channel = ChildChannel(channel_socket)
    serving.append(channel)
    start = channel.receive_start()
    if start is None:
        return 0
    if not start.urn:
        _settle_in(start)
        return _be_plain(start, channel)
    try:
        _settle_in(start)
        life = _build_actor(start, channel, _listen)
    except BaseException as error:  # noqa: BLE001 - whatever a constructor raises is the host's to know
        channel.send(StartFailed(error_data(error)))
        return 0
    life.serve()
    return 0


def _stand_by(channel_socket: socket.socket, rehearsal: bytes) -> bool:
    """Wait for the first message; return whether there is one, and not only the end of the host's interest."""
    try:
        while (first := channel_socket.recv(1, socket.MSG_PEEK)) == REHEARSE:
            channel_socket.recv(1)
            rehearse(rehearsal)  # what fails here fails again, with somebody to tell, in the actor
            channel_socket.sendall(STANDS_BY)
        if first == TAKE:
            _, channel = ancillary.receive_one(channel_socket)
            if channel is not None:
                os.dup2(channel, channel_socket.fileno(), False)
                os.close(channel)
    except ConnectionError:
        return False
    return bool(first)


def _be_plain(start: Start, channel: ChildChannel) -> int:
    """Be a process of `multiprocessing`."""
    serving.clear()  # there is nothing that may be said
    return plain_processes[0](start, channel)


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
        playing.serve()
        playing.let_actor_go()
        return playing.failure is None


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


def _build_actor(start: Start, channel: ChildChannel, listen: Callable[[Life, ChildChannel], object]) -> Life:
    """Return the life of an actor that is constructed, and has not begun to work."""
    actor_class, args, kwargs = pickle.loads(start.actor)  # noqa: S301 - the host is trusted
    channel.actor_class = actor_class
    actor = actor_class.__new__(actor_class)
    life = Life(actor, start.urn, channel)
    if start.capture is not None:
        channel.capture = start.capture
    # Here, and not in the thread: a stop that came before the process did must be known before any work begins.
    while (message := channel.receive(wait=False)) is not None:
        _sort(life, channel, message)
    listen(life, channel)
    actor.__init__(*args, **kwargs)
    if "actor_urn" not in vars(actor):
        raise TypeError(f"{actor_class.__name__}.__init__() did not call super().__init__().")
    return life


def _listen(life: Life, channel: ChildChannel) -> None:
    """Start the mailbox thread."""
    # Not threading.Thread: its start waits for the new thread's first steps, and both copy pages for its bookkeeping.
    _thread.start_new_thread(_deliver, (life, channel))


def _deliver(life: Life, channel: ChildChannel) -> None:
    """Sort the host's messages: the mailbox thread's whole life. It never runs the actor's message handlers."""
    while (message := channel.receive()) is not None:
        _sort(life, channel, message)
    # Half a connection is useless. If the host lives, what there is to tidy up can be.
    channel.give_up()
    life.deliver_stop()
    wait_for_the_end()


def _sort(life: Life, channel: ChildChannel, message: ToChild) -> None:
    match message:
        case Answer() | Refused():
            channel.settle(message)
        case Tell(body):
            life.deliver(body, None)
        case Ask(ask_id, body):
            life.deliver(body, ask_id)
        case Stop():
            life.deliver_stop()
        case Start():
            pass  # it was the first message, and is never sent twice
