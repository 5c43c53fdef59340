"""Decoded text: decodes text as addresses and JSON encode it, and finds where a decoded word stands in the original.

It decodes everything decodable, whether it was meant so or not, because its finds are blotted out and never used.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

__all__ = ["encoded_spans"]

_LEVELS: Final = 4
"""How often a text may have been encoded. An address in JSON in JSON has been three times."""

_ENCODED: Final = re.compile(
    r"""(?P<bytes>(?:%[0-9A-Fa-f]{2})+)|(?P<units>(?:\\u[0-9A-Fa-f]{4})+)|\\(?P<one>["\\/bfnrt])"""
)

_CONTROLS: Final = MappingProxyType({"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"})


def encoded_spans(text: str, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    """Return where a pattern is found in a text once that is decoded, in order, and none over another.

    Args:
        text: anything.
        pattern: matched against what was decoded, in which every `+` is a space.
    """
    views: list[_View] = []
    found: list[tuple[int, int]] = []
    for _ in range(_LEVELS):
        for match in pattern.finditer(text.replace("+", " ")):
            span = match.span()
            for view in reversed(views):
                span = view.origin_of(*span)
            found.append(span)
        if _ENCODED.search(text) is None:
            break
        views.append(_View(text))
        text = views[-1].decoded
    return _joined(found)


class _View:
    """A text decoded once.

    Args:
        text: the text.

    Attributes:
        decoded: the same with what was encoded in it decoded.
    """

    def __init__(self, text: str) -> None:
        self._starts: list[int] = []  # in the decoded text, of pieces
        self._origins: list[int] = []  # and where in the text they begin
        self._lengths: list[int] = []  # there; 0: as long as it is
        pieces: list[str] = []
        at = size = 0
        for match in _ENCODED.finditer(text):
            self._add(size, at, 0)
            pieces.append(text[at : match.start()])
            size += match.start() - at
            at = match.start()
            for character, length in _characters(match):
                self._add(size, at, length)
                pieces.append(character)
                size += 1
                at += length
        self._add(size, at, 0)
        pieces.append(text[at:])
        self.decoded = "".join(pieces)

    def origin_of(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the text a part of the decoded text comes from."""
        return self._place(start)[0], self._place(end - 1)[1]

    def _add(self, start: int, origin: int, length: int) -> None:
        self._starts.append(start)
        self._origins.append(origin)
        self._lengths.append(length)

    def _place(self, index: int) -> tuple[int, int]:
        piece = bisect_right(self._starts, index) - 1
        length = self._lengths[piece]
        begin = self._origins[piece] + (0 if length else index - self._starts[piece])
        return begin, begin + (length or 1)


def _characters(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """Yield what was encoded, and how many characters that took."""
    encoded = match[0]
    if match["bytes"]:
        for character in bytes.fromhex(encoded.replace("%", "")).decode("utf-8", "surrogateescape"):
            yield character, 3 * len(character.encode("utf-8", "surrogateescape"))
    elif match["units"]:
        units = bytes.fromhex("".join(encoded.split("\\u")))
        for character in units.decode("utf-16-be", "surrogatepass"):
            yield character, 3 * len(character.encode("utf-16-be", "surrogatepass"))
    else:
        yield _CONTROLS.get(match["one"], match["one"]), len(encoded)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
