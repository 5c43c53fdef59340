"""Call arguments: puts the arguments of one tool call together, and knows at any time whether they are whole.

A server may send a megabyte character by character, so the cost of a piece must not grow with what came before it.
Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["CallArguments", "is_object", "read"]

_MARKS: Final = re.compile(r'[\\"{}\[\]]')
"""Characters that tell whether an object may be whole."""

_PLACE_HOLDER: Final = "{}"


class CallArguments:
    """The arguments so far; true if there are any.

    Args:
        text: the first piece.
    """

    def __init__(self, text: str) -> None:
        self._pieces = [text] if text else []
        self._length = len(text)
        self._scanned = 0
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._judged = 0
        self._is_object = False

    def __bool__(self) -> bool:
        return self._length > 0

    def add(self, piece: str) -> None:
        """Take the next piece."""
        if piece:
            self._pieces.append(piece)
            self._length += len(piece)

    def equals(self, text: str) -> bool:
        """Whether this is all that has come."""
        return len(text) == self._length and text == self.text

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def holds_place(self) -> bool:
        """Whether they are an empty object, as some servers send before the real one."""
        return self._length < 2 * len(_PLACE_HOLDER) and self.text.strip() == _PLACE_HOLDER

    @property
    def is_object(self) -> bool:
        """Whether they are a whole object. Read once, when their brackets are closed, and then not again."""
        for piece in self._pieces[self._scanned :]:
            self._scan(piece)
        self._scanned = len(self._pieces)
        if self._depth or self._is_in_string:
            return False
        if self._judged != self._length:
            self._is_object = is_object(self.text)
            self._judged = self._length
        return self._is_object

    def _scan(self, piece: str) -> None:
        place = 1 if self._is_escaped else 0
        self._is_escaped = False
        while found := _MARKS.search(piece, place):
            place = found.end()
            mark = found[0]
            if mark == "\\":
                self._is_escaped = place == len(piece)
                place += 1
            elif mark == '"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string:
                self._depth += 1 if mark in "{[" else -1


def read(text: str, *, strict: bool = False) -> Any:
    """Return the value of a JSON text; None if it is not JSON.

    Args:
        text: JSON, or anything else.
        strict: whether control characters in strings are a mistake; many a model does not escape its line breaks.
    """
    try:
        return json.loads(text, strict=strict)
    except (ValueError, RecursionError):
        return None


def is_object(text: str) -> bool:
    """Whether a text is an object in JSON."""
    return isinstance(read(text), dict)
