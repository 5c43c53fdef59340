"""Process trees: what one uses of the machine, found in `/proc`.

A look is cheap as long as a tree is far from its limit on memory: the resident sets and what is open bound what it
uses. Only near the limit, or to show a figure, page tables are walked. Nothing here trusts a process to be as others
are: it may hide (`PR_SET_DUMPABLE`), end its first thread, take any name, or reap its children unseen.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from .proc import ProcReader
from .shared_memory import Found, Mounts, Object, is_worth_it, private_in, segments

__all__ = ["Machine", "Tree", "TreeUse"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

_MOST_PROCESSES: Final = 2000
_MOST_DESCRIPTORS: Final = 10_000
"""Of a tree, that a look goes through: a tenth of a second, about. What is beyond is not seen, and that is said."""

_MANY_THREADS: Final = 500
"""Threads of a process from which on it is faster to ask all processes of the machine for their parents."""

_MOST_TABLES: Final = 16
"""Threads of a process whose descriptors are looked for one by one: they may have a table of their own."""

_MAPS_INTERVAL: Final = 0.5
"""Seconds between looks at what is mapped; what is open is looked at each time."""

_FRESH: Final = 0.05
"""Seconds for which what concerns the whole machine is taken to be as it was."""

_PROCESS_CLOCK: Final = 2
"""The kind of a clock that counts the CPU time of a whole process: the lowest three bits of its number."""

_UNUSED: Final = (0.0, 0.0)
_GONE: Final = (FileNotFoundError, ProcessLookupError, PermissionError)

_SHARED_PART: Final = re.compile(rb"^Pss_Shmem: +(\d+)", re.MULTILINE)


class TreeUse(NamedTuple):
    """Use of a tree at one moment.

    Attributes:
        cpu_seconds: CPU time so far, also of processes that are gone, as far as that is known.
        memory: its private memory, in bytes, and the shared memory that it holds; None if that was not found out.
        bound: bytes that it does not use more than.
        processes: how many there are in it.
        unseen: what of it could not be looked at; empty if nothing.
    """

    cpu_seconds: float
    memory: int | None
    bound: int
    processes: int
    unseen: str


_Times: TypeAlias = dict[tuple[int, int], tuple[float, float]]
"""CPU time of processes, by their ids and starts: their own, and that of children that they have reaped."""


class _Process(NamedTuple):
    folder: str
    started: int
    resident: int
    threads: int


class Machine:
    """Machine: what looks at all trees have in common; for one thread.

    Args:
        reader: reads `/proc`.
    """

    def __init__(self, reader: ProcReader) -> None:
        self.reader = reader
        self.mounts = Mounts(self.reader)
        self._segments: list[tuple[int, int, int, int]] = []
        self._segments_at = self._parents_at = 0.0
        self._children: dict[int, list[int]] = {}

    def refresh(self) -> None:
        """Be ready for a look; raises OSError."""
        self.reader.refill()
        self.mounts.refresh()

    def segments(self) -> list[tuple[int, int, int, int]]:
        """Return System V segments, see there; raises OSError."""
        if time.monotonic() >= self._segments_at + _FRESH:
            self._segments = segments(self.reader)
            self._segments_at = time.monotonic()
        return self._segments

    def children_of(self, pid: int) -> list[int]:
        """Return the children of a process by asking all for their parents; raises OSError."""
        if time.monotonic() >= self._parents_at + _FRESH:
            self._children = {}
            for name in self.reader.names("/proc"):
                if name.isdecimal():
                    try:
                        parent = int(_fields(self.reader.read(f"/proc/{name}/stat"))[1])
                    except (FileNotFoundError, ProcessLookupError):
                        continue
                    self._children.setdefault(parent, []).append(int(name))
            self._parents_at = time.monotonic()
        return self._children.get(pid, [])


class Tree:
    """A tree that is looked at again and again; for one thread.

    Args:
        machine: see there.

    Attributes:
        waits: whether what may wait for a lock of a looked-at process is read, too.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._read = machine.reader.read
        self._times: _Times = {}
        self._lost = 0.0
        self._segments: set[int] = set()
        self._mapped: set[Object] = set()
        self._mapped_sizes: dict[Object, int] = {}
        self._mapped_at = 0.0
        self._seen_of: dict[Object, int] = {}
        self._unseen: dict[str, None] = {}
        self.waits = True

    def look(self, root: int, exact_from: float) -> TreeUse | None:
        """Look at it; None if it is gone.

        Args:
            root: id of its first process.
            exact_from: bytes that it may use before its memory is measured; 0 always, infinity never.

        Raises:
            OSError: that cannot be done now, for want of descriptors, say.
        """
        self._machine.refresh()
        self._unseen = {}
        processes, hidden = self._walk(root)
        if not processes and not hidden:
            return None
        cpu_seconds = self._lost + sum(map(sum, self._times.values())) + sum(map(_clock, hidden))
        if hidden:
            self._note_unseen("processes that are hidden")
        memory, bound = (None, 0) if exact_from == float("inf") else self._memory(processes, root, exact_from)
        return TreeUse(cpu_seconds, memory, bound, len(processes) + len(hidden), " and ".join(self._unseen))

    def _note_unseen(self, what: str) -> None:
        self._unseen[what] = None

    # --- processes --------------------------------------------------------------------------------------------------

    def _walk(self, root: int) -> tuple[dict[int, _Process], list[int]]:
        """Return the processes of a tree by their ids, and the ids of those that cannot be looked at."""
        found: dict[int, _Process] = {}
        hidden: list[int] = []
        times: _Times = {}
        known = dict(self._times)
        waiting, met = [root], {root}
        while waiting:
            if len(met) - len(waiting) >= _MOST_PROCESSES:
                self._note_unseen(f"more than {_MOST_PROCESSES:,} processes")
                times = known | times
                break
            pid = waiting.pop()
            try:
                process = self._process(pid, times)
                if process is None:
                    children = []
                else:
                    found[pid] = process
                    children = self._children(pid, process.threads)
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    raise
                children = []
                if pid not in found and _is_there(pid):
                    hidden.append(pid)
            fresh = [child for child in children if child not in met]
            if not waiting and not fresh and known:
                # One that was here lives, and is nobody's child here any more: it is still of this tree.
                fresh = [pid for pid, started in known if pid not in met and self._lives(pid, started)]
                known.clear()
            met.update(fresh)
            waiting.extend(fresh)
        self._account(times)
        return found, hidden

    def _process(self, pid: int, times: _Times) -> _Process | None:
        """Return a process, and note what CPU time it has used; None if it has ended and waits to be reaped."""
        fields = _fields(self._read(f"/proc/{pid}/stat"))
        user, system, children_user, children_system = map(int, fields[11:15])
        threads, started = int(fields[17]), int(fields[19])
        times[pid, started] = (user + system) / _TICKS, (children_user + children_system) / _TICKS
        folder, resident = f"/proc/{pid}", int(fields[21]) * _PAGE
        if fields[0] in {b"Z", b"X"}:
            if threads <= 1:
                return None
            # Its first thread has ended, and with it what is shown of the process; the others have it still.
            thread = next((name for name in self._machine.reader.names(f"{folder}/task") if name != str(pid)), pid)
            folder = f"{folder}/task/{thread}"
            resident = int(self._read(f"{folder}/statm").split()[1]) * _PAGE
        return _Process(folder, started, resident, threads)

    def _lives(self, pid: int, started: int) -> bool:
        try:
            fields = _fields(self._read(f"/proc/{pid}/stat"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False
        return int(fields[19]) == started and fields[0] not in {b"Z", b"X"}

    def _children(self, pid: int, threads: int) -> list[int]:
        if threads <= 1:
            return list(map(int, self._read(f"/proc/{pid}/task/{pid}/children").split()))
        if threads > _MANY_THREADS:
            return self._machine.children_of(pid)
        found: list[int] = []
        for name in self._machine.reader.names(f"/proc/{pid}/task"):
            try:
                found += map(int, self._read(f"/proc/{pid}/task/{name}/children").split())
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
        return found

    def _account(self, times: _Times) -> None:
        """Keep what was used by processes that are gone, as far as it is not in what others have used by reaping them.

        It is in their parents', unless those ignore SIGCHLD.
        """
        before, self._times = self._times, times
        gone = sum(sum(used) for key, used in before.items() if key not in times)
        if gone:
            reaped = sum(used[1] - before.get(key, _UNUSED)[1] for key, used in times.items())
            self._lost += max(0.0, gone - reaped)

    # --- memory -----------------------------------------------------------------------------------------------------

    def _memory(self, processes: dict[int, _Process], root: int, exact_from: float) -> tuple[int | None, int]:
        """Return what a tree uses, None if that was not found out, and what it uses no more than; in bytes."""
        first = processes.get(root)
        now = time.time()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - first.started / _TICKS if first is not None else 0.0
        found = Found(self._machine.reader, self._machine.mounts, now - age)
        self._find_shared(found, processes)
        seen = max(found.known(), found.total(self._seen_of, self._mapped))
        bound = seen + sum(process.resident for process in processes.values())
        if not self.waits:
            self._note_unseen("page tables, so that what is shared with others counts as its own")
            return bound, bound
        if bound < exact_from:
            return None, bound
        private = sum(self._private(found, processes))
        return private + found.total(self._seen_of, self._mapped), bound

    def _private(self, found: Found, processes: dict[int, _Process]) -> Iterator[int]:
        """Measure what is each process's own, in bytes, and note what it shares."""
        private, shares = {}, {}
        for process in processes.values():
            try:
                text = self._read(f"{process.folder}/smaps_rollup")
            except PermissionError:
                self._note_unseen("memory of processes that hide it, so that all of it counts as private")
                yield process.resident
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
            else:
                private[process.folder] = private_in(text)
                shares[process.folder] = 1024 * sum(map(int, _SHARED_PART.findall(text)))
        is_close = is_worth_it(sum(shares.values()))
        for folder, size in private.items():
            other = None
            if is_close and shares[folder]:
                # From one text both, as it changes: what another has mapped meanwhile is private no more.
                with contextlib.suppress(*_GONE):
                    other = found.shares(folder)
            yield size if other is None else other

    def _find_shared(self, found: Found, processes: dict[int, _Process]) -> None:
        """Find the shared memory of a tree: what is open each time, what is mapped or a thread's own now and then."""
        looks_closely = self.waits and time.monotonic() >= self._mapped_at + _MAPS_INTERVAL
        descriptors = _MOST_DESCRIPTORS
        for process in processes.values():
            try:
                descriptors -= found.open_in(process.folder, max(0, descriptors))
                if looks_closely and process.threads > 1:
                    folder = process.folder.partition("/task/")[0]
                    for thread in self._machine.reader.names(f"{folder}/task")[:_MOST_TABLES]:
                        found.open_in(f"{folder}/task/{thread}", max(0, descriptors))
            except PermissionError:
                self._note_unseen("what is open in processes that hide it")
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
        if descriptors < 0:
            self._note_unseen(f"more than {_MOST_DESCRIPTORS:,} descriptors")
        if looks_closely:
            self._mapped_at = time.monotonic()
            self._mapped = set()
            for process in processes.values():
                with contextlib.suppress(*_GONE):
                    self._mapped |= found.mapped_in(process.folder)
            self._mapped_sizes = found.sizes_of(self._mapped)
        else:
            found.take(self._mapped_sizes)
        self._find_segments(found, processes)

    def _find_segments(self, found: Found, processes: dict[int, _Process]) -> None:
        for segment, creator, last, size in self._machine.segments():
            mine = creator in processes or (last in processes and not _is_there(creator)) or segment in self._segments
            if mine:
                self._segments.add(segment)
                found.add_segment(segment, size)


def _fields(text: bytes) -> list[bytes]:
    """Return what is in `/proc/PID/stat` behind the name, which may hold anything."""
    return text.rpartition(b")")[2].split()


def _is_there(pid: int) -> bool:
    """Whether there is a process, also where `/proc` does not show it."""
    try:
        os.getpgid(pid)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _clock(pid: int) -> float:
    """Return the CPU time of a process that `/proc` does not show, in seconds."""
    try:
        return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)
    except OSError:
        return 0.0
