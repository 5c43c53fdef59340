"""Claims: who continues a task, said to all hosts of a state folder, from before they look until it is in a journal.

    STATE/run_…/continuing/TASK     locked (flock) by the host that is about to continue that task; its process id

Two hosts that look at the same moment would each find that nobody else is at it. The kernel lets go of a claim however
its holder ends; the file stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final, Self

from ...actors.regular_files import open_to_log, open_to_read
from ..errors import RunError, StateError
from .folder import RunFiles, host_pid, is_live, runs
from .forks import close_when_forked
from .reader import JournalReader

__all__ = ["Claim", "check_nobody_continues"]

_MODE: Final = 0o700


class Claim:
    """See the module. It may be released in any thread, and more than once.

    Args:
        descriptor: of the file, which is locked.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptors = [descriptor]
        close_when_forked(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

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
            raise RunError(f"Task {task_id} is being continued already, in {_holder(path)}.") from None
        return cls(descriptor)

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


def _holder(path: Path) -> str:
    """Return who has claimed a task, for a message."""
    with contextlib.suppress(OSError):
        descriptor = open_to_read(path)
        try:
            if process := os.pread(descriptor, 20, 0).decode(errors="replace"):
                return f"process {process}"
        finally:
            os.close(descriptor)
    return "another process"


def check_nobody_continues(root: Path, task_id: str) -> None:
    """Refuse to continue a task that another process is at. To be asked with the claim, or the answer may be old.

    A journal that cannot be read says nothing.

    Raises:
        RunError: one is.
        StateError: the state folder cannot be read.
    """
    for path in runs(root):
        # Whoever opens and closes a file takes the locks on it from this process.
        if not is_live(path) or host_pid(path) == os.getpid():
            continue
        at_it = None
        with contextlib.suppress(sqlite3.Error), JournalReader(RunFiles(path).journal, live=True) as reader:
            at_it = reader.continuing(task_id)
        if at_it is not None:
            raise RunError(
                f"Task {task_id} is being continued already, by {at_it}, in process {host_pid(path) or '?'}."
            )
