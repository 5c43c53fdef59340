"""What a task that floods its output does to the others: their start, view and stop, with the flood and without."""

from __future__ import annotations

from time import monotonic

from ..contenders.base import Contender, Task
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from .base import Scenario, Size, come_to_rest

__all__ = ["SCENARIO"]


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Measure quietly, then beside the flood."""
    if not isinstance(contender, Subactors):
        raise TypeError("This scenario is about subactors alone.")
    # A stream of events would show the flood, too, and measure itself; the word that a task has begun is seen by view.
    contender.open(3)
    contender.start("speak").outcome()
    come_to_rest(contender)
    _measure(contender, size.samples, record, "quiet")
    flood = contender.start("flood")
    flooding = _id(flood)
    while contender.runtime.view(flooding).output_size == 0:
        pass
    _measure(contender, size.samples, record, "flooded")
    flood.stop()


def _measure(contender: Subactors, samples: int, record: Recorder, how: str) -> None:
    for _ in range(samples):
        began = monotonic()
        contender.start("speak").outcome()
        record.add(f"start to end, {how}", monotonic() - began, "s")
        task = contender.start("idle")
        while contender.runtime.view(_id(task)).output_size == 0:
            pass
        began = monotonic()
        contender.runtime.view(_id(task))
        record.add(f"view, {how}", monotonic() - began, "s")
        began = monotonic()
        task.stop()
        record.add(f"stop, {how}", monotonic() - began, "s")


def _id(task: Task) -> str:
    task_id: str = task.id  # type: ignore[attr-defined]  # those of subactors have one
    return task_id


SCENARIO = Scenario(
    "flood",
    "a flood of output beside other tasks",
    measure,
    ("subactors",),
    full=Size(rounds=4, samples=20),
    quick=Size(rounds=1, samples=8),
)
