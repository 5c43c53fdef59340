"""Output text: reads what a task has said as text, piece by piece, never cutting a character.

A task's output is bytes, which come in any portions, and of which some may not be kept. Whoever reads it keeps an
offset, and nothing else: it may go on in another process, or years later.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .output import OutputFiles

__all__ = ["TextPiece", "incomplete", "leading", "read_text"]

_PIECE: Final = 256_000
"""Bytes of one piece at most: little enough for an event loop to read between two other things."""

_CONTINUATION: Final = 0x80
"""The two leading bits of a byte that continues a UTF-8 character; without them it begins one."""

_LONGEST: Final = 4
"""Bytes of the longest characters."""


class TextPiece(NamedTuple):
    """A part of what a task has said.

    Attributes:
        text: the text; empty if there was nothing more, or nothing of it is kept.
        end: the offset behind it, where to read on.
        missed: bytes right before it that were not kept.
    """

    text: str
    end: int
    missed: int


def read_text(output: OutputFiles, offset: int, end: int, *, is_final: bool = True) -> TextPiece:
    """Return the first piece of the output between two offsets.

    Args:
        output: the output.
        offset: where to begin.
        end: where to end; not beyond what has been said.
        is_final: whether nothing that is said later can belong to a character in it.
    """
    missed = 0
    while offset < end:
        data, begin = _stretch(output, offset, end)
        missed += begin - offset
        if missed:  # of a character that had begun, the beginning is gone
            cut = leading(data)
            data, begin, missed = data[cut:], begin + cut, missed + cut
        is_last = begin + len(data) == end
        begun = 0 if is_last and is_final else incomplete(data)
        if len(data) > begun:
            whole = data[: len(data) - begun]
            return TextPiece(whole.decode("utf-8", "replace"), begin + len(whole), missed)
        offset = begin
        if begun and is_last:
            break
        # Of a character that had begun, the rest is gone.
        missed, offset = missed + begun, offset + begun
    return TextPiece("", offset, missed)


def _stretch(output: OutputFiles, offset: int, end: int) -> tuple[bytes, int]:
    """Return what is kept between two offsets up to the next gap, and where it begins; nothing begins at the end."""
    piece = output.read_from(offset, min(_PIECE, end - offset))
    begin = min(offset + piece.missed, end)
    data = piece.data[: end - begin]
    wanted = min(_PIECE, end - begin)
    while data and len(data) < wanted:  # in the next file, unless there is a gap
        piece = output.read_from(begin + len(data), wanted - len(data))
        if piece.missed or not piece.data:
            break
        data += piece.data
    return data, begin if data else end


def incomplete(data: bytes) -> int:
    """Return how many bytes at the end are those of a character of which more is to come."""
    for count, byte in enumerate(reversed(data[1 - _LONGEST :]), 1):
        if byte & 0xC0 != _CONTINUATION:
            # 110xxxxx begins a character of two bytes, 1110xxxx one of three, 11110xxx one of four.
            length = 2 if 0xC2 <= byte < 0xE0 else 3 if 0xE0 <= byte < 0xF0 else 4 if 0xF0 <= byte < 0xF5 else 1  # noqa: PLR2004 - told above
            return count if count < length else 0
    return 0


def leading(data: bytes) -> int:
    """Return how many bytes at the beginning belong to a character whose beginning is not there."""
    count = 0
    for byte in data[: _LONGEST - 1]:
        if byte & 0xC0 != _CONTINUATION:
            break
        count += 1
    return count
