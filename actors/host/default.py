"""Default system: the one whose processes actors get that name none."""

from __future__ import annotations

import atexit
import os
import threading

from .system import ProcessSystem

__all__ = ["default_system"]

_default_lock = threading.Lock()
_default: dict[int, ProcessSystem] = {}
"""By the id of the process that has made it: a forked child makes its own."""


def default_system() -> ProcessSystem:
    """Return the system that `ProcessActor.start` uses when its class names none; made once, closed at exit."""
    with _default_lock:
        own = os.getpid()
        if own not in _default:
            _default.clear()
            _default[own] = ProcessSystem()
            atexit.register(_default[own].close_at_exit)
        return _default[own]
