"""Beginning: what a node's agent is given: the terms on which it is started, and the layer above, as it knows that."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from ..host.control_line import Pipes
from ..host.io import IOThread
from ..host.system import ProcessSystem
from .housed import HousedProcess

__all__ = ["House", "Terms"]


class Terms(NamedTuple):
    """What an agent is started with, by whoever starts it, and nobody else knows.

    Attributes:
        token: what both ends know.
        listener: takes connections.
        control: the connection to the host; None: it is the first that proves itself by the listener.
        starter: process whose end ends the agent; None: none does.
    """

    token: bytes
    listener: socket.socket
    control: Pipes | None = None
    starter: int | None = None


class House(Protocol):
    """What the layer above knows of a node: what runs there, and what it leaves."""

    def set_up(self, body: bytes, io: IOThread, tell: Callable[[msgspec.Struct], None], lease: float) -> ProcessSystem:
        """Return the process system, as the host wants it. In a thread of its own; raises whatever is wrong with that.

        Args:
            body: what the host says.
            io: the system's I/O thread.
            tell: tells the host something; in any thread.
            lease: the system's.
        """
        ...

    @property
    def folder(self) -> str:
        """Where it keeps files."""
        ...

    def gone(self) -> str:
        """Return why no process can be had here any more, as a clause; empty if one can."""
        ...

    def missing(self, directory: str) -> str:
        """Return why a process cannot work in a folder; empty if it can."""
        ...

    def begun(self, process: HousedProcess) -> None:
        """A process exists. In the I/O thread, as the following."""

    def left(self, process: HousedProcess, done: Callable[[msgspec.Struct], None]) -> None:
        """See what a process has left, that has ended; `done` is called with it, once, in any thread."""

    def ordered(self, body: bytes) -> None:
        """Do what the host asks; raises ProtocolError."""

    def file(self, name: str) -> int | None:
        """Return a descriptor of a file that the host wants; None if there is none."""
        ...

    def give_up(self) -> None:
        """Wait for nothing more that the host was to send. In any thread."""

    def close(self) -> None:
        """End what it does beside the processes, and leave nothing that nobody needs. Not in the I/O thread."""
