"""Entrypoints and functions that tell how far they have come, whose process they are in, and what they log."""

from __future__ import annotations

import logging
import threading
from typing import Any

from subactors.runtime import EntrypointTask, current_task

__all__ = [
    "counts_up",
    "knows_its_task",
    "logs",
    "tells_and_waits",
    "tells_by_function",
    "tells_then_fails",
    "tells_wrong",
]


def tells_and_waits(task: EntrypointTask) -> None:
    """Tell twice, of which the second comes too soon, and wait for the stop."""
    task.progress(1, 4, "first")
    task.progress(2, 4, "second")
    task.emit("told")
    task.wait_for_stop(60)


def counts_up(task: EntrypointTask) -> int:
    for number in range(20_001):
        task.progress(number, 20_000)
    return 20_000


def tells_then_fails(task: EntrypointTask) -> None:
    task.progress(1)
    task.progress(2, note="before it fails")
    raise ValueError("failed")


def tells_by_function(done: float) -> None:
    task = current_task()
    assert task is not None
    task.progress(done)


def tells_wrong(task: EntrypointTask) -> list[str]:
    said = []
    wrong: list[tuple[Any, ...]] = [("half",), (1, "two"), (True,), (float("nan"),), (1, float("inf")), (1, 2, 3)]
    for arguments in [*wrong, (-1,), (-0.5, 3), (1, -1), (1, 0), (0, 0), (5, 3)]:
        try:
            task.progress(*arguments)
        except (TypeError, ValueError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return said


def knows_its_task() -> list[Any]:
    found: list[Any] = []

    def look() -> None:
        task = current_task()
        found.append(None if task is None else [task.id, task.agent])

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found


def logs() -> None:
    logging.basicConfig(format="%(task_id)s %(agent)s %(message)s", level=logging.INFO, force=True)
    logging.getLogger("mine").info("hello")
