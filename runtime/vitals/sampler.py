"""Vitals sampler: a thread that looks at the process trees of running tasks, and at their logs, now and then.

It never costs more than a small share of a core: the more there is to look at, the longer it rests. It holds limits, so
nothing may end it unnoticed. A look that fails costs that look. Every second the host asks whether the thread gets on,
and replaces it if not; whatever it hangs at is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ..tasks.views import Vitals
from ..tasks.watching import Sample
from ..team.config import Limits
from .looker import Board, Looker, Watch, Work, is_limited, say

__all__ = ["VitalsSampler", "Watch"]

_STUCK: Final = 5
"""Looks in a row that find the thread at the same work, after which it is given up."""

_MOST_GIVEN_UP: Final = 8
"""Threads that may hang at a time before no other is started."""

_PATIENCE: Final = 2.0
"""Seconds that `close` waits for the thread."""

_UNHELD: Final = "It cannot be looked at now, nor held to limits on memory, processes and CPU time: "


class VitalsSampler:
    """Samples what tasks use; `latest` may be called from any thread.

    Args:
        running: returns the running tasks by their id; called in the sampler's thread.

    Attributes:
        watch: makes what is known of a task.
    """

    watch: Final = Watch

    def __init__(self, running: Callable[[], Mapping[str, Watch]]) -> None:
        self._board = Board(running)
        self._thread: Looker | None = None
        self._given_up: list[Looker] = []
        self._asked = (-1, 0)

    def latest(self, task_id: str) -> Vitals | None:
        """Return the last sample of a task; None if there is none yet. Its note says if it cannot be looked at now."""
        vitals = self._board.latest.get(task_id)
        trouble = self._board.trouble or self._board.failed.get(task_id, "")
        return msgspec.structs.replace(vitals or Vitals(), note=_UNHELD + trouble) if trouble else vitals

    def watched(self) -> None:
        """Take samples more often for a moment; in any thread."""
        self._board.watched_at = time.monotonic()

    def samples(self, task_id: str) -> list[Sample]:
        """Return the latest samples of a task, oldest first; none of one that has ended."""
        ring = self._board.rings.get(task_id)
        return ring.samples() if ring is not None else []

    def take_peak(self, task_id: str) -> int:
        """Return the largest memory sampled of a task that has ended, in bytes, and forget it; 0 if it had none."""
        return self._board.peaks.pop(task_id, 0)

    def task_started(self, limits: Limits) -> None:
        """Begin to sample, if that has not begun or has come to rest; a limited task is looked at soon.

        Others are not: a look goes through all tasks, and hundreds may start in one second.
        """
        if self._thread is None:
            self._start()
        self._board.started.set()
        if is_limited(limits):
            self._board.wanted.set()

    def gets_on(self) -> bool:
        """Whether the thread lives and gets on, as far as is seen by asking now and then; `mend` is due if not.

        For one thread, which may be another than the one that mends.
        """
        thread = self._thread
        if thread is None or not thread.is_alive():
            return False
        is_at_the_same = thread.doing is not None and self._asked[0] == thread.step
        self._asked = (thread.step, self._asked[1] + 1 if is_at_the_same else 0)
        return self._asked[1] < _STUCK

    def mend(self) -> None:
        """Have another thread take the place of one that has died, hangs or could not be started."""
        thread = self._thread
        if thread is None:
            self._start()
        elif not thread.is_alive():
            say("The thread that holds limits on memory, processes and CPU time has ended unexpectedly.")
            self._start()
        elif (work := thread.doing) is not None and self._asked[1] >= _STUCK:
            self._give_up(thread, work)

    def close(self) -> None:
        """End the thread and wait for it, though not for one that hangs."""
        self._board.closed.set()
        self._board.started.set()
        self._board.wanted.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
        self._board.reader.close()

    def _start(self) -> None:
        if self._board.closed.is_set():
            return
        thread = Looker(self._board)
        try:
            thread.start()
        except (RuntimeError, MemoryError, OSError) as error:  # the machine has no room for a thread
            self._thread = None
            if not self._board.trouble:
                say("The thread that holds limits cannot be started (%s). That is tried every second.", error)
            self._board.trouble = str(error) or type(error).__name__
            return
        if self._board.trouble:
            say("Limits on memory, processes and CPU time are held again.")
        self._board.trouble = ""
        self._thread = thread
        self._asked = (-1, 0)

    def _give_up(self, thread: Looker, work: Work) -> None:
        self._given_up = [hanging for hanging in self._given_up if hanging.is_alive()]
        if len(self._given_up) >= _MOST_GIVEN_UP:
            self._board.trouble = "too many looks hang"
            return
        self._given_up.append(thread)
        thread.given_up = work
        self._board.stuck[work] += 1
        say("A look at %s %s hangs; another thread goes on without it.", *work)
        self._start()
