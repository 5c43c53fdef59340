"""From the SIGSEGV of a task to the host knowing of it, reason and all."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..results import Recorder
from .base import OWN_PROCESS, Scenario, Size

__all__ = ["SCENARIO"]

_SLOW = 1.0
_FEW = 3


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Have a task crash at a moment that is set beforehand, and wait for how it ended."""
    contender.open(1)
    first = contender.start("speak")
    first.outcome()
    late = 0
    for _ in range(size.samples if contender.lead < _SLOW else min(size.samples, _FEW)):
        moment = monotonic() + contender.lead
        task = contender.start("segfault", repr(moment))
        how = task.outcome()
        took = monotonic() - moment
        if "exit status 1" in how or "later than the moment" in how:
            late += 1  # the machine is busy
        elif not how:
            raise RuntimeError("The task that should have crashed did not.")
        else:
            record.add("crash", took, "s")
        if contender.name in {"executor", "loky"}:  # the pool is broken now
            contender.close()
            contender.open(1)
    if late:
        record.skip(f"{late} crashes came too late to be measured")


SCENARIO = Scenario(
    "crash",
    "SIGSEGV of a task to the host knows",
    measure,
    OWN_PROCESS,
    full=Size(rounds=3, samples=15),
    quick=Size(rounds=1, samples=4),
)
