"""The agent `duplicates`: looks for files with the same content, and dies of a memory fault half way, on purpose.

It is an entrypoint, the agent's own code in place of a loop around a model. Its fault must hurt nothing but its own
process: that is what the demonstration shows.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from ..child.entrypoint import EntrypointTask
from .folder import is_made_by_tools
from .words import count

__all__ = ["run"]

_MOST_FILES: Final = 2_000
_LARGEST_FILE: Final = 5_000_000
_REPORTS: Final = 4


def run(task: EntrypointTask) -> NoReturn:
    """Compare the first half of the files in the current folder, say what was found, and crash."""
    files = list(_files(Path()))
    task.emit(f"In process {os.getpid()}: {count(len(files), 'file')} to compare.\n")
    half = len(files) // 2
    seen: dict[bytes, Path] = {}
    same = 0
    for number, path in enumerate(files[:half], 1):
        content = _digest(path)
        first = seen.setdefault(content, path) if content is not None else path
        if first != path:
            same += 1
            task.emit(f"{path} has the same content as {first}.\n")
        if number % max(1, half // _REPORTS) == 0:
            task.emit(f"{number} of {len(files)} compared; {same or 'none'} with the content of another so far.\n")
    _read_address_zero()


def _files(top: Path) -> Iterator[Path]:
    """Yield the regular files that are not empty, up to a bound."""
    found = 0
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not is_made_by_tools(name, set(names)))
        for path in (Path(folder, name) for name in sorted(names)):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= _LARGEST_FILE:
                yield path
                found += 1
                if found == _MOST_FILES:
                    return


def _digest(path: Path) -> bytes | None:
    """Return a digest of a file's content; None for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def _read_address_zero() -> NoReturn:
    """Have C code read memory that is not there."""
    ctypes.string_at(0)
    raise AssertionError("no operating system maps this address")
