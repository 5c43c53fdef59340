"""Actor process: the host's side of one actor's process, with its channel, the requests to it, and its one end.

Nothing here waits for the child. The end is published once, after the process is reaped and its channel drained.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import pykka

from ..errors import ProtocolError, StartError
from ..linux import cgroup, kernel
from ..wire.frames import encode_frame, encode_plain
from ..wire.messages import (
    CHANNEL,
    Answer,
    Ask,
    Attributes,
    ErrorData,
    FromChild,
    Ready,
    Refused,
    Reply,
    ReplyError,
    Report,
    Request,
    Start,
    StartFailed,
    Stop,
    Stopped,
    Tell,
    ToChild,
    TrackerWanted,
)
from ..wire.objects import encode_object
from ..wire.rebuild import rebuild
from ..wire.reply import EncodedReply
from .as_process import AsProcess
from .beginning import Readiness
from .channel import HostChannel
from .exit import NOBODY, ProcessExit
from .shell import Shell

if TYPE_CHECKING:
    from .io import IOThread

__all__ = ["ActorProcess", "ProcessListener"]

_ANSWERS_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that may wait for a child when it is answered: it asked for them, so it is to read before it asks for more."""

_CLOSED_CHANNEL_GRACE: Final = 2.0
"""Seconds between a child's closing of its channel and its being killed for living on."""

_EXIT_FOLLOWS: Final = 0.1
"""Seconds between the end of a channel and that of its process, where the one comes of the other."""


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


class ActorProcess(AsProcess):
    """One actor's process, seen from the host.

    What begins with `on_` is for the I/O thread, but `on_asked_for`; that and all else may be called from any thread.

    Attributes:
        actor: the host's shell of the actor, which has its reference; gone once the process has ended.
        urn: the actor's.
        is_ready: whether the process has begun, and can be asked for its stacks.
        is_ending: whether it is gone, and what it has said before is still being handed over, or has been.
    """

    def __init__(
        self,
        key: int,
        actor: Shell,
        channel: socket.socket | None,
        *,
        link: str,
        theirs: socket.socket | None,
        fenced: bool,
        io: IOThread,
        listener: ProcessListener,
        start_over: Callable[[], None],
        finished: Callable[[], None],
        forget: Callable[[int], None],
        group: str | None = None,
    ) -> None:
        super().__init__(key, theirs=theirs, fenced=fenced, io=io, forget=forget, group=group)
        self.actor = actor
        self._readiness = Readiness()
        self.urn, self._title, self._ended = actor.actor_urn, str(actor), actor.actor_stopped
        self._channel = HostChannel(channel, io, self)
        self._link = link
        self._listener: ProcessListener = listener
        self._start_over = start_over
        self._tell_finished = finished
        self._pending: dict[int, pykka.Future[Any]] = {}
        self._stops: list[pykka.Future[Any]] = []
        self._asks = 0
        self.is_ending = False
        self._looked_at = self._losing = self._disconnected = self._has_tracker = False
        self.is_ready = False
        self._finished = False
        self._error: ErrorData | None = None
        self._violation = ""

    def __str__(self) -> str:
        return self._title

    @property
    def ready(self) -> Future[None]:
        """Done when the constructor has returned; raises what that raised, or StartError."""
        return self._readiness.future()

    def tell(self, message: object) -> None:
        """Put a message in the actor's mailbox; raises what pickling it raises."""
        self.send(Tell(encode_object(message)))

    def ask(self, message: object, reply_to: pykka.Future[Any]) -> None:
        """Put a message in the mailbox; `reply_to` gets the `EncodedReply`, the exception, or ActorDeadError."""
        body = encode_object(message)
        with self._lock:
            if self.end is None:
                self._asks += 1
                ask_id = self._asks
                self._pending[ask_id] = reply_to
            else:
                ask_id = 0
        if ask_id:
            self.send(Ask(ask_id, body))
        else:
            _fail(reply_to, self._dead_error())

    def stop(self, reply_to: pykka.Future[Any] | None = None) -> None:
        """Ask the actor to stop after what is in its mailbox; `reply_to` is set when the process is gone."""
        with self._lock:
            gone = self.end is not None
            if reply_to is not None and not gone:
                self._stops.append(reply_to)
        if not gone:
            self.send(Stop())
        elif reply_to is not None:
            _fail(reply_to, self._dead_error())

    def answer(self, request_id: int, value: msgspec.Struct) -> None:
        """Answer a request of the child."""
        self._send_answer(Answer(request_id, encode_plain(value)))

    def refuse(self, request_id: int, error: ErrorData) -> None:
        """Answer a request of the child with an error."""
        self._send_answer(Refused(request_id, error))

    def _send_answer(self, message: Answer | Refused) -> None:
        self.send(message)
        waiting = self._channel.waiting
        if waiting > _ANSWERS_LIMIT:
            self._io.call(lambda: self.on_violation(f"it stopped reading; {waiting:,} bytes waited for it"))

    def begin(self, start: Start, descriptors: Sequence[int] = ()) -> None:
        """Send the first message, before any other, and the descriptors that belong to it. Raises OSError."""
        frame = encode_frame(start)
        self._beginning.sent(frame)
        self._channel.send(frame, descriptors)

    def send(self, message: ToChild) -> None:
        """Send a message; without effect when the process is gone."""
        self._channel.send(encode_frame(message))

    def dump_stack(self, *, quietly: bool = False) -> bool:
        """Have the process write its threads' stacks to its captured standard error; return whether it was asked to.

        Also one that is stuck in C code. `quietly`: by SIGRTMAX, for which programs have no handlers of their own.
        """
        with self._lock:
            if self.is_ready:  # before that the signal would still have its deadly default
                self._signal(signal.SIGRTMAX if quietly else signal.SIGUSR1)
            return self.is_ready

    def lacks_room(self, callback: Callable[[], None]) -> bool:
        """Tell whether too many answers wait for the process, which is to read first; then the call is made later."""
        return self._channel.lacks_room(callback)

    def handled(self) -> None:
        """Say that the oldest report or request is dealt with; reading goes on when the backlog is short again."""
        self._channel.handled()

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def on_first_events(self, events: int) -> None:
        """The process stood by, and now says its first word as this one; its channel is watched, but not by this."""
        self._watch()
        if self.end is None:
            self._channel.on_events(events)

    def on_start_failed(self, message: str) -> None:
        """The process could not be forked, or not be told what it is."""
        self._error = ErrorData("subactors.actors.StartError", message)
        self.on_end(ProcessExit(unobserved=message))

    def on_violation(self, what: str) -> None:
        """The child broke the protocol: it ends for it. The first violation is the one that is told."""
        if self.end is None and not self._violation:
            self._violation = what
            self._channel.stop_reading()
            self.kill()

    def on_end(self, seen: ProcessExit) -> None:
        """Publish the end, once: first what the child still said, then the facts, then the failed asks."""
        if self.is_ending:
            return
        self.is_ending = True
        if self._violation:
            self._publish_end(seen)
        else:
            self._channel.drain(lambda: self._publish_end(seen))

    def on_closed(self, seen: ProcessExit) -> None:
        """The I/O thread has ended; called by the thread that ended it. Publish the end if that is still to be done."""
        self.on_end(seen)
        self._channel.finish()

    def _publish_end(self, seen: ProcessExit) -> None:
        end = msgspec.structs.replace(
            seen,
            ready=self.is_ready,
            finished=self._finished,
            error=self._error,
            killed=self._kill_wanted,
            violation=self._violation or self._torn_frame(seen),
            disconnected=self._disconnected and not self._finished,
        )
        with self._lock:
            self.end = end
            self._ended.set()  # with it: who sees the one sees the other, by whatever it asks
            pending = list(self._pending.values())
            self._pending.clear()
            pidfd, self._pidfd = self._pidfd, None
            self._beginning.over()
        self._channel.close()
        if self.group is not None and seen.unobserved:
            cgroup.remove(self.group)  # else the zygote has
        if pidfd is not None:
            self._io.unwatch(pidfd)
            os.close(pidfd)
        if self._timer is not None:
            self._timer.cancel()
        self._disappear()
        pykka.ActorRegistry.unregister(self.actor.actor_ref)
        for future in pending:
            _fail(future, self._dead_error())
        for future in self._stops:  # none is added to these any more
            future.set(True)
        if not self.is_ready:
            self._start_over()
            self._readiness.end(self._start_error(end))
        try:
            self._listener.process_ended(self, end)
        finally:
            del self.actor
            self._listener = NOBODY
            self._forget(self.key)

    def on_output(self, data: bytes) -> None:
        """The actor said something."""
        self._listener.process_output(self, data)

    def on_message(self, message: FromChild) -> None:
        """The actor's process sent a message."""
        match message:
            case Report(body):
                self._channel.count(len(body))
                self._listener.process_report(self, bytes(body))
            case Request(request_id, body):
                self._channel.count(len(body))
                self._listener.process_request(self, request_id, bytes(body))
            case Reply(ask_id, value):
                self._take_pending(ask_id).set(EncodedReply(bytes(value), self._refuse))
            case ReplyError(ask_id, error):
                _fail(self._take_pending(ask_id), rebuild(error))
            case Attributes(attributes):
                self.actor._subactors_learn(attributes)  # noqa: SLF001 - the class is made for this module
            case Ready(attributes):
                self._on_ready(attributes)
            case StartFailed(error):
                self._error = error
            case TrackerWanted():
                self._on_tracker_wanted(message)
            case Stopped(error):
                self._error = error or self._error
                self._finished = True
                self._tell_finished()
                self._listener.process_finished(self)

    def _on_tracker_wanted(self, message: TrackerWanted) -> None:
        if self._has_tracker:
            raise ProtocolError("it asked twice for a resource tracker")
        self._has_tracker = True
        if self._pid is not None and not self.is_ending:
            from .tracker import give_tracker  # noqa: PLC0415 - hardly any actor wants one

            give_tracker(self._io, self._pid, message, fenced=self.fenced)

    def _refuse(self, what: str) -> None:
        """End the child for an answer that cannot be read. Runs in the asker's thread."""
        self._io.call(lambda: self.on_violation(what))

    def _on_ready(self, attributes: Any) -> None:
        if self.is_ready:
            raise ProtocolError("it said twice that it was ready")
        self.is_ready = True
        self._start_over()
        self.actor._subactors_learn(attributes)  # noqa: SLF001 - the class is made for this module
        pykka.ActorRegistry.register(self.actor.actor_ref)
        self._listener.process_ready(self)
        self._readiness.come()

    def on_channel_closed(self) -> None:
        """Nothing more comes from the process."""
        if not self._gone and not self._losing:
            self._losing = True
            self._set_timer(_EXIT_FOLLOWS, self._on_disconnected)

    def look_at_channel(self) -> None:
        """See whether the process still has its channel; called now and then.

        This end does not notice while a thread is reading from the other, or another process has that, too.
        """
        if self._pid is None or self.is_ending or self._gone or self._losing or self._finished:
            return
        # One that has been forked just now may not have come to what makes it a child.
        if (self.is_ready or self._looked_at) and kernel.has_lost(self._pid, CHANNEL, self._link):
            self._losing = True
            self._on_disconnected()
        self._looked_at = True

    def _on_disconnected(self) -> None:
        """It can deliver nothing any more: it has a moment to end by itself, as it may still hear that it should."""
        self.send(Stop())
        self._set_timer(_CLOSED_CHANNEL_GRACE, self._end_disconnected)

    def _end_disconnected(self) -> None:
        self._disconnected = True
        self.kill()

    def _torn_frame(self, seen: ProcessExit) -> str:
        # One that was killed in the middle of a frame has another reason for its end.
        return "its last frame is incomplete" if self._channel.is_torn and seen.code == 0 else ""

    def _take_pending(self, ask_id: int) -> pykka.Future[Any]:
        with self._lock:
            future = self._pending.pop(ask_id, None)
        if future is None:
            raise ProtocolError(f"a reply to an ask that is not open ({ask_id})")
        return future

    def _watch(self) -> None:
        super()._watch()
        if self.end is None:
            self._channel.watch()

    def _dead_error(self) -> pykka.ActorDeadError:
        return pykka.ActorDeadError(f"{self}: its process {self.end}")

    def _start_error(self, end: ProcessExit) -> Exception:
        if self._error is not None and not self._error.type_name.endswith(".StartError"):
            return rebuild(self._error)
        return StartError(f"{self} did not start: its process {end}")


def _fail(future: pykka.Future[Any], error: BaseException) -> None:
    future.set_exception((type(error), error, error.__traceback__))
