"""Processes: those that a process system knows, by their keys, each from before its fork until it has ended.

It looks at them now and then, as nothing tells of a zygote that hangs, or of an actor that has lost its channel.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import SubactorsError
from .zygote import LOOK_EVERY, raise_descriptor_limit

if TYPE_CHECKING:
    from .forked_process import ForkedProcess
    from .io import IOThread

__all__ = ["Processes"]

_LOOK_AT_CHANNELS_EVERY: Final = 2.0
"""Seconds between two looks at whether processes still have their channels; some microseconds for each."""

_DESCRIPTORS_PER_PROCESS: Final = 4


class Processes:
    """See the module. Every method but `on_forked`, which is for the I/O thread, may be called from any.

    Args:
        io: the I/O thread.
        look_at_zygote: is called there as long as there are processes, with whether one of them awaits the zygote.

    Attributes:
        is_closed: whether none can be added any more.
    """

    def __init__(self, io: IOThread, look_at_zygote: Callable[[bool], object]) -> None:
        self.is_closed = False
        self._io = io
        self._look_at_zygote = look_at_zygote
        # Whoever has the lock of the pool of those that stand by, too, has taken that first.
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._known: dict[int, ForkedProcess] = {}
        self._looks = False
        self._look_at_channels = 0.0

    def add(self, process: ForkedProcess) -> None:
        """Know a process from now on; raises SubactorsError where all is closed."""
        with self._lock:
            if self.is_closed:
                raise SubactorsError("The process system is closed.")
            self._known[process.key] = process
            process.appear()
            looks, self._looks = self._looks, True
            _raise_descriptor_limit(len(self._known))
        if not looks:
            self._io.call_later(LOOK_EVERY, self._look)

    def close(self) -> bool:
        """Take no more; return whether some were taken before this."""
        with self._lock:
            was_open, self.is_closed = not self.is_closed, True
        return was_open

    def get(self, key: int) -> ForkedProcess | None:
        """Return the process of this key; None if it has ended, or never was one of these."""
        return self._known.get(key)

    def all(self) -> list[ForkedProcess]:
        """Return those of this moment."""
        return list(self._known.values())

    def forget(self, key: int) -> None:
        """Drop an ended process; the last thing that happens to it."""
        with self._idle:
            self._known.pop(key, None)
            self._idle.notify_all()

    def wait_for_ends(self, timeout: float) -> bool:
        """Wait until there are none; False if there are some in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._idle:
            while self._known:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._idle.wait(remaining)
        return True

    def appear(self) -> None:
        """Have those of actors be among the host's children, of which somebody has begun to keep account."""
        if os.getpid() == self._io.owner:
            for process in self.all():
                process.appear()

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def on_forked(self, key: int, pid: int, pidfd: int | None) -> None:
        """The process of this key exists."""
        process = self.get(key)
        if process is None:
            if pidfd is not None:
                # It was to be killed before it existed.
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.close(pidfd)
        elif pidfd is not None:
            process.on_forked(pid, pidfd)
        else:
            # Without its pidfd it cannot be supervised; it ends as its channel closes.
            process.on_start_failed("the host has no descriptor left for it (see RLIMIT_NOFILE)")

    def _look(self) -> None:
        """See whether zygote and channels are still there, and come again for as long as there are processes."""
        with self._lock:
            processes = self.all()
            self._looks = bool(processes)
        self._look_at_zygote(any(process.awaits_zygote for process in processes))
        now = time.monotonic()
        if now >= self._look_at_channels:
            self._look_at_channels = now + _LOOK_AT_CHANNELS_EVERY
            for process in processes:
                process.look_at_channel()
        if processes:
            self._io.call_later(LOOK_EVERY, self._look)


def _raise_descriptor_limit(processes: int) -> None:
    """Go from the soft to the hard limit, once the soft one comes into sight."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard and processes * _DESCRIPTORS_PER_PROCESS > soft // 2:
        raise_descriptor_limit()
