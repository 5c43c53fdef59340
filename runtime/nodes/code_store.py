"""Code store: the archives of modules that a node has been sent, each by a hash of it, so that it is sent only once.

They lie in the state folder of the node's user, in `code/`, and the latest stay for further runs. What is read there is
held to its name. `have` is for a thread that may wait; all else is for any thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ...actors.regular_files import make, open_to_read
from ..errors import StateError

__all__ = ["CodeStore", "name_of"]

_FOLDER: Final = "code"

_MOST: Final = 20
"""Archives that are kept, the latest used."""

_LARGEST: Final = 16_000_000
"""Bytes of one that are read: more than any has."""

_PATIENCE: Final = 120.0
"""Seconds in which the host must have sent what it was asked for: a line may be slow."""


def name_of(packed: bytes) -> str:
    """Return by what an archive is known."""
    return hashlib.sha256(packed).hexdigest()


class CodeStore:
    """See the module."""

    def __init__(self) -> None:
        self._came: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._is_over = False

    def have(self, root: Path, names: Sequence[str], ask: Callable[[tuple[str, ...]], None]) -> list[bytes]:
        """Return archives, in the order of their names; waits for those that are not here.

        Args:
            root: the state folder.
            names: of the archives.
            ask: has the host send some, which `take` is called with.

        Raises:
            StateError: they do not come.
        """
        folder = root / _FOLDER
        found = {name: packed for name in names if (packed := _read(folder / name)) is not None}
        missing = tuple(name for name in dict.fromkeys(names) if name not in found)
        if missing:
            ask(missing)
            with self._changed:
                has_come = self._changed.wait_for(lambda: self._is_over or self._came.keys() >= {*missing}, _PATIENCE)
                found |= self._came
                self._came = {}
            if not found.keys() >= {*missing}:
                how = "has ended before it had" if has_come else f"has within {_PATIENCE:g} s not"
                raise StateError(f"its host {how} sent the modules of the team")
            _keep(folder, {name: found[name] for name in missing})
        return [found[name] for name in names]

    def take(self, packed: bytes) -> None:
        """An archive has come."""
        with self._changed:
            self._came[name_of(packed)] = packed
            self._changed.notify_all()

    def give_up(self) -> None:
        """No more will come."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


def _read(path: Path) -> bytes | None:
    """Return the archive of that name, if it is there and whole."""
    with contextlib.suppress(OSError):
        descriptor = open_to_read(path)
        with os.fdopen(descriptor, "rb") as file:
            packed = file.read(_LARGEST)
        if name_of(packed) == path.name:
            os.utime(path, follow_symlinks=False)
            return packed
    return None


def _keep(folder: Path, archives: dict[str, bytes]) -> None:
    """Keep archives for further runs, and let the oldest go; without them they are sent again."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, packed in archives.items():
            part = folder / f".{name}.{os.urandom(4).hex()}"
            try:
                with os.fdopen(make(part), "wb") as file:
                    file.write(packed)
                part.rename(folder / name)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        for path in sorted(folder.iterdir(), key=lambda path: path.stat(follow_symlinks=False).st_mtime)[:-_MOST]:
            path.unlink()
