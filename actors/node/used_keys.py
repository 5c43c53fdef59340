"""Used keys: each key may come once. Which have come is remembered, but not for ever."""

from __future__ import annotations

from typing import Final

__all__ = ["UsedKeys"]

_MOST: Final = 10_000
"""Keys that are remembered; a host counts them up, and they come nearly in that order."""


class UsedKeys:
    """See the module. Used in one thread."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._least = 0

    def __contains__(self, key: int) -> bool:
        """Whether a key has come, or is so old that nobody knows."""
        return key < self._least or key in self._used

    def use(self, key: int) -> bool:
        """Take note of a key; False if it has come before, or is so old that nobody knows."""
        if key in self:
            return False
        self._used.add(key)
        if len(self._used) > _MOST:
            self._least = sorted(self._used)[_MOST // 2]
            self._used = {one for one in self._used if one >= self._least}
        return True
