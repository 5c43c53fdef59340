"""Cursor: a place in the course of events, as a text that a reader keeps and comes back with."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

__all__ = ["Position"]

_DIGITS: Final = 18
"""Digits of a number in a cursor at most; more are nobody's."""


class Position(NamedTuple):
    """A place in the course of events.

    Attributes:
        number: all up to the event of that number has been told.
        step: how many entries of its tasks' backlog, which comes before the next number, a reader has been told; None:
            it has no backlog, or all of it.
        offset: of the entry that is next, which is output, all before this offset has been told; None: nothing.
    """

    number: int
    step: int | None = None
    offset: int | None = None

    def text(self, token: str) -> str:
        """Return it as a cursor; the token is the run's."""
        step = "" if self.step is None else f"-{self.step}"
        return f"{token}.{self.number}{step}" + ("" if self.offset is None else f".{self.offset}")

    @classmethod
    def of(cls, cursor: str, token: str) -> Self | None:
        """Return the position that a cursor tells; None if it is another run's, or no cursor at all."""
        of_run, *parts = cursor.split(".")
        if of_run != token or len(parts) not in {1, 2}:
            return None
        number, dash, step = parts[0].partition("-")
        texts = [number, *([step] if dash else []), *parts[1:]]
        if not all(text.isascii() and text.isdecimal() and len(text) <= _DIGITS for text in texts):
            return None
        return cls(int(number), int(step) if dash else None, int(parts[1]) if len(parts) > 1 else None)
