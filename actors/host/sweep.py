"""Sweep: ends what a lost zygote has left behind: every process with its mark, and what descends from one.

Runs in the host. It must never signal a process but through a pidfd that was opened before the mark was seen.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import deque
from pathlib import Path
from typing import Final

from ..linux import family, kernel
from ..linux.mark import MARK, SWEEP_LIMIT

__all__ = ["end_marked"]

_PAUSE: Final = 0.03
"""Seconds without news after which all processes are looked at again."""

_LONGEST_WATCH: Final = 0.05
"""Seconds after which they are in any case."""

_MOST_ADOPTERS: Final = 16
"""Ancestors of this process that are thought of; to look at one that adopts nothing takes microseconds."""

_MOST_WAITED: Final = 100
"""Processes that are killed whose ends are waited for, as each takes a descriptor."""

_DYING: Final = 8
"""Generations that may be ending at a time: what a process was started with is gone before it shows as ended."""

_LONGEST_ENVIRONMENT: Final = 8 * 1024 * 1024
"""Bytes of an environment that are looked at; the kernel lets no program start with more."""


def end_marked(mark: str) -> tuple[int, ...]:
    """Kill every process that was started with a mark, and what descends from it, until there is none.

    Takes up to `SWEEP_LIMIT` seconds, from any thread; zombies count as gone. A process that was started with a cleared
    environment is found only below one that has the mark. One that the user of this process may not look at is not
    found.

    Args:
        mark: the variable's value; only its last part, the zygote's own, is looked for.

    Returns:
        Ids of those that the last look has found.
    """
    sweep = _Sweep(mark.rpartition(":")[2].encode())
    deadline = time.monotonic() + SWEEP_LIMIT
    looks_without = 0
    be_calm = kernel.be_urgent()
    try:
        while True:
            found = sweep.look_at_all()
            # Who is in the middle of an exec shows no environment for a moment, and who forks may be passed by.
            looks_without = 0 if found else looks_without + 1
            if looks_without == 2 or time.monotonic() > deadline:  # noqa: PLR2004 - the second look is for those
                sweep.wait_for_killed(deadline)
                return tuple(found)
            if sweep.watch_adopters(_PAUSE):
                looks_without = 0
    finally:
        be_calm()
        sweep.close()


class _Sweep:
    """One search for the processes of a mark.

    A look at all processes takes milliseconds. Those that fork anew meanwhile soon are children of who adopts orphans,
    mostly of init, and that list is short.
    """

    def __init__(self, own: bytes) -> None:
        self._own = own
        self._known: set[bytes] = set()
        self._killed: deque[int] = deque()
        self._adopters: dict[int, int] = {}
        for pid in _ancestors():
            with contextlib.suppress(OSError):
                self._adopters[pid] = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)

    def look_at_all(self) -> list[int]:
        self._known.clear()
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self._kill_if_marked(int(entry))]  # noqa: PTH208 - names are enough

    def watch_adopters(self, pause: float) -> bool:
        """End what comes to them, until for a while nothing has; return whether anything has."""
        last = first = time.monotonic()
        while (now := time.monotonic()) < min(last + pause, first + _LONGEST_WATCH):
            for adopter, listing in list(self._adopters.items()):
                try:
                    listed = kernel.children_in(listing)
                except OSError:
                    os.close(self._adopters.pop(adopter))
                    continue
                for name in listed:
                    if name not in self._known:
                        self._known.add(name)
                        if self._kill_if_marked(int(name)):
                            last = now
            if not self._adopters:
                time.sleep(pause)
        return last > first

    def wait_for_killed(self, deadline: float) -> None:
        """Wait until those have ended that were killed last: one that is ending shows no mark any more."""
        poll = select.poll()
        for pidfd in self._killed:
            poll.register(pidfd, select.POLLIN)
        left = len(self._killed)
        while left and (rest := deadline - time.monotonic()) > 0:
            for pidfd, _ in poll.poll(rest * 1000):
                poll.unregister(pidfd)
                left -= 1

    def close(self) -> None:
        for descriptor in (*self._adopters.values(), *self._killed):
            os.close(descriptor)

    def _kill_if_marked(self, pid: int, depth: int = _DYING) -> bool:
        """Kill a process if it has the mark, and what descends from it; return whether there was any with it."""
        # It is gone, or another user's, or there is no descriptor for it: then the next look may find it.
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                environ = _environ(pid)
                if self._is_marked(environ):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    self._keep(pidfd)
                    self._follow(pid, pidfd)
                    return True
            finally:
                os.close(pidfd)
            if not environ and depth:  # it may be ending, and have forked the next
                return self._kill_marked_children(pid, depth - 1)
        return False

    def _keep(self, pidfd: int) -> None:
        """Have an end waited for; of thousands, only those of the last."""
        with contextlib.suppress(OSError):  # there is no descriptor left for it
            self._killed.append(os.dup(pidfd))
        if len(self._killed) > _MOST_WAITED:
            os.close(self._killed.popleft())

    def _kill_marked_children(self, pid: int, depth: int) -> bool:
        found = False
        for listing in family.listings_of(pid):
            try:
                for name in kernel.children_in(listing):
                    found = self._kill_if_marked(int(name), depth) or found
            finally:
                os.close(listing)
        return found

    def _is_marked(self, environ: bytes) -> bool:
        prefix = MARK.encode() + b"="
        return any(
            self._own in entry.removeprefix(prefix).split(b":")
            for entry in environ.split(b"\0")
            if entry.startswith(prefix)
        )

    def _follow(self, pid: int, pidfd: int) -> None:
        adopter = _parent(pid)
        family.end_descendants(pid, pidfd, time.monotonic() + _LONGEST_WATCH, self._adopters.get(adopter))


def _ancestors() -> list[int]:
    """Return this process's ancestors; the first that is a subreaper, or else the last, adopts orphans."""
    found: list[int] = []
    pid = os.getppid()
    while pid and len(found) < _MOST_ADOPTERS:
        found.append(pid)
        with contextlib.suppress(OSError):
            pid = _parent(pid)
            continue
        break
    return found


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def _environ(pid: int) -> bytes:
    """Return what a process was started with; nothing if that was nothing, or it is ending."""
    descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    try:
        environ = b""
        while len(environ) < _LONGEST_ENVIRONMENT and (piece := os.read(descriptor, 1 << 16)):
            environ += piece
        return environ
    finally:
        os.close(descriptor)
