"""Signals: those by which a machine, or somebody on it, asks a node's agent to end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Final

__all__ = ["asked_to_end", "who_asked"]

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def asked_to_end() -> Iterator[int]:
    """Give a descriptor that tells of these signals, as at a shutdown; for `who_asked`. For the main thread."""
    descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    # No more than a write: what waits in this thread may hold any lock.
    before = {
        number: signal.signal(number, lambda number, _: os.eventfd_write(descriptor, number)) for number in _ENDING
    }
    try:
        yield descriptor
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(descriptor)


def who_asked(descriptor: int) -> str:
    """Return the name of the signal that has come; several that came together make a sum, whose parts nobody knows.

    Args:
        descriptor: of `asked_to_end`; it is ready.
    """
    try:
        return signal.Signals(os.eventfd_read(descriptor)).name
    except ValueError:
        return "signals"
