"""Housed process: what a node's agent knows of a process that its zygote has forked for a host elsewhere.

The host talks to the process itself. Here is only what needs this machine: signals, the exit, the end of its tree.

Its end of the channel is open here, too, until all that it said is sent. Where a process ends that has not read all,
TCP would throw away what is still to be sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import termios
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..host.exit import ProcessExit
from ..host.forked_process import ForkedProcess
from ..linux import kernel
from ..wire.messages import CHANNEL, Forked, ForkFailed

if TYPE_CHECKING:
    from ..host.io import IOThread

__all__ = ["HousedProcess"]

_LINGER: Final = 30.0
"""Seconds that the last words of a process may take to be sent."""

_LOOK_EVERY: Final = 0.01
"""Seconds between looks at whether they are."""

_DISCONNECTED: Final = 1.0
"""Seconds that a process may live on which has closed its channel: it ends itself some seconds after it noticed."""

_READ: Final = 65536

_INT: Final = 4
"""Bytes of the number that the kernel answers with."""


class HousedProcess(ForkedProcess):
    """See the module, and `ForkedProcess`.

    Args:
        key: number by which agent and zygote name it.
        host_key: number by which the host names it.
        label: what the layer above calls it.
        channel: its end of the channel to the host.
        theirs: what is to be closed once there is a process.
        fenced: whether it is behind a fence.
        group: its control group; None if it has none.
        io: the I/O thread.
        forget: is called with the key, last.
        tell: tells the host, in the I/O thread.
        ended: is called with it, and with its exit, once; in the I/O thread.

    Attributes:
        host_key: see above.
        label: see above.
        is_disconnected: whether it has been killed because it had closed its channel, and lived on.
    """

    def __init__(
        self,
        key: int,
        *,
        host_key: int,
        label: str,
        channel: socket.socket,
        theirs: socket.socket | None,
        fenced: bool,
        group: str | None,
        io: IOThread,
        forget: Callable[[int], None],
        tell: Callable[[Forked | ForkFailed], None],
        ended: Callable[[HousedProcess, ProcessExit], None],
    ) -> None:
        super().__init__(key, theirs=theirs, fenced=fenced, io=io, forget=forget, group=group)
        self._beginning.came()
        self._channel = channel
        self._link = f"socket:[{os.fstat(channel.fileno()).st_ino}]"
        self.host_key = host_key
        self.label = label
        self.is_disconnected = False
        self._looked_at = False
        self._losing = False
        self._tell = tell
        self._tell_ended = ended

    @property
    def is_ready(self) -> bool:
        """Whether it exists; whether it catches the signal for its stacks is to be asked besides."""
        return self._pid is not None

    def dump_stack(self, *, quietly: bool = False) -> bool:
        """Have the process write its stacks; see `ActorProcess`."""
        with self._lock:
            if self._pid is not None:
                self._signal(signal.SIGRTMAX if quietly else signal.SIGUSR1)
            return self._pid is not None

    def stop(self) -> None:
        """Kill it: only its host can ask it to stop, and that is gone, or has asked."""
        self.kill()

    def on_forked(self, pid: int, pidfd: int) -> None:
        """See `ForkedProcess`."""
        super().on_forked(pid, pidfd)
        self._tell(Forked(self.host_key, pid))

    def begin(self) -> None:
        """Tell of a process that stood by, which exists."""
        if self._pid is not None and self.end is None:
            self._watch()
            self._tell(Forked(self.host_key, self._pid))

    def on_start_failed(self, message: str) -> None:
        """See `ForkedProcess`."""
        if self._conclude():
            self._channel.close()
            self._tell(ForkFailed(self.host_key, message))

    def on_end(self, seen: ProcessExit) -> None:
        """See `ForkedProcess`."""
        if self._conclude(seen):
            self._tell_ended(self, seen)
            self._say_that_it_is_over()
            self._let_go(time.monotonic() + _LINGER)

    def on_closed(self, seen: ProcessExit) -> None:
        """See `ForkedProcess`."""
        if self._conclude(seen):
            self._channel.close()

    def look_at_channel(self) -> None:
        """See `ForkedProcess`: its host does not notice by itself, as this process has the channel, too."""
        if self._pid is None or self.end is not None or self._gone or self._losing:
            return
        if self._looked_at and kernel.has_lost(self._pid, CHANNEL, self._link):
            self._losing = True
            self._say_that_it_is_over()
            self._io.call_later(_DISCONNECTED, self._end_disconnected)
        self._looked_at = True

    def _end_disconnected(self) -> None:
        if self.end is None and not self._gone:
            self.is_disconnected = True
            self.kill()

    def _say_that_it_is_over(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def _let_go(self, until: float) -> None:
        """Close the channel once all is sent, or when that takes too long. Nobody reads any more what comes by it."""
        with contextlib.suppress(OSError):
            while self._channel.recv(_READ, socket.MSG_DONTWAIT):
                pass
        if self._unsent() and time.monotonic() < until:
            self._io.call_later(_LOOK_EVERY, lambda: self._let_go(until))
        else:
            self._channel.close()

    def _unsent(self) -> int:
        with contextlib.suppress(OSError):
            waiting = fcntl.ioctl(self._channel.fileno(), termios.TIOCOUTQ, bytes(_INT))
            return int.from_bytes(waiting, sys.byteorder)
        return 0

    def _conclude(self, seen: ProcessExit | None = None) -> bool:
        """Note that it has ended; False if that is noted already."""
        with self._lock:
            if self.end is not None:
                return False
            self.end = seen or ProcessExit(unobserved="it was not started")
            pidfd, self._pidfd = self._pidfd, None
            self._beginning.over()
        if pidfd is not None:
            self._io.unwatch(pidfd)
            os.close(pidfd)
        if self._timer is not None:
            self._timer.cancel()
        self._forget(self.key)
        return True
