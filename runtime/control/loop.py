"""Loop: what the control server needs of the host's I/O thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Loop"]


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Let it not happen."""
        ...


class Loop(Protocol):
    """The I/O thread; see `subactors.actors.host.io.IOThread`."""

    def call(self, callback: Callable[[], None], /) -> None:
        """Have the I/O thread make a call; from any thread."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Have the I/O thread make a call in `delay` seconds; from any thread."""
        ...

    def watch(self, descriptor: int, events: int, callback: Callable[[int], None], /) -> None:
        """Call back when a descriptor is ready; from the I/O thread."""
        ...

    def unwatch(self, descriptor: int, /) -> None:
        """Forget a descriptor; from the I/O thread."""
        ...
