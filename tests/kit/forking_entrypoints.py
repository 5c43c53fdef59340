"""Entrypoints and an actor that fork, and whose forked processes behave as if they were the first."""

from __future__ import annotations

import os
import sys

import pykka
from subactors.actors import ForkedError, ProcessActor
from subactors.runtime import EntrypointTask

__all__ = ["WAYS", "Forking"]

_FRAMES = 100
"""Texts of more than one packet: enough for two writers to meet in the middle of one."""

_FILE_RESULT = 9_000_000
"""Characters of a result that goes through a file."""


def emits(task: EntrypointTask) -> int:
    """Say much in two processes at once; return the status of the forked one."""
    forked = os.fork()
    for _ in range(_FRAMES):
        task.emit(("p" if forked else "f") * 20_000)
    if not forked:
        os._exit(7)
    return _status(forked)


WAYS = {"returns": 0, "returns much": 0, "exits": 0, "exits with a number": 3, "exits with a word": 1, "raises": 1}
"""What a forked process does as `comes_back` is told, and the status that it should have."""


def comes_back(task: EntrypointTask) -> int:
    """Let a forked process leave this function in some way; return its status."""
    if forked := os.fork():
        return _status(forked)
    match task.text:
        case "returns":
            return -1
        case "returns much":
            return "x" * _FILE_RESULT  # type: ignore[return-value]
        case "exits":
            sys.exit()
        case "exits with a number":
            sys.exit(3)
        case "exits with a word":
            sys.exit("a word")
        case _:
            raise ValueError("in the fork")


async def comes_back_async(_task: EntrypointTask) -> int:
    """The same, in a coroutine."""
    forked = os.fork()
    return _status(forked) if forked else -1


def _status(forked: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])


class Forking(ProcessActor):
    """Forks in a message handler, and tells what became of the forked process."""

    def come_back(self) -> int:
        """Let the forked process return from here."""
        forked = os.fork()
        return _status(forked) if forked else -1

    def speak(self) -> int:
        """Let the forked process send something; its status is 5 if it is told that it cannot."""
        forked = os.fork()
        if forked:
            return _status(forked)
        try:
            self.supervisor.emit("from the fork")
        except ForkedError:
            os._exit(5)
        os._exit(0)


def actor() -> pykka.ActorProxy[Forking]:
    """Return a running one."""
    return Forking.start().proxy()
