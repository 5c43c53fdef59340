"""Greeting: the first that an agent says by ssh. What comes before it was printed by start-up files of a shell there.

It is bounded what may come before. No byte is taken that comes behind: that is the agent's first message.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from ..text import one_line

__all__ = ["GREETING", "Greeting", "behind", "complaint"]

GREETING: Final = b"\0subactors-node\n"
"""Begins with what no shell prints for people."""

_MOST_BEFORE: Final = 65536
"""Bytes that may come before it."""

_LONGEST: Final = 200
"""Characters of it that are quoted."""


def behind(printed: bytes) -> bytes | None:
    """Return what comes behind the greeting; None if that is not there, or too late."""
    before, greeting, rest = printed.partition(GREETING)
    return rest if greeting and len(before) <= _MOST_BEFORE else None


def complaint(printed: bytes) -> str:
    """Return a clause about what was printed instead of a greeting; empty if nothing was."""
    if not printed.strip():
        return ""
    much = len(printed) > _MOST_BEFORE
    if b"\0" in printed and not much:
        return "what answered there is no agent of this version of subactors: install the same one on both machines"
    what = one_line(printed[:_MOST_BEFORE].decode("utf-8", "replace"), _LONGEST)
    return f"its shell printed {'more than 64 kB' if much else 'something'} before any agent spoke: {what!r}"


class Greeting:
    """Waits for it on a connection. For one thread.

    Args:
        end: this end of the connection; may be one that blocks.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._printed = bytearray()

    def has_come(self) -> bool:
        """Take what is there up to the greeting; return whether that has come."""
        with contextlib.suppress(OSError):
            while not self._is_there and len(self._printed) < _MOST_BEFORE + len(GREETING):
                byte = self._end.recv(1, socket.MSG_DONTWAIT)
                if not byte:
                    break
                self._printed += byte
        return self._is_there

    @property
    def is_late(self) -> bool:
        """Whether too much came before."""
        return not self._is_there and len(self._printed) >= _MOST_BEFORE + len(GREETING)

    def complaint(self) -> str:
        """Return why it has not come, as far as that was printed."""
        return "" if self.has_come() else complaint(bytes(self._printed))

    @property
    def _is_there(self) -> bool:
        return self._printed.endswith(GREETING)
