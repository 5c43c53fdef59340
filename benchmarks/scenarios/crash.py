"""From the SIGSEGV of a task to the host knowing of it, reason and all."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..results import Recorder
from .base import OWN_PROCESS, Scenario, Size, come_to_rest

__all__ = ["SCENARIO"]

_FEW = 3
_LONGEST = 30.0
_LATE = ("later than the moment", "exit status 1")
"""How a task says that it came too late to crash; some contenders keep only its exit status."""

_BREAK = frozenset({"executor", "loky"})
"""Pools that cannot be used after a crash."""


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Have a task crash at a moment that is set beforehand, and wait for how it ended."""
    contender.open(1)
    first = contender.start("speak")
    first.outcome()
    come_to_rest(contender)
    lead = contender.lead
    left = min(size.samples, _FEW) if contender.slow else size.samples
    while left:
        moment = monotonic() + lead
        how = contender.start("segfault", repr(moment)).outcome()
        took = monotonic() - moment
        if not how:
            raise RuntimeError("The task that should have crashed did not.")
        if took < 0 or any(sign in how for sign in _LATE):
            # The machine is busy, and the process was not there at that moment.
            lead *= 2
            if lead > _LONGEST:
                raise RuntimeError(f"The process was not there within {lead / 2:g} s: {how}")
        else:
            record.add("crash", took, "s")
            left -= 1
        if contender.name in _BREAK:
            contender.close()
            contender.open(1)


SCENARIO = Scenario(
    "crash",
    "SIGSEGV of a task to the host knows",
    measure,
    OWN_PROCESS,
    full=Size(rounds=3, samples=15),
    quick=Size(rounds=1, samples=4),
)
