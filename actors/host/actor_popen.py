"""What `multiprocessing` asks of an actor's process behind its methods. Imported when it does."""

from __future__ import annotations

import os
from typing import Protocol

__all__ = ["ActorPopen"]


class _Process(Protocol):
    """An actor's process."""

    _pid: int | None

    @property
    def exitcode(self) -> int | None:
        """Its exit code."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""

    def _leave_children(self) -> None:
        """Be no more among the host's children."""


class ActorPopen:
    """What `multiprocessing` asks of a process behind its methods."""

    def __init__(self, process: _Process) -> None:
        self._process = process
        self.pid = process._pid  # noqa: SLF001 - made for this module

    def poll(self, _flag: int = os.WNOHANG) -> int | None:
        """Return the exit code; None while there is none."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the exit code."""
        self._process.join(timeout)
        return self._process.exitcode

    def terminate(self) -> None:
        """Do what `multiprocessing` wants at the host's exit: not wait for it.

        That it would send SIGTERM now. But the actor's system is closed at exit, too, and stops actors politely.
        """
        self._process._leave_children()  # noqa: SLF001 - made for this module
