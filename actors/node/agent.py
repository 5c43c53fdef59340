"""Node agent: has processes forked for one host elsewhere, tells it how they end, and ends them all with its lease.

One connection is for what host and agent say to each other. Each further one begins with an opening, which proves that
the host sends it, and goes on as the channel of a new process: it is passed on to the zygote, and never read here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Final

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
    Control,
    Ended,
    Fetch,
    First,
    FromNode,
    Known,
    Leave,
    Notice,
    Opening,
    Order,
    Parting,
    Proof,
    Serving,
    Setup,
    Signal,
    Taken,
    ToNode,
    TrackerFor,
    decode_to_node,
    encode_node,
    entered,
    is_proven,
)
from .beginning import House, Terms
from .door import Door
from .handshake import Handshake
from .housed import HousedProcess
from .signals import asked_to_end, who_asked
from .used_keys import UsedKeys

__all__ = ["NodeAgent"]

_PARTING: Final = 1.0
"""Seconds that the host may take to close its end for the last word."""

_SETUP_LIMIT: Final = 10.0
"""Seconds that its setting up may still take when it is to end: a file system may hang."""

_NO_STARTER: Final = "the process that started it has ended"


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
        self._io = IOThread("subactors-node")
        self._system: ProcessSystem | None = None
        self._line: ControlLine[ToNode] | None = None
        self._handshake: Handshake | None = None
        self._is_proven = False
        self._nonce = b""
        self._lease = LEASE
        self._door = Door(terms.listener, self._io, terms.token, self._enter)
        self._setting_up: threading.Thread | None = None
        self._used = {Opening: UsedKeys(), Fetch: UsedKeys()}
        self._housed: dict[int, HousedProcess] = {}
        self._signals: dict[int, int] = {}
        self._over = threading.Event()
        self._why = ""

    def serve(self) -> str:
        """Serve until the host is gone, then end everything; return why it has ended."""
        kernel.set_process_name("subactors-node")
        with contextlib.ExitStack() as closing:
            try:
                starter = None
                if self._terms.starter is not None:
                    starter = os.pidfd_open(self._terms.starter)
                    closing.callback(os.close, starter)
                signalled = closing.enter_context(asked_to_end())
                self._io.call(lambda: self._begin(starter, signalled))
                self._over.wait()
            except ProcessLookupError:
                self._why = _NO_STARTER
            finally:
                self._close()
        return self._why

    def _close(self) -> None:
        """End everything. Not in the I/O thread."""
        self._io.call(self._stop_listening)
        if self._setting_up is not None:
            self._house.give_up()
            self._setting_up.join(_SETUP_LIMIT)
        if self._system is not None:
            self._system.close(grace=0.0)
        self._house.close()
        self._io.close()

    def _begin(self, starter: int | None, signalled: int) -> None:
        self._door.open()
        self._io.watch(signalled, READ, lambda _: self._end(f"it was ended by {who_asked(signalled)}"))
        if starter is not None:
            self._io.watch(starter, READ, lambda _: self._end(_NO_STARTER))
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
        """End everything; the host is told why, if it still listens."""
        if self._why:
            return
        self._why = why
        for process in [*self._housed.values()]:
            process.kill()
        if self._line is None:
            self._over.set()
        else:
            self._line.part(Parting(why), self._over.set, within=_PARTING)

    def _enter(self, first: First, channel: socket.socket, handshake: Handshake | None) -> bool:
        """Take a connection that has said what it is; False if it is none of the host's."""
        match first:
            case Proof(lease=lease) if self._line is None and handshake is not None and not self._why:
                self._listen_to_host(channel)
                self._know_host(handshake, lease)
            case Opening() if self._proves(first):
                if channel.family != socket.AF_UNIX:
                    with contextlib.suppress(OSError):
                        channel.send(encode_node(entered(first, self._token)))  # it is the first, so there is room
                self._fork(first, channel)
            case Fetch() if self._proves(first):
                self._send_file(first, channel)
            case _:
                return False
        return True

    def _proves(self, first: Opening | Fetch) -> bool:
        """Whether a connection is the host's, and this is the first time that it comes with this key."""
        if self._system is None or self._why or not is_proven(first, self._token, self._nonce):
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

    def _know_host(self, handshake: Handshake, lease: float) -> None:
        """The other end of the line has proven that it is the host."""
        self._is_proven = True
        self._nonce = handshake.challenge.nonce
        self._lease = lease
        if self._line is not None:
            self._line.wait_no_longer_than(lease)
        self._say(Known(own_versions()))

    def _say(self, message: FromNode) -> None:
        if self._line is not None:
            self._line.send(message)

    def _on_message(self, message: ToNode) -> None:
        if self._why:
            return
        if self._is_proven:
            self._obey(message)
        elif isinstance(message, Control) and self._handshake is None:  # by pipes it comes like anything else
            self._handshake = Handshake(self._token, message)
            self._say(self._handshake.challenge)
        elif isinstance(message, Proof) and self._handshake is not None and self._handshake.accepts(message):
            self._know_host(self._handshake, message.lease)
        else:
            self._end("what connected to it did not prove that it is its host")

    def _obey(self, message: ToNode) -> None:
        match message:
            case Setup(body) if self._setting_up is None:
                self._setting_up = threading.Thread(
                    target=self._set_up, args=(body,), name="subactors-setup", daemon=True
                )
                self._setting_up.start()
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
        """Set up, in a thread: to unpack code takes a while, in which the host is to hear signs of life."""
        try:
            system = self._house.set_up(body, self._io, self._tell_of_house, self._lease)
        except Exception as error:  # noqa: BLE001 - whatever it is, the host is told, and waits no longer
            words = str(error) if isinstance(error, SubactorsError) else f"{type(error).__name__}: {error}"
            why = f"it cannot be set up: {words}"
            self._io.call(lambda: self._end(why))
        else:
            self._system = system
            self._io.call(lambda: self._begin_to_serve(system))

    def _tell_of_house(self, notice: msgspec.Struct) -> None:
        self._say(Notice(encode_plain(notice)))

    def _begin_to_serve(self, system: ProcessSystem) -> None:
        if self._why:
            return
        try:
            system.prepare(self._end_without_zygote)
        except (SubactorsError, OSError) as error:
            self._end_without_zygote(str(error))
        self._io.call(self._say_that_it_serves)

    def _end_without_zygote(self, why: str) -> None:
        self._end(f"it can start no processes: {why}")

    def _say_that_it_serves(self) -> None:
        if self._why:
            return
        tree = cgroup.CgroupTree.find()
        groups = str(tree.path) if tree is not None and not tree.problem else ""
        self._say(Serving(self._house.folder, groups))
        self._look_at_house()

    def _look_at_house(self) -> None:
        """Look each second whether it could still serve: one that could not has the fewest tasks, so it would get all.

        What runs here may need nothing of what is gone, and goes on until the next process is to be forked.
        """
        gone = "" if self._housed else self._house.gone()
        if gone:
            self._end(gone)
        elif not self._why:
            self._io.call_later(BEAT_EVERY, self._look_at_house)

    # --- processes --------------------------------------------------------------------------------------------------

    def _fork(self, opening: Opening, channel: socket.socket) -> None:
        system = self._system
        assert system is not None  # noqa: S101 - nothing is proven before
        self._say(Taken(opening.key))
        if gone := self._house.gone():
            channel.close()
            self._end(gone)
            return
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
        ended = Ended(
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
            disconnected=process.is_disconnected,
        )
        self._house.left(process, lambda left: self._say(msgspec.structs.replace(ended, left=encode_plain(left))))

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

        try:
            threading.Thread(target=send, name="subactors-file", daemon=True).start()
        except RuntimeError:  # the machine has no room for a thread
            channel.close()
