"""Looks: what a program and all processes below it use, seen from outside, the same for every way to do the work."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from typing import Final, Self

__all__ = ["Peak", "cpu_seconds", "memory_of", "tree"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PSS: Final = re.compile(rb"^Pss: +(\d+)", re.MULTILINE)
_GONE: Final = (FileNotFoundError, ProcessLookupError, PermissionError)

_FIRST: Final = 0.005
"""Seconds after which the first look begins."""

_SHARE: Final = 20
"""Times as long as a look has taken it is quiet after it, so that looks take a twentieth of a core at most."""


class Peak:
    """The most memory that a tree of processes has, looked at again and again in a thread while it is entered.

    Args:
        root: id of the first process.

    Attributes:
        bytes: the most that was seen, what there was before it was entered included.
    """

    def __init__(self, root: int) -> None:
        self.bytes = memory_of(root)
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="subactors-bench-looks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        pause = _FIRST
        while not self._over.wait(pause):
            began = time.monotonic()
            self.bytes = max(self.bytes, memory_of(self._root))
            pause = max(_FIRST, _SHARE * (time.monotonic() - began))


def memory_of(root: int) -> int:
    """Return the memory of a tree in bytes: pages that several processes share count once (PSS)."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(*_GONE):
            found = _PSS.search(_read(f"/proc/{pid}/smaps_rollup"))
            total += int(found[1]) * 1024 if found else 0
    return total


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a tree, with that of processes which are gone and were waited for."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(*_GONE):
            fields = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def tree(root: int) -> Iterator[int]:
    """Yield the ids of a process and of all that came from it."""
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(*_GONE):
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - only the names are wanted
                with contextlib.suppress(*_GONE):
                    waiting += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path object costs more than the look
        return file.readall()
