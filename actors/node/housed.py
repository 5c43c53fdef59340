"""Housed process: what a node's agent knows of a process that its zygote has forked for a host elsewhere.

The host talks to the process itself. Here is only what needs this machine: signals, the exit, the end of its tree.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..host.exit import ProcessExit
from ..host.forked_process import ForkedProcess
from ..wire.messages import Forked, ForkFailed

if TYPE_CHECKING:
    from ..host.io import IOThread

__all__ = ["HousedProcess"]


class HousedProcess(ForkedProcess):
    """See the module, and `ForkedProcess`.

    Args:
        key: number by which agent and zygote name it.
        host_key: number by which the host names it.
        label: what the layer above calls it.
        channel: its end of the channel to the host.
        fenced: whether it is behind a fence.
        group: its control group; None if it has none.
        io: the I/O thread.
        forget: is called with the key, last.
        tell: tells the host, in the I/O thread.
        ended: is called with it, and with its exit, once; in the I/O thread.
    """

    def __init__(
        self,
        key: int,
        *,
        host_key: int,
        label: str,
        channel: socket.socket,
        fenced: bool,
        group: str | None,
        io: IOThread,
        forget: Callable[[int], None],
        tell: Callable[[Forked | ForkFailed], None],
        ended: Callable[[HousedProcess, ProcessExit], None],
    ) -> None:
        super().__init__(key, theirs=channel, fenced=fenced, io=io, forget=forget, group=group)
        self.host_key = host_key
        self.label = label
        self._tell = tell
        self._tell_ended = ended

    def stop(self) -> None:
        """Kill it: only its host can ask it to stop, and that is gone, or has asked."""
        self.kill()

    def on_forked(self, pid: int, pidfd: int) -> None:
        """See `ForkedProcess`."""
        super().on_forked(pid, pidfd)
        self._tell(Forked(self.host_key, pid))

    def on_start_failed(self, message: str) -> None:
        """See `ForkedProcess`."""
        if self._conclude():
            self._tell(ForkFailed(self.host_key, message))

    def on_end(self, seen: ProcessExit) -> None:
        """See `ForkedProcess`."""
        if self._conclude(seen):
            self._tell_ended(self, seen)

    def on_closed(self, seen: ProcessExit) -> None:
        """See `ForkedProcess`."""
        self._conclude(seen)

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
