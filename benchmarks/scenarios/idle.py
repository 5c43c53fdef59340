"""How much of a core the host uses while many tasks idle, with their vitals sampled."""

from __future__ import annotations

import os
import time

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..processes import cpu_seconds, descendants
from ..results import Recorder
from .base import Scenario, Size, have_idle

__all__ = ["SCENARIO"]

_SETTLE = 2.0
"""Seconds from the last start until the watch begins."""


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Have tasks idle, and look at the CPU time of the host, and of all that is below it."""
    (count,) = size.tasks
    contender.open(count)
    if isinstance(contender, Subactors):
        contender.listen()
    have_idle(contender, count)
    time.sleep(_SETTLE)
    for _ in range(size.samples):
        began, host, below = time.monotonic(), time.process_time(), _below()
        time.sleep(size.seconds)
        took = time.monotonic() - began
        record.add("host CPU, idle tasks", 100 * (time.process_time() - host) / took, "%", tasks=count)
        record.add("CPU of tasks and zygote, idle", 100 * (_below() - below) / took, "%", tasks=count)


def _below() -> float:
    return sum(cpu_seconds(process.pid) for process in descendants(os.getpid()))


SCENARIO = Scenario(
    "idle",
    "CPU with idle tasks",
    measure,
    ("subactors", "forkserver", "ray"),
    full=Size(rounds=2, samples=2, tasks=(100,), seconds=15.0),
    quick=Size(rounds=1, samples=1, tasks=(20,), seconds=3.0),
)
