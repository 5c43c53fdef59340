"""Last words: the end of what a program writes to standard error, which says why it has ended. The rest is not kept."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from ..text import one_line

__all__ = ["LastWords", "first_and_last_line", "last_line"]

_BETWEEN: Final = " … "
"""Stands for the lines between the first and the last."""

_KEPT: Final = 4096
"""Bytes that are kept; the last line is looked for in them."""

_AT_ONCE: Final = 16
"""Pieces that are taken in one go: a flood has no end."""

_LONGEST: Final = 300
"""Characters of that line that are told."""


def last_line(written: bytes) -> str:
    """Return the last line that says something of what a program has written, as a clause; empty if none does."""
    lines = _that_say_something(written)
    return _clause(lines[-1]) if lines else ""


def first_and_last_line(written: bytes) -> str:
    """Return the first such line and the last, as a clause: how to use a program often follows what is wrong."""
    lines = _that_say_something(written)
    return _BETWEEN.join(dict.fromkeys(map(_clause, (lines[0], lines[-1])))) if lines else ""


def _that_say_something(written: bytes) -> list[str]:
    lines = written[-_KEPT:].decode("utf-8", "replace").splitlines()
    return [line for line in lines if any(map(str.isalnum, line))]


def _clause(line: str) -> str:
    return one_line(line, _LONGEST).strip().rstrip(".")


class LastWords:
    """A pipe for the standard error of programs, of which this keeps the end. For one thread.

    Attributes:
        reading: descriptor that is ready when there is something for `take`.
        writing: descriptor for the programs; closed by `begin`.
    """

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reading, False)
        self._kept = b""

    def begin(self) -> None:
        """The programs have been started, and no others will be."""
        writing, self.writing = self.writing, -1
        if writing >= 0:
            os.close(writing)

    def take(self) -> bool:
        """Take what has been written; False if nobody can write any more."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                data = os.read(self.reading, 65536)
                if not data:
                    return False
                self._kept = (self._kept + data)[-_KEPT:]
        return True

    def last_line(self) -> str:
        """Return the last line so far, as a clause."""
        self.take()
        return last_line(self._kept)

    def first_and_last_line(self) -> str:
        """Return the first line so far and the last, as a clause."""
        self.take()
        return first_and_last_line(self._kept)

    def close(self) -> None:
        """Close what is open of the pipe."""
        self.begin()
        os.close(self.reading)
