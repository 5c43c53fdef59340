"""What one task has said: bounded, written by the I/O thread, read by anyone.

It is not in the supervisor's mailbox on purpose: a task that floods its output must fill nobody's queue.
"""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["OutputBuffer"]

_CONTINUATION = 0x80
"""The two leading bits of a byte that continues a UTF-8 character."""

_PIECE = 65536
"""Bytes up to which small writes are kept in one piece; what falls out of the tail goes a piece at a time."""


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
            missing = self._size - len(self._head) - self._tail_size
            head, tail = bytes(self._head), b"".join(self._tail)
        if not missing:
            return (head + tail).decode("utf-8", "replace")
        note = f"\n\n[{missing:,} of {self._size:,} bytes left out here.]\n\n"
        return _decode_cut(head) + note + _decode_cut(tail)

    def tail_text(self, limit: int) -> str:
        """Return the last `limit` bytes, or a little less where that would cut a character."""
        with self._lock:
            pieces: list[bytearray] = []
            size = 0
            for piece in reversed(self._tail):
                pieces.append(piece)
                size += len(piece)
                if size >= limit:
                    break
            tail = b"".join(reversed(pieces))
            if size < limit and self._size == len(self._head) + self._tail_size:
                tail = bytes(self._head[-(limit - size) :]) + tail
        return _decode_cut(tail[-limit:])

    def read_from(self, offset: int) -> tuple[bytes, int, int]:
        """Return `(data, next offset, bytes missed)` of what was written since `offset`."""
        with self._lock:
            end = self._size
            if offset >= end:
                return b"", end, 0
            head = bytes(self._head[offset:])
            tail_start = end - self._tail_size
            tail = b"".join(self._tail)
        start = max(offset, len(head) + offset if head else offset)
        missed = max(0, tail_start - start)
        return head + tail[max(0, start - tail_start) :], end, missed


def _decode_cut(data: bytes) -> str:
    """Decode bytes that may begin or end inside a character."""
    # Continuation bytes at the start belong to a character whose beginning is gone.
    start = 0
    while start < min(4, len(data)) and data[start] & 0xC0 == _CONTINUATION:
        start += 1
    return data[start:].decode("utf-8", "replace")
