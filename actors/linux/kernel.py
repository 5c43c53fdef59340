"""Kernel: calls of Linux that the standard library lacks. It must hold no policy: one call, one fact."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import UnsupportedPlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "LIBC",
    "anonymous_memory",
    "be_background_work",
    "be_urgent",
    "become_subreaper",
    "check_platform",
    "children_in",
    "close_descriptors_but",
    "closing_step",
    "end_with_parent",
    "fill_heap",
    "gather_private_memory",
    "has_lost",
    "kill_group_led_by",
    "limit_process",
    "open_children",
    "open_descriptors",
    "open_standard_descriptors",
    "set_process_name",
    "silenced",
    "steps_of_a_child",
]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
_SIGKILL: Final = 9
_MADV_COLLAPSE: Final = 25
_LARGE_PAGE: Final = 2 * 1024 * 1024

_LARGE_ALLOCATION: Final = 120_000
"""Bytes: the C library takes more than 128 kB straight from the kernel."""

_ALLOCATIONS: Final = (65536, 32768, 16384, 8192, 4096, 3072, 2048, 1536, *range(1024, 0, -16))
"""Bytes, in this order: a large one fits no small gap."""

_MOST_FILLED: Final = 16_000_000
"""Bytes that are taken at most, whatever the C library is; with `openai` imported it is less than one million."""
_FIELDS_WITHOUT_NAME: Final = 5
"""In a line of `/proc/PID/maps` for anonymous memory."""

_LISTING_GOES_ON: Final = 2048
"""Bytes: what reads less has come to the end, as the kernel fills a page before."""


LIBC: Final = ctypes.CDLL(None, use_errno=True)
"""Loaded once, in the zygote: each load makes classes, some 60 pages that a child would have to copy."""
_PIDFD_SIGNAL_PROCESS_GROUP: Final = 4
_CLOSE_RANGE: Final = 436
"""Number of the system call, by which it is there whatever the C library is. Linux 5.9; a sandbox may refuse it."""
_HIGHEST_DESCRIPTOR: Final = 0x7FFFFFFF
_STANDARD_ERROR: Final = 2


def check_platform() -> None:
    """Raise UnsupportedPlatformError where processes cannot be supervised the way this package promises."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        raise UnsupportedPlatformError(
            f"subactors runs on Linux 5.3 or newer; this is {sys.platform} {os.uname().release}. "
            "Run the host in a Linux container or virtual machine."
        )


def steps_of_a_child(name: str) -> list[tuple[Callable[..., object], tuple[Any, ...]]]:
    """Return what a forked process has to call to be supervised: functions and their arguments, in order.

    The kernel then kills it when the thread that forked it ends, orphaned descendants become its children, and `name`
    is what `ps -o comm` shows. None of it can fail, but the thread may have ended before the first.
    """
    return [
        (LIBC.prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)),
        (LIBC.prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)),
        (LIBC.prctl, (_PR_SET_NAME, name.encode()[:15], 0, 0, 0)),
    ]


def anonymous_memory() -> list[tuple[int, int]]:
    """Return where this process's writable memory is that is of no file: first addresses, and those behind the last."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        if fields[1].startswith("rw") and (len(fields) == _FIELDS_WITHOUT_NAME or fields[5] == "[heap]"):
            start, end = fields[0].split("-")
            found.append((int(start, 16), int(end, 16)))
    return found


def fill_heap() -> None:
    """Take what is free between allocations in the C library's heap, so that new ones are made at its end, together.

    Each that is made in a gap is on another page. For a process with one thread; it takes a millisecond or two.
    """
    allocate = LIBC.malloc
    allocate.restype, allocate.argtypes = ctypes.c_size_t, [ctypes.c_size_t]
    # No gap is as large as all of these: one of them is at the end, and what is behind it fills none.
    end = max(allocate(_LARGE_ALLOCATION) for _ in range(8))
    left = _MOST_FILLED
    for size in _ALLOCATIONS:
        while left >= size and 0 < allocate(size) < end:
            left -= size


def gather_private_memory() -> None:
    """Have the kernel gather this process's private memory into large pages, where it can (Linux 6.1).

    A fork then copies one entry for each of them, and not one for each of the 512 small ones inside.
    """
    for first, behind in anonymous_memory():
        start, end = -(-first // _LARGE_PAGE) * _LARGE_PAGE, behind // _LARGE_PAGE * _LARGE_PAGE
        if start < end:
            # What it cannot do it leaves: the memory is the same in any case.
            LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_COLLAPSE)


def end_with_parent(*, wanted: bool) -> None:
    """Have the kernel kill this process when the thread that started it ends, or no longer."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL if wanted else 0)


def become_subreaper() -> None:
    """Have orphaned descendants become children of this process instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_background_work() -> None:
    """Have what wakes up in this process, and in all that it forks, push nothing else off its core (SCHED_BATCH).

    Shares of the processor stay as they are. Nothing changes where the host runs under a policy that somebody has
    chosen for it, or where the kernel is told to refuse.
    """
    with contextlib.suppress(OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def be_urgent() -> Callable[[], None]:
    """Have the kernel put this thread before all that is not urgent, where it may: root's. Returns what ends that.

    For who kills what forks anew: there may be thousands that want a core, and it would get as much of one as each of
    them. To make those wait instead does not help. Where sessions share the processor (autogroup), neither niceness nor
    an idle policy counts between them, and they make new sessions.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)

    def be_calm() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, policy, parameters)

    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    return be_calm


def open_descriptors() -> set[int]:
    """Return the numbers of this process's open descriptors."""
    # Listed, not ranged over: where the C library or the kernel has no close_range, a range takes a call per number.
    listed = set(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - only the names are wanted
    # The listing's own is among them, and closed by now.
    return {number for number in listed if _is_open(number)}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def close_descriptors_but(keep: set[int]) -> None:
    """Close every descriptor of this process that is not in `keep`."""
    for descriptor in open_descriptors() - keep:
        # A finalizer, or another thread, may have been faster.
        with contextlib.suppress(OSError):
            os.close(descriptor)


def closing_step(first: int) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """Return what closes every descriptor from number `first` on, whatever is open when it is called."""
    if LIBC.syscall(_CLOSE_RANGE, _HIGHEST_DESCRIPTOR, _HIGHEST_DESCRIPTOR, 0) == 0:
        return LIBC.syscall, (_CLOSE_RANGE, first, _HIGHEST_DESCRIPTOR, 0)
    return close_descriptors_but, (set(range(first)),)


def has_lost(pid: int, descriptor: int, link: str) -> bool:
    """Whether a process that is there, and may be looked at, has something else than `link` at a number, or nothing."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}") != link  # noqa: PTH115 - it is no path
    except FileNotFoundError:
        return os.path.exists(f"/proc/{pid}")  # noqa: PTH110 - it is asked for many, again and again
    except OSError:
        return False


def open_standard_descriptors() -> None:
    """Have something behind 0, 1 and 2, so that nothing else gets one of these numbers.

    A service may have been started with some of them closed. The next socket or database to be opened would take such a
    number, and whatever prints, here or in a child process, would write into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Let what this process writes to standard output and error go nowhere, for as long as the block runs."""
    saved = os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed
                stream.flush()
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(null)


def set_process_name(name: str) -> None:
    """Set what `ps -o comm` and `top` show; 15 bytes at most."""
    LIBC.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def limit_process(cpu_seconds: float | None, data_bytes: int | None) -> None:
    """Hold this process to limits; both are in addition to what it has used until now.

    Args:
        cpu_seconds: CPU time; beyond it the kernel sends SIGXCPU, and SIGKILL a second later.
        data_bytes: growth of its private memory; beyond it allocations fail, which Python raises as MemoryError.
    """
    if cpu_seconds is not None:
        soft = math.ceil(time.process_time() + cpu_seconds)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        most = soft + 1 if hard == resource.RLIM_INFINITY else min(hard, soft + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (min(soft, most), most))
    if data_bytes is not None:
        used = next(
            int(line.split()[1]) * 1024
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmData:")
        )
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = used + data_bytes if hard == resource.RLIM_INFINITY else min(hard, used + data_bytes)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def kill_group_led_by(pidfd: int) -> None:
    """Kill the process group that a process leads or, if it is gone, has led; without effect before Linux 6.9.

    The pidfd keeps the group's number from meaning another group.
    """
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, _PIDFD_SIGNAL_PROCESS_GROUP)


def open_children() -> int:
    """Return a descriptor for `children_in`, of the calling thread's children."""
    return os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)


def children_in(descriptor: int) -> list[bytes]:
    """Return the process ids of a thread's children, as digits, ended ones included until they are reaped.

    For a single-threaded process these are all of its children. The kernel may leave some out while others are just
    ending; each of those raises SIGCHLD, upon which the caller looks again.
    """
    listed = b""
    while piece := os.pread(descriptor, 65536, len(listed)):
        listed += piece
        if len(piece) < _LISTING_GOES_ON:
            break
    return listed.split()


def _prctl(option: int, value: int) -> None:
    if LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
