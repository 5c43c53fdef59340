"""A function that returns at once, for each of many items: a process for each item, and for fifty together."""

from __future__ import annotations

from time import monotonic
from typing import Final

from ..contenders.base import MAPPED_AT_ONCE, Contender
from ..results import Recorder
from .base import RUNTIME, Scenario, Size

__all__ = ["SCENARIO"]

_CHUNK: Final = 50


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Map twice over so many items, without a rest before or between."""
    (count,) = size.tasks
    contender.open(MAPPED_AT_ONCE)
    contender.start("speak").outcome()
    for _ in range(size.samples):
        for metric, chunk in (("map, a process for each item", 1), ("map, in chunks of 50", _CHUNK)):
            began = monotonic()
            contender.map(count, chunk)
            record.add(metric, monotonic() - began, "s", tasks=count)


SCENARIO = Scenario(
    "map",
    "map of N functions that return at once",
    measure,
    ("floor", *RUNTIME, "executor"),
    full=Size(rounds=5, samples=1, tasks=(1000,)),
    quick=Size(rounds=1, samples=1, tasks=(200,)),
    at_once=False,
)
