"""Forks of the host: what must not go wrong when something like `multiprocessing` forks it, which may be at any time.

The new process inherits every descriptor. With the run's lock it would make the run look alive; with the control socket
it would take calls that nobody answers, for as long as it lives. It also inherits the locks inside of libraries as they
were in that moment, and one that was held stays so for ever.
"""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["Holder", "close_when_forked", "fork_lock"]

fork_lock: Final = threading.RLock()
"""To be held while at work in a library that has locks of its own, as SQLite has: a fork waits until it is free."""


class Holder(Protocol):
    """Holds descriptors that are the host's alone."""

    def close_descriptors(self) -> None:
        """Close them; runs in the forked process, before anything else does."""
        ...


# State of the module, as what is once registered with the interpreter cannot be taken back: it is done once, for all.
_holders: Final[WeakSet[Holder]] = WeakSet()


def close_when_forked(holder: Holder) -> None:
    """Have a holder close its descriptors in each process that is forked from this one while the holder is in use."""
    _holders.add(holder)


def _after_in_child() -> None:
    fork_lock.release()
    for holder in list(_holders):
        holder.close_descriptors()


os.register_at_fork(before=fork_lock.acquire, after_in_parent=fork_lock.release, after_in_child=_after_in_child)
