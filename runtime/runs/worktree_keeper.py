"""Worktree keeper: looks at the worktrees of tasks that have ended, in a thread of the host's own."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from pathlib import Path
from typing import Final

from .forks import fork_lock
from .workdir import Hurry

__all__ = ["WorktreeKeeper"]

logger = logging.getLogger("subactors.runtime")

_CLOSING: Final = 20.0
"""Seconds that a host that closes takes for the worktrees that are left; the next host looks at the others."""

_LAST: Final = 5.0
"""Seconds beyond these that closing waits for a look that is under way, and for a file system that does not answer."""


class WorktreeKeeper:
    """Looks at worktrees whose tasks have ended, one after the other, in a thread of its own.

    `ended` may be called from any thread; the thread is started by the first call.

    Attributes:
        hurry: begun when the host closes.
    """

    def __init__(self) -> None:
        self.hurry = Hurry()
        self._ended: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def ended(self, path: Path) -> None:
        """Take note that the task of a worktree has ended. Returns at once."""
        self._ended.put(path)
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="subactors-worktrees", daemon=True)
                with contextlib.suppress(RuntimeError):  # the system has none left: the next call, or host, sees to it
                    thread.start()
                    self._thread = thread

    def hurry_up(self) -> None:
        """Have everything end soon: the host closes."""
        self.hurry.begin(_CLOSING)

    def close(self) -> None:
        """Look at those that are left, as far as there is time, and end the thread; after `hurry_up`."""
        if self._thread is not None:
            self._ended.put(None)
            self._thread.join(self.hurry.left + _LAST)

    def _run(self) -> None:
        while (path := self._ended.get()) is not None:
            try:
                with fork_lock:  # a process forked in the middle of an import could never import that module
                    from .worktrees import tidy  # noqa: PLC0415 - for hosts that have worktrees
                tidy(path, self.hurry)
            except Exception:  # the others are looked at all the same
                logger.exception("The worktree %s could not be looked at, and is kept.", path)
