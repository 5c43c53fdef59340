"""Claims: who continues a task, said to all hosts of a state folder, until what continues it has ended.

    STATE/run_…/continuing/TASK     locked (flock) by the host that continues that task; its process id, and which task

The kernel lets go of a claim however its holder ends; the file stays. Two hosts in one process do not share it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final, Self

from ...actors.regular_files import open_to_log, open_to_read
from ..errors import RunError, StateError
from ..text import one_line
from .folder import RunFiles
from .forks import close_when_forked

__all__ = ["Claim", "announce", "is_claimed"]

_MODE: Final = 0o700

_LONGEST: Final = 100
"""Characters of who has claimed a task."""


class Claim:
    """See the module. Used in one thread at a time; it may be released more than once.

    Args:
        descriptor: of the file, which is locked.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptors = [descriptor]
        close_when_forked(self)

    @classmethod
    def take(cls, run: Path, task_id: str) -> Self:
        """Claim a task.

        Args:
            run: the folder of its run.
            task_id: the task, which is in the journal of that run.

        Raises:
            RunError: somebody else has.
            StateError: nothing can be written there.
        """
        path = RunFiles(run).continuing / task_id
        try:
            path.parent.mkdir(mode=_MODE, exist_ok=True)
            descriptor = open_to_log(path)
        except OSError as error:
            raise StateError(
                f"{task_id} cannot be continued: {error.strerror or error} ({path}), where other hosts are told of it."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise StateError(f"{task_id} cannot be continued: {error.strerror or error} ({path}).") from error
            raise RunError(f"Task {task_id} is being continued already, {_holder(path)}.") from None
        return cls(descriptor)

    def name(self, task_id: str) -> None:
        """Say which task continues the one that is claimed."""
        with contextlib.suppress(OSError):  # a full disk: others are refused all the same
            for descriptor in self._descriptors:
                os.write(descriptor, f" {task_id}".encode())

    def release(self) -> None:
        """Let others continue the task."""
        for descriptor in self._descriptors:
            # A process that is just being started, and has not come to its program yet, holds this descriptor, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        self.close_descriptors()

    def close_descriptors(self) -> None:
        """See `Holder`."""
        descriptors, self._descriptors = self._descriptors, []
        for descriptor in descriptors:
            os.close(descriptor)


def is_claimed(run: Path, task_id: str) -> bool:
    """Whether somebody continues a task now, as far as the system tells; it takes no lock that others may want.

    Args:
        run: the folder of the task's run.
        task_id: the task.
    """
    try:
        found = (RunFiles(run).continuing / task_id).lstat()
        locks = Path("/proc/locks").read_text()
    except OSError:
        return False
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any("FLOCK" in lock and place in lock for lock in map(str.split, locks.splitlines()))


def announce(run: Path, task_id: str) -> None:
    """Let a run look as if it were in use, since somebody is about to continue a task of it: so it is not removed.

    Args:
        run: its folder.
        task_id: the task.
    """
    path = RunFiles(run).continuing / task_id
    with contextlib.suppress(OSError):  # whoever claims it is told
        path.parent.mkdir(mode=_MODE, exist_ok=True)
        descriptor = open_to_log(path)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)


def _holder(path: Path) -> str:
    """Return who has claimed a task, for a message."""
    with contextlib.suppress(OSError):
        descriptor = open_to_read(path)
        try:
            process, _, task_id = os.pread(descriptor, _LONGEST, 0).decode(errors="replace").partition(" ")
        finally:
            os.close(descriptor)
        if process:
            return f"by {one_line(task_id, _LONGEST)}, in process {process}" if task_id else f"in process {process}"
    return "in another process"
