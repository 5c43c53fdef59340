"""What the kernel counts for threads and processes: CPU time to the nanosecond, written bytes, descriptors.

It looks and changes nothing; `processes.py` has what is about finding processes and ending them.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path
from typing import Final

__all__ = ["Look", "Others", "open_descriptors", "process_seconds", "reaped_seconds", "scheduled", "written_bytes"]

_IDLE_FIELDS: Final = (3, 4)
"""Of the first line of /proc/stat: idle, and waiting for a disk."""

_GUEST_FIELDS: Final = 8
"""From there on are guests, which are counted among the others, too."""


def scheduled(path: Path) -> float:
    """Return the seconds that a thread or process has run, to the nanosecond; 0 if it is gone."""
    try:
        return int((path / "schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def process_seconds(pid: int) -> float:
    """Return the CPU seconds of all threads that a living process has."""
    return sum(map(scheduled, Path(f"/proc/{pid}/task").iterdir()))


def reaped_seconds(pid: int) -> float:
    """Return the CPU seconds of the children that a process has reaped."""
    return _ticks(pid, 13, 14)


def _ticks(pid: int, *fields: int) -> float:
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(int(values[field]) for field in fields) / os.sysconf("SC_CLK_TCK")


def written_bytes() -> int:
    """Return how many bytes this process has written, sockets not counted."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def open_descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Look:
    """What host and zygote have used up to a moment."""

    def __init__(self, zygote: int) -> None:
        threads = {thread.name.partition("-0")[0]: thread.native_id for thread in threading.enumerate()}
        threads = {name.partition("TaskSupervisor")[1] or name: number for name, number in threads.items()}
        own = Path("/proc/self/task")
        self.supervisor = scheduled(own / str(threads["TaskSupervisor"]))
        self.io = scheduled(own / str(threads["subactors-io"]))
        self.journal = scheduled(own / str(threads["subactors-journal"]))
        self.zygote = process_seconds(zygote)
        self.reaped = reaped_seconds(zygote)


class Others:
    """How much of the machine is used by what does not belong to this host, from now on."""

    def __init__(self, zygote: int) -> None:
        self._zygote = zygote
        self._began = time.monotonic()
        self._before = self._used_by_others()

    def cores(self) -> float:
        """Return how many cores the others have used on average."""
        return max(0.0, (self._used_by_others() - self._before) / (time.monotonic() - self._began))

    def _used_by_others(self) -> float:
        ticks = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        busy = sum(value for field, value in enumerate(ticks[:_GUEST_FIELDS]) if field not in _IDLE_FIELDS)
        own = resource.getrusage(resource.RUSAGE_SELF)
        ours = own.ru_utime + own.ru_stime + _ticks(self._zygote, 11, 12, 13, 14)
        return busy / os.sysconf("SC_CLK_TCK") - ours
