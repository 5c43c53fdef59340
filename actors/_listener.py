"""`ProcessListener`: what whoever starts a process has to have, to be told what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ._exit import ProcessExit
    from ._process import ActorProcess

__all__ = ["ProcessListener"]


class ProcessListener(Protocol):
    """Who is told of a process's life. Every method is called in the I/O thread and must return at once."""

    def process_ready(self, process: ActorProcess) -> None:
        """The actor's constructor has returned."""

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        """The actor said something."""

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        """A report, still encoded; `ActorProcess.handled` is owed. Raises ProtocolError if it is none of ours."""

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        """A request, still encoded; an answer and `ActorProcess.handled` are owed. Raises as `process_report` does."""

    def process_finished(self, process: ActorProcess) -> None:
        """The actor's loop has ended; the process is about to exit."""

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        """The process is gone and reaped. Called exactly once, last."""
