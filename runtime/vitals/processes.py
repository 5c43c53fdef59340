"""Processes of a task by name, state and CPU time, for a person or a model that wonders what it does.

Only what the kernel gives without a lock of the process is read: no arguments, which may hold secrets, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from ..tasks.views import ProcessSeen
from .proc import ProcReader

__all__ = ["ProcessTimes", "catches", "processes_of"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")

_MOST_PROCESSES: Final = 40
_MOST_THREADS: Final = 200
"""Of a task, and of a process, whose children are looked for."""

_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "R": "running",
        "S": "sleeping",
        "D": "waiting for a disk",
        "T": "stopped",
        "t": "stopped",
        "Z": "ended",
        "X": "ended",
        "I": "idle",
    }
)

ProcessTimes = dict[tuple[int, int], tuple[float, ProcessSeen]]
"""Processes with the time of the look (monotonic), by their ids and starts."""


def processes_of(reader: ProcReader, root: int, now: float, before: ProcessTimes) -> ProcessTimes:
    """Return a process and those that came from it and are still below it, parents first.

    Args:
        reader: reads `/proc`.
        root: id of the first process.
        now: monotonic time.
        before: an earlier look, for the shares of a core.
    """
    found: ProcessTimes = {}
    waiting, met = [root], {root}
    while waiting and len(found) < _MOST_PROCESSES:
        pid = waiting.pop(0)
        try:
            started, seen = _process(reader, pid)
        except (OSError, ValueError, IndexError):
            continue  # ended meanwhile
        then = before.get((pid, started))
        if then is not None and now > then[0]:
            used = seen.cpu_seconds - then[1].cpu_seconds
            seen = msgspec.structs.replace(seen, cpu_percent=round(100 * used / (now - then[0]), 1))
        found[pid, started] = now, seen
        fresh = [child for child in _children(reader, pid) if child not in met]
        met.update(fresh)
        waiting += fresh
    return found


def catches(reader: ProcReader, pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, so that it does not end for it."""
    try:
        status = reader.read(f"/proc/{pid}/status")
        (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith(b"SigCgt:")]
        return bool(int(caught, 16) >> (number - 1) & 1)
    except (OSError, ValueError):
        return False


def _process(reader: ProcReader, pid: int) -> tuple[int, ProcessSeen]:
    # The name may hold anything, brackets and spaces, too.
    before, _, rest = reader.read(f"/proc/{pid}/stat").rpartition(b")")
    name = before.partition(b"(")[2].decode("utf-8", "replace")
    fields = rest.split()
    state = fields[0].decode("ascii", "replace")
    cpu_seconds = (int(fields[11]) + int(fields[12])) / _TICKS
    return int(fields[19]), ProcessSeen(pid, name, _STATES.get(state, state), cpu_seconds)


def _children(reader: ProcReader, pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in reader.names(f"/proc/{pid}/task")[:_MOST_THREADS]:
            found += map(int, reader.read(f"/proc/{pid}/task/{thread}/children").split())
    except (OSError, ValueError):
        pass  # it, or a thread of it, ended meanwhile
    return sorted(found)
