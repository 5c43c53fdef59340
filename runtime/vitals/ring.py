"""Ring: the latest samples of what one task uses, as few bytes as they take."""

from __future__ import annotations

from array import array
from typing import Final

from ..tasks.watching import Sample

__all__ = ["MOST_SAMPLES", "Ring"]

MOST_SAMPLES: Final = 120
"""How many are kept: two minutes of them, or more where there is much to look at."""

_FIELDS: Final = 3


class Ring:
    """See the module. One thread adds; any thread may read."""

    __slots__ = ("_next", "_values")

    def __init__(self) -> None:
        self._values = array("d")
        self._next = 0

    def add(self, at: float, cpu_percent: float, memory_bytes: float) -> None:
        """Take a sample, in place of the oldest where there is no room.

        Args:
            at: when it was taken, in seconds since the epoch.
            cpu_percent: share of one core.
            memory_bytes: see `Vitals`.
        """
        sample = array("d", (at, cpu_percent, memory_bytes))
        begin = self._next * _FIELDS
        self._values[begin : begin + _FIELDS] = sample
        self._next = (self._next + 1) % MOST_SAMPLES

    def samples(self, most: int = MOST_SAMPLES) -> list[Sample]:
        """Return the latest samples, oldest first.

        Args:
            most: how many.
        """
        values = self._values[:]  # in one step, while another thread may add
        if len(values) == MOST_SAMPLES * _FIELDS:
            # Not from `_next`, which the other thread may be about to change.
            times = values[::_FIELDS]
            oldest = times.index(min(times)) * _FIELDS
            values = values[oldest:] + values[:oldest]
        values = values[max(0, len(values) - most * _FIELDS) :]
        return [*map(Sample._make, zip(values[::_FIELDS], values[1::_FIELDS], values[2::_FIELDS], strict=True))]
