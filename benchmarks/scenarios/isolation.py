"""The host's side of the isolation matrix and of the killed host. What it comes to is judged by the runner."""

from __future__ import annotations

import contextlib
import time
from time import monotonic
from typing import Final

from ..contenders.base import Contender, NotOfferedError, Task
from ..contenders.subactors_runtime import Subactors
from ..results import Recorder
from ..work import FAULTS
from .base import Size

__all__ = ["fault", "killed"]

_SIBLINGS: Final = 3
_WORK: Final = 2.5
"""Seconds that the healthy tasks work."""

_PATIENCE: Final = 15.0
_PATIENCE_WITH_SLOW_ONES: Final = 40.0
"""Seconds that the host gives every healthy task; each ends by itself, or fails with what it runs in."""

_LONGER: Final = 3.0
"""Seconds that the faulty task has beyond those that the healthy ones took."""


def fault(contender: Contender, size: Size, record: Recorder) -> None:
    """Start healthy tasks and a faulty one, and record what the host hears of each; then start one more.

    `size.samples` is the index of the fault in `FAULTS`.
    """
    name = FAULTS[size.samples]
    contender.open(_SIBLINGS + 2)
    if not contender.slow:
        contender.start("speak").outcome()  # what all tasks share is there when the healthy ones begin
    record.note(ready=True)
    siblings = [contender.start("sibling", str(_WORK)) for _ in range(_SIBLINGS)]
    faulty = contender.start(name, str(_WORK) if name == "leak" else "")
    patience = _PATIENCE_WITH_SLOW_ONES if contender.slow else _PATIENCE
    deadline = monotonic() + patience
    record.note(siblings=[_outcome(task, deadline) for task in siblings])
    how = _outcome(faulty, monotonic() + _LONGER)
    if how == _RUNS:
        try:
            began = monotonic()
            faulty.stop()
            how = f"stopped in {monotonic() - began:.1f} s"
        except NotOfferedError as error:
            how = f"still runs, and {error}"
    record.note(task=how or ("completed" if name == "leak" else "returned"))
    record.note(next_task=_outcome(_start(contender), monotonic() + patience))


_RUNS: Final = "still runs"


def _start(contender: Contender) -> Task | None:
    with contextlib.suppress(Exception):  # a broken pool refuses
        return contender.start("speak")
    return None


def _outcome(task: Task | None, deadline: float) -> str:
    if task is None:
        return "refused"
    try:
        return task.outcome(max(0.05, deadline - monotonic()))
    except TimeoutError:
        return _RUNS


def killed(contender: Contender, size: Size, record: Recorder) -> None:
    """Have two tasks with a child and a daemon each, and one more that hangs in C; then wait to be killed."""
    contender.open(4)
    if isinstance(contender, Subactors):
        contender.listen()
    tasks = [contender.start("parent"), contender.start("parent")]
    if contender.name != "asyncio":
        tasks.append(contender.start("parent", "hang"))
    pids = [int(task.first_message()) for task in tasks]
    record.note(tasks=pids)
    time.sleep(size.seconds)
