"""How long `run` keeps its caller, with other tasks alive; the journal is written as always."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from .base import RUNTIME, Scenario, Size, come_to_rest, have_idle

__all__ = ["SCENARIO", "WITHOUT_REST"]


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Start short tasks one after the other beside so many that idle; each has ended before the next."""
    _measure(contender, size, record, "run returns", rests=True)


def measure_without_rest(contender: Contender, size: Size, record: Recorder) -> None:
    """Do the same as soon as those that idle are there."""
    _measure(contender, size, record, "run returns, without rest", rests=False)


def _measure(contender: Contender, size: Size, record: Recorder, metric: str, *, rests: bool) -> None:
    if not isinstance(contender, Subactors):
        raise TypeError("This scenario is about subactors alone.")
    (count,) = size.tasks
    contender.open(count, max_tasks=count + size.samples + 10)
    contender.listen()
    have_idle(contender, count)
    if rests:
        come_to_rest(contender)
    for _ in range(size.samples):
        began = monotonic()
        task_id = contender.runtime.run("worker", "speak")
        record.add(metric, monotonic() - began, "s", tasks=count)
        contender.runtime.wait([task_id])


SCENARIO = Scenario(
    "run-returns",
    "run returns, with N tasks alive",
    measure,
    RUNTIME,
    full=Size(rounds=4, samples=250, tasks=(10, 20, 100, 1000)),
    quick=Size(rounds=1, samples=60, tasks=(20,)),
)

WITHOUT_REST = Scenario(
    "run-returns-without-rest",
    "run returns, with N tasks alive, without any rest",
    measure_without_rest,
    RUNTIME,
    full=Size(rounds=4, samples=250, tasks=(20,)),
    quick=Size(rounds=1, samples=60, tasks=(20,)),
)
