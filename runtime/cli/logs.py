"""Log command: `logs`, for a task that another process runs, or ran. Imported when it is called."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...actors.regular_files import open_to_read
from ..control.finding import find
from ..control.other_hosts import ForeignTask
from ..runs.log_times import start_since
from ..terminal.streams import out, warn
from .exit_status import INTERRUPTED
from .manner import manner

__all__ = ["show_log"]

_FAILED: Final = 1
_PIECE: Final = 1_000_000
"""Bytes of a log that are read at a time."""

_EVERY: Final = 0.1
"""Seconds between two looks at a log that is followed."""


def show_log(root: Path, part: str, *, follow: bool, tail: int | None, since: float | None) -> int:
    """Print what a task's processes have written to descriptors 1 and 2, past Python; return the exit status.

    Args:
        root: the state folder.
        part: a part of the task's id.
        follow: whether to go on until the task has ended.
        tail: how many lines to begin with, the last ones; None: all.
        since: from when on, in seconds since the epoch; None: from the beginning.
    """
    with find(root, part) as task:
        log = _Log(task.log)
        try:
            log.begin(tail, since)
            while follow and not task.view(peek=True).ended:
                log.go_on()
                out.check()
                time.sleep(_EVERY)
            log.go_on()
            log.end()
        except OSError as error:
            warn(f"The log {task.log} cannot be read: {error.strerror or error}.")
            return _FAILED
        except KeyboardInterrupt:
            return INTERRUPTED
        if not log.has_shown and not manner.quiet:
            warn(_nothing(task, is_part=tail is not None or since is not None))
    return 0


def _nothing(task: ForeignTask, *, is_part: bool) -> str:
    if is_part:
        return f"Nothing of that is in the log of {task.id}."
    text = f"The log of {task.id} is empty. What its Python code prints is its output: `subactors view {task.id}`."
    view = task.view(peek=True)
    return f"{text} Its node sends the log once a second." if view.node and not view.ended else text


class _Log:
    """A log that is printed, and may grow.

    Args:
        path: the file; it need not be there yet.

    Attributes:
        has_shown: whether anything was printed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.has_shown = False

    def begin(self, tail: int | None, since: float | None) -> None:
        """Find where to begin; raises OSError as `go_on` does."""
        if since is not None:
            self._at = start_since(self._path, since)
        if tail is not None:
            self._at = self._before_lines(tail)

    def go_on(self) -> None:
        """Print what there is; raises OSError if it cannot be read."""
        for piece in self._pieces():
            self.has_shown = True
            out.live(self._decoder.decode(piece))

    def end(self) -> None:
        """Print what is left."""
        out.live(self._decoder.decode(b"", final=True), last=True)

    def _pieces(self) -> Iterator[bytes]:
        try:
            descriptor = open_to_read(self._path)
        except FileNotFoundError:  # it had no process yet, or wrote nothing
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            size = os.fstat(descriptor).st_size
            if size < self._at:  # the host has cut it
                yield b"\n[The log was cut here.]\n"
                self._at = size
            file.seek(self._at)
            while piece := file.read(_PIECE):
                self._at += len(piece)
                yield piece

    def _before_lines(self, lines: int) -> int:
        """Return where the last lines begin, of what is there."""
        start = self._at
        data = b"".join(self._pieces())
        self._at = start
        at = len(data)
        for _ in range(lines):
            if at <= 0:
                break
            at = data.rfind(b"\n", 0, at - 1) + 1
        return start + at
