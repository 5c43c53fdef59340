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
"""Bytes that are kept of what a program has printed: of its beginning, where its task is named, and of its end."""

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
            if found := _BEGUN.search(program.head):
                return found[1].decode()
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
        for program in programs:
            program.end()


class _Program:
    """A program, and the beginning and the end of what it prints: a thread reads that, so nothing of it piles up.

    Attributes:
        process: the program.
        head: the first bytes that it has printed.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.head = b""
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

    def end(self) -> None:
        """Wait until it has ended; kill it if that takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE)
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        with self.process.stdout as pipe:
            while piece := os.read(pipe.fileno(), _PIECE):
                self.head += piece[: _WHY - len(self.head)]
                self._tail = (self._tail + piece)[-_WHY:]
