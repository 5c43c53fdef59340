"""Log times: when the log of a task was seen to grow. Its lines have no times, as its processes write it themselves.

Beside a log stands a file of lines `SECONDS SIZE`: when it was seen, and how long it was then. The host adds one where
a log has grown, now and then; whoever wants what came since a moment begins at the last size before it.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from ...actors.regular_files import Folder, open_to_read

__all__ = ["note_size", "start_since"]

_EVERY: Final = 1.0
"""Seconds between two lines at least."""

_LONGEST: Final = 4_000_000
"""Bytes of the times of one log: more are not noted. It is what a log fills that grows for some two days."""


def note_size(log: str, size: int, last: tuple[float, int]) -> tuple[float, int]:
    """Note how long a log is, if that has changed and not been noted just now; return what was last noted.

    Args:
        log: its path.
        size: its bytes.
        last: when this host last noted it (monotonic), and with what size; zeros: it has not, or has forgotten.

    Raises:
        OSError: it cannot be noted.
    """
    now = time.monotonic()
    if size == last[1] or now - last[0] < _EVERY:
        return last
    folder, name = os.path.split(log)
    with Folder(folder) as held:
        try:
            descriptor = held.change(f"{name}.times")  # what earlier attempts have written was noted there, too
        except FileNotFoundError:
            descriptor = held.make(f"{name}.times")
        try:
            if os.fstat(descriptor).st_size < _LONGEST:
                os.write(descriptor, b"%.3f %d\n" % (time.time(), size))
        finally:
            os.close(descriptor)
    return now, size


def start_since(log: Path, since: float) -> int:
    """Return at which byte of a log that begins which was written since a moment: there, or a little before it.

    Args:
        log: its path.
        since: the moment, in seconds since the epoch.

    Raises:
        OSError: the log cannot be read.
    """
    try:
        descriptor = open_to_read(log)
    except FileNotFoundError:
        return 0
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if status.st_mtime < since:
        return status.st_size
    start = before = 0
    for seconds, size in _noted(log):
        if size < before:
            start = 0  # it was cut
        before = size
        if seconds <= since:
            start = size
    return start if start <= status.st_size else 0


def _noted(log: Path) -> list[tuple[float, int]]:
    """Return when the log had which size, as far as anybody knows; a task may write there what it wants."""
    noted: list[tuple[float, int]] = []
    with contextlib.suppress(OSError):
        with os.fdopen(open_to_read(f"{log}.times"), "rb") as file:
            lines = file.read(2 * _LONGEST).splitlines()
        for line in lines:
            with contextlib.suppress(ValueError):
                seconds, size = line.split()
                noted.append((float(seconds), int(size)))
    return noted
