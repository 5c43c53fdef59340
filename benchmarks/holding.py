"""Holding: has tasks wait until their host lets them go, and a host wait for its tasks, while costs are measured."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from subactors.runtime import EventStream, TaskOutput

__all__ = ["Gate", "first_output", "settle"]


class Gate:
    """A file whose lock the host holds until the tasks that wait for it may end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        self._file = self.path.open("wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def wait_for(self, count: int) -> None:
        """Wait until so many tasks have come."""
        while self.path.stat().st_size < count:
            time.sleep(0.01)

    def open(self) -> None:
        """Let them go."""
        self._file.close()


def first_output(events: EventStream, task_id: str) -> None:
    """Follow the events up to the first thing that a task says."""
    for event in events:
        if isinstance(event, TaskOutput) and event.task_id == task_id:
            return


def settle() -> None:
    """Let threads that have just answered come to rest; what they still do belongs to what was measured."""
    time.sleep(0.1)
