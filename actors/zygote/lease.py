"""Lease: for how long a zygote's owner may be silent. It has one on a node, whose agent says `HERE`."""

from __future__ import annotations

import select
import signal
import time
from typing import Final

__all__ = ["Lease"]

_MOST_OF_A_TURN: Final = 2.0
"""Seconds of silence that one turn counts at most. The machine may have been suspended, or the zygote itself stopped:
then the owner is to have a turn, too."""


class Lease:
    """See the module. The zygote's loop looks at it in each turn, and has such turns for as long as it has children.

    Args:
        seconds: for which nothing need come of the owner.

    Attributes:
        is_over: whether the owner has been silent for too long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._silence = 0.0
        self._looked = time.monotonic()
        self.is_over = False

    def has_ended(self, *, is_heard: bool) -> bool:
        """Whether the owner has been silent for too long.

        What the zygote does for a while is no silence: what was said meanwhile lies ready then.

        Args:
            is_heard: whether there was anything of it in this turn.
        """
        before, self._looked = self._looked, time.monotonic()
        self._silence = 0.0 if is_heard else self._silence + min(self._looked - before, _MOST_OF_A_TURN)
        self.is_over = self._silence > self._seconds
        return self.is_over

    def end_owner(self, owner: int) -> None:
        """Kill the owner, once it has stood still for as long again: by itself it would never end.

        Until then it is only silent, and whoever talks to it takes it for that.

        Args:
            owner: a pidfd of it.
        """
        end = select.poll()
        end.register(owner, select.POLLIN)
        if not end.poll(self._seconds * 1000):
            signal.pidfd_send_signal(owner, signal.SIGKILL)
