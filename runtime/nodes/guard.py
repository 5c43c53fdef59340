"""Memory guard: keeps a part of a node's memory free by ending its largest task. Else the kernel, or Ray, ends anybody.

It runs in the node's agent, in the I/O thread, for as long as there are tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from ..tasks.wording import size
from .memory import memory_of_this_machine
from .messages import Evicted

if TYPE_CHECKING:
    import msgspec

    from ...actors import HousedProcess

__all__ = ["Largest", "MemoryGuard"]

_EVERY: Final = 0.1
"""Seconds between looks at the memory of the machine."""

_AFTER_EVICTION: Final = 1.0
"""Seconds that a task which is ended for it has to be gone, before another is."""


class Largest(NamedTuple):
    """The process of the task that uses most memory, and how many bytes."""

    process: HousedProcess
    used: int


class MemoryGuard:
    """See the module.

    Args:
        keeps_free: which part of the machine's memory is kept free; 0: nothing is looked at.
        largest: returns the task to end; None if there is none, or nobody has looked yet.
        tell: tells the host.
        call_later: makes a call in so many seconds.
    """

    def __init__(
        self,
        keeps_free: float,
        *,
        largest: Callable[[], Largest | None],
        tell: Callable[[msgspec.Struct], None],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._keeps_free = keeps_free
        self._largest = largest
        self._tell = tell
        self._call_later = call_later

    def look(self, is_wanted: Callable[[], bool]) -> None:
        """Look now, and again and again until nobody wants it."""
        if self._keeps_free and is_wanted():
            self._call_later(self._make_room(), lambda: self.look(is_wanted))

    def _make_room(self) -> float:
        """End the largest task if the memory is nearly used up; return the seconds until the next look."""
        memory = memory_of_this_machine()
        if not 0 < memory.available < memory.total * self._keeps_free:
            return _EVERY
        largest = self._largest()
        if largest is None:
            return _EVERY
        # Before the host is told: the line may be slow, and the memory is needed now.
        largest.process.kill()
        left = f"{size(memory.available)} of {size(memory.total)} were left"
        why = f"its memory was nearly used up ({left}), and this was the largest task there, of {size(largest.used)}"
        self._tell(Evicted(largest.process.host_key, why))
        return _AFTER_EVICTION
