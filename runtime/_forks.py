"""What a process that the host forks must let go of, as only the host may hold it.

Such a process, one of `multiprocessing`'s for example, inherits every descriptor. With the run's lock it would make the
run look alive, and with the control socket it would take calls that nobody answers, for as long as it lives.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["Holder", "let_go_when_forked"]


class Holder(Protocol):
    """Holds descriptors that are the host's alone."""

    def let_go(self) -> None:
        """Close them; runs in the forked process, before anything else does."""
        ...


# State of the module, as what is once registered with the interpreter cannot be taken back: it is one call for all.
_holders: Final[WeakSet[Holder]] = WeakSet()


def let_go_when_forked(holder: Holder) -> None:
    """Have a holder let go in each process that is forked from this one while the holder is in use."""
    _holders.add(holder)


def _let_go() -> None:
    for holder in list(_holders):
        holder.let_go()


os.register_at_fork(after_in_child=_let_go)
