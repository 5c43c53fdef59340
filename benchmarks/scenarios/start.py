"""From the dispatch of a task to the first message of its code in the host; `openai` is imported in its process."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from .base import ALL, Scenario, Size, come_to_rest, pause

__all__ = ["SCENARIO"]

_SLOW = 0.1
_FEW = 5


def measure(contender: Contender, size: Size, record: Recorder, metric: str = "start", **settings: Any) -> None:
    """Start one task after the other; each has ended before the next is started. `settings` are for `open`."""
    contender.open(1, **settings)
    if isinstance(contender, Subactors):
        contender.listen()
    contender.start("speak").first_message()  # what is done once for all tasks is done now
    come_to_rest(contender)
    samples = 0
    while samples < size.samples:
        pause(contender)
        if contender.reuses_processes:
            contender.close()
        began = monotonic()
        if contender.reuses_processes:
            contender.open(1)
        task = contender.start("speak")
        task.first_message()
        took = monotonic() - began
        record.add(metric, took, "s")
        samples += 1
        task.outcome()
        if took > _SLOW and samples >= _FEW:
            return


SCENARIO = Scenario(
    "start",
    "start: dispatch to the first message from user code",
    measure,
    ALL,
    full=Size(rounds=5, samples=60),
    quick=Size(rounds=1, samples=25),
)
