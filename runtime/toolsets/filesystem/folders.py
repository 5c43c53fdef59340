"""Folders: confines paths to a working directory and some further folders, and opens what is in them.

A path is resolved, links included, and must then lie in an allowed folder. It is opened from that folder downwards, one
component at a time and following no link, so a link put in place between the two steps is an error, never a way out.
Three ways out remain: hard links, bind mounts, and somebody who may replace an allowed folder itself.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .search_program import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "FOLDER",
    "AllowedFolders",
    "FileError",
    "Place",
    "explained",
    "kind",
    "opened_file",
    "opened_folder",
    "require_regular",
]

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened: never through a link."""

# Non-blocking, so that a FIFO put in place of a file cannot hang the thread.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FileError(Exception):
    """A request that cannot be served; the message is for the model that made it."""


@dataclass(frozen=True)
class Place:
    """A path that may be used: resolved, and inside an allowed folder.

    Attributes:
        root: the allowed folder.
        parts: from there; empty for the folder itself.
        shown: how to name it to the model: relative to the working directory, or else absolute.
    """

    root: Path
    parts: tuple[str, ...]
    shown: str

    @property
    def parent(self) -> Place:
        """The folder that holds it; there is none above an allowed folder."""
        return Place(self.root, self.parts[:-1], os.path.dirname(self.shown) or ".")  # noqa: PTH120 - a text, not a path

    @property
    def name(self) -> str:
        """The last component; asked for only where there is one."""
        return self.parts[-1]

    def child(self, name: str) -> Place:
        """Return the place called `name` in this folder."""
        shown = printable(name)
        return Place(self.root, (*self.parts, name), shown if self.shown == "." else os.path.join(self.shown, shown))  # noqa: PTH118 - a text, not a path


class AllowedFolders:
    """The folders that a toolset may use.

    Args:
        working_directory: where relative paths begin; always allowed.
        allow: further folders, absolute, relative to the working directory or beginning with `~`.
    """

    def __init__(self, working_directory: Path, allow: Sequence[str]) -> None:
        # Resolved once: what an agent does later must not be able to move the fence.
        self._working_directory = Path(os.path.realpath(working_directory))
        further = [os.path.realpath(self._working_directory / os.path.expanduser(folder)) for folder in allow]  # noqa: PTH111 - text in, text out
        self.roots = tuple(dict.fromkeys([self._working_directory, *map(Path, further)]))

    def place(self, path: str) -> Place:
        """Resolve a path; blocking.

        Raises:
            FileError: it is blank, is not a path, or leads out of the allowed folders.
        """
        if not path.strip():
            raise FileError("The path is blank. Give a path, or . for the working directory.")
        try:
            if "\0" in path:
                raise ValueError("embedded null byte")  # noqa: TRY301 - what Python says from 3.13 on
            resolved = Path(os.path.realpath(self._working_directory / path))
        except ValueError as error:
            raise FileError(f"{printable(path)!r} is not a path: {error}.") from None
        for root in self.roots:
            if resolved.is_relative_to(root):
                parts = resolved.relative_to(root).parts
                shown = (Path(*parts) if root == self._working_directory else resolved).as_posix()
                return Place(root, parts, printable(shown))
        allowed = ", ".join(str(root) for root in self.roots)
        leads = "" if str(resolved) == path else f" leads to {printable(str(resolved))}, which"
        raise FileError(f"{printable(path)}{leads} is outside the folders that may be used: {allowed}.")


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Turn what the system says about a place into a FileError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT:
            reason = f"{place.shown} does not exist."
        elif error.errno == errno.ENOTDIR:
            reason = f"{place.shown} is not a folder, or leads through something else than folders."
        elif error.errno == errno.ELOOP:
            reason = f"{place.shown} leads in a circle of symbolic links, or through one that was put there just now."
        else:
            reason = f"{place.shown}: {error.strerror or error}."
        raise FileError(reason) from None


@contextmanager
def opened_folder(place: Place, *, create: bool = False) -> Iterator[int]:
    """A descriptor of a folder, opened without following links; `create` makes what is missing on the way. Blocking.

    Raises:
        OSError: as the system says; `explained` puts it into words.
        FileError: the allowed folder itself cannot be opened.
    """
    try:
        descriptor = os.open(place.root, FOLDER)
    except OSError as error:
        raise FileError(f"The folder {place.root}, which may be used, cannot be opened: {error.strerror}.") from None
    try:
        for part in place.parts:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            below = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_file(place: Place) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor to read a regular file with, and its status. Blocking.

    Raises:
        OSError: as the system says.
        FileError: it is not a regular file.
    """
    if not place.parts:
        raise FileError(f"{place.shown} is a folder, not a file.")
    with opened_folder(place.parent) as folder:
        # Looked at before it is opened, as opening some devices has effects, and after, as it may have been replaced.
        require_regular(os.stat(place.name, dir_fd=folder, follow_symlinks=False), place)
        descriptor = os.open(place.name, _FILE, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        require_regular(status, place)
        yield descriptor, status
    finally:
        os.close(descriptor)


def require_regular(status: os.stat_result, place: Place) -> None:
    """Raise FileError for anything but a regular file."""
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise FileError(f"{place.shown} is a folder, not a file.")
    if stat.S_ISLNK(status.st_mode):
        raise FileError(f"{place.shown} became a symbolic link a moment ago; ask again.")
    raise FileError(f"{place.shown} is a device, pipe or socket, and only regular files can be read and written.")


def kind(mode: int) -> str:
    """Return what a mode says it is: `file`, `directory`, `link` or `other`."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"
