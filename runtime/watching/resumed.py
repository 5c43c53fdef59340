"""Resumed tasks: programs that continue tasks because a person who watches asked for it. They end with that program."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

from ..errors import RunError
from . import steering

__all__ = ["Resumed"]

_PATIENCE: Final = 15.0
"""Seconds in which a program has its task, or says why it cannot."""

_LOOK: Final = 0.1
"""Seconds between two looks."""

_GRACE: Final = 10.0
"""Seconds that programs have to end their tasks."""

_BEGUN: Final = re.compile(rb'"event":"started","task":\{"id":"(\w+)"')
"""How a program tells of its task."""

_WHY: Final = 4000
"""Bytes that are kept of the end of what a program has printed."""

_PIECE: Final = 65_536


class Resumed:
    """See the module. Any thread may call every method.

    Args:
        root: the state folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._is_closed = False
        self._programs: list[_Program] = []

    def start(self, task_id: str, text: str) -> str:
        """Continue a task; return the id of the one that goes on with it; empty if it has not begun in time.

        Raises:
            RunError: it cannot be continued; the message is the program's.
            OSError: no program can be started.
        """
        with self._lock:
            if self._is_closed:
                raise RunError("This program ends, and nothing is continued any more.")
            program = _Program(steering.continued_by(self._root, task_id, text))
            self._programs = [*(each for each in self._programs if not each.is_over), program]
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            is_over = program.is_over  # first, so that all that it has told is there
            if program.begun:
                return program.begun
            if is_over:
                raise RunError(program.why or "It could not be continued.")
            time.sleep(_LOOK)
        return ""

    def close(self) -> None:
        """Have all programs end, with their tasks, and wait for that; none is started any more."""
        with self._lock:
            self._is_closed = True
            programs, self._programs = self._programs, []
        for program in programs:
            program.process.terminate()
        deadline = time.monotonic() + _GRACE
        for program in programs:
            program.end(deadline)


class _Program:
    """A program, and the end of what it prints: a thread reads that, so nothing of it piles up.

    Attributes:
        process: the program.
        begun: id of its task; empty before it has told of that.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.begun = ""
        self._tail = b""
        self._reader = threading.Thread(target=self._read, name="subactors-resumed", daemon=True)
        self._reader.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all was read that it has printed."""
        return self.process.poll() is not None and not self._reader.is_alive()

    @property
    def why(self) -> str:
        """The last that it has printed."""
        return self._tail.decode("utf-8", "replace").strip().removeprefix("subactors: ")

    def end(self, deadline: float) -> None:
        """Wait until it has ended; kill it if it has not by then, in seconds of `time.monotonic`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        with self.process.stdout as pipe:
            while piece := os.read(pipe.fileno(), _PIECE):
                said = self._tail + piece
                if not self.begun and (found := _BEGUN.search(said)):
                    self.begun = found[1].decode()
                self._tail = said[-_WHY:]
