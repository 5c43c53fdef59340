"""Remote process: the host's side of an actor's process on another machine, the node; see `node_link`.

It may be made before it is known which node that will be: what is sent to it waits. Two connections tell of its end:
its own, and the node's. The end is published when both have told, or one of them is known to tell no more, or takes too
long: the node is not trusted. The process id is another machine's; nothing here is done to the process by it.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from ..wire.frames import encode_frame
from ..wire.messages import FromChild, Start, TrackerWanted
from .exit import ProcessExit
from .process import ActorProcess, ProcessListener

if TYPE_CHECKING:
    import pykka

    from .io import IOThread
    from .shell import Shell
    from .system import ProcessSystem, Startable

__all__ = ["Node", "RemoteProcess", "spawn_elsewhere"]

_FOLLOWS: Final = 5.0
"""Seconds between the two tales of an end: what one connection carries may be behind a flood, or a slow line."""

_LAST_WORDS: Final = 60.0
"""Seconds for which a process may go on to speak that has ended: twice what its node gives it."""

_KILL_LIMIT: Final = 30.0
"""Seconds that a node may take to tell the end of a process that it was to kill."""


class Node(Protocol):
    """What a process asks of the node that it runs on; `NodeLink` is one. In any thread."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def folder(self) -> str:
        """Where it keeps files."""
        ...

    @property
    def last_words(self) -> float:
        """Seconds for which it is not lost yet though its connection has ended, as its line may break in parts."""
        ...

    def order(self, message: msgspec.Struct) -> None:
        """Send it a message of the layer above."""

    def signal(self, key: int, number: signal.Signals) -> None:
        """Have it send a process a signal."""

    def give_tracker(self, key: int, wanted: TrackerWanted) -> None:
        """Have it give a process a resource tracker of `multiprocessing`."""

    def drop(self, key: int) -> None:
        """A process of it has ended. For the I/O thread."""


class RemoteProcess(ActorProcess):
    """See the module, and `ActorProcess`.

    Attributes:
        node: where it runs; None while that is not decided.
        label: what the layer above calls it, once that is decided.
        is_going_home: whether its node has told its end, and what it has left is being fetched.
    """

    def __init__(
        self,
        key: int,
        actor: Shell,
        *,
        fenced: bool,
        io: IOThread,
        listener: ProcessListener,
        forget: Callable[[int], None],
    ) -> None:
        super().__init__(
            key,
            actor,
            None,
            link="",
            theirs=None,
            fenced=fenced,
            io=io,
            listener=listener,
            start_over=_do_nothing,
            finished=_do_nothing,
            forget=forget,
        )
        self._channel.ends_itself = True
        self._expelled = ""
        self.node: Node | None = None
        self.label = ""
        self.is_going_home = False
        self._is_closed_there = False
        self._seen: ProcessExit | None = None
        self._heard = 0

    @property
    def place(self) -> str:
        """The node's name; empty while none is decided."""
        return self.node.name if self.node is not None else ""

    def appear(self) -> None:
        """It is no child of the host's: its id may be that of any process here."""

    def stop(self, reply_to: pykka.Future[Any] | None = None) -> None:
        """Ask it to stop, as any process; one that has no node yet has ended at once: nothing of it runs."""
        super().stop(reply_to)
        if self.node is None:
            self._io.call(self._end_homeless)  # a node that it gets before that has the stop, too

    def kill(self) -> None:
        """Send SIGKILL, as any process; one that no node has been asked for has ended at once."""
        super().kill()
        if self.node is None:
            self._io.call(self._end_homeless)
        else:
            self._io.call_later(_KILL_LIMIT, self._end_untold)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; the node keeps it for a process that does not exist yet, or this does, without a node."""
        with self._lock:
            if self.node is not None:
                self._signal(number)
            elif self._wanted_signal != signal.SIGKILL:
                self._wanted_signal = number

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def settle(self, node: Node, channel: socket.socket, opening: bytes, start: Start) -> bool:
        """Have it run on a node, over a channel that may still be connecting; False if it has ended meanwhile."""
        if self.end is not None or self.is_ending:
            channel.close()
            return False
        with self._lock:
            self.node = node
            if self._wanted_signal is not None:
                self._signal(self._wanted_signal)
        self._channel.connect(channel, opening + encode_frame(start))
        return True

    def on_forked_there(self, pid: int) -> None:
        """The node says that the process exists."""
        with self._lock:
            if self.end is not None:
                return
            self._pid = pid

    def on_ended_there(self, seen: ProcessExit) -> None:
        """The node has reaped the process and its tree. What it has said before may still be on its way."""
        if self._seen is not None or self.is_ending:
            return
        if self._expelled and not self._finished:
            seen = ProcessExit(lost=self._expelled)
        self._seen = seen
        self._disconnected = self._disconnected or seen.disconnected
        if self._timer is not None:
            self._timer.cancel()
        if self._is_closed_there or self._violation:
            self._end_as_told(seen)
        else:
            self._end_when_silent(time.monotonic() + _LAST_WORDS)

    def _end_as_told(self, seen: ProcessExit) -> None:
        """Publish the end that the node has told, as nothing more comes of the process.

        Where it seems to have gone without a word, its line may be what broke: it is heard soon that the node is lost.
        """
        is_wordless = seen.code == 0 and not self._finished and self._error is None and not self._violation
        if is_wordless and self.node is not None and self.node.last_words:
            self._set_timer(self.node.last_words, lambda: self.on_end(seen))
        else:
            self.on_end(seen)

    def _end_when_silent(self, until: float) -> None:
        heard = self._heard
        self._set_timer(_FOLLOWS, lambda: self._end_if_silent(heard, until))

    def _end_if_silent(self, heard: int, until: float) -> None:
        """Publish the end if nothing more has come for a while; its last words may still be on a slow line."""
        if self._heard != heard and time.monotonic() < until:
            self._end_when_silent(until)
        elif self._seen is not None:
            self.on_end(self._seen)

    def on_output(self, data: bytes) -> None:
        """See `ActorProcess`."""
        self._heard += 1
        super().on_output(data)

    def on_message(self, message: FromChild) -> None:
        """See `ActorProcess`."""
        self._heard += 1
        super().on_message(message)

    def expel(self, why: str) -> None:
        """Kill it, as its node is needed for something else; its end is that of one whose node was lost."""
        self._expelled = why
        self.send_signal(signal.SIGKILL)

    def on_node_lost(self, how: str) -> None:
        """The node is lost: whatever ran there has ended, or does so with the node's lease."""
        self.on_end(ProcessExit(lost=how))

    def on_channel_closed(self) -> None:
        """Nothing more comes from the process, or it cannot be reached."""
        self._is_closed_there = True
        if self._seen is not None:
            self._end_as_told(self._seen)
        elif not self._losing:
            self._losing = True
            self._set_timer(_FOLLOWS, self._on_disconnected)

    def look_at_channel(self) -> None:
        """Nothing is to be seen from here: the process is on another machine."""

    def _publish_end(self, seen: ProcessExit) -> None:
        super()._publish_end(seen)
        if self.node is not None:
            self.node.drop(self.key)

    def _on_disconnected(self) -> None:
        if self._pid is None:
            self.on_start_failed(f"node {self.place} could not be connected to for it")
        else:
            super()._on_disconnected()

    def _end_untold(self) -> None:
        if self._seen is None:
            late = f"node {self.place} did not report its end within {_KILL_LIMIT:g} s"
            self.on_end(ProcessExit(unobserved=late))

    def _end_homeless(self) -> None:
        if self.node is None:
            self.on_end(ProcessExit(unobserved="it had not been forked yet"))

    def _signal(self, number: signal.Signals) -> None:
        if self.node is not None:
            self.node.signal(self.key, number)

    def _on_tracker_wanted(self, message: TrackerWanted) -> None:
        if self.node is not None:
            self.node.give_tracker(self.key, message)

    def fail_to_start(self, message: str) -> None:
        """It cannot be started, as no node can have it. In any thread."""
        self._io.call(lambda: self.on_start_failed(message))


def spawn_elsewhere(
    system: ProcessSystem, actor_class: type[Startable], *, listener: ProcessListener, fenced: bool
) -> RemoteProcess:
    """Return the process of an actor that is to run on a node, which is still to be chosen (`NodeLink.start`).

    Args:
        system: of the host.
        actor_class: what is to run.
        listener: is told what becomes of it.
        fenced: whether it is put behind a fence there.

    Raises what `ProcessSystem.spawn` raises.
    """
    shell = actor_class._subactors_shell()  # noqa: SLF001 - the class is made for this package
    process = system.know(
        lambda key, io, forget: RemoteProcess(key, shell, fenced=fenced, io=io, listener=listener, forget=forget)
    )
    shell._subactors_attach(process)  # noqa: SLF001 - the class is made for this package
    return process


def _do_nothing() -> None:
    pass
