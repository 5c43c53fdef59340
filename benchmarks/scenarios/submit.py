"""How long `submit` of a function keeps its caller, beside how long `run` of an agent does, in turn."""

from __future__ import annotations

from time import monotonic

from .. import work
from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from .base import RUNTIME, Scenario, Size, have_idle

__all__ = ["SCENARIO"]


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Start tasks in turn in both ways, without a rest; each has ended before the next."""
    if not isinstance(contender, Subactors):
        raise TypeError("This scenario is about subactors alone.")
    (count,) = size.tasks
    contender.open(count, max_tasks=count + 2 * size.samples + 10)
    contender.listen()
    have_idle(contender, count)
    runtime = contender.runtime
    factor = len("of a closure")

    def of_a_closure(number: int) -> int:
        return factor * number

    runtime.wait([runtime.submit(of_a_closure, 1)])  # which brings what pickles by value
    for _ in range(size.samples):
        began = monotonic()
        ran = runtime.run("worker", "speak")
        record.add("run returns, in turn", monotonic() - began, "s", tasks=count)
        runtime.wait([ran])
        began = monotonic()
        submitted = runtime.submit(work.give_back, 1)
        record.add("submit returns", monotonic() - began, "s", tasks=count)
        runtime.wait([submitted])
        began = monotonic()
        submitted = runtime.submit(of_a_closure, 1)
        record.add("submit of a closure returns", monotonic() - began, "s", tasks=count)
        runtime.wait([submitted])


SCENARIO = Scenario(
    "submit",
    "submit returns, with N tasks alive, in turn with run",
    measure,
    RUNTIME,
    full=Size(rounds=4, samples=150, tasks=(20,)),
    quick=Size(rounds=1, samples=30, tasks=(20,)),
)
