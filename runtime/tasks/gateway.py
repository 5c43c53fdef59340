"""Gateways: ways to the supervisor, with the same requests from the host and from inside a task's process.

A gateway belongs to one caller. The supervisor knows whose gateway it is, and decides what that caller may see and do.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, cast

import msgspec
import pykka

from ...actors import RemoteError, SupervisorRef
from ..errors import RuntimeClosedError
from .messages import Request, TaskRequest, refusal

__all__ = [
    "Call",
    "Caller",
    "Close",
    "Gateway",
    "HostGateway",
    "ReplyTo",
    "TaskGateway",
]

Reply = TypeVar("Reply")


class Caller(msgspec.Struct, frozen=True):
    """Caller: somebody who asks something of the supervisor.

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
    """Address of an answer: a future in the host, a `ReplyAddress` for a task."""

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


class Gateway(Protocol):
    """Asks the supervisor on behalf of one caller; may be used from any thread."""

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        """Send a request; the future holds its reply, or raises a SubactorsError."""
        ...


class HostGateway:
    """A gateway in the host.

    Args:
        supervisor: reference to the task supervisor.
        caller: on whose behalf.
    """

    def __init__(self, supervisor: pykka.ActorRef[Any], caller: Caller) -> None:
        self._supervisor = supervisor
        self._caller = caller

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        future: Future[Reply] = Future()
        try:
            # The union has every kind of request, which a test holds.
            call = Call(cast("TaskRequest", request), self._caller, _ReplyToFuture(future))
            self._supervisor.tell(call)
        except pykka.ActorDeadError:
            future.set_exception(RuntimeClosedError("The runtime is closed."))
        return future


class TaskGateway:
    """A gateway in a task's process; the supervisor knows the caller by the channel."""

    def __init__(self, supervisor: SupervisorRef) -> None:
        self._supervisor = supervisor

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        future: Future[Reply] = Future()

        def settle(answer: Future[bytes]) -> None:
            # Runs in the mailbox thread of the process.
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(request.decode_reply(answer.result()))
            except RemoteError as error:
                name = error.type_name.rpartition(".")[2]
                future.set_exception(refusal(name, error.message) or error)
            except Exception as error:  # noqa: BLE001 - whoever waits must not wait for ever
                future.set_exception(error)

        self._supervisor.ask(request).add_done_callback(settle)
        return future


class _ReplyToFuture:
    """Address in the host, where somebody waits for the answer; see `ReplyTo`."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def set(self, value: Any) -> None:
        """Answer, unless the caller has given up."""
        if self._future.set_running_or_notify_cancel():
            self._future.set_result(value)

    def set_exception(self, error: BaseException) -> None:
        """Answer with an error."""
        if self._future.set_running_or_notify_cancel():
            self._future.set_exception(error)
