"""The host's side of the zygote: starting the program, the control socket, and the news that it is gone.

It decides nothing about processes: packets go to whoever made it. It must never wait, but in `wait`. Requests for
processes may come from any thread, which then need not wake the I/O thread for them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

import msgspec

from . import _ancillary
from ._errors import StartError, SubactorsError
from ._io import READ, WRITE, IOThread
from ._mark import MARK, end_marked, new_mark
from ._program import Program
from ._wire import Configuration, Fork, encode_packet

__all__ = ["ZygoteConnection", "current_directory", "encoded", "environment", "module_path"]


class ZygoteConnection:
    """A running zygote and its control socket.

    Made and used in the I/O thread; `fork` is for any thread, `wait` for the closing one.
    """

    def __init__(
        self,
        io: IOThread,
        configuration: Configuration,
        on_packet: Callable[[bytes, int | None], None],
        on_lost: Callable[[str, str], None],
    ) -> None:
        if not sys.executable:
            raise StartError("this Python does not know its own program (sys.executable is not set)")
        self._io = io
        self._on_packet = on_packet
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._closed = False
        self._unsent: list[tuple[bytes, socket.socket | BinaryIO]] = []
        self._used = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._mark = new_mark()
        # Until it has forked it may be at its imports. Its own, of which most are ours, come first and are not told.
        self._importing = [*configuration.late_preload]
        environ = {
            # Not this process's own: what is withheld from the zygote must not be in what it is started with either, as
            # /proc shows that to whoever may look, whatever the program does to its environment later.
            **configuration.environ,
            # Only for finding this package before the configuration arrives, which carries the path itself.
            b"PYTHONPATH": os.fsencode(os.pathsep).join(configuration.sys_path),
            MARK.encode(): self._mark.encode(),
            # What the C library would look up at a function's first call, and a process after each fork anew, is looked
            # up once. Gone, too, when the configuration arrives.
            b"LD_BIND_NOW": b"1",
        }
        with theirs:
            try:
                self._program = Program(
                    [sys.executable, "-P", "-m", "subactors.actors.zygote"], environ, theirs.fileno()
                )
            except OSError as error:
                self._control.close()
                raise StartError(f"{sys.executable} did not start: {error}") from error
        # Processes that are forked from the host in this moment hold the socket's other end, too, so its closing alone
        # would not tell of the zygote's end.
        self._io.watch(self._program.pidfd, READ, self._on_program_ended)
        # In a file, as it may be longer than a packet.
        file = os.fdopen(os.memfd_create("subactors"), "w+b", buffering=0)
        file.write(msgspec.msgpack.encode(configuration))
        with self._lock:
            self._send(b"configuration", file)
        self._watch()

    def fork(
        self,
        key: int,
        channel: socket.socket,
        group: str | None,
        *,
        standby: bool = False,
        accepted: Callable[[], None] = lambda: None,
    ) -> bool:
        """Ask for a process that serves `channel`, which is closed here once it is sent; may be called in any thread.

        Returns False, and has done nothing, if the zygote is gone. Else `accepted` is called before anybody can hear
        that it is gone.
        """
        packet = encode_packet(Fork(key, group, standby))
        with self._lock:
            if self._closed:
                return False
            accepted()
            self._used = True
            blocked = not self._send(packet, channel)
        if blocked:
            self._io.call(self._watch)
        return True

    def close(self) -> None:
        """Close the control socket: the zygote ends everything and then itself."""
        self._io.unwatch(self._program.pidfd)
        self._io.unwatch(self._control.fileno())
        with self._lock:
            self._closed = True
            # Processes that were forked from the host have the socket too, so closing it here would not be its end.
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
            for _, channel in self._unsent:
                channel.close()
            self._unsent.clear()

    def wait(self, limit: float) -> None:
        """Wait until the zygote's process is gone, and kill it when it takes longer than `limit` seconds."""
        if not self._used:
            self._program.kill()  # it has nothing to end, and may be busy with its imports for a while
        if not self._program.wait(limit):
            self._program.kill()
            self._program.wait()
            end_marked(self._mark)  # what it can no longer do itself

    def _send(self, packet: bytes, channel: socket.socket | BinaryIO) -> bool:
        """Send a packet, or keep it until the socket takes it; return whether all is sent. Called with the lock."""
        self._unsent.append((packet, channel))
        return len(self._unsent) == 1 and self._flush()

    def _flush(self) -> bool:
        """Send what the socket takes; return whether that is all. Called with the lock."""
        while self._unsent:
            packet, channel = self._unsent[0]
            try:
                _ancillary.send(self._control, packet, channel.fileno())
            except BlockingIOError:
                return False
            except OSError:
                return True  # the zygote is gone; reading says so
            del self._unsent[0]
            channel.close()
        return True

    def _watch(self) -> None:
        if not self._closed:
            events = READ | (WRITE if self._unsent else 0)
            self._io.watch(self._control.fileno(), events, self._on_control)

    def _on_control(self, events: int) -> None:
        if events & WRITE:
            with self._lock:
                self._flush()
            self._watch()
        if not events & READ:
            return
        if self._receive() == b"":
            self._lose()

    def _on_program_ended(self, events: int) -> None:
        del events
        while self._receive():
            pass  # what it has sent before its end
        self._lose()

    def _receive(self) -> bytes | None:
        """Hand on the next packet and return it; None if there is none now, empty if there will be none."""
        try:
            packet, descriptor = _ancillary.receive(self._control)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""
        if packet:
            if descriptor is not None:
                self._importing.clear()
            self._on_packet(packet, descriptor)
        return packet

    def _lose(self) -> None:
        self.close()
        # Its socket closes in the middle of its exit: the status is decided, and the wait is a moment.
        self._program.kill()
        self._program.wait()
        status = "an unknown status" if self._program.status is None else f"status {self._program.status}"
        when = f", when it may have been importing {', '.join(self._importing)}" if self._importing else ""
        self._on_lost(f"the zygote ended with {status}{when}, and its processes with it", self._mark)


# --- the host's view of this moment, which a process that starts is to have ------------------------------------------


def module_path() -> list[bytes]:
    """Return the module search path; an empty entry means the current directory, which a child may leave."""
    return [os.fsencode(entry) or current_directory() for entry in sys.path]


def current_directory() -> bytes:
    """Return the current directory; raises SubactorsError if it has been removed."""
    try:
        return os.getcwdb()  # noqa: PTH109 - as bytes, whatever its name is
    except FileNotFoundError:
        raise SubactorsError(
            "The host's working directory has been removed, so a process cannot start in it. Change to one that exists."
        ) from None


def environment(withheld: Iterable[bytes] = ()) -> dict[bytes, bytes]:
    """Return the environment without the variables of these names."""
    # Its own dictionary where it has one, as in CPython: to go through the mapping is a call for each variable.
    variables = dict(getattr(os.environb, "_data", os.environb))
    for name in withheld:
        variables.pop(name, None)
    return variables


def encoded(environ: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return an environment as bytes."""
    return {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
