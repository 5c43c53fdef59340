"""Regular files: how this package opens what a task may have put where its own files should be.

A task can replace any file of its own by a FIFO, a device or a link. To open one of those must neither wait nor lead
to another file.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["open_regular"]


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading and return its descriptor; raises OSError for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))  # noqa: TRY301 - to be closed as in any failure
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
