"""Many remembered tasks: how long `list` and `view` take, and what each keeps of the host's memory."""

from __future__ import annotations

import gc
import os
from time import monotonic

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors
from ..processes import unique_memory
from ..results import Recorder
from .base import Scenario, Size, have_idle

__all__ = ["SCENARIO", "SOME_RUNNING"]

_AT_ONCE = 20
_WARM = 200
_RUNNING = 10
"""Of so many tasks one runs, where some do."""


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Run that many short tasks, some at once, then look at them."""
    if not isinstance(contender, Subactors):
        raise TypeError("This scenario is about subactors alone.")
    (count,) = size.tasks
    contender.open(_AT_ONCE, max_tasks=count + 2 * _WARM)
    _run(contender, _WARM)
    before = _memory()
    _run(contender, count)
    record.add("host memory per remembered task", (_memory() - before) / count, "B", tasks=count)
    tasks = contender.runtime.list()
    for _ in range(size.samples):
        began = monotonic()
        contender.runtime.list()
        record.add("list", monotonic() - began, "s", tasks=count)
    # Not in turn: a list of all goes through megabytes, and what comes right after it would be measured without caches.
    for sample in range(size.samples):
        chosen = tasks[sample * len(tasks) // size.samples].id
        began = monotonic()
        contender.runtime.view(chosen)
        record.add("view", monotonic() - began, "s", tasks=count)


def measure_some_running(contender: Contender, size: Size, record: Recorder) -> None:
    """Look at that many, of which a tenth runs, again and again as a program that shows them does."""
    if not isinstance(contender, Subactors):
        raise TypeError("This scenario is about subactors alone.")
    (count,) = size.tasks
    running = count // _RUNNING
    contender.open(running, max_tasks=2 * count)
    contender.listen()
    _run(contender, count - running - len(contender.runtime.list()))
    have_idle(contender, running)
    for _ in range(size.samples):
        began = monotonic()
        contender.runtime.list()
        record.add("list, a tenth of them running", monotonic() - began, "s", tasks=count)


def _run(contender: Subactors, count: int) -> None:
    runtime = contender.runtime
    left = count
    while left:
        ids = [runtime.run("worker", "speak a word") for _ in range(min(_AT_ONCE, left))]
        runtime.wait(ids)
        left -= len(ids)


def _memory() -> int:
    gc.collect()
    return unique_memory(os.getpid())


SCENARIO = Scenario(
    "remembered",
    "many remembered tasks",
    measure,
    ("subactors",),
    full=Size(rounds=1, samples=50, tasks=(10, 1000, 10_000)),
    quick=Size(rounds=1, samples=20, tasks=(400,)),
    limit=600.0,
    at_once=False,
)

SOME_RUNNING = Scenario(
    "list",
    "list of N tasks, a tenth of them running",
    measure_some_running,
    ("subactors",),
    full=Size(rounds=3, samples=50, tasks=(1000,)),
    quick=Size(rounds=1, samples=20, tasks=(100,)),
    at_once=False,
)
