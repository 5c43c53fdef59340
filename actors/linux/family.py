"""Family: ends the descendants of a process that is being killed, from the top down.

A process with a pending SIGKILL forks no more. The kernel checks for it when it links a child to its parent, under the
lock that the kill takes. So the list of its children is complete. They are killed next, and then their children's lists
are complete. This reaches processes that fork anew before anybody sees them. One that forks and exits becomes another's
child only when it is quite gone. By then the next one is there.

It must never signal a process by an id that may be another's. It uses only a pidfd that was opened while the process
was seen to be of the family.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Final

from . import kernel

__all__ = ["end_descendants", "follow", "listings_of"]

_DEEPEST: Final = 64
"""Generations that one walk goes down; those below come up as the ones above end."""

_LINKS_OF_ONE_THREAD: Final = 3
"""Of `/proc/PID/task`, which has a folder for each thread."""


def listings_of(pid: int) -> list[int]:
    """Return descriptors for `children_in`, one for each thread of a process; none if it is gone."""
    try:
        links = os.stat(f"/proc/{pid}/task").st_nlink  # noqa: PTH116 - each moment counts
        threads = os.listdir(f"/proc/{pid}/task") if links != _LINKS_OF_ONE_THREAD else [str(pid)]  # noqa: PTH208 - each moment counts
    except OSError:
        return []
    listings = []
    for thread in threads:
        try:
            listings.append(os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            continue
    return listings


def follow(listings: list[int], end: float, above: int | None, depth: int = _DEEPEST) -> None:
    """Kill the children of a process that is killed, and theirs.

    Args:
        listings: of the process, see `listings_of`; they are closed.
        end: when to stop, by the monotonic clock.
        above: descriptor that lists the children of whoever gets orphans; None if nobody knows.
        depth: generations that are followed.
    """
    try:
        for listing in listings:
            _follow_thread(listing, end, above, depth)
    finally:
        for listing in listings:
            os.close(listing)


def _follow_thread(listing: int, end: float, above: int | None, depth: int) -> None:
    children = []
    try:
        for name in kernel.children_in(listing):
            try:
                children.append((name, os.pidfd_open(int(name))))
            except OSError:  # it is gone
                continue
        if not children:
            return
        # Who is still listed has been listed all the time, as its parent gets no new children. It may also have come
        # up meanwhile.
        family = set(kernel.children_in(listing))
        if above is not None:
            family.update(kernel.children_in(above))
        for name, pidfd in children:
            if name in family and time.monotonic() < end:
                _end_child(int(name), pidfd, end, above, depth)
    except ProcessLookupError:
        pass  # its parent is gone, and with it this list
    finally:
        for _, pidfd in children:
            os.close(pidfd)


def _end_child(pid: int, pidfd: int, end: float, above: int | None, depth: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it is gone, or has become another user's
        return
    if depth:
        end_descendants(pid, pidfd, end, above, depth - 1)


def end_descendants(pid: int, pidfd: int, end: float, above: int | None, depth: int = _DEEPEST) -> None:
    """Kill the children of a process that is killed, and theirs.

    Args:
        pid: of the process, which need not be a child of this one.
        pidfd: of the same, opened when it was known to be meant.
        end: see `follow`.
        above: see `follow`.
        depth: see `follow`.
    """
    listings = listings_of(pid)
    try:
        signal.pidfd_send_signal(pidfd, 0)  # else its id may have been another's when they were opened
    except ProcessLookupError:
        for each in listings:
            os.close(each)
        return
    follow(listings, end, above, depth)
