"""What this layer asks of Linux beyond the standard library. It must hold no policy: one call, one fact."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from ._errors import UnsupportedPlatformError

__all__ = [
    "become_subreaper",
    "check_platform",
    "children_of_this_thread",
    "die_with_parent",
    "kill_group_led_by",
    "prefer_for_oom_kill",
    "set_process_name",
]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
_SIGKILL: Final = 9
_PIDFD_SIGNAL_PROCESS_GROUP: Final = 4


def check_platform() -> None:
    """Raise UnsupportedPlatformError where processes cannot be supervised the way this package promises."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        raise UnsupportedPlatformError(
            f"subactors runs on Linux 5.3 or newer; this is {sys.platform} {os.uname().release}. "
            "Run the host in a Linux container or virtual machine."
        )


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends.

    Args:
        parent: the process that should be the parent; where it has died already, this process ends at once.
    """
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Have orphaned descendants become children of this process instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_process_name(name: str) -> None:
    """Set what `ps -o comm` and `top` show; 15 bytes at most."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    _libc().prctl(_PR_SET_NAME, buffer, 0, 0, 0)


def prefer_for_oom_kill() -> None:
    """Have the kernel choose this process before others of the same size when memory runs out."""
    try:
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError:
        return  # a container without a writable /proc; the task runs all the same


def kill_group_led_by(pidfd: int) -> None:
    """Kill the process group that a process leads or, if it is gone, has led; without effect before Linux 6.9.

    The pidfd keeps the group's number from meaning another group.
    """
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, _PIDFD_SIGNAL_PROCESS_GROUP)


def children_of_this_thread() -> list[int]:
    """Return the process ids of the caller's children, ended ones included until they are reaped.

    For a single-threaded process these are all of its children. The kernel may leave some out while others are just
    ending; each of those raises SIGCHLD, upon which the caller looks again.
    """
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
