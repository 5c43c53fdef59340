"""Node agent: has processes forked for one host elsewhere, tells it how they end, and ends them all with its lease.

One connection is for what host and agent say to each other. Each further one begins with an opening, which proves that
the host sends it, and goes on as the channel of a new process: it is passed on to the zygote, and never read here.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from ..errors import ProtocolError, SubactorsError
from ..host.control_line import ControlLine, Pipes
from ..host.exit import ProcessExit
from ..host.io import READ, IOThread
from ..host.system import ProcessSystem
from ..host.tracker import give_tracker
from ..host.versions import own_versions
from ..linux import cgroup, kernel
from ..wire.frames import encode_plain
from ..wire.messages import Forked, ForkFailed
from ..wire.node import (
    BEAT_EVERY,
    LEASE,
    Challenge,
    Control,
    Ended,
    Fetch,
    First,
    FromNode,
    Leave,
    Notice,
    Opening,
    Order,
    Parting,
    Proof,
    Serving,
    Setup,
    Signal,
    ToNode,
    TrackerFor,
    decode_to_node,
    prove,
)
from .door import Door
from .housed import HousedProcess
from .used_keys import UsedKeys

__all__ = ["House", "NodeAgent", "Terms"]

_NONCE: Final = 32


class Terms(NamedTuple):
    """What an agent is started with, by whoever starts it, and nobody else knows.

    Attributes:
        token: what both ends know.
        listener: takes connections.
        control: the connection to the host; None: it is the first that proves itself by the listener.
        starter: process whose end ends the agent; None: none does.
    """

    token: bytes
    listener: socket.socket
    control: Pipes | None = None
    starter: int | None = None


class House(Protocol):
    """What the layer above knows of a node: what runs there, and what it leaves."""

    def set_up(self, body: bytes, io: IOThread, tell: Callable[[msgspec.Struct], None]) -> ProcessSystem:
        """Return the process system, as the host wants it. Raises SubactorsError, OSError or ValueError.

        Args:
            body: what the host says.
            io: the system's I/O thread.
            tell: tells the host something; in any thread.
        """
        ...

    @property
    def folder(self) -> str:
        """Where it keeps files."""
        ...

    def missing(self, directory: str) -> str:
        """Return why a process cannot work in a folder; empty if it can."""
        ...

    def begun(self, process: HousedProcess) -> None:
        """A process exists. In the I/O thread, as the following."""

    def left(self, process: HousedProcess, seen: ProcessExit) -> msgspec.Struct:
        """Return what a process has left, that has ended."""
        ...

    def ordered(self, body: bytes) -> None:
        """Do what the host asks; raises ProtocolError."""

    def file(self, name: str) -> int | None:
        """Return a descriptor of a file that the host wants; None if there is none."""
        ...

    def close(self) -> None:
        """End what it does beside the processes, and leave nothing that nobody needs. Not in the I/O thread."""


class NodeAgent:
    """See the module. `serve` is for the main thread; all else happens in the I/O thread.

    Args:
        terms: what it is started with.
        house: the layer above.
    """

    def __init__(self, terms: Terms, house: House) -> None:
        self._terms = terms
        self._house = house
        self._token = terms.token
        self._nonce = os.urandom(_NONCE)
        self._io = IOThread("subactors-node")
        self._system: ProcessSystem | None = None
        self._line: ControlLine[ToNode] | None = None
        self._is_proven = False
        self._host_nonce = b""
        self._door = Door(terms.listener, self._io, self._enter)
        self._used = {Opening: UsedKeys(), Fetch: UsedKeys()}
        self._housed: dict[int, HousedProcess] = {}
        self._signals: dict[int, int] = {}
        self._over = threading.Event()
        self._why = ""

    def serve(self) -> str:
        """Serve until the host is gone, then end everything; return why it has ended."""
        kernel.set_process_name("subactors-node")
        starter = os.pidfd_open(self._terms.starter) if self._terms.starter is not None else None
        try:
            self._io.call(lambda: self._begin(starter))
            self._over.wait()
        finally:
            self._io.call(self._stop_listening)
            if self._system is not None:
                self._system.close(grace=0.0)
            self._house.close()
            self._io.close()
            if starter is not None:
                os.close(starter)
        return self._why

    def _begin(self, starter: int | None) -> None:
        self._door.open()
        if starter is not None:
            self._io.watch(starter, READ, lambda _: self._end("the process that started it has ended"))
        if self._terms.control is not None:
            self._listen_to_host(self._terms.control)
        else:
            self._io.call_later(LEASE, self._look_for_host)

    def _look_for_host(self) -> None:
        if self._line is None:
            self._end(f"no host came within {LEASE:g} s")

    def _stop_listening(self) -> None:
        self._door.close()
        if self._line is not None:
            self._line.close()

    def _end(self, why: str) -> None:
        if not self._why:
            self._why = why
            self._say(Parting(why))
        self._over.set()

    def _enter(self, first: First, channel: socket.socket) -> bool:
        """Take a connection that has said what it is; False if it is none of the host's."""
        match first:
            case Control() if self._line is None:
                self._listen_to_host(channel)
                self._on_control(first)
            case Opening() if self._proves(first, b"process", first.label):
                self._fork(first, channel)
            case Fetch() if self._proves(first, b"file", first.name, first.start):
                self._send_file(first, channel)
            case _:
                return False
        return True

    def _proves(self, first: Opening | Fetch, kind: bytes, *about: int | str) -> bool:
        """Whether a connection is the host's, and this is the first time that it comes with this key."""
        if not self._is_proven or self._system is None:
            return False
        if not hmac.compare_digest(prove(self._token, kind, self._nonce, first.key, *about), first.proof):
            return False
        return self._used[type(first)].use(first.key)

    # --- what the host says -----------------------------------------------------------------------------------------

    def _listen_to_host(self, end: socket.socket | Pipes) -> None:
        end.setblocking(False)
        self._line = ControlLine(
            end,
            self._io,
            decode=decode_to_node,
            receive=self._on_message,
            lost=self._end,
            patience=LEASE,
            beat_every=BEAT_EVERY,
        )
        self._line.begin()

    def _on_control(self, control: Control) -> None:
        self._host_nonce = control.nonce
        if self._line is not None:
            self._line.wait_no_longer_than(control.lease)
        proof = prove(self._token, b"node", control.nonce, self._nonce)
        self._say(Challenge(self._nonce, proof, own_versions()))

    def _say(self, message: FromNode) -> None:
        if self._line is not None:
            self._line.send(message)

    def _on_message(self, message: ToNode) -> None:
        if self._is_proven:
            self._obey(message)
        elif isinstance(message, Control) and not self._host_nonce:  # by pipes it comes like anything else
            self._on_control(message)
        elif isinstance(message, Proof) and hmac.compare_digest(
            prove(self._token, b"host", self._host_nonce, self._nonce), message.proof
        ):
            self._is_proven = True
        else:
            self._end("what connected to it did not prove that it is its host")

    def _obey(self, message: ToNode) -> None:
        match message:
            case Setup(body) if self._system is None:
                self._set_up(body)
            case Signal(key, number):
                self._signal(key, number)
            case TrackerFor(key, wanted):
                process = self._housed.get(key)
                if process is not None and process.pid is not None and process.end is None:
                    give_tracker(self._io, process.pid, wanted, fenced=process.fenced)
            case Order(body):
                self._house.ordered(bytes(body))
            case Leave():
                self._end("its host needs it no more")
            case _:
                raise ProtocolError("what it may not say now")

    def _set_up(self, body: bytes) -> None:
        try:
            self._system = self._house.set_up(body, self._io, lambda notice: self._say(Notice(encode_plain(notice))))
            self._system.prepare()
        except (SubactorsError, OSError, ValueError) as error:
            self._say(Serving("", problem=str(error)))
            return
        tree = cgroup.CgroupTree.find()
        groups = str(tree.path) if tree is not None and not tree.problem else ""
        self._say(Serving(self._house.folder, groups))

    # --- processes --------------------------------------------------------------------------------------------------

    def _fork(self, opening: Opening, channel: socket.socket) -> None:
        system = self._system
        assert system is not None  # noqa: S101 - nothing is proven before
        if missing := self._house.missing(opening.directory):
            channel.close()
            self._say(ForkFailed(opening.key, missing))
            return
        channel.setblocking(True)

        def make(key: int, theirs: socket.socket | None, forget: Callable[[int], None]) -> HousedProcess:
            process = self._housed[opening.key] = HousedProcess(
                key,
                host_key=opening.key,
                label=opening.label,
                channel=channel,
                theirs=theirs,
                fenced=opening.fenced,
                group=opening.group,
                io=self._io,
                forget=forget,
                tell=self._on_told,
                ended=self._on_ended,
            )
            return process

        try:
            system.house(channel, make, fenced=opening.fenced, group=opening.group)
            process = self._housed[opening.key]
            process.begin()
            if (number := self._signals.pop(opening.key, None)) is not None:
                self._send_signal(process, number)
        except (SubactorsError, OSError) as error:
            channel.close()
            self._housed.pop(opening.key, None)
            self._say(ForkFailed(opening.key, str(error)))

    def _signal(self, key: int, number: int) -> None:
        process = self._housed.get(key)
        if process is not None:
            self._send_signal(process, number)
        elif key not in self._used[Opening]:
            self._signals[key] = number  # its connection is still on the way

    def _send_signal(self, process: HousedProcess, number: int) -> None:
        if number == signal.SIGKILL:
            process.kill()
        else:
            with contextlib.suppress(ValueError):
                process.send_signal(signal.Signals(number))

    def _on_told(self, message: Forked | ForkFailed) -> None:
        self._say(message)
        if isinstance(message, ForkFailed):
            self._housed.pop(message.key, None)
        elif (process := self._housed.get(message.key)) is not None:
            self._house.begun(process)

    def _on_ended(self, process: HousedProcess, seen: ProcessExit) -> None:
        self._housed.pop(process.host_key, None)
        self._say(
            Ended(
                process.host_key,
                code=seen.code,
                signal=seen.signal,
                unobserved=seen.unobserved,
                user_seconds=seen.user_seconds,
                system_seconds=seen.system_seconds,
                peak_bytes=seen.peak_bytes,
                survivors=seen.survivors,
                survivor_ids=seen.survivor_ids,
                group=seen.group,
                left=encode_plain(self._house.left(process, seen)),
            )
        )

    def _send_file(self, fetch: Fetch, channel: socket.socket) -> None:
        """Send a file, in a thread of its own: the line may be slow."""

        def send() -> None:
            with channel, contextlib.suppress(OSError):
                channel.setblocking(True)
                descriptor = self._house.file(fetch.name)
                if descriptor is None:
                    return
                with os.fdopen(descriptor, "rb") as file:
                    file.seek(fetch.start)
                    channel.sendfile(file)

        threading.Thread(target=send, name="subactors-file", daemon=True).start()
