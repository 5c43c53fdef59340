"""Signs: those with which this package shortens, lists and draws, and ASCII for where they cannot be shown."""

from __future__ import annotations

from typing import Final

__all__ = ["SIGNS", "with_stand_ins"]

SIGNS: Final = "…•▌─━←→"
"""Without one of them, ASCII stands in for all."""

_STAND_INS: Final = str.maketrans({"…": "...", "•": "*", "▌": "|", "─": "-", "━": "=", "←": "<-", "→": "->", "·": "-"})


def with_stand_ins(text: str) -> str:
    """Return text with ASCII in the place of signs."""
    return text if text.isascii() else text.translate(_STAND_INS)
