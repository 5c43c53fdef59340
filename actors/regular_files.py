"""Regular files: opens files in folders where tasks can put something else in a file's place.

It must never wait, and never follow a link at the end of a path. A FIFO, a device, a socket or a link is an error in
words. Everything in the state folder is opened here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Final, Self, TypeAlias

__all__ = [
    "Folder",
    "check_database",
    "exists",
    "has_content",
    "is_folder",
    "is_regular",
    "length_of",
    "make",
    "open_to_append",
    "open_to_change",
    "open_to_log",
    "open_to_read",
]

Name: TypeAlias = str | bytes | os.PathLike[str]

_SAFELY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_TO_LOG: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _SAFELY
_TO_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | _SAFELY

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_IN_WORDS: Final = {
    errno.ENXIO: "it is not a regular file",  # a FIFO that nobody reads, or a socket
    errno.EISDIR: "it is a folder",
}


def open_to_read(path: Name, *, folder: int | None = None, follow: bool = False) -> int:
    """Open a file for reading and return its descriptor; the caller closes it.

    Args:
        path: the file.
        folder: descriptor of the folder that a relative path starts from.
        follow: whether it may be a link to a regular file, as the user's own files may.

    Raises:
        OSError: it is not a regular file, or cannot be opened.
    """
    flags = os.O_RDONLY | _SAFELY
    return _checked(path, _open(path, flags & ~os.O_NOFOLLOW if follow else flags, folder), is_changed=False)


def open_to_change(path: Name, *, folder: int | None = None) -> int:
    """Open a file that is there for reading, cutting and appending; else as `open_to_read`.

    Raises:
        OSError: as `open_to_read`, and for a file that has a second name, which may be anybody's.
    """
    return _checked(path, _open(path, os.O_RDWR | os.O_APPEND | _SAFELY, folder), is_changed=True)


def open_to_append(path: Name) -> int:
    """Open a file for reading and appending, made for its owner alone if it is missing; else as `open_to_change`.

    Raises:
        OSError: as `open_to_change`.
    """
    return _checked(path, _open(path, _TO_APPEND, None), is_changed=True)


def open_to_log(path: Name) -> int:
    """Open a file that this process writes to and nobody reads by this descriptor, made if it is missing.

    For the beginning of a task's own process, where each call counts: that it is a regular file is not checked. Should
    it be a FIFO, which somebody would have to read at this moment, writing to it does not wait either.

    Raises:
        OSError: it cannot be opened without waiting, or is a link.
    """
    return os.open(path, _TO_LOG, 0o600)


def make(path: Name, *, folder: int | None = None) -> int:
    """Make a file, in place of whatever has its name but a folder, and open it as `open_to_change` does.

    Raises:
        OSError: it cannot be made.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _SAFELY
    try:
        return _open(path, flags, folder)
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path, dir_fd=folder)
        return _open(path, flags, folder)


def exists(path: Name) -> bool:
    """Whether anything stands there, were it a link that leads nowhere."""
    return _status(path) is not None


def is_folder(path: Name) -> bool:
    """Whether a folder stands there, and not a link to one."""
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def is_regular(path: Name) -> bool:
    """Whether a regular file stands there, and not a link to one."""
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def has_content(path: Name) -> bool:
    """Whether a regular file stands there that is not empty."""
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode) and status.st_size > 0


def length_of(path: Name) -> int:
    """Return how many bytes a file has. It is looked at and not opened, which takes no descriptor.

    Raises:
        OSError: it is not a regular file, or not there.
    """
    status = os.lstat(path)
    _check_kind(status, path)
    return status.st_size


def check_database(path: str | os.PathLike[str], *, follow: bool = False) -> None:
    """Check all that SQLite may open for a database: it takes a name, and would wait for a FIFO.

    They are looked at and not opened: to close a file lets go of the locks that SQLite has on it in this process.

    Args:
        path: the database.
        follow: as for `open_to_read`.

    Raises:
        OSError: something there is not a regular file, or is another user's.
    """
    for end in ("", "-wal", "-shm", "-journal"):
        name = f"{os.fspath(path)}{end}"
        try:
            status = os.stat(name) if follow and not end else os.lstat(name)  # noqa: PTH116 - the name is not a Path
        except FileNotFoundError:
            continue
        _check_kind(status, name)
        if os.geteuid() not in {status.st_uid, 0}:
            raise PermissionError(errno.EPERM, "it belongs to another user", name)


class Folder:
    """A folder whose files are opened by name. It is not followed either, should a link stand in its place.

    Once `hold` is called it is this folder for good, whatever its name leads to later. Without that it is found by its
    path each time. May be used from any thread.

    Args:
        path: where it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._descriptor = -1

    def hold(self) -> Self:
        """Keep it open until `close`; raises OSError if it is not a folder, or cannot be opened."""
        self._descriptor = os.open(self.path, _FOLDER)
        return self

    @property
    def descriptor(self) -> int:
        """Its descriptor while it is held; else -1."""
        return self._descriptor

    def close(self) -> None:
        """Hold it no more. May be repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self.hold()

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str) -> int:
        """As `open_to_read`."""
        with self._found() as folder:
            return open_to_read(name, folder=folder)

    def change(self, name: str) -> int:
        """As `open_to_change`."""
        with self._found() as folder:
            return open_to_change(name, folder=folder)

    def make(self, name: str) -> int:
        """As `make`."""
        with self._found() as folder:
            return make(name, folder=folder)

    def remove(self, name: str) -> None:
        """Remove a file, or what stands in its place, if there is one; raises OSError if that cannot be."""
        with self._found() as folder, contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)

    def names(self) -> list[str]:
        """Return the names in it, in any order; raises OSError if it cannot be read."""
        with self._found() as folder:
            return os.listdir(folder)  # noqa: PTH208 - it has a descriptor, not a path

    def status(self, name: str) -> os.stat_result:
        """Return what stands there: a link for a link; raises OSError if there is nothing."""
        with self._found() as folder:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    @contextlib.contextmanager
    def _found(self) -> Iterator[int]:
        if self._descriptor >= 0:
            yield self._descriptor
            return
        descriptor = os.open(self.path, _FOLDER)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _open(path: Name, flags: int, folder: int | None) -> int:
    try:
        return os.open(path, flags, 0o600, dir_fd=folder)
    except OSError as error:
        if (said := _IN_WORDS.get(error.errno or 0)) is not None:
            raise OSError(error.errno, said, os.fsdecode(path)) from None
        raise


def _check_kind(status: os.stat_result, path: Name) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", os.fsdecode(path))


def _status(path: Name) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):  # ValueError: a null character
        return None


def _checked(path: Name, descriptor: int, *, is_changed: bool) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        said = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
    elif is_changed and status.st_nlink > 1:
        said = "it has a second name"
    else:
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, said, os.fsdecode(path))
