"""Supervisor: a pykka actor that starts, watches and stops process actors.

It holds the truth about its children, and it alone. Its mailbox never waits: not for a child, not for the zygote; what
takes time comes back to it as a message. Layers above subclass it and say what reports, requests and ends mean.

What a child has for it is taken in turns, a moment's work at a time, so that no child keeps others waiting.
"""

from __future__ import annotations

import logging
import os
import queue
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import pykka

from .children import (
    Child,
    ChildEnded,
    ChildReady,
    ChildReported,
    ChildRequested,
    ChildSpec,
    ChildTurn,
    GraceOver,
    ReplyAddress,
    StartChild,
    StopChild,
)
from .errors import ProtocolError
from .host.exit import ProcessExit
from .host.io import Timer
from .host.process import ActorProcess
from .host.system import ProcessSystem
from .wire.frames import MAXIMUM_FRAME, fault_text
from .wire.messages import ErrorData

if TYPE_CHECKING:
    from pykka._actor import ActorInbox

__all__ = ["Supervisor"]

logger = logging.getLogger("subactors.actors")

_TURN: Final = 0.0002
"""Seconds after which no other message of the same child is taken up in its turn."""

_TOO_LONG: Final = "The request has {:,} bytes, and {:,} is the limit. Put what is long into a file, and name that."

_DUMP_TIME: Final = 0.003
"""Seconds that a process has to write its stacks before it is killed, once it has begun to."""

_DUMP_LOOKS: Final = 30
"""How often to look whether it has begun, and the seconds between: on a busy machine it may get no core for a while."""


class Supervisor(pykka.ThreadingActor):
    """Starts process actors, hears of everything that becomes of them, and ends them.

    Subclasses override the `child_…` hooks. All but `child_output` run in the supervisor's own thread.

    Args:
        system: where its children's processes come from.
    """

    # A host that ends without closing must not hang on this thread; the zygote ends the children then.
    use_daemon_thread = True

    last_reports: ClassVar[tuple[type, ...]] = ()
    """Reports after which no other of the same child is decoded, nor handed over."""

    most_request: ClassVar[int] = MAXIMUM_FRAME
    """Longest request, in bytes; a longer one is refused without being decoded."""

    report_decoder: ClassVar[msgspec.msgpack.Decoder[Any] | None] = None
    """Decodes what children report, in the I/O thread; a report that it refuses is a violation of the protocol."""

    request_decoder: ClassVar[msgspec.msgpack.Decoder[Any] | None] = None
    """As `report_decoder`, for requests."""

    def __init__(self, system: ProcessSystem) -> None:
        super().__init__()
        self._system = system
        self._handled: Callable[[], None] | None = None
        self._charged = 0.0

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        # pykka's own is made of three condition variables; every message of every child goes through this one.
        return queue.SimpleQueue()

    # --- for subclasses, in the supervisor's thread -----------------------------------------------------------------

    def start_child(self, spec: ChildSpec) -> Child:
        """Have a child started; returns at once. Raises what `ProcessSystem.spawn` does."""
        child = Child(spec)
        child.process = (spec.placement or self._system).spawn(
            spec.actor_class,
            spec.args,
            spec.kwargs,
            listener=_ChildListener(child, self),
            capture=spec.capture,
            environ=spec.environ,
            limits=spec.limits,
            fenced=spec.fenced,
        )
        return child

    def stop_child(self, child: Child) -> None:
        """Begin the stop ladder: ask, wait for the grace period, dump the stacks, kill. May be repeated."""
        if child.stopping or child.process.end is not None:
            return
        child.stopping = True
        child.process.stop()
        child.grace = self.tell_later(child.spec.grace, GraceOver(child))

    def tell_later(self, delay: float, message: object) -> Timer:
        """Send this supervisor a message in `delay` seconds; the timer holds it until then, and can cancel it.

        May be called in any thread.
        """
        return self._system.call_later(delay, lambda: _tell(self.actor_ref, message))

    def tell_in_turn(self, child: Child, message: object) -> None:
        """Send this supervisor a message that is work for a child; it comes when that has its turn.

        May be called in any thread.
        """
        if child.turns.put(message):
            _tell(self.actor_ref, ChildTurn(child))

    def charge(self, seconds: float) -> None:
        """Within a hook: charge the child for work that its message makes elsewhere, as for CPU time of this thread."""
        self._charged += seconds

    def postpone_handled(self) -> Callable[[], None]:
        """Within `child_reported`: have the report counted as one that waits until the function returned is called.

        That may be in any thread. A child with too much that waits is not read.
        """
        handled, self._handled = self._handled, None
        assert handled is not None  # noqa: S101 - a mistake of a subclass
        return handled

    def child_ready(self, child: Child) -> None:
        """Hook: the child's constructor has returned."""

    def child_output(self, child: Child, data: bytes) -> None:
        """Hook: the child said something. Runs in the I/O thread, so that a flood never fills the mailbox."""

    def child_reported(self, child: Child, report: Any) -> None:
        """Hook: a report of the child, decoded."""

    def child_requested(self, child: Child, request: Any, reply_to: ReplyAddress) -> None:
        """Hook: a request of the child, decoded; the answer may be given at any later time."""

    def child_ended(self, child: Child, end: ProcessExit) -> None:
        """Hook: the child is gone, with everything that it had started. Called exactly once a child, last."""

    # --- messages ---------------------------------------------------------------------------------------------------

    def on_receive(self, message: Any) -> Any:
        """Handle one message; runs in the supervisor's thread.

        What a hook raises ends the child that it was about, and not the supervisor with all the others.
        """
        match message:
            case StartChild(spec):
                return self.start_child(spec)
            case StopChild(child):
                self.stop_child(child)
            case ChildTurn(child):
                self._take_turn(child)
            case GraceOver():
                self._take_up(message)
            case _:
                return super().on_receive(message)
        return None

    def _take_turn(self, child: Child) -> None:
        """Handle what a child has waiting, for a moment, and see to its next turn."""
        turn = ChildTurn(child)
        if child.process.lacks_room(lambda: _tell(self.actor_ref, turn)):
            return
        until = child.turns.begin() + _TURN
        try:
            while (message := child.turns.take()) is not None:
                self._take_up(message)
                if time.monotonic() > until:
                    break
        finally:
            rest = child.turns.end(self._charged)
            self._charged = 0.0
        if rest and not child.process.is_ending:
            self._system.call_after_rest(rest, lambda: _tell(self.actor_ref, turn))
        elif child.turns.go_on():
            _tell(self.actor_ref, turn)

    def _take_up(self, message: object) -> None:
        match message:
            case ChildReady(child) | ChildReported(child) | ChildRequested(child) | GraceOver(child):
                try:
                    self._hear(message)
                except Exception:
                    logger.exception("A message of %s could not be handled; it is ended.", child.process)
                    child.process.kill()
            case ChildEnded(child, end):
                if child.grace is not None:
                    child.grace.cancel()  # it would keep the child until it is due
                self.child_ended(child, end)
            case _:
                self.on_receive(message)

    def _hear(self, message: ChildReady | ChildReported | ChildRequested | GraceOver) -> None:
        child = message.child
        if isinstance(message, ChildReady):
            self.child_ready(child)
            return
        if isinstance(message, GraceOver):
            self._end_by_force(child)
            return
        self._handled = child.process.handled
        try:
            if isinstance(message, ChildReported):
                self.child_reported(child, message.report)
            elif not child.process.is_ending:  # else nobody is there to be answered
                self.child_requested(child, message.request, message.reply_to)
        finally:
            if self._handled is not None:
                self._handled()
                self._handled = None

    def _end_by_force(self, child: Child) -> None:
        if child.process.end is not None:
            return
        log = child.spec.capture
        if log is None or not child.process.dump_stack():
            child.process.kill()
        else:
            self._kill_after_dump(child, log, _length(log), _DUMP_LOOKS)

    def _kill_after_dump(self, child: Child, log: str, before: int, looks: int) -> None:
        """Kill a process once its log, `before` bytes long until now, has grown by its stacks, or has not for long."""

        def look() -> None:
            if _length(log) == before and looks and child.process.end is None:
                self._kill_after_dump(child, log, before, looks - 1)
            else:
                # What it has begun to write it may still have to finish.
                self._system.call_later(_DUMP_TIME, child.process.kill)

        self._system.call_later(_DUMP_TIME, look)


def _length(log: str) -> int:
    """Return how long a log is; 0 where there is none."""
    try:
        return os.lstat(log).st_size
    except OSError:
        return 0


class _ChildListener:
    """Turns what happens to one child in the I/O thread into messages to its supervisor."""

    def __init__(self, child: Child, supervisor: Supervisor) -> None:
        self._child = child
        self._supervisor = supervisor
        self._has_last_report = False
        self._exit_timer: Timer | None = None

    def process_ready(self, process: ActorProcess) -> None:
        del process
        self._tell(ChildReady(self._child))

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        """Hand over in this thread. The supervisor's may not have come to note whose process the child is."""
        self._child.process = process
        self._supervisor.child_output(self._child, data)

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        """Decode and forward, unless reports are to be dropped."""
        if self._has_last_report:
            process.handled()
            return
        report = _decode(self._supervisor.report_decoder, body, "report")
        self._has_last_report = isinstance(report, self._supervisor.last_reports)
        self._tell(ChildReported(self._child, report))

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        """Decode and forward, with the address for the answer."""
        most = self._supervisor.most_request
        if len(body) > most:
            process.refuse(request_id, ErrorData("builtins.ValueError", _TOO_LONG.format(len(body), most)))
            process.handled()
            return
        request = _decode(self._supervisor.request_decoder, body, "request")
        self._tell(ChildRequested(self._child, request, ReplyAddress(process, request_id)))

    def process_finished(self, process: ActorProcess) -> None:
        """See to it that the process exits now."""
        del process
        # After its loop a process may still hang in a thread or finalizer; it gets the same grace as a stop. The timer
        # is set here, in its own thread, because nearly every child ends this way.
        if self._exit_timer is None:
            self._exit_timer = self._supervisor.tell_later(self._child.spec.grace, GraceOver(self._child))

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        del process
        if self._exit_timer is not None:
            self._exit_timer.cancel()  # it would keep the child until it is due
        self._tell(ChildEnded(self._child, end))

    def _tell(self, message: object) -> None:
        self._supervisor.tell_in_turn(self._child, message)


def _decode(decoder: msgspec.msgpack.Decoder[Any] | None, body: bytes, what: str) -> Any:
    if decoder is None:
        raise ProtocolError(f"a {what}, where its supervisor takes none")
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"a {what} that fits none of the declared types: {fault_text(error)}") from error


def _tell(reference: pykka.ActorRef[Any], message: object) -> None:
    try:  # noqa: SIM105 - five times a task, and this is three calls less
        reference.tell(message)
    except pykka.ActorDeadError:
        pass  # a supervisor that has stopped has nobody left to tell
