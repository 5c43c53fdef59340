"""Tracker: removes what an actor makes and does not remove, where its host has no resource tracker.

`multiprocessing` has segments of shared memory and named semaphores removed by a tracker, a process that reads their
names from a pipe until nobody has that open. An actor that started one itself would take it along when it is killed,
and with it the names. So its host starts one that is no part of the actor's tree; a host that has a tracker already
gives that to its actors when they start.

An actor asks for it with its first segment, by two pipes. The host finds them in `/proc`, as it takes no descriptor
from what an actor sends, and opens what it has seen to be pipes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from ..wire.messages import TrackerWanted
from .io import READ
from .program import Program

if TYPE_CHECKING:
    from .io import IOThread

__all__ = ["give_tracker", "wait_for_trackers"]

_PROGRAM: Final = "import sys; from multiprocessing.resource_tracker import main; main(int(sys.argv[1]))"

_running: Final[dict[IOThread, list[Program]]] = {}


def give_tracker(io: IOThread, pid: int, wanted: TrackerWanted) -> None:
    """Start a tracker for a child, if what it names are pipes of its own; it starts one itself if not."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        reader = _open_pipe(pid, wanted.reader, os.O_RDONLY, stack)
        answer = _open_pipe(pid, wanted.answer, os.O_WRONLY, stack)
        if reader is None or answer is None:
            return
        os.set_blocking(reader, True)
        program = Program([sys.executable, "-S", "-P", "-c", _PROGRAM], dict(os.environb), reader)
        _running.setdefault(io, []).append(program)
        io.watch(program.pidfd, READ, lambda _: _reap(io, program))
        os.write(answer, b"!")


def _open_pipe(pid: int, descriptor: int, flags: int, stack: contextlib.ExitStack) -> int | None:
    """Open a descriptor of a process, if it is a pipe that this user has made."""
    path = f"/proc/{pid}/fd/{descriptor}"
    # Looked at first, as to open may do something: a device, a file that another program waits for. What is opened is
    # looked at again.
    if not _is_pipe(os.stat(path)):  # noqa: PTH116 - no path of a file
        return None
    opened = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, opened)
    return opened if _is_pipe(os.fstat(opened)) else None


def _is_pipe(status: os.stat_result) -> bool:
    return stat.S_ISFIFO(status.st_mode) and status.st_uid == os.geteuid()


def _reap(io: IOThread, program: Program) -> None:
    io.unwatch(program.pidfd)
    program.wait(0)
    _running[io].remove(program)


def wait_for_trackers(io: IOThread, limit: float) -> None:
    """Wait for those that are about to end, as those whose names they keep have ended; called when `io` has ended."""
    for program in _running.pop(io, []):
        if not program.wait(limit):
            program.end()
