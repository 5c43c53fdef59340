"""What a contender is: one way to run pieces of work, behind the few verbs that the scenarios use.

A contender lives in a host process of its own, and is used from that process's main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing.context import BaseContext
from typing import ClassVar, Final, Protocol

__all__ = ["MAPPED_AT_ONCE", "Contender", "NotOfferedError", "Task"]

MAPPED_AT_ONCE: Final = 20
"""Processes at a time when a function is mapped, where that can be chosen: as many as a runtime has by itself."""


class NotOfferedError(Exception):
    """The contender has no such thing, or not here; the text says why, for the report."""


class Task(Protocol):
    """One piece of work that has been dispatched."""

    def first_message(self, timeout: float = 60.0) -> str:
        """Wait for the first thing that the work says, and return it; raises TimeoutError, or how the task ended."""
        ...

    def outcome(self, timeout: float = 60.0) -> str:
        """Wait until the host knows how it ended: empty if it returned, else a sentence. Raises TimeoutError."""
        ...

    def stop(self) -> None:
        """End it, and return when its process is gone; raises NotOfferedError."""
        ...


class Contender:
    """One way to run work; subclasses say what they offer, and the rest is refused with a word.

    Attributes:
        name: on the command line and in results.
        title: in tables and pictures.
        distribution: what has to be installed for it; empty for nothing.
        fills_itself: its pool starts a process for each task that may come, as soon as there is time: a rest would take
            the starts out of what is measured, so it gets none.
        reuses_processes: a new process for each task costs a whole new pool, which the start is measured with.
        most_tasks: beyond this many at once it would take minutes or gigabytes, and is not tried.
        most_tasks_quick: the same in a quick run.
        slow: takes part in few scenarios of a quick run.
        lead: seconds within which a task is surely there, for one that is to do something at a set moment.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    distribution: ClassVar[str] = ""
    fills_itself: ClassVar[bool] = False
    reuses_processes: ClassVar[bool] = False
    most_tasks: ClassVar[int] = 1000
    most_tasks_quick: ClassVar[int] = 100
    lead: ClassVar[float] = 0.5
    slow: ClassVar[bool] = False

    @classmethod
    def missing(cls) -> str:
        """Say why it cannot run here; empty if it can."""
        if cls.distribution:
            import importlib.metadata  # noqa: PLC0415 - new processes of peers import this module, and are measured

            try:
                importlib.metadata.version(cls.distribution)
            except importlib.metadata.PackageNotFoundError:
                return f"{cls.distribution} is not installed"
        return ""

    def open(self, tasks: int = 1) -> None:
        """Set up whatever serves all tasks, for so many of them at once."""

    def close(self) -> None:
        """End all tasks and give back everything."""

    def start(self, work: str, argument: str = "") -> Task:
        """Dispatch a piece of work and return at once."""
        raise NotImplementedError

    def wait_all(self, tasks: Sequence[Task], timeout: float = 300.0) -> None:
        """Wait until all of some tasks have ended; raises RuntimeError if one has failed."""
        for task in tasks:
            how = task.outcome(timeout)
            if how:
                raise RuntimeError(f"{self.title}: a task failed: {how}")

    def map(self, count: int, chunksize: int) -> None:
        """Call `work.give_back` for so many numbers, so many of them in one process, and take the results in order."""
        del count, chunksize
        raise NotOfferedError("has no map")

    def meanwhile(self, function: Callable[[], None]) -> None:
        """Call something that waits for what tasks do to be seen elsewhere, while they run."""
        function()

    def context(self) -> BaseContext:
        """Return the context whose processes its tasks are, for what takes one."""
        raise NotOfferedError("has no multiprocessing context")

    def open_echo(self) -> Callable[[bytes], bytes]:
        """Start something that answers each message with itself, and return what sends one and gets the answer."""
        raise NotOfferedError("has no messages to a running task")

    def stream(self, pieces: int) -> float:
        """Have a task say so many pieces of 4 kB; return the seconds from the first piece to all of them arrived."""
        del pieces
        raise NotOfferedError("has no messages from a running task")

    def output(self, pieces: int, length: int) -> float:
        """Have a task say so many pieces of so many bytes; return as `stream` does."""
        del pieces, length
        raise NotOfferedError("has no messages from a running task")

    def kill(self) -> float:
        """Kill the process of an idle task; return the seconds until the host knows of its end."""
        raise NotOfferedError("is not measured")
