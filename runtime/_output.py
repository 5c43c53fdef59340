"""What one task has said: bounded, written by the I/O thread, read by anyone.

It is not in the supervisor's mailbox on purpose: a task that floods its output must fill nobody's queue.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

__all__ = ["OutputBuffer", "Piece"]

_CONTINUATION = 0x80
"""The two leading bits of a byte that continues a UTF-8 character."""

_PIECE = 65536
"""Bytes up to which small writes are kept in one piece; what falls out of the tail goes a piece at a time."""


class Piece(NamedTuple):
    """A part of what a task has said.

    Attributes:
        data: the bytes.
        end: the offset behind them, where to read on.
        missed: bytes right before them that were not kept.
        before_gap: whether there is more, which does not follow on them.
    """

    data: bytes
    end: int
    missed: int = 0
    before_gap: bool = False


class OutputBuffer:
    """The head and the tail of a stream of bytes, with a bound on both together.

    Offsets count all bytes ever written, so a reader can go on where it stopped, and learns what it missed.

    Args:
        limit: bytes to keep.
    """

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail: deque[bytearray] = deque()
        self._tail_size = 0
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes written so far, kept or not."""
        return self._size

    def write(self, data: bytes) -> None:
        """Append; what no longer fits falls out between head and tail."""
        with self._lock:
            self._size += len(data)
            room = self._head_limit - len(self._head)
            if room > 0:
                self._head += data[:room]
                data = data[room:]
            if not data:
                return
            if self._tail and len(self._tail[-1]) + len(data) <= _PIECE:
                self._tail[-1] += data  # a million tiny messages must not cost a million objects
            else:
                self._tail.append(bytearray(data))
            self._tail_size += len(data)
            while self._tail_size - len(self._tail[0]) >= self._tail_limit:
                self._tail_size -= len(self._tail.popleft())

    def text(self) -> str:
        """Return all that is kept, with a line in place of what is not."""
        with self._lock:
            # A whole piece falls out of the tail at a time, so a little more than the limit may be there.
            head, tail = bytes(self._head), self._last(self._tail_limit)
            missing = self._size - len(head) - len(tail)
        if not missing:
            return (head + tail).decode("utf-8", "replace")
        note = f"\n\n[{missing:,} of {self._size:,} bytes left out here.]\n\n"
        return _decode_cut(head) + note + _decode_cut(tail)

    def tail_text(self, limit: int) -> str:
        """Return the last `limit` bytes, or a little less where that would cut a character."""
        with self._lock:
            tail = self._last(limit)
            if len(tail) < limit and self._size == len(self._head) + self._tail_size:
                tail = bytes(self._head[-(limit - len(tail)) :]) + tail
        return _decode_cut(tail)

    def read_from(self, offset: int) -> Piece:
        """Return what was written since `offset`, or of it what is before a gap."""
        with self._lock:
            tail_start = self._size - self._tail_size
            if offset >= len(self._head):
                start = max(offset, tail_start)
                return Piece(self._last(self._size - start), self._size, missed=start - offset)
            data = bytes(self._head[offset:])
            if tail_start > len(self._head):
                return Piece(data, len(self._head), before_gap=True)
            return Piece(data + self._last(self._tail_size), self._size)

    def _last(self, count: int) -> bytes:
        """Return so many bytes of the end of the tail, without a look at what is before them. Called with the lock."""
        pieces: list[bytearray] = []
        size = 0
        for piece in reversed(self._tail):
            if size >= count:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(reversed(pieces))[max(0, size - count) :]


def _decode_cut(data: bytes) -> str:
    """Decode bytes that may begin or end inside a character."""
    # Continuation bytes at the start belong to a character whose beginning is gone.
    start = 0
    while start < min(4, len(data)) and data[start] & 0xC0 == _CONTINUATION:
        start += 1
    return data[start:].decode("utf-8", "replace")
