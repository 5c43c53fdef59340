"""What /proc says of processes: which belong to a measurement, what they use, and how to end those that are left.

Nothing here ends a process by name: only one that has the mark of this run, or that was seen as a descendant of a
program that this run has started, and through a pidfd.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "MARK",
    "Process",
    "cpu_seconds",
    "descendants",
    "end_all",
    "exit_on_signals",
    "marked",
    "node_agents",
    "pin",
    "proportional_memory",
    "unique_memory",
    "wait_gone",
]

MARK: Final = "SUBACTORS_BENCHMARK_MARK"
"""Environment variable with an unguessable value, which everything that a measurement starts inherits."""

_PROC: Final = Path("/proc")
_PARENT: Final = 1
_USER_TICKS: Final = 11
_SYSTEM_TICKS: Final = 12
_BORN: Final = 19
"""Fields of /proc/PID/stat, counted after the name."""


def exit_on_signals() -> None:
    """Have SIGTERM and SIGHUP end this program by `SystemExit`, so that it ends what it has started, and tidies up.

    Called in the main thread. A signal that is ignored, as with `nohup`, stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))


@dataclass(frozen=True)
class Process:
    """One process, told apart from a later one with the same id by when it was born (clock ticks since boot)."""

    pid: int
    born: int
    parent: int
    command: str

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        now = _look(self.pid)
        return now is not None and now.born == self.born


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(") ")[2].split()
    return None if fields[0] in "ZX" else fields


def _look(pid: int) -> Process | None:
    fields = _stat(pid)
    if fields is None:
        return None
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return Process(pid, int(fields[_BORN]), int(fields[_PARENT]), b" ".join(words).decode(errors="replace").strip())


def _all() -> list[Process]:
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [process for pid in pids if (process := _look(pid)) is not None]


def marked(mark: str) -> list[Process]:
    """Return all processes that have inherited a mark, this one not."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for process in _all():
        with contextlib.suppress(OSError):
            environ = (_PROC / str(process.pid) / "environ").read_bytes().split(b"\0")
            if wanted in environ and process.pid != os.getpid():
                found.append(process)
    return found


def node_agents() -> list[int]:
    """Return the ids of all agents of nodes: on a Ray cluster they are below nobody."""
    found = []
    for process in _all():
        with contextlib.suppress(OSError):
            if (_PROC / str(process.pid) / "comm").read_text() == "subactors-node\n":
                found.append(process.pid)
    return found


def descendants(pid: int) -> list[Process]:
    """Return all processes below one, as far as the chain of parents is unbroken."""
    processes = _all()
    below = {pid}
    grown = True
    while grown:
        more = {process.pid for process in processes if process.parent in below} - below
        below |= more
        grown = bool(more)
    return [process for process in processes if process.pid in below - {pid}]


def end_all(processes: Iterable[Process], patience: float = 10.0) -> None:
    """Kill processes, each checked to be the one that was seen, and wait until they are gone."""
    deadline = time.monotonic() + patience
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
            try:
                if process.alive:  # asked while the pidfd holds on to whoever has the id now
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            finally:
                os.close(descriptor)


def wait_gone(pid: int, patience: float = 30.0) -> None:
    """Return when a process has ended, which may be no child of this one; raises TimeoutError."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()  # descriptors may be above what select can take
    poll.register(descriptor, select.POLLIN)
    try:
        if not poll.poll(patience * 1000):
            raise TimeoutError(f"Process {pid} still runs after {patience:g} s.")
    finally:
        os.close(descriptor)


def unique_memory(pid: int) -> int:
    """Return the unique set size of a process in bytes: what its end would give back; 0 if it is gone."""
    return _memory(pid, "Private_Clean:", "Private_Dirty:")


def proportional_memory(pid: int) -> int:
    """Return the proportional set size of a process in bytes: shared pages count in shares; 0 if it is gone."""
    return _memory(pid, "Pss:")


def _memory(pid: int, *names: str) -> int:
    size = 0
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith(names):
                size += int(line.split()[1]) * 1024
    return size


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, in seconds; 0 if it is gone."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    return (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")


def pin(pid: int, core: int) -> None:
    """Keep all threads that a process has now on one core."""
    for entry in (_PROC / str(pid) / "task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(entry.name), {core})
