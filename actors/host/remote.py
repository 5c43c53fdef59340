"""Remote process: the host's side of an actor's process on another machine, the node; see `node_link`.

It may be made before it is known which node that will be: what is sent to it waits. Two connections tell of its end:
its own, and the node's. The end is published when both have told, or one of them is known to tell no more.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..wire.frames import encode_frame
from ..wire.messages import Start, TrackerWanted
from .exit import ProcessExit
from .process import ActorProcess, ProcessListener

if TYPE_CHECKING:
    from .io import IOThread
    from .node_link import NodeLink
    from .shell import Shell

__all__ = ["RemoteProcess"]

_FOLLOWS: Final = 5.0
"""Seconds between the two tales of an end: what one connection carries may be behind a flood, or a slow line."""


class RemoteProcess(ActorProcess):
    """See the module, and `ActorProcess`.

    Attributes:
        node: where it runs; None while that is not decided.
        label: what the layer above calls it, once that is decided.
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
        self.node: NodeLink | None = None
        self.label = ""
        self._is_closed_there = False
        self._seen: ProcessExit | None = None

    @property
    def place(self) -> str:
        """The node's name; empty while none is decided."""
        return self.node.name if self.node is not None else ""

    def kill(self) -> None:
        """Send SIGKILL, as any process; one that no node has been asked for has ended at once."""
        if self.node is None:
            self._kill_wanted = True
            self._io.call(self._end_homeless)
        else:
            super().kill()

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def settle(self, node: NodeLink, channel: socket.socket, opening: bytes, start: Start) -> bool:
        """Have it run on a node, over a channel that may still be connecting; False if it has ended meanwhile."""
        if self.end is not None or self.is_ending:
            channel.close()
            return False
        with self._lock:
            self.node = node
        self._channel.connect(channel, opening + encode_frame(start))
        return True

    def on_forked_there(self, pid: int) -> None:
        """The node says that the process exists."""
        with self._lock:
            if self.end is not None:
                return
            self._pid = pid
            if self._wanted_signal is not None:
                self._signal(self._wanted_signal)

    def on_ended_there(self, seen: ProcessExit) -> None:
        """The node has reaped the process and its tree. What it has said before may still be on its way."""
        if self._seen is not None or self.is_ending:
            return
        self._seen = seen
        if self._timer is not None:
            self._timer.cancel()
        if self._is_closed_there or self._violation:
            self.on_end(seen)
        else:
            self._set_timer(_FOLLOWS, lambda: self.on_end(seen))

    def on_node_lost(self, how: str) -> None:
        """The node is lost: whatever ran there has ended, or does so with the node's lease."""
        self.on_end(ProcessExit(lost=how))

    def on_channel_closed(self) -> None:
        """Nothing more comes from the process, or it cannot be reached."""
        self._is_closed_there = True
        if self._seen is not None:
            self.on_end(self._seen)
        elif not self._losing:
            self._losing = True
            self._set_timer(_FOLLOWS, self._on_disconnected)

    def look_at_channel(self) -> None:
        """Nothing is to be seen from here: the process is on another machine."""

    def _on_disconnected(self) -> None:
        if self._pid is None:
            self.on_start_failed(f"node {self.place} could not be connected to for it")
        else:
            super()._on_disconnected()

    def _end_homeless(self) -> None:
        if self.node is None:
            self.on_end(ProcessExit(unobserved="it had not been forked yet"))

    def _signal(self, number: signal.Signals) -> None:
        if self.node is not None:
            self.node.signal(self.key, number)

    def _on_tracker_wanted(self, message: TrackerWanted) -> None:
        if self.node is not None:
            self.node.give_tracker(self.key, message)

    def _drain(self, drained: Callable[[], None]) -> None:
        self._channel.drain(drained, to_its_end=True)

    def fail_to_start(self, message: str) -> None:
        """It cannot be started, as no node can have it. In any thread."""
        self._io.call(lambda: self.on_start_failed(message))


def _do_nothing() -> None:
    pass
