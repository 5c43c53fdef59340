"""Inline reasoning: takes out of a text the reasoning with which it begins, between tags.

It comes from servers that do not know the tags of their model. Only the beginning is looked at. Whatever comes later is
the answer's own, for example a tag in an answer about such tags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["InlineReasoning", "without_unopened"]

_TAGS: Final[Mapping[str, str]] = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
}


_UNOPENED: Final = re.compile(r"^[ \t]*</think(?:ing)?>[ \t]*$", re.MULTILINE)
_FENCE: Final = "```"


def without_unopened(text: str) -> str:
    """Return a whole text without reasoning at its beginning that ends with a tag and has none before it.

    Templates that begin the reasoning for the model leave its text so. It is known only when the tag comes, so that
    whoever hears the pieces has heard it. The tag is on a line of its own, and not in a block of code.
    """
    end = _UNOPENED.search(text) if "</think" in text else None
    if end is None or "<think" in text[: end.start()] or text.count(_FENCE, 0, end.start()) % 2:
        return text
    return text[end.end() :].lstrip()


@dataclass
class InlineReasoning:
    """Takes text in pieces, cut anywhere.

    Attributes:
        found: whether there is reasoning.
        held: text that may yet turn out to be a tag.
    """

    found: bool = False
    held: str = ""
    _end: str = ""
    _is_answer: bool = False

    def feed(self, piece: str) -> str:
        """Take a piece, and return what is sure to be part of the answer."""
        if self._is_answer:
            return piece
        text, self.held = self.held + piece, ""
        if self._end:
            return self._ended(text)
        begin = text.lstrip()
        if not self.found:
            for tag, end in _TAGS.items():
                if begin.startswith(tag):
                    self.found, self._end = True, end
                    return self._ended(begin.removeprefix(tag))
        if not begin or (not self.found and any(tag.startswith(begin) for tag in _TAGS)):
            self.held = text
            return ""
        self._is_answer = True
        # What follows reasoning begins with its first word.
        return begin if self.found else text

    def finish(self) -> str:
        """Return what had been held back, and is part of the answer."""
        text, self.held = "" if self.found else self.held, ""
        return text

    def _ended(self, text: str) -> str:
        """Look for the end of the reasoning; the text may hold a part of it."""
        _, tag, after = text.partition(self._end)
        if not tag:
            self.held = text[-len(self._end) + 1 :]
            return ""
        self._end = ""
        return self.feed(after)
