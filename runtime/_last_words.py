"""What a crashed process wrote last, shortened to what tells why: for the reason of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["last_words"]

_LINES: Final = 12
_CHARACTERS: Final = 2000
_OWN_FRAMES: Final = (str(Path(__file__).parent / "_"), str(Path(__file__).parents[1] / "actors" / "_"))
"""How the places in this package begin from which a task's code is called."""


def last_words(log: str) -> str:
    """Return the part of a log that a reader of the reason needs.

    For a fatal error that Python reported, that is its first line and the innermost frames of the thread that died,
    down to where this package called the task's code; otherwise the last lines.
    """
    lines = log.strip().splitlines()
    fatal = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].startswith("Fatal Python error")), None)
    if fatal is None:
        return "\n".join(lines[-_LINES:])[-_CHARACTERS:]
    current = next((i for i in range(fatal, len(lines)) if lines[i].startswith("Current thread")), fatal)
    frames: list[str] = []
    for line in lines[current + 1 : current + 1 + _LINES]:
        if not line.startswith("  File ") or any(own in line for own in _OWN_FRAMES):
            break
        frames.append(line)
    return "\n".join([lines[fatal], *frames])[:_CHARACTERS]
