"""Resumed tasks: programs that continue tasks because a person asked for it at the dashboard. They end with it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Final

from ..errors import RunError
from ..watching import steering

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
"""Bytes of what a program has printed that are shown."""


class Resumed:
    """See the module. Any thread may call every method.

    Args:
        root: the state folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._programs: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(self, task_id: str, text: str) -> str:
        """Continue a task; return the id of the one that goes on with it; empty if it has not begun in time.

        Raises:
            RunError: it cannot be continued; the message is the program's.
            OSError: no program can be started.
        """
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program
        program = steering.continued_by(self._root, task_id, text, log.fileno())
        with self._lock:
            self._programs = [(each, file) for each, file in self._programs if not _is_over(each, file)]
            self._programs.append((program, log))
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            is_over = program.poll() is not None  # first, so that all that it has told is there
            if found := _BEGUN.search(os.pread(log.fileno(), _WHY, 0)):
                return found[1].decode()
            if is_over:
                raise RunError(_tail(log) or "It could not be continued.")
            time.sleep(_LOOK)
        return ""

    def close(self) -> None:
        """Have all programs end, with their tasks, and wait for that."""
        with self._lock:
            programs, self._programs = self._programs, []
        for program, _ in programs:
            program.terminate()
        for program, log in programs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(_GRACE)
            if program.poll() is None:
                program.kill()
                program.wait()
            log.close()


def _is_over(program: subprocess.Popen[bytes], log: IO[bytes]) -> bool:
    if program.poll() is None:
        return False
    log.close()
    return True


def _tail(log: IO[bytes]) -> str:
    size = os.fstat(log.fileno()).st_size
    text = os.pread(log.fileno(), _WHY, max(0, size - _WHY)).decode("utf-8", "replace").strip()
    return text.removeprefix("subactors: ")
