"""Reaper: collects the zygote's children that have ended, ends what they left (see `hunt`), and reports them.

Each end is reported once, within a bound. It must never kill a process by an id that may be another's: a leader that
is not reaped keeps its group's id.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from ..linux import cgroup
from ..linux.mark import SWEEP_LIMIT
from ..wire.messages import MOST_NAMED, Exited
from .hunt import Hunt

__all__ = ["Reaper"]

_SIGKILL: Final = int(signal.SIGKILL)

_LOOK_EVERY: Final = 0.15
"""Seconds between two looks for what has become a child and was not forked here, of which no signal tells: a process
that is no subreaper any more has daemons, or one asks for its parent to be its child's. Some microseconds each."""

_LOOK_EVERY_MS: Final = int(_LOOK_EVERY * 1000)

_SLICE: Final = 0.001
"""Seconds for which what is hunted, or ended, may keep the zygote from requests. What is begun is done, so it may be
somewhat more."""

_REMAINS_LIMIT: Final = SWEEP_LIMIT
"""Seconds that a task's end waits for what it has left, all of which is killed, to be gone."""

_POPULATION_LIMIT: Final = 0.2
"""The same where there are ever new ones, of which nobody can tell whose they are."""

_SETTLED: Final = 0.05
"""Seconds after an end in which all that it leaves shows itself, if nothing forks any more."""

_END_LIMIT: Final = 1.8
"""Seconds that all may take to be gone once the host is; where there are ever new ones, it goes on."""


class Reaper:
    """Used in the zygote's only thread.

    What runs for each fork has few functions and objects, see the zygote: `due` is no property, and nothing is called
    back.

    Attributes:
        children: keys of the processes that have been forked and not reaped, by their process ids.
        groups: names of their control groups, by their keys.
        dying: those that have ended, and whose tree is being ended: what to report, when there was a look at all before
            they were seen to have ended, and when that was.
        due: monotonic time from which on it is time for `reap`, though no signal has told of an end.
    """

    __slots__ = ("_hunt", "_is_hunting", "_looked", "children", "due", "dying", "groups")

    def __init__(self) -> None:
        self.children: dict[int, int] = {}
        self.groups: dict[int, str] = {}
        self.dying: list[tuple[Exited, float, float]] = []
        self._hunt = Hunt(self.children)
        self._is_hunting = False
        self._looked = 0.0
        self.due = 0.0

    def patience(self, chore: int | None) -> int | None:
        """Return for how many milliseconds there is nothing to do, if nobody says otherwise; None for ever.

        Args:
            chore: when there is something else to do.
        """
        if self._is_hunting:
            return 0
        if chore is not None:
            return chore
        if self.dying or self._hunt.prey:
            return 20  # what is being killed mostly tells of its end
        return _LOOK_EVERY_MS if self.children else None

    def reap(self) -> Sequence[Exited]:
        """Collect children that have ended, end what they leave, and return those that are gone with that."""
        now = time.monotonic()
        # Who is found to have ended now was alive at the last look: what had been seen before is not of it.
        since, self._looked = self._looked, now
        while (ended := _peek_ended_child()) is not None:
            key = self.children.pop(ended, None)
            if key is not None:
                # The unreaped leader keeps its group's id from being used again, so this hits its own group only.
                try:  # noqa: SIM105 - cheaper
                    os.killpg(ended, _SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            _, status, usage = os.wait4(ended, 0)
            if key is not None:
                code = os.waitstatus_to_exitcode(status)
                exited = Exited(key, code, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)
                group = self.groups.get(key)
                if group is not None:
                    cgroup.kill(group)
                    exited = msgspec.structs.replace(exited, group=cgroup.use_of(group))
                self.dying.append((exited, since, now))
            elif time.monotonic() - now > _SLICE:
                break  # they may end as fast as they are collected; actors have been here for longer, and come first
        self._is_hunting = self._hunt.chase(_SLICE)
        gone = self._take_the_gone() if self.dying else ()
        self.due = 0.0 if self._is_hunting or self.dying or self._hunt.prey else now + _LOOK_EVERY
        return gone

    def _take_the_gone(self) -> list[Exited]:
        """Return who is gone with all that may be of it, or has been waited for as long as it may be."""
        now = time.monotonic()
        gone, waiting = [], []
        for dying in self.dying:
            exited, since, died = dying
            remains = [seen for seen in self._hunt.prey.values() if seen >= since] if self._hunt.prey else []
            if remains or self._is_hunting:
                is_population = self._is_hunting or any(seen > died + _SETTLED for seen in remains)
                if now < died + (_POPULATION_LIMIT if is_population else _REMAINS_LIMIT):
                    waiting.append(dying)
                    continue
                left = self._hunt.living(since)
                exited = msgspec.structs.replace(exited, survivors=len(left), survivor_ids=left[:MOST_NAMED])
            if exited.key in self.groups:
                cgroup.remove(self.groups.pop(exited.key))
            gone.append(exited)
        self.dying = waiting
        return gone

    def end_everything(self) -> None:
        """Kill all children, and what they have left, and wait for their end; that has a bound."""
        for group in self.groups.values():
            cgroup.kill(group)
        self.children.clear()  # so all are hunted
        deadline = time.monotonic() + _END_LIMIT
        while True:
            if self._hunt.chase(_SLICE):
                continue
            if not self._hunt.prey or time.monotonic() > deadline:
                break
            time.sleep(0.001)
        for group in self.groups.values():
            cgroup.remove(group)


def _peek_ended_child() -> int | None:
    """Return a child that has ended, leaving it unreaped; None if there is none."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended is not None else None
