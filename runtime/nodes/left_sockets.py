"""Left sockets: folders with the sockets of agents that were killed, which the next agent of that user removes."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import stat
import time
from pathlib import Path
from typing import Final

__all__ = ["remove_left_sockets"]

_FOLDER: Final = re.compile("subactors-[0-9a-f]{16}")
_SOCKET: Final = "agent"
_MODE: Final = 0o700

_MOST_SEEN: Final = 10_000
_MOST_TRIED: Final = 200
"""Entries that are looked at, and folders, each time."""

_SETTLED: Final = 60.0
"""Seconds after which an agent listens that has made its socket."""


def remove_left_sockets(own: Path) -> None:
    """Remove what agents have left beside the folder of one; bounded.

    Only a folder of this user goes that holds one socket on which nobody listens, and nothing else. No link is
    followed.

    Args:
        own: that one's folder. It says where agents have theirs; under any other name than theirs nothing is removed.
    """
    if not _FOLDER.fullmatch(own.name):
        return
    with contextlib.suppress(OSError), os.scandir(own.parent) as entries:
        seen = itertools.islice(entries, _MOST_SEEN)
        names = [entry.name for entry in seen if _FOLDER.fullmatch(entry.name) and entry.name != own.name]
        for name in names[:_MOST_TRIED]:
            with contextlib.suppress(OSError):
                _remove_if_left(own.parent / name)


def _remove_if_left(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(folder)
        is_own = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == _MODE
        if not is_own or time.time() - status.st_mtime < _SETTLED or os.listdir(folder) != [_SOCKET]:  # noqa: PTH208 - by descriptor
            return
        mode = os.stat(_SOCKET, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISSOCK(mode) and _is_refused(f"/proc/self/fd/{folder}/{_SOCKET}"):
            os.unlink(_SOCKET, dir_fd=folder)
            path.rmdir()
    finally:
        os.close(folder)


def _is_refused(path: str) -> bool:
    """Whether nobody listens on a socket; one that is busy is listened on."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
        return False
