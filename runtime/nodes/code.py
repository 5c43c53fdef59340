"""Code: the modules of a team's folders, packed for a node, which has none of them."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...actors.regular_files import open_to_read
from ..errors import RunError
from ..tasks.wording import size

__all__ = ["pack", "unpack"]

_MOST: Final = 6_000_000
"""Bytes of an archive; it goes in one message."""

_NOT_SENT: Final = frozenset({"__pycache__", "node_modules", "venv", "site-packages", "build", "dist"})
"""Folders that are no part of a team's code, beside those whose names begin with a dot."""

_LARGEST: Final = 1_000_000
"""Bytes of a file that is sent; larger ones are data."""


def pack(folder: Path) -> bytes:
    """Return an archive of the files of a folder, of which modules may be made; the same for the same files.

    Raises:
        RunError: there is more than can be sent.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=1) as archive:
        for path in sorted(_files(folder)):
            data = _content(path)
            if data is not None:
                entry = tarfile.TarInfo(str(path.relative_to(folder)))
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    if packed.tell() > _MOST:
        raise RunError(
            f"The folder {folder} has {size(packed.tell())} of files, packed, and a node is sent {size(_MOST)}. "
            "Put the team file in a folder with its modules alone."
        )
    return packed.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Unpack an archive into a new folder. Raises OSError or tarfile.TarError."""
    folder.mkdir(mode=0o700, parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:xz") as archive:
        archive.extractall(folder, filter="data")


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SENT and not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield Path(where, name)


def _content(path: Path) -> bytes | None:
    """Return what is in a file, or in what it leads to; None for what is no regular file, too large, or unreadable."""
    try:
        descriptor = open_to_read(path, follow=True)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_LARGEST + 1)
    return data if len(data) <= _LARGEST else None
