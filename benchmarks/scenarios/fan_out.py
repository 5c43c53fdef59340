"""Many tasks at once that take one second each: what the wall clock shows beyond that second."""

from __future__ import annotations

from time import monotonic
from typing import Final

from ..contenders.base import Contender
from ..results import Recorder
from .base import ALL, RUNTIME, Scenario, Size, come_to_rest

__all__ = ["SCENARIO", "WITHOUT_REST"]

_OTHER_WORK: Final = 10
"""Tasks that run before, one after the other."""


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


def measure_without_rest(contender: Contender, size: Size, record: Recorder) -> None:
    """Dispatch all right after the last of some other tasks, one after the other, has ended."""
    (count,) = size.tasks
    contender.open(count)
    for _ in range(size.samples):
        for _ in range(_OTHER_WORK):
            contender.wait_all([contender.start("speak")])
        began = monotonic()
        contender.wait_all([contender.start("second") for _ in range(count)])
        record.add("fan-out without rest", monotonic() - began - 1.0, "s", tasks=count)


SCENARIO = Scenario(
    "fan-out",
    "fan-out of N one-second tasks: wall time beyond the second",
    measure,
    ALL,
    full=Size(rounds=5, samples=1, tasks=(10, 20, 100, 500, 1000)),
    quick=Size(rounds=1, samples=1, tasks=(20, 100)),
    limit=180.0,
)

WITHOUT_REST = Scenario(
    "fan-out-without-rest",
    "fan-out of N one-second tasks right after other tasks: wall time beyond the second",
    measure_without_rest,
    ("floor", *RUNTIME, "actors", "actors-standby", "forkserver"),
    full=Size(rounds=5, samples=3, tasks=(20, 100, 500)),
    quick=Size(rounds=1, samples=3, tasks=(20,)),
    limit=180.0,
)
