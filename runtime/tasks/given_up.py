"""Given up: whether a call is cancelled by a program that only waits no longer, and may still want its task."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import Final

__all__ = ["given_up"]

given_up: Final = ContextVar("given_up", default=threading.Event())  # noqa: B039 - nobody sets the default
"""Is set before the call is cancelled. In the context of the call."""
