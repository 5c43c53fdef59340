"""Hunt: ends what outlives its task: processes that became the zygote's children and were not forked by it.

They may fork anew as fast as they are killed. Each kill ends a branch, and killing a whole group is one step of the
kernel. The difficulty is to see them in time: a process that forks and exits becomes a child here only when its parent
is quite gone, which takes longer than to fork the next one. So each one found is followed down, see `linux/family`.

These do not work instead: looking every few milliseconds; looking at this process's own children alone, however often,
which is late for each generation; a lower priority, which does not count between sessions; a control group, which few
hosts may make, takes milliseconds at a fork, and is as late as a kill when entered later; a limit on processes, which
counts all of the user's; a namespace for process ids, which takes privileges, and gives a task other ids than its host
sees.

It must never signal a process whose id may be another's by now. Safe are a process that this one has not reaped, its
group, and a pidfd that was opened while the process was seen to be of this family.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from ..linux import family, kernel

__all__ = ["Hunt"]

_SIGKILL: Final = int(signal.SIGKILL)

_ALL_KINDS: Final = 0x40000000
"""`__WALL`: also children whose end is told by another signal than SIGCHLD."""

_LONGEST_WALK: Final = 0.02
"""Seconds that one may take; some thousand processes. Those that it does not come to are children here soon."""


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
        self._listing = kernel.open_children()
        self._calm: Callable[[], None] | None = None

    def chase(self, slice_: float) -> bool:
        """Kill orphans until there are none, or none that is new, for up to some `slice_` seconds.

        Returns whether new ones may appear at any moment, so that it is to be called again at once.
        """
        now = time.monotonic()
        end = now + slice_
        while True:
            children = kernel.children_in(self._listing)
            # As many as were forked here and not reaped yet: it is these.
            listed = [] if len(children) == len(self._own) else [p for p in map(int, children) if p not in self._own]
            if not listed:
                if self._calm is not None:
                    self.prey = {}
                    self._calm()
                    self._calm = None
                return False
            if self._calm is None:
                self._calm = kernel.be_urgent()
            new, reaped = self._kill(listed, now)
            for pid in new:
                if time.monotonic() > end:
                    return True
                family.follow(family.listings_of(pid), end + _LONGEST_WALK, self._listing)
            if not new and not reaped:  # whoever was alive beneath one that is reaped has come up since
                return False
            now = time.monotonic()
            if now > end:
                return True

    def living(self, since: float) -> tuple[int, ...]:
        """Return the orphans that were first seen since then and have not ended, as at the last look."""
        return tuple(pid for pid, seen in self.prey.items() if seen >= since and not _is_zombie(pid))

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
            try:  # noqa: SIM105 - half the time, in a race with who forks
                os.kill(pid, _SIGKILL)
            except PermissionError:  # it has become another user's, as by a program that is set to
                pass
            # It stays in its group from now on, and keeps the group's id from being another's.
            group = os.getpgid(pid)
            if group not in groups and group not in self._own and group != self._own_group:
                groups.add(group)
                try:  # noqa: SIM105 - half the time, in a race with who forks
                    os.killpg(group, _SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
        self.prey = prey
        return new, reaped


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in b"ZX"
    except OSError:
        return True
