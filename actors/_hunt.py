"""How the zygote ends what outlives its task: processes that became its children and were not forked by it.

They may fork anew as fast as they are killed. What a kill reaches forks no more: a fork fails once a SIGKILL is pending
(the kernel looks for it, under the lock that the kill takes). So each kill ends a branch, and to kill a whole group is
one step. What makes it hard is to see them in time. Who forks and exits becomes visible here only when its parent is
quite gone, which takes longer than to fork the next one. So each that is found is followed down to its children.

It must never signal a process whose id may be another's by now: here that is one that this process has not reaped, a
group of which such a one is a member, or a pidfd that was opened while the process was seen to be of this family.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from . import _linux

__all__ = ["Hunt"]

_SIGKILL: Final = int(signal.SIGKILL)

_ALL_KINDS: Final = 0x40000000
"""`__WALL`: also children whose end is told by another signal than SIGCHLD."""

_DEEPEST: Final = 64
"""Generations that one walk goes down; those below come up as the ones above end."""


_LONGEST_WALK: Final = 0.02
"""Seconds that one may take; some thousand processes. Those that it does not come to are children here soon."""

_LINKS_OF_ONE_THREAD: Final = 3
"""Of `/proc/PID/task`, which has a folder for each thread."""


class Hunt:
    """Ends orphans. For a process with one thread, which is a subreaper and reaps nobody's children but its own.

    Args:
        own: ids of the children that this process has forked and not reaped.

    Attributes:
        prey: the orphans that the last look has left: when each was first seen, by its process id.
    """

    def __init__(self, own: Collection[int]) -> None:
        self.prey: dict[int, float] = {}
        self._own = own
        self._own_group = os.getpgrp()
        self._listing = _linux.open_children()
        self._calm: tuple[int, os.sched_param] | None = None

    def chase(self, slice_: float) -> bool:
        """Kill orphans until there are none, or none that is new, for up to some `slice_` seconds.

        Returns whether new ones may appear at any moment, so that it is to be called again at once.
        """
        now = time.monotonic()
        end = now + slice_
        while True:
            children = _linux.children_in(self._listing)
            # As many as were forked here and not reaped yet: it is these.
            listed = [] if len(children) == len(self._own) else [p for p in map(int, children) if p not in self._own]
            if not listed:
                if self.prey or self._calm is not None:
                    self.prey = {}
                    self._be_calm()
                return False
            self._be_urgent()
            new, reaped = self._kill(listed, now)
            for pid in new:
                if time.monotonic() > end:
                    return True
                self._follow(_listings_of(pid), _DEEPEST, end + _LONGEST_WALK)
            if not new and not reaped:  # whoever was alive beneath one that is reaped has come up since
                return False
            now = time.monotonic()
            if now > end:
                return True

    def living(self, since: float) -> tuple[int, ...]:
        """Return the orphans that were first seen since then and have not ended, as at the last look."""
        return tuple(pid for pid, seen in self.prey.items() if seen >= since and not _is_zombie(pid))

    def _be_urgent(self) -> None:
        """Have the kernel put this process before what it hunts, where it may: root's.

        There may be thousands that want a core, each of which would get as much of one. To make them wait instead does
        not help: where sessions share the processor (autogroup), neither does being nice count between them.
        """
        if self._calm is None:
            self._calm = os.sched_getscheduler(0), os.sched_getparam(0)
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))

    def _be_calm(self) -> None:
        if self._calm is not None:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, *self._calm)
            self._calm = None

    def _kill(self, listed: list[int], now: float) -> tuple[list[int], bool]:
        """Reap or kill each; return those that are new, and may have children, and whether any was reaped."""
        before, prey = self.prey, {}
        groups: set[int] = set()
        new = []
        reaped = False
        for pid in listed:
            try:
                if os.waitpid(pid, os.WNOHANG | _ALL_KINDS)[0]:
                    reaped = True
                    continue
            except ChildProcessError:  # a long listing may have an entry twice
                continue
            if pid in before:
                prey[pid] = before[pid]
                continue
            prey[pid] = now
            new.append(pid)
            os.kill(pid, _SIGKILL)
            # It stays in its group from now on, and keeps the group's id from being another's.
            group = os.getpgid(pid)
            if group not in groups and group not in self._own and group != self._own_group:
                groups.add(group)
                try:  # noqa: SIM105 - cheaper
                    os.killpg(group, _SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
        self.prey = prey
        return new, reaped

    def _follow(self, listings: list[int], depth: int, end: float) -> None:
        """Kill the children of a process that is killed, and theirs. Closes the listings."""
        try:
            for listing in listings:
                self._follow_thread(listing, depth, end)
        finally:
            for listing in listings:
                os.close(listing)

    def _follow_thread(self, listing: int, depth: int, end: float) -> None:
        children = []
        try:
            for name in _linux.children_in(listing):
                try:
                    children.append((name, os.pidfd_open(int(name))))
                except OSError:  # it is gone
                    continue
            if not children:
                return
            # Who is still listed has been listed all the time, as its parent gets no new children. It may also have
            # come up meanwhile.
            family = {*_linux.children_in(listing), *_linux.children_in(self._listing)}
            for name, pidfd in children:
                if name in family and time.monotonic() < end:
                    signal.pidfd_send_signal(pidfd, _SIGKILL)
                    listings = _listings_of(int(name)) if depth else []
                    try:
                        signal.pidfd_send_signal(pidfd, 0)  # or its number may have been another's
                    except ProcessLookupError:
                        for each in listings:
                            os.close(each)
                        raise
                    self._follow(listings, depth - 1, end)
        except ProcessLookupError:
            pass  # it is gone, and with it the reason to look
        finally:
            for _, pidfd in children:
                os.close(pidfd)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in b"ZX"
    except OSError:
        return True


def _listings_of(pid: int) -> list[int]:
    """Return descriptors for `children_in`, one for each thread of a process; none if it is gone."""
    try:
        links = os.stat(f"/proc/{pid}/task").st_nlink  # noqa: PTH116 - each moment counts
        threads = os.listdir(f"/proc/{pid}/task") if links != _LINKS_OF_ONE_THREAD else [str(pid)]  # noqa: PTH208 - the same
    except OSError:
        return []
    listings = []
    for thread in threads:
        try:
            listings.append(os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            continue
    return listings
