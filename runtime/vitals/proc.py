"""Reader of `/proc`: works also while the host has no descriptors left, because it keeps some in reserve.

It must import nothing and keep nothing open: it has to go on when nothing else works.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["ProcReader"]

_T = TypeVar("_T")

_RESERVED: Final = 2
"""Descriptors kept: what is given up for a moment may be taken by another thread, and there is one more try then."""

_PIECE: Final = 1 << 16
"""Bytes asked for at a time; the kernel gives less of most files."""


class ProcReader:
    """Reads files and lists folders of `/proc`; may be used in any thread. Takes its reserve when it is made."""

    def __init__(self) -> None:
        self._reserve: list[int] = []
        self.refill()

    def refill(self) -> None:
        """Get back what is missing of the reserve, as far as it is there."""
        try:
            while len(self._reserve) < _RESERVED:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return

    def close(self) -> None:
        """Let go of the reserve."""
        with contextlib.suppress(IndexError):
            while True:
                os.close(self._reserve.pop())

    def read(self, path: str, most: int = 1 << 20) -> bytes:
        """Return what is in a file, up to that many bytes and a little more; raises OSError."""
        return self._try(lambda: _read(path, most))

    def names(self, path: str) -> list[str]:
        """Return the names in a folder; raises OSError."""
        return self._try(lambda: os.listdir(path))  # noqa: PTH208 - only the names are wanted

    def _try(self, do: Callable[[], _T]) -> _T:
        while True:
            try:
                return do()
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE} or not self._reserve:
                    raise
                with contextlib.suppress(IndexError):
                    os.close(self._reserve.pop())
            try:
                return do()
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    raise
            finally:
                self.refill()


def _read(path: str, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = piece = os.read(descriptor, _PIECE)
        while piece and len(found) < most:
            piece = os.read(descriptor, _PIECE)
            found += piece
        return found
    finally:
        os.close(descriptor)
