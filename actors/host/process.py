"""Actor process: the host's side of one actor's process, with its channel, the requests to it, and its one end.

Nothing here waits for the child. The end is published once, after the process is reaped and its channel drained.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import pykka

from ..errors import ProtocolError, StartError
from ..linux import cgroup, kernel
from ..wire.frames import encode_frame, encode_plain
from ..wire.messages import (
    CHANNEL,
    MOST_NAMED,
    Answer,
    Ask,
    Attributes,
    ErrorData,
    Exited,
    FromChild,
    Interface,
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
)
from ..wire.objects import encode_object
from ..wire.rebuild import rebuild
from ..wire.reply import EncodedReply
from .beginning import Beginning
from .channel import HostChannel
from .exit import ProcessExit
from .io import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from .io import IOThread, Timer

__all__ = ["ActorProcess", "ProcessListener", "Shell"]

_ANSWERS_LIMIT: Final = 256 * 1024 * 1024
"""Bytes that may wait for a child when it is answered: it asked for them, so it is to read before it asks for more."""

_CLOSED_CHANNEL_GRACE: Final = 2.0
"""Seconds between a child's closing of its channel and its being killed for living on."""

_EXIT_FOLLOWS: Final = 0.1
"""Seconds between the end of a channel and that of its process, where the one comes of the other."""

_FORK_LIMIT: Final = 1.0
"""Seconds that the zygote may take to fork a process that is only wanted to be killed: it may hang in an import."""

_REAP_LIMIT: Final = 5.0
"""Seconds that the zygote may take to report an exit that the pidfd has shown."""


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


class Shell(Protocol):
    """What stands for an actor in the host: says that it is a `ProcessActor`, and has no process's state."""

    actor_urn: str
    actor_stopped: threading.Event

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]:
        """The reference to the actor."""
        ...

    def _subactors_attach(self, process: ActorProcess) -> None:
        """Send the actor's messages to this process from now on."""

    def _subactors_learn(self, attributes: Interface) -> None:
        """Take over the names of the actor's attributes. Runs in the I/O thread."""


class ActorProcess:
    """One actor's process, seen from the host.

    What begins with `on_` is for the I/O thread, but `on_asked_for`; that and all else may be called from any thread.

    Attributes:
        key: number by which host and zygote name the process.
        actor: the host's shell of the actor; holds its URN and its reference.
        pid: process id, None until it is forked.
        group: its control group; None if it has none.
        ready: done when the constructor returned; raises what it raised, or StartError.
        end: how the process ended; None while it has not.
        is_ending: whether it is gone, and what it has said before is still being handed over, or has been.
        is_with_zygote: whether the zygote that runs has been asked for it; one that was lost leaves it False.
        fenced: whether it is behind a fence.
    """

    def __init__(
        self,
        key: int,
        actor: Shell,
        channel: socket.socket,
        *,
        link: str,
        theirs: socket.socket | None,
        fenced: bool,
        io: IOThread,
        listener: ProcessListener,
        start_over: Callable[[], None],
        forget: Callable[[int], None],
        group: str | None = None,
    ) -> None:
        self.key = key
        self.actor = actor
        self.pid: int | None = None
        self.group = group
        self.ready: Future[pykka.ActorRef[Any]] = Future()
        self.end: ProcessExit | None = None
        self.is_with_zygote = False
        self.fenced = fenced
        self._beginning = Beginning(theirs)
        self._channel = HostChannel(channel, io, self)
        self._link = link
        self._io = io
        self._listener = listener
        self._start_over = start_over
        self._forget = forget
        self._lock = threading.Lock()
        self._pending: dict[int, pykka.Future[Any]] = {}
        self._stops: list[pykka.Future[Any]] = []
        self._asks = 0
        self._pidfd: int | None = None
        self._pidfd_watched = False
        self._kill_wanted = False
        self._gone = False
        self.is_ending = False
        self._looked_at = False
        self._losing = False
        self._disconnected = False
        self._zygote_lost = ""
        self._swept: tuple[int, tuple[int, ...]] | None = None
        self._timer: Timer | None = None
        self._is_ready = False
        self._finished = False
        self._error: ErrorData | None = None
        self._violation = ""

    def __str__(self) -> str:
        """Return the actor's name."""
        return str(self.actor)

    # --- from any thread --------------------------------------------------------------------------------------------

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

    def begin(self, start: Start) -> None:
        """Send the first message, before any other."""
        frame = encode_frame(start)
        self._beginning.sent(frame)
        self._channel.send(frame)

    def send(self, message: ToChild) -> None:
        """Send a message; without effect when the process is gone."""
        self._channel.send(encode_frame(message))

    def kill(self) -> None:
        """Send SIGKILL; at once, or as soon as the process exists. Its tree is ended by the zygote.

        One that does not come to exist for a while has ended, too: it is killed if it ever does.
        """
        with self._lock:
            self._kill_wanted = True
            self._signal(signal.SIGKILL)
            is_forked = self.pid is not None
        if not is_forked:
            self._io.call_later(_FORK_LIMIT, self._end_unforked)

    def dump_stack(self) -> bool:
        """Have the process write the stacks of its threads to its captured standard error, even if stuck in C code.

        Returns:
            Whether it was asked to.
        """
        with self._lock:
            if self._is_ready:  # before that the signal would still have its deadly default
                self._signal(signal.SIGUSR1)
            return self._is_ready

    def lacks_room(self, callback: Callable[[], None]) -> bool:
        """Tell whether too many answers wait for the process, which is to read first; then the call is made later."""
        return self._channel.lacks_room(callback)

    def handled(self) -> None:
        """Say that the oldest report or request is dealt with; reading goes on when the backlog is short again."""
        self._channel.handled()

    def on_asked_for(self) -> None:
        """The zygote is being asked for the process, or has forked it ahead."""
        self.is_with_zygote = True

    def take_on(self, pid: int, pidfd: int) -> bool:
        """Take on a process that exists; False, and the pidfd is closed, if this has ended meanwhile."""
        with self._lock:
            gone = self.end is not None
            self._beginning.over()
            if not gone:
                self.pid = pid
                self._pidfd = pidfd
                if self._kill_wanted:
                    self._signal(signal.SIGKILL)
        if gone:
            os.close(pidfd)
        return not gone

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def on_forked(self, pid: int, pidfd: int) -> None:
        """The process exists."""
        if self.take_on(pid, pidfd):
            self._watch()

    def on_first_events(self, events: int) -> None:
        """The process stood by, and now says its first word as this one; its channel is watched, but not by this."""
        self._watch()
        if self.end is None:
            self._channel.on_events(events)

    def on_start_failed(self, message: str) -> None:
        """The process could not be forked."""
        self._error = ErrorData("subactors.actors.StartError", message)
        self.on_end(ProcessExit(unobserved=message))

    def on_exited(self, exited: Exited) -> None:
        """The zygote has reaped the process and its tree."""
        self.on_end(
            ProcessExit(
                code=exited.code if exited.code >= 0 else None,
                signal=-exited.code if exited.code < 0 else None,
                user_seconds=exited.user_seconds,
                system_seconds=exited.system_seconds,
                peak_bytes=exited.peak_bytes,
                survivors=exited.survivors,
                survivor_ids=exited.survivor_ids,
                group=exited.group,
            )
        )

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
            ready=self._is_ready,
            finished=self._finished,
            error=self._error,
            killed=self._kill_wanted,
            violation=self._violation or self._torn_frame(seen),
            disconnected=self._disconnected and not self._finished,
        )
        with self._lock:
            self.end = end
            pending = list(self._pending.values())
            self._pending.clear()
            pidfd, self._pidfd = self._pidfd, None
            stops = self._stops
            self._beginning.over()
        self._channel.close()
        if self.group is not None and seen.unobserved:
            cgroup.remove(self.group)  # else the zygote has
        if pidfd is not None:
            self._io.unwatch(pidfd)
            os.close(pidfd)
        if self._timer is not None:
            self._timer.cancel()
        self.actor.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor.actor_ref)
        for future in pending:
            _fail(future, self._dead_error())
        for future in stops:
            future.set(True)
        if not self._is_ready:
            self._start_over()
        if not self.ready.done():
            self.ready.set_exception(self._start_error(end))
        try:
            self._listener.process_ended(self, end)
        finally:
            self._forget(self.key)

    @property
    def theirs(self) -> socket.socket | None:
        """The process's end of its channel, until the host hears that there is a process that has it."""
        return self._beginning.theirs

    @property
    def awaits_zygote(self) -> bool:
        """Whether the zygote that runs has still to say that the process exists, or that it is gone."""
        return self.is_with_zygote and (self.pid is None or self._gone)

    def on_zygote_lost(self, how: str) -> None:
        """The zygote is gone: the kernel ends its children, but nobody learns their exit status."""
        self.is_with_zygote = False
        self._zygote_lost = how
        if self.theirs is None:
            self._watch()  # one that stood by may not be
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd is not None:
            # The kernel ends the zygote's children only. What they have started is found by the zygote's mark, unless
            # it has cleared its environment: then it may still be in the group.
            kernel.kill_group_led_by(self._pidfd)
            if self.group is not None:
                cgroup.kill(self.group)
            if not self._gone:
                self.kill()

    def _end_unforked(self) -> None:
        """Publish the end of a process that does not come to exist."""
        if self.pid is None and not self._zygote_lost:
            self.on_end(ProcessExit(unobserved="it had not been forked yet"))

    def on_swept(self, survivors: tuple[int, ...] | None) -> None:
        """What the lost zygote's children had started has been ended, but for these; None if nobody knows yet."""
        self._swept = (1, ()) if survivors is None else (len(survivors), survivors[:MOST_NAMED])
        self._end_unobserved()

    def begin_again(self) -> bool:
        """Return whether another zygote can be asked for the process, as it has never begun, and is still wanted.

        Called when the lost one's children are gone: none of them will begin it after this look.
        """
        if self._kill_wanted or not self._beginning.may_be_repeated():
            return False
        self._zygote_lost = ""
        return True

    def _end_unobserved(self) -> None:
        """Publish the end once the process is gone, and what it has started, too."""
        if self._swept is not None and (self._pidfd is None or self._gone):
            number, ids = self._swept
            self.on_end(ProcessExit(unobserved=self._zygote_lost, survivors=number, survivor_ids=ids))

    def _on_pidfd(self, events: int) -> None:
        del events
        assert self._pidfd is not None  # noqa: S101 - it is what was watched
        self._io.unwatch(self._pidfd)
        self._gone = True
        if self._zygote_lost:
            self._end_unobserved()
        else:
            late = f"the zygote did not report its exit within {_REAP_LIMIT:g} s"
            self._set_timer(_REAP_LIMIT, lambda: self.on_end(ProcessExit(unobserved=late)))

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
            case Stopped(error):
                self._error = error or self._error
                self._finished = True
                self._listener.process_finished(self)

    def _refuse(self, what: str) -> None:
        """End the child for an answer that cannot be read. Runs in the asker's thread."""
        self._io.call(lambda: self.on_violation(what))

    def _on_ready(self, attributes: Any) -> None:
        if self._is_ready:
            raise ProtocolError("it said twice that it was ready")
        self._is_ready = True
        self._start_over()
        self.actor._subactors_learn(attributes)  # noqa: SLF001 - the class is made for this module
        pykka.ActorRegistry.register(self.actor.actor_ref)
        self.ready.set_result(self.actor.actor_ref)
        self._listener.process_ready(self)

    def on_channel_closed(self) -> None:
        """Nothing more comes from the process."""
        if not self._gone and not self._losing:
            self._losing = True
            self._set_timer(_EXIT_FOLLOWS, self._on_disconnected)

    def look_at_channel(self) -> None:
        """See whether the process still has its channel; called now and then.

        This end does not notice while a thread is reading from the other, or another process has that, too.
        """
        if self.pid is None or self.is_ending or self._gone or self._losing or self._finished:
            return
        # One that has been forked just now may not have come to what makes it a child.
        if (self._is_ready or self._looked_at) and kernel.has_lost(self.pid, CHANNEL, self._link):
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

    def _set_timer(self, delay: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._io.call_later(delay, callback)

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
        if self.end is not None:
            return
        if self._pidfd is not None and not self._pidfd_watched:
            self._pidfd_watched = True
            self._io.watch(self._pidfd, READ, self._on_pidfd)
        self._channel.watch()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal; called with the lock held, so that the pidfd cannot be closed meanwhile."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _dead_error(self) -> pykka.ActorDeadError:
        return pykka.ActorDeadError(f"{self.actor.actor_ref}: its process {self.end}")

    def _start_error(self, end: ProcessExit) -> Exception:
        if self._error is not None and not self._error.type_name.endswith(".StartError"):
            return rebuild(self._error)
        return StartError(f"{self.actor} did not start: its process {end}")


def _fail(future: pykka.Future[Any], error: BaseException) -> None:
    future.set_exception((type(error), error, error.__traceback__))
