"""Chores: what the zygote does for later forks while nothing is asked of it: rehearse, and arrange its memory.

They come in stages. A stage begins when nothing has been asked for a while, and goes on until something is.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from ..child.life import rehearse
from ..cpython import run_what_follows_a_fork
from .sharing import settle_code, settle_memory

__all__ = ["Chores"]

_QUIET: Final = 2
"""Milliseconds: not before a burst of forks is over, but between two starts that come one after the other."""

_CALM: Final = 50
"""Milliseconds of a pause in what a host does; also after a burst, as the cores are its."""

_IDLE: Final = 300
"""Milliseconds after which the longest stage begins, which takes as many. In the midst of it memory is in worse order
than before, and forks take half as long again: no short pause of a host at work is the time for it."""

_REHEARSALS: Final = 12
"""After eight calls CPython 3.11 and later adapt a function to what it is used for, and its loops a little later."""

_SHORT_AT_ONCE: Final = 4
"""Short ones that follow each other whatever is asked: the first after a fork copies the pages of all."""


class _Stage(NamedTuple):
    """Chores that follow each other.

    Attributes:
        rest: milliseconds without anything to do after which they begin.
        chores: those that are left.
    """

    rest: int
    chores: deque[Callable[[], object]]


class Chores:
    """See the module. Runs in the zygote, between forks.

    Args:
        short: the actor to rehearse with as soon as possible, as it is pickled; empty for none.
        whole: the one to rehearse with, which may take much longer.
        renew: makes anew what the zygote has made for its children, once the memory's gaps are filled.
    """

    def __init__(self, short: bytes, whole: bytes, renew: Callable[[], object]) -> None:
        self._short = short
        self._renew = renew
        first = short or whole
        stages = [_Stage(_QUIET, self._settle_for(first, _SHORT_AT_ONCE if short else 1))]
        if whole != first:
            long = self._settle_for(whole, 1)
            # The first time brings modules, which each process would load anew.
            stages += [_Stage(_CALM, deque([long.popleft(), settle_memory])), _Stage(_IDLE, long)]
        self._first = stages[0]
        self._stages = deque(stages)
        self._has_begun = False

    @property
    def are_left(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._stages)

    @property
    def are_first(self) -> bool:
        """Whether those are next that are done as soon as possible."""
        return self.are_left and self._stages[0] is self._first

    def rest(self, *, is_burst: bool) -> int:
        """Return the milliseconds without anything to do after which the next is to be done.

        Args:
            is_burst: whether forks have come in a burst.
        """
        if not self.are_left:
            return _CALM
        rest = self._stages[0].rest
        if self._has_begun:
            rest = min(rest, _CALM)
        return max(rest, _CALM) if is_burst else rest

    def do_one(self) -> bool:
        """Do the next one; return whether another of the same stage is left."""
        chores = self._stages[0].chores
        try:
            chores.popleft()()
        except BaseException:  # noqa: BLE001 - all that they do is save time, and an actor may mean itself by exiting
            while len(chores) > 1:  # what failed would fail again
                chores.popleft()
        self._has_begun = bool(chores)
        if not chores:
            self._stages.popleft()
        return self._has_begun

    def _settle_for(self, actor: bytes, at_once: int) -> deque[Callable[[], object]]:
        """Return what makes the way that an actor goes a well-trodden one; see `rehearse`."""
        rehearse_once = functools.partial(_rehearse, actor)

        def rehearse_some() -> None:
            for _ in range(at_once):
                rehearse_once()

        def settle() -> None:
            settle_code(rehearse_once)
            self._renew()
            if self._short and self._short != actor:
                # New code is not adapted yet: until it was, each process that is forked meanwhile would adapt its own.
                for _ in range(_REHEARSALS):
                    _rehearse(self._short)

        return deque([rehearse_once, settle, *[rehearse_some] * (_REHEARSALS // at_once), settle_memory])


def _rehearse(actor: bytes) -> None:
    if not rehearse(actor, threads=False):
        raise TimeoutError("A rehearsal did not come to its end.")
    run_what_follows_a_fork()
