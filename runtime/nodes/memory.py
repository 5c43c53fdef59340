"""Memory of a node: how much it has, and how much of that is left, of the machine and of the container around us."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Memory", "memory_of_this_machine"]

_GROUP: Final = Path("/sys/fs/cgroup")
_FILES: Final = Path("/proc/meminfo")


class Memory(NamedTuple):
    """See the module; bytes, and 0 where nobody says."""

    total: int
    available: int


def memory_of_this_machine(group: Path = _GROUP, machine: Path = _FILES) -> Memory:
    """Return the memory of this machine, or of the container that this is in, whichever has less left.

    Args:
        group: folder of the control group at the top, as this process sees it (version 2).
        machine: what the kernel says of the machine's memory.
    """
    whole = _of_machine(machine)
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is None or used is None or limit >= whole.total > 0:
        return whole
    # What of files is in memory and not in use is given back before anything is refused.
    left = limit - used + (_field(group / "memory.stat", "inactive_file") or 0)
    return Memory(limit, max(0, min(left, whole.available or left)))


def _of_machine(machine: Path) -> Memory:
    total, available = (_field(machine, name) or 0 for name in ("MemTotal:", "MemAvailable:"))
    return Memory(total * 1024, available * 1024)


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _field(path: Path, name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[0] == name:
                return int(words[1])
    return None
