"""Booking: resources of one node that a task has while it runs, where its place can book them; see `Booker`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..team.places import Resources

if TYPE_CHECKING:
    from .launcher import Booker

__all__ = ["Booking"]


class Booking:
    """See the module. Everything happens in the I/O thread.

    Args:
        booker: books.
        resources: what is booked.
        avoiding: returns the names of nodes that are drained.
        call: has something called in the I/O thread; for any thread.
        changed: is called when there is a node.

    Attributes:
        node: the name of the node of which it is; empty while there is none.
        variables: of the environment, which name the devices that the task is to use.
        why: why there is none yet, as a clause; empty where nobody knows.
    """

    def __init__(
        self,
        booker: Booker,
        resources: Resources,
        avoiding: Callable[[], tuple[str, ...]],
        call: Callable[[Callable[[], None]], None],
        changed: Callable[[], None],
    ) -> None:
        self.node = self.why = ""
        self.variables: dict[str, str] = {}
        self._booker = booker
        self._resources = resources
        self._avoiding = avoiding
        self._call = call
        self._changed = changed
        self._key: int | None = None
        self.renew()

    def renew(self) -> None:
        """Book anew: the node of which it was is gone or drained, or another attempt of the task begins."""
        self.give_back()
        self.node = self.why = ""

        def booked(name: str, variables: dict[str, str]) -> None:
            self._call(lambda: self._on_booked(key, name, variables))

        def waits(why: str) -> None:
            self._call(lambda: self._on_waiting(key, why))

        key = self._key = self._booker.book(self._resources, self._avoiding(), booked, waits)

    def give_back(self) -> None:
        """Give back what is booked, or give it up; may be repeated."""
        key, self._key = self._key, None
        if key is not None:
            self._booker.unbook(key)

    def _on_booked(self, key: int, name: str, variables: dict[str, str]) -> None:
        if key == self._key:
            self.node, self.variables, self.why = name, variables, ""
            self._changed()

    def _on_waiting(self, key: int, why: str) -> None:
        if key == self._key:
            self.why = why
