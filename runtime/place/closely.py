"""Close looks: what a task does just now, seen from outside, whatever its process is stuck in.

Each look has a thread of its own, because it takes a moment, and may hang where a process of the task does. Nothing of
the task is ended for it: its process is asked for its stacks by a signal, and only if it has a handler for that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from ...actors.regular_files import open_to_change, open_to_read
from ..tasks.views import TaskView, iso_time
from ..vitals.proc import ProcReader
from ..vitals.processes import ProcessTimes, catches, processes_of
from .base import Look

__all__ = ["CloseLooks", "main_stack"]

logger = logging.getLogger("subactors.runtime")

_BETWEEN: Final = 0.2
"""Seconds between the two looks at CPU times: the kernel counts them in hundredths."""

_PATIENCE: Final = 0.5
"""Seconds for which a process may take to write its stacks: those are written as soon as it gets a core."""

_STEP: Final = 0.01
"""Seconds between looks whether the log has grown by them."""

_MOST_READ: Final = 200_000
"""Bytes of a log that are looked at for them; a hundred threads with deep stacks have less."""

_ENOUGH_READ: Final = 5
"""Looks at a log that grows on after which the stacks are taken to be there as a whole."""

_MOST_LOOKS: Final = 16
"""Looks at a time; some may hang."""

_CLOSE_PATIENCE: Final = 1.0
"""Seconds that `close` waits for those that are under way."""

_MOST_FRAMES: Final = 30

_NOT_YET: Final = "Its process was asked for its stack, and has not written it yet: it gets no core, or is stopped."

_THREAD: Final = re.compile(
    r"^(Current thread|Thread) 0x\w+.*\(most recent call first\):\n((?:  .*\n?)*)", re.MULTILINE
)

_HERE: Final = Path(__file__).parents[2]
_CHILD_FRAMES: Final = f'  File "{_HERE}/runtime/child/'
_OUTER_FRAMES: Final = (f'  File "{_HERE}/actors/', _CHILD_FRAMES)
"""How the lines begin of what called the task's work, whatever that is."""


class Lookable(Protocol):
    """What is looked at: an actor's process, of this host or housed for another."""

    @property
    def pid(self) -> int | None:
        """Its id, while it is there."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it has begun, and can be asked for its stacks."""
        ...

    def dump_stack(self, *, quietly: bool = False) -> bool:
        """Have it write its stacks; see `ActorProcess`."""
        ...


class CloseLooks:
    """See the module. For the supervisor's thread."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    def look(
        self,
        process: Lookable | None,
        log: str,
        done: Callable[[Look], None],
        *,
        with_stack: bool,
        dump_at: int | None,
    ) -> None:
        """See `Place.look_closely`.

        Args:
            process: the task's; None: it has none.
            log: where that writes its stacks to.
            done: as there.
            with_stack: as there.
            dump_at: as there.
        """
        pid = process.pid if process is not None else None
        if process is None or pid is None:
            done(Look(missing="It has no process yet.", is_put_off=True))
            return
        refused = self._begin(lambda: done(self._seen(process, pid, log, with_stack=with_stack, dump_at=dump_at)))
        if refused:
            done(Look(missing=refused, is_put_off=True))

    def look_back(self, find: Callable[[], TaskView | None], done: Callable[[TaskView | None], None]) -> None:
        """Have a thread find a task of an earlier run; `done` is called with it, or with None."""

        def look() -> None:
            try:
                view = find()
            except Exception:  # somebody waits for it
                logger.exception("A task of an earlier run cannot be looked at.")
                view = None
            done(view)

        if self._begin(look):
            done(None)

    def _begin(self, look: Callable[[], None]) -> str:
        """Have a thread look; return why not, if it cannot."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= _MOST_LOOKS:
            return "Too many looks at tasks are under way. Look again."
        thread = threading.Thread(target=look, name="subactors-look", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # the machine has no room for a thread
            return f"It could not be looked at: {error}."
        self._threads.append(thread)
        return ""

    def close(self) -> None:
        """Cut looks short that are under way, and wait for them, though not for one that hangs."""
        self._closed.set()
        for thread in self._threads:
            thread.join(_CLOSE_PATIENCE)

    def _seen(self, process: Lookable, pid: int, log: str, *, with_stack: bool, dump_at: int | None) -> Look:
        reader = ProcReader()
        try:
            began = time.monotonic()
            first: ProcessTimes = processes_of(reader, pid, began, {})
            look = Look()
            if with_stack and dump_at is None:
                look = self._ask_for_stack(reader, process, pid, log)
            elif with_stack and dump_at is not None:
                stack = main_stack(_read(log, dump_at)[1])
                look = Look(stack=stack, missing="" if stack else _NOT_YET, dump_at=dump_at)
            self._closed.wait(max(0.0, began + _BETWEEN - time.monotonic()))
            seen = [one for _, one in processes_of(reader, pid, time.monotonic(), first).values()]
            return msgspec.structs.replace(look, processes=tuple(seen))
        except Exception as error:  # noqa: BLE001 - somebody waits for it
            return Look(missing=f"It could not be looked at: {str(error) or type(error).__name__}.", is_put_off=True)
        finally:
            reader.close()

    def _ask_for_stack(self, reader: ProcReader, process: Lookable, pid: int, log: str) -> Look:
        if not catches(reader, pid, signal.SIGRTMAX):
            return Look(missing="Its process does not write its stacks any more.")
        if not process.is_ready:
            return Look(missing="Its process is only beginning.", is_put_off=True)
        dump_at = _mark(log)
        process.dump_stack(quietly=True)
        last, found = "", 0
        until = time.monotonic() + _PATIENCE
        while not self._closed.wait(_STEP) and time.monotonic() < until:
            text = _read(log, dump_at)[1]
            if stack := main_stack(text):
                found += 1
                # What else writes to the log may never end.
                if text == last or found == _ENOUGH_READ:
                    return Look(stack=stack, dump_at=dump_at)
            last = text
        return Look(missing=_NOT_YET, dump_at=dump_at)


def main_stack(dump: str) -> str:
    """Return the stack of the main thread, the last of those that `faulthandler` wrote; empty if it is not there yet.

    Without the frames of this package that called the task's work, if it has others.
    """
    found = _THREAD.findall(dump)
    # Mostly it is the thread that took the signal. Of a process that was stopped then, or blocks it, another does.
    is_there = any(which.startswith("Current") for which, _ in found)
    frames = found[-1][1].rstrip("\n").split("\n") if is_there else []
    # From the outermost frame of a task's process inwards: what it has called of this package itself, such as
    # `task.emit`, is further in, and may have called anything.
    outermost = max((place for place, frame in enumerate(frames) if frame.startswith(_CHILD_FRAMES)), default=-1)
    first = outermost
    while first > 0 and frames[first - 1].startswith(_OUTER_FRAMES):
        first -= 1
    if first > 0:
        frames = frames[:first]
    return "\n".join(frame.strip() for frame in frames[:_MOST_FRAMES])


def _mark(log: str) -> int:
    """Say in a log whose words follow, as the process writes its stacks where its own are; return where they begin.

    One that cannot be written to is left as it is.
    """
    length, text = _read(log, 0)
    with contextlib.suppress(OSError):
        descriptor = open_to_change(log)
        try:
            line = (
                f"[Somebody has looked at this task at {iso_time(time.time())}. It went on; this is what it did then:]"
            )
            os.write(descriptor, f"{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n".encode())
        finally:
            os.close(descriptor)
    return length


def _read(log: str, start: int) -> tuple[int, str]:
    """Return how long a log is, and what is in it from a place on, the end of it if that is much; it may be cut."""
    with contextlib.suppress(OSError):
        descriptor = open_to_read(log)
        try:
            length = os.fstat(descriptor).st_size
            start = max(start if start <= length else 0, length - _MOST_READ)
            return length, os.pread(descriptor, _MOST_READ, start).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    return 0, ""
