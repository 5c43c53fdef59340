"""Value count: how many values encoded data would make, before anybody makes them.

A few million bytes can become hundreds of millions once they are objects. Decoding 8 MiB of empty lists takes 17
seconds and 600 MB, and no other thread runs meanwhile. A bound in bytes that prevents this would refuse long texts,
too.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MOST_VALUES", "check_count"]

MOST_VALUES: Final = 1_000_000
"""Values that an answer may hold, those inside of lists and mappings counted; a text is one, however long."""


def _heads() -> list[tuple[int, int, int]]:
    """Return for each first byte of a msgpack value: bytes to skip, bytes of a length that follows, values inside.

    Where a length follows, it counts values where there are any, and else bytes.
    """
    heads = [(0, 0, 0)] * 256
    for count in range(16):
        heads[0x80 + count] = (0, 0, 2 * count)  # mappings
        heads[0x90 + count] = (0, 0, count)  # lists
    for length in range(32):
        heads[0xA0 + length] = (length, 0, 0)  # texts
    for first, skipped in enumerate((4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17), 0xCA):
        heads[first] = (skipped, 0, 0)  # numbers, and extensions of fixed size
    for first, skipped in ((0xC4, 0), (0xC7, 1), (0xD9, 0)):  # bytes, extensions, texts
        heads[first : first + 3] = [(skipped, width, 0) for width in (1, 2, 4)]
    for first, each in ((0xDC, 1), (0xDE, 2)):  # lists, mappings
        heads[first : first + 2] = [(0, width, each) for width in (2, 4)]
    return heads


_HEADS: Final = _heads()


def check_count(body: bytes) -> None:
    """Raise ValueError if well-formed msgpack stands for more than `MOST_VALUES` values.

    In Python, so that other threads run meanwhile; and only where there can be so many at all.
    """
    position, count, size = 0, 1, len(body)
    if size <= MOST_VALUES:
        return
    while position < size and count <= MOST_VALUES:
        skipped, width, values = _HEADS[body[position]]
        position += 1
        if width:
            number = int.from_bytes(body[position : position + width])
            position += width
            if values:
                count += values * number
            else:
                position += number + skipped
        else:
            position += skipped
            count += values
    if count > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values")
