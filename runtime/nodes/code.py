"""Code: the modules of a team, of the program, and of a place, packed for a node, which has none of them.

What is not packed is said in docs/cluster.md.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ...actors.regular_files import exists, open_to_read
from ..errors import RunError
from ..tasks.wording import size

__all__ = ["pack", "unpack"]

logger = logging.getLogger("subactors.runtime")

_MOST: Final = 6_000_000
"""Bytes of all archives; they go in one message."""

_MOST_READ: Final = 60_000_000
_MOST_ENTRIES: Final = 50_000
_PATIENCE: Final = 30.0
"""Bytes that are packed, entries of folders that are looked at, and seconds that all of it may take. A team file, or a
program, in a home folder, or on a disk that hangs, is to be an error in words, not a program that never begins."""

_NOT_SENT: Final = frozenset({"__pycache__", "node_modules", "venv", "site-packages", "build", "dist"})
"""Folders that are no part of a team's code, beside those whose names begin with a dot."""

_ENVIRONMENT: Final = "pyvenv.cfg"
"""File that says that the folder which it is in is a virtual environment."""

_LARGEST: Final = 1_000_000
"""Bytes of a file that is sent; larger ones are data."""


def pack(folders: Iterable[str], modules: Iterable[str] = (), program: str = "") -> tuple[bytes, ...]:
    """Return an archive of the files of each folder, of which modules may be made; the same for the same files.

    Folders with the same files have one archive together.

    Args:
        folders: in which modules are found.
        modules: the same, or folders of packages, or single files: each is found by its name.
        program: the program's folder, of which modules and packages alone are packed: nobody has named it, and it may
            be somebody's home. Where they are too much there is a warning, and no archive of it. Empty: there is none.

    Raises:
        RunError: there is more than can be sent, or than can be looked at.
    """
    bounds = _Bounds()
    roots = [(Path(folder), Path(folder)) for folder in folders]
    roots.extend((path, path.parent if _is_module(path) else path) for path in map(Path, modules))
    archives = dict.fromkeys(_packed(path, root, bounds) for path, root in roots)
    if program:
        try:
            archives[_packed(Path(program), Path(program), bounds, only_modules=True)] = None
        except RunError as error:
            logger.warning("Nodes are not sent the modules beside the program. %s", error)
    return tuple(archives)


def _is_module(path: Path) -> bool:
    """Return whether a path is a package or a file, and no folder with modules."""
    return exists(path / "__init__.py") or not path.is_dir()


class _Bounds:
    """What all folders together may have yet."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _PATIENCE
        self._packed, self._read, self._entries = _MOST, _MOST_READ, _MOST_ENTRIES

    def look(self, folder: Path) -> None:
        """Count an entry that is looked at."""
        self._entries -= 1
        if self._entries < 0:
            raise _too_much(folder, f"more than {_MOST_ENTRIES:,} files and folders")
        if time.monotonic() > self._until:
            raise _too_much(folder, f"more than could be looked at in {_PATIENCE:g} s")

    def read(self, folder: Path, count: int) -> None:
        """Count bytes that are packed."""
        self._read -= count
        if self._read < 0:
            raise _too_much(folder, f"more than {size(_MOST_READ)} of files")

    def check(self, folder: Path, packed: int) -> None:
        """See whether an archive may have as many bytes as it has so far."""
        if packed > self._packed:
            raise _too_much(folder, f"more than {size(_MOST)} of files, packed")

    def take(self, packed: int) -> None:
        """Count an archive."""
        self._packed -= packed


def _too_much(folder: Path, what: str) -> RunError:
    return RunError(
        f"The folder {folder} has {what}, and that is more than a node is sent. "
        "Put the team file, the program, or what `py_modules` names, in a folder with its modules alone."
    )


def _packed(folder: Path, root: Path, bounds: _Bounds, *, only_modules: bool = False) -> bytes:
    """Return an archive of a folder, of its modules and packages alone, or of one file; names begin below a root."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=1) as archive:
        for path in sorted(_files(folder, bounds, only_modules=only_modules)) if folder.is_dir() else [folder]:
            data = _content(path)
            if data is not None:
                bounds.read(folder, len(data))
                entry = tarfile.TarInfo(str(path.relative_to(root)))
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
                bounds.check(folder, packed.tell())
    bounds.check(folder, packed.tell())
    bounds.take(packed.tell())
    return packed.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Unpack an archive into a new folder. Raises OSError or tarfile.TarError."""
    folder.mkdir(mode=0o700, parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:xz") as archive:
        archive.extractall(folder, filter="data")


def _files(folder: Path, bounds: _Bounds, *, only_modules: bool) -> Iterator[Path]:
    """Yield what may be sent of a folder. No link to a folder is followed; what cannot be read is left out."""
    waiting = [folder]
    while waiting:
        within = waiting.pop()
        if exists(within / _ENVIRONMENT):
            continue
        with contextlib.suppress(OSError), os.scandir(within) as entries:
            for entry in entries:
                bounds.look(folder)
                if entry.name.startswith("."):
                    continue
                path = Path(entry.path)
                is_any = not only_modules or within != folder
                if not entry.is_dir(follow_symlinks=False):
                    if is_any or path.suffix == ".py":
                        yield path
                elif entry.name not in _NOT_SENT and (is_any or exists(path / "__init__.py")):
                    waiting.append(path)


def _content(path: Path) -> bytes | None:
    """Return what is in a file, or in what it leads to; None for what is no regular file, too large, or unreadable."""
    try:
        descriptor = open_to_read(path, follow=True)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_LARGEST + 1)
    return data if len(data) <= _LARGEST else None
