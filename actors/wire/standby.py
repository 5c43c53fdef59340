"""What a host says to a process that was forked ahead, before any frame, and what that answers: a byte each."""

from __future__ import annotations

from typing import Final

__all__ = ["REHEARSE", "STANDS_BY", "TAKE"]

REHEARSE: Final = b"\xff"
"""The host to a process that was forked ahead, before any frame, whose first byte this never is: rehearse now."""

TAKE: Final = b"\xfe"
"""The host to such a process, with a descriptor: it is to go on with that as its channel, in place of this one."""

STANDS_BY: Final = b"\x01"
"""The answer to that, before any frame: it has rehearsed, and waits for its actor again."""
