"""Many pending awaits: the threads and the memory that they take; and how soon one hears of an end, beside a thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..contenders.base import Contender
from ..contenders.subactors_runtime import Subactors, team
from ..results import Recorder
from .base import Scenario, Size

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from subactors.runtime import AsyncRuntime, AsyncTask

__all__ = ["SCENARIO"]

_SETTLED: Final = 0.2
"""Seconds in which the supervisor takes note of all that wait."""

_NOW: Final = "stream 0"
"""The work that does nothing, and returns when that was (seconds of CLOCK_MONOTONIC)."""


def measure(contender: Contender, size: Size, record: Recorder) -> None:
    """Have so many coroutines wait for a task, and count; then hear of ends in turn, with and without a loop."""
    if not isinstance(contender, Subactors):
        raise TypeError("This scenario is about subactors alone.")
    contender.open(1)
    asyncio.run(_measure(contender, size, record))


async def _measure(contender: Subactors, size: Size, record: Recorder) -> None:
    from subactors.runtime import AsyncRuntime  # noqa: PLC0415 - hosts of other contenders have no use for it

    (count,) = size.tasks
    async with AsyncRuntime.from_mapping(team(), standby=contender.standby) as runtime:
        await _have_pending(runtime, count, record)
        await (await runtime.run("worker", _NOW))
        for _ in range(size.samples):
            task = contender.runtime.run("worker", _NOW)
            ended = float(task.result())
            record.add("an end reaches a wait", monotonic() - ended, "s")
            awaited = await runtime.run("worker", _NOW)
            ended = float(await awaited)
            record.add("an end reaches an await", monotonic() - ended, "s")


async def _have_pending(runtime: AsyncRuntime, count: int, record: Recorder) -> None:
    idle = await runtime.run("worker", "idle")
    first = asyncio.ensure_future(_end_of(idle))  # what is made once for all of them is made now
    await asyncio.sleep(_SETTLED)
    threads = threading.active_count()
    gc.collect()
    tracemalloc.start()
    waits = [asyncio.ensure_future(_end_of(idle)) for _ in range(count)]
    await asyncio.sleep(_SETTLED)
    gc.collect()
    record.add("memory of a pending await", tracemalloc.get_traced_memory()[0] / count, "B", tasks=count)
    tracemalloc.stop()
    record.add("threads of pending awaits", threading.active_count() - threads, "", tasks=count)
    await idle.stop()
    await asyncio.gather(first, *waits, return_exceptions=True)


def _end_of(task: AsyncTask) -> Coroutine[Any, Any, Any]:
    return task.result()


SCENARIO = Scenario(
    "awaits",
    "pending awaits, and how soon an end is heard",
    measure,
    ("subactors",),
    full=Size(rounds=3, samples=100, tasks=(1000,)),
    quick=Size(rounds=1, samples=20, tasks=(1000,)),
    at_once=False,
)
