"""Sharing: what the zygote does in a quiet moment, so that forked processes share more of its memory.

A page is shared until either side writes to it. CPython writes to an object's own page whenever it is used, and makes
new objects wherever there is room, so what helps is to leave old ones alone, and to have new ones elsewhere.
"""

from __future__ import annotations

import bisect
import gc
import itertools
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import Final

from ..cpython import use_new_code
from ..linux import kernel

__all__ = ["settle_code", "settle_memory"]

_SIZES: Final = (4096, 2048, 1024, *range(512, 0, -16))
"""Bytes of fillers. CPython keeps objects of up to 512 in pools, one size a pool, in steps of 16; of larger ones, each
size fills the gaps that the one before has left. In this order, as the first that has pools fills whole free ones, too.
"""

_MOST_FILLED: Final = 16_000_000
"""Bytes that are filled at most; a zygote with `openai` imported has about one million."""

_fillers: list[object] = []


def settle_code(rehearse: Callable[[], object]) -> None:
    """Bring the code that every process runs together: a call writes to the code object, and it is a page or two.

    Called in the zygote, between forks; takes some milliseconds, or thirty where a million objects are looked through.

    Args:
        rehearse: runs what every process runs.
    """
    users: dict[int, list[FunctionType]] = {}
    kept: list[CodeType] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        # By id: to hash a code object takes longer, and makes a copy of its bytes that stays.
        if event == "call" and id(frame.f_code) not in users:
            users[id(frame.f_code)] = []
            kept.append(frame.f_code)

    _fillers.extend(_fill_gaps())
    kernel.fill_heap()
    sys.setprofile(note)
    try:
        rehearse()
    finally:
        sys.setprofile(None)
    gc.unfreeze()  # what is frozen is in none of the lists
    for function in gc.get_objects():
        if type(function) is FunctionType and id(function.__code__) in users:
            users[id(function.__code__)].append(function)
    gc.freeze()
    # In the order of their first use: what one process runs and another does not is mostly apart then.
    for functions in users.values():
        use_new_code(functions)


def settle_memory() -> None:
    """Make this process's memory one that forked processes write to as little as can be.

    Called in the zygote, between forks; takes some ten milliseconds.
    """
    gc.collect()
    _fillers.extend(_fill_gaps())
    kernel.fill_heap()
    # Objects outside the collector's lists are not written to by a collection in a child.
    gc.freeze()
    kernel.gather_private_memory()


def _fill_gaps() -> Iterator[object]:
    """Fill what is free between objects in the memory that there is, so that new ones are made on pages of their own.

    They are close together there, and a large page that holds nothing new may stay whole. Yields what fills it.
    """
    memory = kernel.anonymous_memory()
    starts, ends = zip(*memory, strict=True)
    # Made in gaps themselves, which would be there again.
    yield memory, starts, ends
    filled = 0
    for size in _SIZES:
        for filler in _of_size(size):
            yield filler
            filled += size
            place = bisect.bisect_right(starts, id(filler)) - 1
            if place < 0 or id(filler) >= ends[place] or filled > _MOST_FILLED:
                break


def _of_size(size: int) -> Iterator[object]:
    """Yield ever new objects of that many bytes."""
    for number in itertools.count():
        if size == sys.getsizeof(object()):
            yield object()
        elif size < sys.getsizeof(b""):
            yield float(number)
        else:
            yield bytes(size - sys.getsizeof(b""))
