"""Colours: in which a terminal shows statuses. They are its own, so that they fit a dark and a light one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["STATUS_STYLES"]

STATUS_STYLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "queued": "dim",
        "starting": "dim",
        "running": "cyan",
        "waiting": "bold yellow",
        "stopping": "yellow",
        "restarting": "magenta",
        "completed": "green",
        "failed": "red",
        "stopped": "yellow",
    }
)
"""Styles of rich, by status. Colour is never all that tells: the word or a sign stands beside it."""
