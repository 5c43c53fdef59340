"""How processes come to share memory with the zygote that they are forked from, as it sees to in a quiet moment.

A page is shared until either side writes to it. CPython writes to an object's own page whenever it is used, and makes
new objects wherever there is room, so what helps is to leave old ones alone, and to have new ones elsewhere.
"""

from __future__ import annotations

import bisect
import gc
import itertools
import sys
from collections.abc import Iterator
from typing import Final

from . import _linux

__all__ = ["settle_memory"]

_LARGEST_POOLED: Final = 512
_POOL_STEP: Final = 16
"""Bytes: CPython keeps objects of up to so many in pools, one size a pool, in steps of these."""

_MOST_FILLED: Final = 16_000_000
"""Bytes that are filled at most; a zygote with `openai` imported has about one million."""

_fillers: list[object] = []


def settle_memory() -> None:
    """Make this process's memory one that forked processes write to as little as can be.

    Called in the zygote, between forks; takes some ten milliseconds.
    """
    gc.collect()
    if not _fillers:
        _fillers.extend(_fill_gaps())
    # Objects outside the collector's lists are not written to by a collection in a child.
    gc.freeze()
    _linux.gather_private_memory()


def _fill_gaps() -> Iterator[object]:
    """Fill what is free between objects in the memory that there is, so that new ones are made on pages of their own.

    They are close together there, and a large page that holds nothing new may stay whole. Yields what fills it.
    """
    starts, ends = zip(*_linux.anonymous_memory(), strict=True)
    filled = 0
    for size in range(_POOL_STEP, _LARGEST_POOLED + 1, _POOL_STEP):
        for filler in _of_size(size):
            yield filler
            filled += size
            place = bisect.bisect_right(starts, id(filler)) - 1
            if place < 0 or id(filler) >= ends[place] or filled > _MOST_FILLED:
                break


def _of_size(size: int) -> Iterator[object]:
    """Yield ever new objects that take so many bytes, a multiple of the step."""
    for number in itertools.count():
        if size == _POOL_STEP:
            yield object()
        elif size == 2 * _POOL_STEP:
            yield float(number)
        else:
            yield bytes(size - sys.getsizeof(b""))
