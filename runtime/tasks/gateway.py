"""Gateways: ways to the supervisor, with the same requests from the host and from inside a task's process.

A gateway belongs to one caller. The supervisor knows whose gateway it is, and decides what that caller may see and do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import msgspec
import pykka

from ...actors import RemoteError, SupervisorRef
from ..errors import RuntimeClosedError, refusal
from .group_request import MapAgent
from .messages import Noted, Request, RunTask, TaskRequest
from .origin import calling, current_span

if TYPE_CHECKING:
    from .nodes import NodeRequest
    from .past import ResumePast
    from .watching import WatchTasks

__all__ = [
    "Abandon",
    "Acknowledge",
    "Call",
    "Caller",
    "Close",
    "Forget",
    "Gateway",
    "HostGateway",
    "Nobody",
    "ReplyTo",
    "ReplyToFuture",
    "TaskGateway",
]

Reply = TypeVar("Reply")

_LONGEST_ID: Final = 200
"""Characters of a call's id that the host is told, as those of reports."""


class Caller(msgspec.Struct, frozen=True):
    """Caller: somebody who asks something of the supervisor.

    Attributes:
        id: a task's id, an orchestrator's id, or None for the host, which may do everything.
        agent: the agent that it runs; None for the host.
        title: what reasons call it; empty: its agent, or the host program.
        is_person: whether a person asks, through the command line: what is started then is the root of the run.
        span: of OpenTelemetry, that the host program asks in; None if it is in none.
    """

    id: str | None = None
    agent: str | None = None
    title: str = ""
    is_person: bool = False
    span: Any = None

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

    request: TaskRequest | ResumePast | WatchTasks | NodeRequest
    caller: Caller
    reply_to: ReplyTo


class Close(msgspec.Struct, frozen=True):
    """The runtime to the supervisor: take no more tasks, stop all there are; the future is set when they are gone."""

    done: Future[None]


class Acknowledge(msgspec.Struct, frozen=True):
    """The host to the supervisor: a caller in it has seen these ends; see `Reading.peek`.

    Attributes:
        task_ids: the tasks.
        caller: id of the orchestrator that has; None: the host program.
    """

    task_ids: Sequence[str]
    caller: str | None = None


class Abandon(msgspec.Struct, frozen=True):
    """The host to the supervisor: nobody asks for these tasks any more: stop them, and keep no end for anybody.

    Attributes:
        caller: id of the orchestrator that has started them.
        task_ids: the tasks; None: all that it has started.
        why: who stops them, for their reasons.
    """

    caller: str | None
    task_ids: Sequence[str] | None
    why: str


class Forget(msgspec.Struct, frozen=True):
    """The host to the supervisor: nobody waits for the answer any more that was to be given there."""

    reply_to: ReplyTo


class Gateway(Protocol):
    """Asks the supervisor on behalf of one caller; may be used from any thread."""

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        """Send a request; the future holds its reply, or raises a SubactorsError."""
        ...

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """Tell which ends have been seen; see `Reading.peek`."""


class HostGateway:
    """A gateway in the host.

    Args:
        supervisor: reference to the task supervisor.
        caller: on whose behalf.

    Attributes:
        caller: as above.
    """

    def __init__(self, supervisor: pykka.ActorRef[Any], caller: Caller) -> None:
        self._supervisor = supervisor
        self.caller = caller

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        future: Future[Reply] = Future()
        reply_to = ReplyToFuture(future)
        self.send(request, reply_to)
        future.add_done_callback(lambda future: self.forget(reply_to) if future.cancelled() else None)
        return future

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """Send a request; its reply, or a SubactorsError, goes to an address, in the supervisor's thread."""
        try:
            caller, span = self.caller, current_span()
            if span is not None:
                caller = msgspec.structs.replace(caller, span=span)
            # The union has every kind of request, which a test holds.
            self._supervisor.tell(Call(cast("TaskRequest", request), caller, reply_to))
        except pykka.ActorDeadError:
            reply_to.set_exception(RuntimeClosedError("The runtime is closed."))

    def forget(self, reply_to: ReplyTo) -> None:
        """Have a request that waits answered no more: whoever sent it has given up."""
        self._tell(Forget(reply_to))

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """Tell which ends have been seen; see `Reading.peek`."""
        self._tell(Acknowledge(task_ids, self.caller.id))

    def abandon(self, task_ids: Sequence[str] | None, why: str) -> None:
        """Have tasks of this caller stopped, and their ends forgotten as if they had been read; see `Abandon`."""
        self._tell(Abandon(self.caller.id, task_ids, why))

    def _tell(self, message: Abandon | Acknowledge | Forget) -> None:
        with contextlib.suppress(pykka.ActorDeadError):  # the runtime is closed; it has told whoever waited
            self._supervisor.tell(message)


class TaskGateway:
    """A gateway in a task's process; the supervisor knows the caller by the channel."""

    def __init__(self, supervisor: SupervisorRef) -> None:
        self._supervisor = supervisor

    def ask(self, request: Request[Reply]) -> Future[Reply]:
        future: Future[Reply] = Future()
        self.send(request, ReplyToFuture(future))
        return future

    def send(self, request: Request[Any], reply_to: ReplyTo) -> None:
        """Send a request; its reply, or an error, goes to an address, in the mailbox thread of the process."""

        def settle(answer: Future[bytes]) -> None:
            try:
                reply = request.decode_reply(answer.result())
            except RemoteError as error:
                name = error.type_name.rpartition(".")[2]
                # A ValueError: the request was too long.
                told = ValueError(error.message) if name == "ValueError" else refusal(name, error.message)
                reply_to.set_exception(told or error)
            except Exception as error:  # noqa: BLE001 - whoever waits must not wait for ever
                reply_to.set_exception(error)
            else:
                reply_to.set(reply)

        call_id = calling.get()
        if call_id and isinstance(request, RunTask | MapAgent):
            request = msgspec.structs.replace(request, calling=call_id[:_LONGEST_ID])
        self._supervisor.ask(request).add_done_callback(settle)

    def acknowledge(self, task_ids: Sequence[str]) -> None:
        """See `Gateway`."""
        self._supervisor.tell(Noted(seen=[*task_ids]))


class Nobody:
    """Address of an answer that nobody wants; see `ReplyTo`."""

    def set(self, value: Any) -> None:
        """Drop it."""

    def set_exception(self, error: BaseException) -> None:
        """Drop it."""


class ReplyToFuture:
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
