"""Node link: the host's connection to the agent of one node, and all processes that it has there.

The agent (`node/agent`) is a program of ours on another machine. Who starts it, and how, is not known here. Both ends
prove that they know a token, and this one says nothing that matters before. When the connection is gone, or nothing has
come of it for some time, the node is lost, and with it all that runs there; nobody connects again. A node is not
trusted: nothing that it says may cost this end memory, a traceback, or more than its tasks.

All happens in the I/O thread, but where a method says otherwise. It never waits.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from ..errors import ProtocolError
from ..wire.frames import encode_plain
from ..wire.messages import Forked, ForkFailed, ProcessLimits, Start, TrackerWanted
from ..wire.node import (
    BEAT_EVERY,
    PATIENCE,
    Challenge,
    Ended,
    Fetch,
    FromNode,
    Known,
    Leave,
    Notice,
    Opening,
    Order,
    Parting,
    Serving,
    Setup,
    Signal,
    Taken,
    ToNode,
    TrackerFor,
    Versions,
    decode_from_node,
    encode_node,
)
from ..wire.objects import encode_object
from . import versions
from .connecting import Address, connect
from .control_line import ControlLine
from .exit import ProcessExit
from .handshake import HostHandshake
from .io import IOThread
from .openings import Openings

if TYPE_CHECKING:
    from .remote import RemoteProcess

__all__ = ["NodeLink", "NodeListener"]

_FOLLOWS: Final = 1.0
"""Seconds in which the end of a node is noticed, once it takes no connection any more."""

_LONGEST: Final = 2000
"""Characters that a node may say of itself, or of why a process could not be had, before it is cut short."""

_HIGHEST_PID: Final = 2**31 - 1


class NodeListener(Protocol):
    """Who is told of a node. Every method is called in the I/O thread and must return at once."""

    def node_serving(self, node: NodeLink) -> None:
        """It takes processes from now on."""

    def node_said(self, node: NodeLink, body: bytes) -> None:
        """A message of the layer above, encoded. Raises ProtocolError for one of an unknown type."""

    def process_left(self, node: NodeLink, process: RemoteProcess, left: bytes, done: Callable[[], None]) -> None:
        """A process has ended there, and left something, encoded; `done` is to be called when that is seen to."""

    def node_has_room(self, node: NodeLink) -> None:
        """A process there has ended."""

    def node_lost(self, node: NodeLink, why: str) -> None:
        """It is no more: a clause that says why. Called once, last."""


class NodeLink:
    """See the module.

    Args:
        name: of the node, for people.
        address: where it takes connections.
        token: what both ends know.
        control: a connection that leads to it already; None: it is made.
        setup: what it is told first, encoded by the layer above.
        io: the I/O thread.
        listener: is told what becomes of it.
        last_words: see `Node`; for so long `give_up` may still say why its connection has ended.

    Attributes:
        name: see above.
        address: see above.
        folder: where it keeps files; empty before it serves.
        is_serving: whether it takes processes.
        has_served: whether it ever did.
        is_lost: whether it is no more.
        is_refused: whether that is for a reason that one end has stated, and would state again.
        versions: its own; None before it has said so.
        processes: those that run there, by their keys.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        token: bytes,
        control: socket.socket | None,
        *,
        setup: bytes,
        io: IOThread,
        listener: NodeListener,
        last_words: float = 0.0,
    ) -> None:
        self.name = name
        self.address = address
        self.folder = ""
        self.is_serving = self.has_served = self.is_lost = self.is_refused = False
        self.versions: Versions | None = None
        self.processes: dict[int, RemoteProcess] = {}
        self._groups = ""
        self._handshake = HostHandshake(token)
        self._setup = setup
        self._io = io
        self._listener = listener
        self.last_words = last_words
        self._ended = ""
        self._fetched = itertools.count(1)
        self._openings = Openings(address, io, self._handshake, lambda key: key in self.processes, self._lose)
        self._control = control
        self._line: ControlLine[FromNode] | None = None

    def begin(self) -> None:
        """Connect, if that is to be done, and begin to talk."""
        if self._control is None:
            self._openings.open(self._begin_line, lambda why: self._lose(f"it cannot be connected to: {why}"))
        else:
            self._begin_line(self._control)

    def _begin_line(self, control: socket.socket) -> None:
        control.setblocking(False)
        self._line = ControlLine(
            control,
            self._io,
            decode=decode_from_node,
            receive=self._on_message,
            lost=self._on_line_ended,
            patience=PATIENCE,
            beat_every=BEAT_EVERY,
        )
        self._line.send(self._handshake.hello)
        self._line.begin()

    @property
    def silent(self) -> float:
        """Seconds since it was last heard of. In any thread."""
        return self._line.silent if self._line is not None else 0.0

    # --- from any thread --------------------------------------------------------------------------------------------

    def order(self, message: msgspec.Struct) -> None:
        """Send it a message of the layer above. In any thread."""
        self._send(Order(encode_plain(message)))

    def signal(self, key: int, number: signal.Signals) -> None:
        """Have it send a process a signal. In any thread."""
        self._send(Signal(key, number))

    def give_tracker(self, key: int, wanted: TrackerWanted) -> None:
        """Have it give a process a resource tracker of `multiprocessing`. In any thread."""
        self._send(TrackerFor(key, wanted))

    def _new_group(self) -> str | None:
        """Return a name for a control group there; None if there can be none."""
        return f"{self._groups}/subactors-{os.getpid()}-{os.urandom(4).hex()}" if self._groups else None

    def fetch(self, name: str, start: int = 0) -> socket.socket:
        """Return a connection, which waits, by which a file comes, from a place on. Not for the I/O thread.

        Raises:
            OSError: the node cannot be connected to.
        """
        fetch = self._handshake.proven(Fetch(next(self._fetched), b"", name, start))
        channel = connect(self.address)
        try:
            channel.sendall(encode_node(fetch))
        except BaseException:
            channel.close()
            raise
        return channel

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def start(
        self,
        process: RemoteProcess,
        actor: tuple[type, tuple[Any, ...], dict[str, Any]],
        *,
        label: str,
        directory: str,
        capture: str,
        limits: ProcessLimits | None,
    ) -> None:
        """Have a process started there; its channel is connected meanwhile.

        Args:
            process: made by `ProcessSystem.spawn_elsewhere`.
            actor: class, arguments and keywords.
            label: what the layer above calls the process.
            directory: its current directory, there.
            capture: file there that takes what it writes to standard output and error.
            limits: what the kernel there holds it to.

        Raises what pickling the actor raises.
        """
        has_tree = limits is not None and (limits.tree_bytes is not None or limits.tree_processes is not None)
        start = Start(
            urn=process.urn,
            actor=encode_object(actor),
            directory=os.fsencode(directory),
            environ=None,
            sys_path=None,
            capture=os.fsencode(capture),
            limits=limits,
            group=self._new_group() if has_tree else None,
        )
        process.label = label
        self.processes[process.key] = process
        opening = Opening(process.key, b"", label=label, directory=directory, group=start.group, fenced=process.fenced)

        def connected(channel: socket.socket, first: bytes) -> None:
            if not process.settle(self, channel, first, start):
                self.drop(process.key)

        def failed(what: str) -> None:
            # Where that is because the agent has ended, the node is lost in a moment, and that is what is told.
            self._io.call_later(_FOLLOWS, lambda: give_up(what))

        def give_up(what: str) -> None:
            if process.key in self.processes:
                self.drop(process.key)
                process.on_start_failed(f"node {self.name} cannot be connected to: {what}")

        self._openings.ask(opening, connected, failed)

    def drop(self, key: int) -> None:
        """A process has ended, or never will have been one. For the I/O thread."""
        if self.processes.pop(key, None) is not None:
            self._openings.done(key)
            self._listener.node_has_room(self)

    def leave(self) -> None:
        """Have it end everything, and then itself; it is lost to this host."""
        self._send(Leave())
        self._lose("the host needs it no more")

    def give_up(self, why: str) -> None:
        """Take it for lost: somebody else knows that it is, and may know why; empty: that is not known."""
        self._lose(why or self._ended or "its agent has ended")

    def _send(self, message: ToNode) -> None:
        if (line := self._line) is not None:
            line.send(message)

    def _on_line_ended(self, why: str) -> None:
        """Nothing more comes of it. If it is gone, whoever has started it may know why, and has a moment to say so."""
        self._ended = why
        self.is_serving = False
        if self.last_words and self._line is not None and self._line.is_closed:
            self._io.call_later(self.last_words, lambda: self._lose(why))
        else:
            self._lose(why)

    def _on_message(self, message: FromNode) -> None:
        if self.versions is None:
            self._shake_hands(message)
            return
        match message:
            case Serving() if not self.has_served:
                self._on_serving(message)
            case Parting(why):
                self._refuse(_clause(why))
            case Taken(key):
                self._openings.came(key)
            case Forked(key, pid) if 0 < pid <= _HIGHEST_PID:
                self._on_forked(key, pid)
            case ForkFailed(key, what):
                if (process := self.processes.get(key)) is not None:
                    process.on_start_failed(_clause(what))
            case Ended():
                self._on_ended(message)
            case Notice(body):
                self._listener.node_said(self, bytes(body))
            case _:
                raise ProtocolError("what it may not say now")

    def _on_forked(self, key: int, pid: int) -> None:
        self._openings.done(key)
        if (process := self.processes.get(key)) is not None:
            process.on_forked_there(pid)
        else:  # nobody wants it any more
            self.signal(key, signal.SIGKILL)

    def _shake_hands(self, message: FromNode) -> None:
        match message:
            case Challenge() if not self._handshake.is_answered:
                self._send(self._handshake.answer(message))
            case Known(theirs) if self._handshake.is_answered:
                self.versions = Versions(*map(_clause, msgspec.structs.astuple(theirs)))
                if problem := versions.difference(self.versions):
                    self._refuse(problem)
                else:
                    self._send(Setup(self._setup))
            case Parting(why) if self._handshake.is_answered:
                self._refuse(_clause(why))
            case _:
                raise ProtocolError("something before its proof")

    def _on_serving(self, message: Serving) -> None:
        self.folder, self._groups = message.folder, message.groups
        self.is_serving = self.has_served = True
        self._listener.node_serving(self)

    def _on_ended(self, message: Ended) -> None:
        process = self.processes.get(message.key)
        if process is None or process.is_going_home:
            return
        process.is_going_home = True
        seen = ProcessExit(
            code=message.code,
            signal=message.signal,
            unobserved=_clause(message.unobserved),
            user_seconds=message.user_seconds,
            system_seconds=message.system_seconds,
            peak_bytes=message.peak_bytes,
            survivors=message.survivors,
            survivor_ids=message.survivor_ids,
            group=message.group,
            disconnected=message.disconnected,
        )

        def home() -> None:
            if message.key in self.processes:
                process.on_ended_there(seen)

        self._listener.process_left(self, process, bytes(message.left), home)

    def _refuse(self, why: str) -> None:
        self.is_refused = True
        self._lose(why)

    def _lose(self, why: str) -> None:
        if self.is_lost:
            return
        self.is_lost, self.is_serving = True, False
        if self._line is not None:
            self._line.close()
        self._openings.close()
        processes, self.processes = list(self.processes.values()), {}
        for process in processes:
            process.on_node_lost(f"node {self.name} was lost ({why})")
        self._listener.node_lost(self, why)


def _clause(said: str) -> str:
    """Return what a node says, as a clause that can be part of a sentence, whatever it has sent."""
    return " ".join(said[:_LONGEST].split()) + ("…" if len(said) > _LONGEST else "")
