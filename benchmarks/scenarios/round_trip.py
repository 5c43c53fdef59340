"""A message of 100 bytes to a process and back: wherever the kernel puts the two, and on two cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

from ..contenders.base import Contender
from ..processes import descendants, pin
from ..results import Recorder
from .base import Scenario, Size

__all__ = ["SCENARIO"]

_WARM = 200
_MESSAGE = b"m" * 100


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Send, and wait for the answer."""
    contender.open(1)
    ask = contender.open_echo()
    _exchange(ask, size.samples, "round trip", record)
    cores = sorted(os.sched_getaffinity(0))
    below = descendants(os.getpid())
    if len(cores) > 1 and below:
        pin(os.getpid(), cores[0])
        for process in below:
            pin(process.pid, cores[1])
        _exchange(ask, size.samples, "round trip between two cores", record)


def _exchange(ask: Callable[[bytes], bytes], samples: int, metric: str, record: Recorder) -> None:
    for _ in range(_WARM):
        ask(_MESSAGE)
    times = []
    for _ in range(samples):
        began = monotonic()
        answer = ask(_MESSAGE)
        times.append(monotonic() - began)
        if answer != _MESSAGE:
            raise RuntimeError(f"The answer was {answer[:20]!r}.")
    for took in times:
        record.add(metric, took, "s")


SCENARIO = Scenario(
    "round-trip",
    "message round trip, 100 bytes",
    measure,
    ("floor", "actors", "forkserver", "ray", "asyncio"),
    full=Size(rounds=5, samples=2000),
    quick=Size(rounds=1, samples=500),
)
