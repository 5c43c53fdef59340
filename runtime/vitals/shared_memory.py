"""Shared memory: what a process tree holds in files that have no disk, open or mapped.

Such memory belongs to an object, not to a process: a memfd, a file of a tmpfs, an anonymous shared mapping, a System V
segment. Each object counts once for a tree. It must touch no file system but tmpfs, because others may never answer.
"""

from __future__ import annotations

import os
import re
import stat
import time
from typing import Final, TypeAlias

from .proc import ProcReader

__all__ = ["Found", "Mounts", "Object", "is_worth_it", "private_in", "segments"]

Object: TypeAlias = tuple[int, int]
"""Device and inode."""

_BLOCK: Final = 512
"""Bytes in a block of `st_blocks`."""

_WORTH: Final = 1 << 20
"""Bytes of shared memory from which on it pays to find out which of it is counted otherwise, too."""

_FRESH: Final = 10.0
"""Seconds for which mounts are taken to be as they were."""

_HELD_FRESH: Final = 1.0
"""Seconds for which the host is taken to map what it did."""

_SLACK: Final = 1.0
"""Seconds by which clocks of files and of processes may differ."""

_TYPES: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})

_MOST_TEXT: Final = 8 << 20
"""Bytes that are read of a list of mappings; 65,530 of them, the most there may be, are 6 MB of `maps`."""

_MAPPING: Final = re.compile(
    rb"^([0-9a-f]+-[0-9a-f]+) \S{4} [0-9a-f]+ 00:(?!00 )([0-9a-f]+) (\d+) *([^\n]*)$", re.MULTILINE
)
_SMAPS: Final = re.compile(
    rb"^[0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ 00:(?!00 )([0-9a-f]+) (\d+)[^\n]*\n((?:[A-Z][^\n]*\n)+)", re.MULTILINE
)
_PSS: Final = re.compile(rb"^Pss: +(\d+)", re.MULTILINE)
_PRIVATE: Final = re.compile(rb"^(?:Private_\w+|SwapPss): +(\d+)", re.MULTILINE)

_SEGMENT_FIELDS: Final = 16


class Mounts:
    """Mounts: which devices and places are memory; for one thread.

    Attributes:
        internal: device of what is in no mount's list; -1 until it is known.
    """

    def __init__(self, reader: ProcReader) -> None:
        self._reader = reader
        self.internal = -1
        self._read_at = self._held_at = 0.0
        self._places: list[tuple[str, bool]] = []
        self._devices: frozenset[int] = frozenset()
        self._held: frozenset[Object] = frozenset()

    def refresh(self) -> None:
        """Look at the mounts again, now and then; raises OSError."""
        if self._read_at and time.monotonic() < self._read_at + _FRESH:
            return
        if self.internal < 0:
            # What is in no mount's list: memfds, anonymous shared mappings and segments are all on this one.
            descriptor = os.memfd_create("subactors")
            self.internal = os.fstat(descriptor).st_dev
            os.close(descriptor)
        places, devices = {}, {self.internal}
        for line in self._reader.read("/proc/self/mountinfo", _MOST_TEXT).decode(errors="surrogateescape").splitlines():
            first, _, rest = line.partition(" - ")
            fields = first.split()
            is_memory = rest.split()[0] in _TYPES
            places[_unescaped(fields[4])] = is_memory  # the last one mounted at a place covers the others
            if is_memory:
                major, _, minor = fields[2].partition(":")
                devices.add(os.makedev(int(major), int(minor)))
        self._places = sorted(places.items(), key=lambda place: -len(place[0]))
        self._devices = frozenset(devices)
        self._read_at = time.monotonic()

    def is_memory(self, device: int) -> bool:
        """Whether what is on a device is in memory."""
        return device in self._devices

    def may_be_memory(self, name: str) -> bool:
        """Whether a file may be in memory, from its name alone, as `/proc/PID/fd` shows it."""
        if not name.startswith("/"):
            return False
        if name.startswith("/memfd:"):
            return True
        for place, is_memory in self._places:
            if name.startswith(place) and (place == "/" or name[len(place) : len(place) + 1] in {"/", ""}):
                return is_memory
        return False

    def held_by_host(self) -> frozenset[Object]:
        """Return what the host itself has mapped, which is nobody else's to pay for; raises OSError."""
        if time.monotonic() >= self._held_at + _HELD_FRESH:
            text = self._reader.read("/proc/self/maps", _MOST_TEXT)
            self._held = frozenset(_key(minor, inode) for _, minor, inode, _ in _MAPPING.findall(text))
            self._held_at = time.monotonic()
        return self._held


class Found:
    """The shared memory that was found in a tree.

    Args:
        reader: reads `/proc`.
        mounts: say what is memory.
        since: what was last changed before this time, as `time.time` has it, is not the tree's doing.
    """

    def __init__(self, reader: ProcReader, mounts: Mounts, since: float) -> None:
        self._reader = reader
        self._mounts = mounts
        self._since = since - _SLACK
        self._sizes: dict[Object, int] = {}
        self._not_ours: set[Object] = set()
        self._mapped: dict[Object, int] = {}

    def open_in(self, process: str, most: int) -> int:
        """Find what a process, or a thread, has open; return how many descriptors it has; raises OSError.

        Args:
            process: its folder in `/proc`.
            most: how many descriptors are looked at.
        """
        numbers = self._reader.names(f"{process}/fd")
        for number in numbers[:most]:
            path = f"{process}/fd/{number}"
            try:
                if self._mounts.may_be_memory(os.readlink(path)):  # noqa: PTH115 - a string is wanted
                    self._note(os.stat(path))  # noqa: PTH116 - likewise
            except (OSError, ValueError):
                continue  # closed meanwhile
        return len(numbers)

    def mapped_in(self, process: str) -> set[Object]:
        """Find what a process has mapped, whether or not it has touched it; return all of it; raises OSError.

        For a host that may (`CAP_SYS_ADMIN`, `CAP_CHECKPOINT_RESTORE`) this is all there is. For others it is what has
        a name in `/dev/shm`; of the rest they see what is in page tables, see `shares`.
        """
        found = set()
        for where, minor, inode, name in _MAPPING.findall(self._reader.read(f"{process}/maps", _MOST_TEXT)):
            key = _key(minor, inode)
            if key in found or not self._mounts.is_memory(key[0]):
                continue
            found.add(key)
            try:
                self._note(os.stat(f"{process}/map_files/{where.decode()}"))  # noqa: PTH116 - no path is needed
            except OSError:
                self._note_named(name.decode(errors="surrogateescape"), key)
        return found

    def shares(self, process: str) -> int | None:
        """Note a process's share of what it has mapped; return how much other memory is only its own, in bytes.

        None if it has more mappings than are read. Raises OSError.
        """
        text = self._reader.read(f"{process}/smaps", _MOST_TEXT)
        other = private_in(text)
        for minor, inode, rest in _SMAPS.findall(text):
            key = _key(minor, inode)
            if self._mounts.is_memory(key[0]):
                other -= private_in(rest)
                self._mapped[key] = self._mapped.get(key, 0) + 1024 * sum(map(int, _PSS.findall(rest)))
        return other if len(text) < _MOST_TEXT else None

    def add_segment(self, segment: int, size: int) -> None:
        """Note a System V segment."""
        self._sizes[self._mounts.internal, segment] = size

    def sizes_of(self, objects: set[Object]) -> dict[Object, int]:
        """Return the sizes of some objects, as far as they are known."""
        return {key: size for key, size in self._sizes.items() if key in objects}

    def take(self, sizes: dict[Object, int]) -> None:
        """Take what was found in a look just before for what is there, unless that is known better."""
        self._sizes = sizes | self._sizes

    def known(self) -> int:
        """Return the bytes of all objects whose size is known."""
        return self._total(self._sizes)

    def total(self, earlier: dict[Object, int], still: set[Object]) -> int:
        """Return the bytes of all objects: their sizes, or else as much of them as has been seen.

        Args:
            earlier: what has been seen of objects in earlier looks; is brought up to date. Pages of an object stay in
                it, also when nobody has them in a page table any more.
            still: what is mapped now.
        """
        for key, size in self._mapped.items():
            if key not in self._not_ours:
                earlier[key] = max(size, earlier.get(key, 0))
        for key in [key for key in earlier if key not in still and key not in self._mapped]:
            del earlier[key]
        return self._total({key: max(size, self._sizes.get(key, 0)) for key, size in (self._sizes | earlier).items()})

    def _total(self, sizes: dict[Object, int]) -> int:
        total = sum(sizes.values())
        if is_worth_it(total):
            held = self._mounts.held_by_host()
            total -= sum(size for key, size in sizes.items() if key in held)
        return total

    def _note(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or not self._mounts.is_memory(status.st_dev):
            return
        key = (status.st_dev, status.st_ino)
        if status.st_ctime < self._since:
            self._not_ours.add(key)
        else:
            self._sizes[key] = status.st_blocks * _BLOCK

    def _note_named(self, name: str, key: Object) -> None:
        """Note a file of `/dev/shm`; nowhere else is it safe to follow a path that others can write in."""
        folder, _, last = name.rpartition("/")
        if folder == "/dev/shm" and not last.endswith(" (deleted)"):  # noqa: S108 - it is looked at, not used
            try:
                status = os.lstat(name)
            except (OSError, ValueError):
                return
            if (status.st_dev, status.st_ino) == key:
                self._note(status)


def private_in(text: bytes) -> int:
    """Return the bytes of private memory, also swapped out, that a text of `smaps` or `smaps_rollup` tells of."""
    return 1024 * sum(map(int, _PRIVATE.findall(text)))


def is_worth_it(size: int) -> bool:
    """Whether so much shared memory is worth a closer look."""
    return size >= _WORTH


def segments(reader: ProcReader) -> list[tuple[int, int, int, int]]:
    """Return the System V segments of the machine: id, creator, last user and bytes; raises OSError."""
    found = []
    try:
        lines = reader.read("/proc/sysvipc/shm", _MOST_TEXT).splitlines()[1:]
    except FileNotFoundError:  # a kernel without them
        return []
    for line in lines:
        fields = line.split()
        if len(fields) >= _SEGMENT_FIELDS:
            found.append((int(fields[1]), int(fields[4]), int(fields[5]), int(fields[14]) + int(fields[15])))
    return found


def _key(minor: bytes, inode: bytes) -> Object:
    return os.makedev(0, int(minor, 16)), int(inode)


def _unescaped(name: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name)
