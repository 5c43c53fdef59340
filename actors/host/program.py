"""Program: starts one from the host without forking the host itself.

`subprocess` waits, after its fork, for a pipe to be closed by the exec. A process that another thread forks in that
moment, as `multiprocessing` does, has that pipe, too. It keeps the pipe open for as long as it lives, and the starter
waits as long. `posix_spawn` has no such pipe.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["Program"]

_CONTROL = 3
"""The descriptor at which the program finds its socket, unless it has that number here already."""

_KILLED: Final = 5.0
"""Seconds that a program may take to be gone once it is killed; mostly it is a moment."""


class Program:
    """A running program, with a session of its own and one descriptor of the host's. Not to be shared by threads.

    What else of the host's descriptors is inheritable it has, too, and should close.

    Args:
        command: the program's path and its arguments, to which the number of its descriptor is added.
        environ: its whole environment.
        descriptor: what it is given; stays open here.

    Attributes:
        pid: process id.
        pidfd: readable when it has ended; closed once it has been waited for.
        status: exit status, or minus the number of the signal that ended it; None while it runs, or where the host
            ignores SIGCHLD and so nobody knows.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[bytes, bytes], descriptor: int) -> None:
        # A descriptor that is moved to its own number would stay closed on exec on some systems.
        number = _CONTROL if descriptor != _CONTROL else _CONTROL + 1
        self.pid = os.posix_spawn(
            command[0],
            [*command, str(number)],
            environ,
            # In this order: where the host has closed its standard input, the descriptor may be 0.
            file_actions=[
                (os.POSIX_SPAWN_DUP2, descriptor, number),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            ],
            setsid=True,
        )
        self.status: int | None = None
        self.pidfd = os.pidfd_open(self.pid)

    def kill(self) -> None:
        """Send SIGKILL, unless it has been waited for."""
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def end(self) -> None:
        """Kill it and wait for it, but not for long: one that hangs in the kernel ends when that lets go of it."""
        self.kill()
        self.wait(_KILLED)

    def wait(self, limit: float) -> bool:
        """Wait until it has ended, up to `limit` seconds; return whether it has."""
        if self.pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(limit * 1000):
            return False
        with contextlib.suppress(ChildProcessError):
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pidfd)
        self.pidfd = -1
        return True
