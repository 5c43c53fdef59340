"""Children: what a supervisor knows of a child, and the messages in which it hears of one.

Nothing here decides anything, nor waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from .actor import ProcessActor
from .host.backlog import TurnQueue
from .host.exit import ProcessExit
from .host.io import Timer
from .host.process import ActorProcess, ProcessListener
from .wire.messages import ProcessLimits, error_data

__all__ = [
    "Child",
    "ChildEnded",
    "ChildReady",
    "ChildReported",
    "ChildRequested",
    "ChildSpec",
    "ChildTurn",
    "GraceOver",
    "Placement",
    "ReplyAddress",
    "StartChild",
    "StopChild",
]


class Placement(Protocol):
    """Where processes come from: `ProcessSystem` is one, for this machine."""

    def spawn(
        self,
        actor_class: type[ProcessActor],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        listener: ProcessListener,
        capture: str | None = None,
        environ: Mapping[str, str] | None = None,
        limits: ProcessLimits | None = None,
        fenced: bool | None = None,
    ) -> ActorProcess:
        """Have a process started for an actor, and return at once; see `ProcessSystem.spawn`."""
        ...


class ChildSpec(msgspec.Struct, frozen=True):
    """Specification of a child: what it is, and how it is to be ended.

    Attributes:
        actor_class: the process actor.
        args: its constructor's.
        kwargs: its constructor's.
        grace: seconds between asking it to stop and killing it.
        capture: file for what its process writes to standard output and error; None lets it go to the host's.
        environ: the process's environment; None is the host's at the start, without what the system withholds.
        limits: what the kernel holds its process to; None for nothing.
        fenced: whether its process is put behind a fence; the process system's own answer if None.
        placement: where its process comes from; None: the supervisor's own process system.
    """

    actor_class: type[ProcessActor]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = msgspec.field(default_factory=dict)
    grace: float = 2.0
    capture: str | None = None
    environ: Mapping[str, str] | None = None
    limits: ProcessLimits | None = None
    fenced: bool | None = None
    placement: Placement | None = None


class Child:
    """A child of a supervisor. Its fields change in the supervisor's thread only.

    Attributes:
        spec: what was asked for.
        process: the running, or ended, process; it is there once that has been asked for. The I/O thread may set it.
        stopping: whether it has been asked to stop.
        grace: what ends it by force if it takes no notice; None before it was asked to stop.
        turns: what it has for its supervisor.
    """

    __slots__ = ("grace", "process", "spec", "stopping", "turns")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: ActorProcess
        self.stopping = False
        self.grace: Timer | None = None
        self.turns = TurnQueue()


# --- messages to a supervisor ---------------------------------------------------------------------------------------


class StartChild(msgspec.Struct, frozen=True):
    """Anyone to the supervisor: start a child; the reply is the `Child`, at once, long before it runs."""

    spec: ChildSpec


class StopChild(msgspec.Struct, frozen=True):
    """Anyone to the supervisor: take a child down the stop ladder; the reply comes at once."""

    child: Child


class ChildTurn(msgspec.Struct, frozen=True):
    """To the supervisor: it is the child's turn."""

    child: Child


class ChildReady(msgspec.Struct, frozen=True):
    """The I/O thread to the supervisor: the child's constructor has returned."""

    child: Child


class ChildReported(msgspec.Struct, frozen=True):
    """The I/O thread to the supervisor: a decoded report."""

    child: Child
    report: Any


class ChildRequested(msgspec.Struct, frozen=True):
    """The I/O thread to the supervisor: a decoded request, and where the answer goes."""

    child: Child
    request: Any
    reply_to: ReplyAddress


class ChildEnded(msgspec.Struct, frozen=True):
    """The I/O thread to the supervisor: the child is gone and reaped."""

    child: Child
    end: ProcessExit


class GraceOver(msgspec.Struct, frozen=True):
    """A timer to the supervisor: the child has had its time to end by itself."""

    child: Child


class ReplyAddress:
    """Address of the answer to one child's request: good for one use, from any thread, at any later time."""

    def __init__(self, process: ActorProcess, request_id: int) -> None:
        self._process = process
        self._request_id = request_id

    def set(self, value: msgspec.Struct) -> None:
        """Answer."""
        self._process.answer(self._request_id, value)

    def set_exception(self, error: BaseException) -> None:
        """Answer with an error; it arrives as a RemoteError that names its type."""
        self._process.refuse(self._request_id, error_data(error))
