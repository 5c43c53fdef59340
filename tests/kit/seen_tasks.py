"""Tasks as a watcher sees them."""

from __future__ import annotations

from typing import Final

from processes_and_waits import wait_until
from subactors.runtime.watching.model import Model, TaskSeen

__all__ = ["seen"]

_PATIENCE: Final = 20.0
"""Seconds for a task to be seen."""


def seen(model: Model, task_id: str, status: str = "", words: str = "") -> TaskSeen:
    """Return a task when it has that status, and has said that last."""
    found: list[TaskSeen] = []

    def is_so() -> bool:
        task = model.task(task_id)
        if task is not None and status in {"", task.status} and words in task.words:
            found.append(task)
        return bool(found)

    wait_until(is_so, f"{task_id} is {status} and says {words!r}", _PATIENCE)
    return found[0]
