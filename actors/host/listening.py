"""Listening: who takes what comes from a process and from its channel; and nobody, once there is nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from ..wire.messages import FromChild
    from .exit import ProcessExit
    from .process import ActorProcess

__all__ = ["NOBODY", "ChannelReceiver", "ProcessListener"]


class ChannelReceiver(Protocol):
    """Who takes what comes. Every method is called in the I/O thread and must return at once."""

    def on_output(self, data: bytes) -> None:
        """The actor said something."""

    def on_message(self, message: FromChild) -> None:
        """A message; raises ProtocolError if it should not have come."""

    def on_channel_closed(self) -> None:
        """The process has closed its end, or is gone."""

    def on_violation(self, what: str) -> None:
        """What the process did breaks the protocol."""


class ProcessListener(Protocol):
    """Who is told of a process's life. Every method is called in the I/O thread and must return at once."""

    def process_ready(self, process: ActorProcess) -> None:
        """The actor's constructor has returned."""

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        """The actor said something."""

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        """A report, still encoded; `ActorProcess.handled` is owed. Raises ProtocolError for one of an unknown type."""

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        """A request, still encoded; an answer and `ActorProcess.handled` are owed. Raises as `process_report` does."""

    def process_finished(self, process: ActorProcess) -> None:
        """The actor's loop has ended; the process is about to exit."""

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        """The process is gone and reaped. Called exactly once, last."""


class _Nobody:
    """Nobody: is told nothing, as all is over.

    What has ended refers to this instead of to whom it was told: those refer to it as well, and such circles wait for
    the collector. What thousands of tasks leave it takes a tenth of a second to free, and all threads wait.
    """

    def process_ready(self, process: ActorProcess) -> None: ...

    def process_output(self, process: ActorProcess, data: bytes) -> None: ...

    def process_report(self, process: ActorProcess, body: bytes) -> None: ...

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None: ...

    def process_finished(self, process: ActorProcess) -> None: ...

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None: ...

    def on_output(self, data: bytes) -> None: ...

    def on_message(self, message: FromChild) -> None: ...

    def on_channel_closed(self) -> None: ...

    def on_violation(self, what: str) -> None: ...


NOBODY: Final = _Nobody()
