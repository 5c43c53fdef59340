"""Rate pace: when the next request may go to a server that has refused one because of its rate limit.

Pure: it is given the time and never sleeps. The host keeps one pace for each limited model, so that its tasks do not
all come back in the same moment. The limit itself is unknown, so the pace feels its way. A refusal makes a pause and
doubles the interval between two requests; each request that is let go shortens the interval.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

__all__ = ["RatePace", "pause_before", "spread"]

_SHORTEST_PAUSE: Final = 0.05
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds. Most limits are per second or per minute; a few servers always say that no time is to be waited."""

_MOST_JITTER: Final = 10.0
"""Seconds."""

_FIRST_INTERVAL: Final = 1.0
_LONGEST_INTERVAL: Final = 30.0
_SHORTEST_INTERVAL: Final = 0.01
"""Seconds. One request a second is below most limits, and after twelve more there are ten a second."""

_FASTER: Final = 0.8
_BARELY_FASTER: Final = 0.98
"""What a request that is let go multiplies the interval by: far from the interval refused last, and near it."""

_NEAR: Final = 1.25
"""Times the interval that was refused last."""

_NEVER: Final = float("-inf")


def pause_before(refusals: int, after: float | None) -> float:
    """Return how many seconds to wait after that many refusals in a row.

    The pause begins with what the server asks for, or with a second, and doubles up to a minute.

    Args:
        refusals: from 1.
        after: seconds that the server asks for; None: it does not say. The pause is never shorter.
    """
    first = _FIRST_PAUSE if after is None else max(after, _SHORTEST_PAUSE)
    return max(min(first * 2.0 ** min(refusals - 1, 20), _LONGEST_PAUSE), after or 0.0)


def spread(pause: float) -> float:
    """Return a pause with jitter, up to a quarter and ten seconds, so that hosts do not come back together."""
    return pause + random.uniform(0.0, min(pause / 4.0, _MOST_JITTER))  # noqa: S311 - spreads requests, hides nothing


@dataclass
class RatePace:
    """The pace for one model of one server. All times are of one monotonic clock, in seconds.

    Attributes:
        resumes: no request goes before this time.
        interval: seconds between two requests.
        refusals: refusals in a row, each but the first of the first request after a pause.
        refused: when the latest pause began.
    """

    resumes: float = _NEVER
    interval: float = _FIRST_INTERVAL
    refusals: int = 0
    refused: float = _NEVER
    _refused_interval: float = _FIRST_INTERVAL / 2.0
    _last: float = _NEVER
    _first: float | None = None

    def refuse(self, now: float, after: float | None, let_go: float | None) -> None:
        """Take note of a refusal.

        Args:
            now: the time.
            after: seconds until the server may be asked again, where it says so.
            let_go: when the refused request was let go; None: it was sent without asking.
        """
        # A burst of refusals is one: requests from before the pause, and those that did not ask, tell nothing new.
        if now < self.resumes if let_go is None else let_go < self.refused:
            self.resumes = max(self.resumes, now + (after or 0.0))
            return
        if let_go is not None and let_go == self._first:
            self.refusals += 1  # the pause was too short, not the interval
        else:
            self.refusals = 1
            if let_go is not None:
                self._refused_interval = self.interval
                self.interval = min(self.interval * 2.0, _LONGEST_INTERVAL)
        self._first = None
        self.refused = now
        self.resumes = max(self.resumes, now + spread(pause_before(self.refusals, after)))

    def next_time(self) -> float:
        """Return when the next request may go."""
        return max(self.resumes, self._last + self.interval)

    def let_go(self, now: float) -> None:
        """Take note that a request goes now."""
        self._last = now
        if self._first is None:
            self._first = now  # it shows whether the pause was long enough, not what the interval may be
        else:
            near = self.interval <= self._refused_interval * _NEAR
            self.interval = max(self.interval * (_BARELY_FASTER if near else _FASTER), _SHORTEST_INTERVAL)
