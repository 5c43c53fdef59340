"""Many tasks at once that take one second each: what the wall clock shows beyond that second."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..results import Recorder
from .base import ALL, Scenario, Size, come_to_rest

__all__ = ["SCENARIO"]


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Dispatch all, wait for all."""
    (count,) = size.tasks
    contender.open(count)
    if not contender.reuses_processes:
        contender.wait_all([contender.start("speak")])
        come_to_rest(contender)
    for _ in range(size.samples):
        began = monotonic()
        contender.wait_all([contender.start("second") for _ in range(count)])
        record.add("fan-out", monotonic() - began - 1.0, "s", tasks=count)


SCENARIO = Scenario(
    "fan-out",
    "fan-out of N one-second tasks: wall time beyond the second",
    measure,
    ALL,
    full=Size(rounds=5, samples=1, tasks=(10, 20, 100, 500, 1000)),
    quick=Size(rounds=1, samples=1, tasks=(20, 100)),
    limit=180.0,
)
