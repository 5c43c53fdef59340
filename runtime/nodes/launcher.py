"""Launcher: finds the machines of a place, and starts an agent on each. `ssh` and `ray` have one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ...actors import Address
from ..tasks.nodes import NodeLine
from ..team.places import Resources

__all__ = ["Booker", "Launcher", "NodeFound"]


class NodeFound(NamedTuple):
    """A node whose agent takes connections.

    Attributes:
        name: as people know the machine.
        address: where tasks' connections go.
        token: what the agent was told.
        control: a connection to it; None: there is none yet.
        line: how the connections are kept from others.
        behind: where they go on, if a relay of this machine is in between.
    """

    name: str
    address: Address
    token: bytes
    control: socket.socket | None = None
    line: NodeLine = "plain"
    behind: Address | None = None


class Launcher(Protocol):
    """See the module. It works in threads of its own; its methods are for any thread, and return at once."""

    def begin(
        self,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str, bool], None],
        trouble: Callable[[str, bool], None],
        drains: Callable[[str], None],
        coming: Callable[[str], None],
    ) -> None:
        """Look for nodes from now on; what is called may be called in any thread.

        Args:
            found: is called with each node.
            lost: is called with the name of a node that is known to be gone, or could not be had, and why; with no
                reason where whoever talks to it may know a better one. And whether another try would fail as well.
            trouble: is called with a sentence that says why the place as a whole has no nodes, or with none where that
                is known of each; and whether there can be no more for now.
            drains: is called with the name of a node that is about to be taken away.
            coming: is called with the name of a node that is tried, where nobody has named it before; and again each
                time it was lost and is to be tried again.
        """

    def release(self, name: str) -> None:
        """The host has given a node up, or needs it no more."""

    def close(self) -> None:
        """End all that was started here. Bounded; may wait."""


class Booker(Protocol):
    """Books resources of nodes. Its methods are for any thread, and return at once."""

    def book(
        self,
        resources: Resources,
        avoiding: tuple[str, ...],
        booked: Callable[[str, dict[str, str]], None],
        waits: Callable[[str], None],
    ) -> int:
        """Book resources of one node for a task, and return a key to give them back with.

        Args:
            resources: what the task books.
            avoiding: names of nodes that are not to have it.
            booked: is called once, in another thread, with the name of a node that has been found, and with the
                variables that name the devices which are booked there.
            waits: is called there with each reason for which that is not so yet, as a clause.
        """
        ...

    def unbook(self, key: int) -> None:
        """Give back what is booked, or give it up."""
