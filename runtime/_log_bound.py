"""Keeps the files in which standard output and error of tasks' processes are captured from filling the disk.

The processes write to them directly, at the end (O_APPEND), so that nothing of the host is in their way; the host cuts
what has grown too long. It must never wait for a process, nor fail for a file that it cannot cut.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from ..actors._regular_files import Folder

__all__ = ["bound_log"]

_LONGEST: Final = 10_000_000
"""Bytes at which a file is cut; it is looked at a few times a second, and may be longer for that long."""

_KEPT: Final = 1_000_000
"""Bytes that a cut leaves: the last ones, which tell why a process has ended."""


def bound_log(path: str) -> None:
    """Cut a file that has grown too long to its end, under a line that says so.

    What is written meanwhile may be lost, or come before that line.

    May be called in any thread; a file that is missing is left so, and so is a link, or a file with a second name.
    """
    with contextlib.suppress(OSError):
        if os.lstat(path).st_size <= _LONGEST:
            return
        folder, name = os.path.split(path)
        descriptor = Folder(folder).change(name)
        try:
            size = os.fstat(descriptor).st_size
            end = os.pread(descriptor, _KEPT, size - _KEPT)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"[%d bytes were left out here.]\n" % (size - len(end)) + end)
        finally:
            os.close(descriptor)
