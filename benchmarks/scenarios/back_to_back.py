"""As `start`, and without any rest: one task after the other, from the first on, as a program that has work does it."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from .base import RUNTIME, Scenario, Size

__all__ = ["SCENARIO"]


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Start one task after the other; each has ended before the next is started, and nothing is waited for else."""
    contender.open(1)
    if isinstance(contender, Subactors):
        contender.listen()
    contender.start("speak").outcome()  # what is done once for all tasks is done now
    for _ in range(size.samples):
        began = monotonic()
        task = contender.start("speak")
        task.first_message()
        record.add("start, back to back", monotonic() - began, "s")
        task.outcome()


SCENARIO = Scenario(
    "back-to-back",
    "start, one task after the other without any rest",
    measure,
    ("floor", *RUNTIME, "actors", "actors-standby", "context", "forkserver"),
    full=Size(rounds=5, samples=150),
    quick=Size(rounds=1, samples=40),
)
