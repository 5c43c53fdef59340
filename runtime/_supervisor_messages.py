"""The messages that reach the task supervisor inside the host. The ones that cross channels are in `_messages`."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol

import msgspec

from ._messages import TaskRequest

__all__ = ["Call", "Caller", "Close", "ReplyTo"]


class Caller(msgspec.Struct, frozen=True):
    """Who asks something of the supervisor.

    Attributes:
        id: a task's id, an orchestrator's id, or None for the host, which may do everything.
        agent: the agent that it runs; None for the host.
        title: what reasons call it; empty: its agent, or the host program.
        is_person: whether a person asks, through the command line: what is started then is the root of the run.
    """

    id: str | None = None
    agent: str | None = None
    title: str = ""
    is_person: bool = False

    def __str__(self) -> str:
        """Return what it is called in the reason of a task that it has stopped."""
        return self.title or self.agent or ("the host program" if self.id is None else "its orchestrator")


class ReplyTo(Protocol):
    """Where an answer goes: a future in the host, a `ReplyAddress` for a task."""

    def set(self, value: Any) -> None:
        """Answer."""

    def set_exception(self, error: BaseException) -> None:
        """Answer with an error."""


class Call(msgspec.Struct, frozen=True):
    """The host, or the tool layer in it, to the supervisor: a request, whose it is, and where the answer goes."""

    request: TaskRequest
    caller: Caller
    reply_to: ReplyTo


class Close(msgspec.Struct, frozen=True):
    """The runtime to the supervisor: take no more tasks, stop all there are; the future is set when they are gone."""

    done: Future[None]
