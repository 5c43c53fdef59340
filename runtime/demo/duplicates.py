"""The agent `duplicates`: looks for files with the same content, and dies of a memory fault half way, on purpose.

It is an entrypoint, the agent's own code in place of a loop around a model. Its fault must hurt nothing but its own
process: that is what the demonstration shows.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
from collections.abc import Iterator
from typing import Final

from ...actors.regular_files import has_content
from ..child.entrypoint import EntrypointTask
from .folder import is_made_by_tools
from .reading import content_of
from .words import count

__all__ = ["run"]

_MOST_FILES: Final = 2_000
_LARGEST_FILE: Final = 5_000_000
_REPORTS: Final = 4


def run(task: EntrypointTask) -> None:
    """Compare the first half of the files in the current folder, say what was found, and crash."""
    files = list(itertools.islice(_files(), _MOST_FILES))
    task.emit(f"In process {os.getpid()}: {count(len(files), 'file')} to compare.\n")
    half = len(files) // 2
    seen: dict[bytes, str] = {}
    same = 0
    for number, path in enumerate(files[:half], 1):
        content = content_of(path, _LARGEST_FILE)
        first = path if content is None else seen.setdefault(hashlib.sha256(content).digest(), path)
        if first != path:
            same += 1
            task.emit(f"{path} has the same content as {first}.\n")
        if number % max(1, half // _REPORTS) == 0:
            task.emit(f"{number} of {len(files)} compared; {same or 'none'} with the content of another so far.\n")
    _read_address_zero()


def _files() -> Iterator[str]:
    """Yield the regular files that are not empty."""
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if not is_made_by_tools(name, set(names)))
        paths = (os.path.join(folder, name).removeprefix("./") for name in sorted(names))  # noqa: PTH118 - as it prints
        yield from filter(has_content, paths)


def _read_address_zero() -> None:
    """Have C code read memory that is not there."""
    ctypes.string_at(0)
