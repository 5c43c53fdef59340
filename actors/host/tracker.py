"""Tracker: the resource tracker of an actor, outside of the actor's process tree.

`multiprocessing` leaves it to a tracker to remove segments of shared memory and named semaphores. That process reads
their names from a pipe, until nobody has the pipe open. A tracker that an actor started would be killed with the actor,
and the names would be lost. An actor that is given something shared is given its host's tracker, too, when it starts.

Any other asks for one with its first segment, by two pipes. If the host has a tracker, it answers with a path to that.
With a tracker of its own, an actor that ends would remove what it has only opened. Behind a fence no actor can follow
that path; there, and where the host has no tracker, the host starts one for the actor. It finds the pipes in `/proc`,
as it takes no descriptor from what an actor sends, and opens what it has seen to be pipes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Final

from ..wire.inheritance import descriptor_of_tracker
from ..wire.messages import STARTED, TrackerWanted
from .io import READ
from .program import Program

if TYPE_CHECKING:
    from .io import IOThread

__all__ = ["give_tracker", "wait_for_trackers"]

_PROGRAM: Final = "import sys; from multiprocessing.resource_tracker import main; main(int(sys.argv[1]))"

_PIPE: Final = "pipe:["
"""With what the kernel begins the name of a pipe that has no place in any folder."""

_running: Final[dict[IOThread, list[Program]]] = {}


def give_tracker(io: IOThread, pid: int, wanted: TrackerWanted, *, fenced: bool) -> None:
    """Give a child the way to a tracker, if what it names are pipes of its own; it starts one itself if not."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        answer = _open_pipe(pid, wanted.answer, os.O_WRONLY, stack)
        if answer is None:
            return
        own = descriptor_of_tracker()
        if own is not None and not fenced:
            os.write(answer, f"/proc/{os.getpid()}/fd/{own}".encode())
            return
        reader = _open_pipe(pid, wanted.reader, os.O_RDONLY, stack)
        if reader is None:
            return
        os.set_blocking(reader, True)
        program = Program([sys.executable, "-S", "-P", "-c", _PROGRAM], dict(os.environb), reader)
        _running.setdefault(io, []).append(program)
        io.watch(program.pidfd, READ, lambda _: _reap(io, program))
        os.write(answer, STARTED)


def _open_pipe(pid: int, descriptor: int, flags: int, stack: contextlib.ExitStack) -> int | None:
    """Open a descriptor of a process, if it is a pipe that this user has made."""
    path = f"/proc/{pid}/fd/{descriptor}"
    # Its name is looked at first, as to open may do something: a device, a file that another program waits for. Even to
    # ask for the status of a file waits where its file system does not answer. What is opened is looked at again.
    if not os.readlink(path).startswith(_PIPE):  # noqa: PTH115 - no path of a file
        return None
    opened = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, opened)
    status = os.fstat(opened)
    return opened if stat.S_ISFIFO(status.st_mode) and status.st_uid == os.geteuid() else None


def _reap(io: IOThread, program: Program) -> None:
    io.unwatch(program.pidfd)
    program.wait(0)
    _running[io].remove(program)


def wait_for_trackers(io: IOThread, limit: float) -> None:
    """Wait for those that are about to end, as those whose names they keep have ended; called when `io` has ended.

    Args:
        io: the I/O thread.
        limit: seconds for all of them; those that have not ended then are killed.
    """
    deadline = time.monotonic() + limit
    for program in _running.pop(io, []):
        if not program.wait(max(0.0, deadline - time.monotonic())):
            program.end()
