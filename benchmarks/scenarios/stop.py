"""From the stop of a sleeping task to its process gone; with subactors also of one that takes no notice."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from .base import ALL, Scenario, Size, come_to_rest, pause

__all__ = ["GRACE", "SCENARIO"]

GRACE = 0.2
"""Seconds of grace for the task that refuses."""

_SLOW = 0.1
_FEW = 5


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Start, wait for its word, stop."""
    if isinstance(contender, Subactors):
        contender.open(1, stop_grace=GRACE)
        contender.listen()
    else:
        contender.open(1)
    come_to_rest(contender)
    for sample in range(size.samples):
        pause(contender)
        began = monotonic()
        task = contender.start("idle")
        task.first_message()
        slow = monotonic() - began > _SLOW
        began = monotonic()
        task.stop()
        record.add("stop", monotonic() - began, "s")
        if slow and sample >= _FEW:
            return
    if isinstance(contender, Subactors):
        for _ in range(max(2, size.samples // 4)):
            task = contender.start("refuse")
            task.first_message()
            began = monotonic()
            task.stop()
            record.add("stop, refused: beyond the grace period", monotonic() - began - GRACE, "s")


SCENARIO = Scenario(
    "stop",
    "stop of a sleeping task to its process gone",
    measure,
    ALL,
    full=Size(rounds=4, samples=30),
    quick=Size(rounds=1, samples=8),
)
