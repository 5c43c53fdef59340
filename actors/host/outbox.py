"""Outbox: bytes for a channel's other end that the socket does not take yet. It never waits, and decides nothing."""

from __future__ import annotations

import errno
import time
from collections import deque
from typing import Final, Protocol

__all__ = ["STUCK_AFTER", "Outbox"]

_LIMIT: Final = 32 * 1024 * 1024
_PATIENCE: Final = 5.0
"""Bytes that may wait for a child, and seconds in which it has read none of them: beyond both, it counts as broken.

One that reads, however slowly, is not broken because its host speaks faster.
"""

STUCK_AFTER: Final = 10.0
"""Seconds in which a child that has asked for more than a megabyte has read none of it: then it counts as broken."""


_ENDED: Final = frozenset(
    {
        errno.EPIPE,
        errno.ECONNRESET,
        errno.ENOTCONN,
        errno.ECONNREFUSED,
        errno.ECONNABORTED,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
    }
)
"""Why nothing more can be sent: the process has ended, or its machine cannot be reached. Reading tells of it."""


class Sending(Protocol):
    """What is written to: a socket that does not block."""

    def send(self, data: memoryview, /) -> int:
        """Send what is taken at once; return how many bytes that were. Raises OSError."""
        ...


class Outbox:
    """Frames in their order; true while any waits. Used by one thread at a time: who has it has the lock.

    Args:
        channel: this end, which does not block; None: there is none yet, and all waits until `begin`.
    """

    def __init__(self, channel: Sending | None) -> None:
        self._channel = channel
        self._frames: deque[memoryview] = deque()
        self._size = 0
        self._last_taken = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    @property
    def idle(self) -> float:
        """Seconds since the child has taken anything."""
        return time.monotonic() - self._last_taken

    @property
    def is_stuck(self) -> bool:
        """Whether the child has stopped reading: more waits than may, and it has taken nothing for a while."""
        return self._size > _LIMIT and self.idle > _PATIENCE

    def begin(self, channel: Sending, frame: memoryview) -> None:
        """Send a frame by a new channel, before all that has waited for one."""
        waited, self._frames, self._size = self._frames, deque(), 0
        self._channel = channel
        for one in (frame, *waited):
            self.put(one)

    def put(self, frame: memoryview) -> None:
        """Send a frame; what the socket does not take waits until `flush`. Mostly it takes all of it at once."""
        rest: memoryview | None = frame
        if not self._frames:
            rest = self._write(frame)
        if rest is not None:
            self._frames.append(rest)
            self._size += len(rest)

    def flush(self) -> None:
        """Send what the socket takes now."""
        while self._frames:
            first = self._frames.popleft()
            self._size -= len(first)
            rest = self._write(first)
            if rest is not None:
                self._frames.appendleft(rest)
                self._size += len(rest)
                return

    def clear(self) -> None:
        """Drop what waits."""
        self._frames.clear()
        self._size = 0

    def _write(self, frame: memoryview) -> memoryview | None:
        """Write what the socket takes; return the rest, None if there is none."""
        if self._channel is None:
            return frame
        while frame:
            try:
                frame = frame[self._channel.send(frame) :]
                self._last_taken = time.monotonic()
            except (BlockingIOError, InterruptedError):
                return frame
            except OSError as error:
                if error.errno in _ENDED:
                    return None
                raise
        return None
