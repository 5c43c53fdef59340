"""Zygote connection: starts the program, holds its control socket, and hears that it is gone.

It decides nothing about processes: packets go to whoever made it. It must never wait, but in `wait`. Requests for
processes may come from any thread, which then need not wake the I/O thread for them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec

from ..errors import StartError
from ..linux.mark import MARK, new_mark
from ..wire import ancillary
from ..wire.frames import encode_packet
from ..wire.messages import HERE, Configuration, Fork, Preload
from .io import READ, WRITE, IOThread, Timer
from .program import Program

__all__ = [
    "LOOK_EVERY",
    "ZygoteConnection",
    "raise_descriptor_limit",
]

logger = logging.getLogger("subactors.actors")

LOOK_EVERY: Final = 1.0
"""Seconds between two looks; what one look adds, however long ago the last one was."""

_PROGRAM: Final = (
    "import sys, posix\n"
    "path = posix.environ[b'PYTHONPATH'].decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())\n"
    "sys.path[:] = path.split(':')\n"
    "from subactors.actors.zygote.__main__ import main\n"
    "main()"
)
"""What the zygote runs. Not `-m`: that puts the current directory first on the path, and finds nothing where the host's
interpreter ignores its environment (`-E`, `-I`). `-P` would keep it from the former, and be a flag of all processes."""

_BEATS: Final = 10
"""Signs of life in the time of a lease."""

_STOPPED_LIMIT: Final = 2.0
"""Seconds for which a zygote may be stopped, by a signal or a debugger, while something is asked of it."""

_SILENCE_LIMIT: Final = 5.0
"""Seconds for which one that runs, or sleeps, may say nothing: more than the longest rehearsal."""

_LOADING_LIMIT: Final = 60.0
"""The same for one that still imports what tasks will need."""

_FOR_NOW: Final = frozenset({errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM})
"""Why no descriptor can be sent for now. The first: this user has more of them on their way than this process may have
open. Any process of the user can bring that about. Tasks may not have open quite so many."""

_AGAIN: Final = 0.1
"""Seconds until that is tried again."""

_STOPPED: Final = frozenset("Tt")
_STATE, _USER_TIME, _SYSTEM_TIME = 0, 11, 12
"""Fields of `/proc/PID/stat`, from the one behind the name on."""


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
        self._closed = self._is_held_up = self._used = self._is_awaited = False
        self._unsent: list[tuple[bytes, socket.socket | FileIO]] = []
        self._again: Timer | None = None
        self._beat_every = configuration.lease / _BEATS
        self._beat: Timer | None = None
        self._is_loading = self._has_spoken = True
        self._given_up = ""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._mark = new_mark()
        # Until it says that it serves it imports. Its own modules, of which most are ours, come first and are not told.
        self._importing = [*configuration.late_preload]
        environ = {
            # Not this process's own environment: what is withheld from the zygote must not be in what it is started
            # with either. /proc shows that to every process that may look, whatever the program does to its environment
            # later.
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
                from ..cpython import interpreter_flags  # noqa: PLC0415 - importing this module is to bring little

                command = [sys.executable, *interpreter_flags(), "-c", _PROGRAM]
                self._program = Program(command, environ, theirs.fileno())
            except OSError as error:
                self._control.close()
                raise StartError(f"{sys.executable} did not start: {error}") from error
        # While the zygote imports: when it is needed the host may have no descriptor left to read it.
        from . import sweep  # noqa: F401, PLC0415

        # Processes that are forked from the host in this moment hold the socket's other end, too. So its closing alone
        # would not tell of the zygote's end.
        self._io.watch(self._program.pidfd, READ, self._on_program_ended)
        self._watcher = _Watch(self._program.pid)
        # In a file, as it may be longer than a packet.
        file = os.fdopen(os.memfd_create("subactors"), "w+b", buffering=0)
        file.write(msgspec.msgpack.encode(configuration))
        self._send(b"configuration", file)
        self._watch()
        if self._beat_every:
            self._say_that_it_lives()

    def fork(
        self,
        key: int,
        channel: socket.socket,
        group: str | None,
        *,
        standby: bool = False,
        fenced: bool = False,
        plain: bool = False,
        accepted: Callable[[], None] = lambda: None,
    ) -> bool:
        """Ask for a process that serves `channel`, which stays open here; may be called in any thread.

        Returns False, and has done nothing, if the zygote is gone. Else `accepted` is called before anybody can hear
        that it is gone.
        """
        packet = encode_packet(Fork(key, group, standby, fenced, plain))
        with self._lock:
            if self._closed:
                return False
            accepted()
            self._used = True
            blocked = not self._send(packet, channel)
        if blocked:
            self._io.call(self._watch)
        return True

    def preload(self, entry: str) -> bool:
        """Have a module imported for all later processes; in any thread. False if the socket takes nothing now."""
        with self._lock, contextlib.suppress(OSError):
            return not (self._closed or self._unsent) and bool(self._control.send(encode_packet(Preload(entry))))
        return False

    def close(self) -> None:
        """Close the control socket: the zygote ends everything and then itself."""
        if self._beat is not None:
            self._beat.cancel()
        self._io.unwatch(self._program.pidfd)
        self._io.unwatch(self._control.fileno())
        with self._lock:
            self._closed = True
            # Processes that were forked from the host have the socket too, so closing it here would not be its end.
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
            for _, channel in self._unsent:
                if isinstance(channel, FileIO):
                    channel.close()
            self._unsent.clear()

    def look(self, *, awaited: bool) -> None:
        """See whether the zygote still answers; called every `LOOK_EVERY` while there are processes.

        Args:
            awaited: whether anything is asked of it: a process, or the end of one that is seen to have ended.
        """
        if self._given_up:
            return
        was_awaited, self._is_awaited = self._is_awaited, awaited
        if self._has_spoken or not (awaited and was_awaited):
            self._has_spoken = False
            self._watcher.heard()
        elif what := self._watcher.silent(loading=self._is_loading):
            logger.error("The zygote %s: it is killed, and with it all processes that it has forked.", what)
            self._given_up = f"{what}, and so was killed"
            self._program.kill()
            return
        if awaited:
            self._say_here()

    def _say_that_it_lives(self) -> None:
        if not self._is_loading:  # else its first word starts the lease
            self._say_here()
        self._beat = self._io.call_later(self._beat_every, self._say_that_it_lives)

    def _say_here(self) -> None:
        """Ask the zygote to say that it is there, which tells it that this process is, too."""
        with self._lock:
            # Where other packets wait, these do as well. What it does not take has been asked before.
            if not self._closed and (self._is_held_up or not self._unsent):
                with contextlib.suppress(OSError):
                    self._control.send(HERE)

    def wait(self, limit: float) -> None:
        """Wait until the zygote's process is gone, and kill it when it takes longer than `limit` seconds."""
        stopped = _is_stopped(self._program.pid)
        if stopped or not self._used:
            # It never comes to it; or it has nothing to end, and may be busy with its imports for a while.
            self._program.kill()
        if not self._program.wait(limit) or stopped:
            self._program.end()
            from .sweep import end_marked  # noqa: PLC0415 - to import this module is to be cheap; the start has had it imported

            end_marked(self._mark)  # what it can no longer do itself

    def _send(self, packet: bytes, channel: socket.socket | FileIO) -> bool:
        """Send a packet, or keep it until the socket takes it; return whether all is sent. Called with the lock."""
        self._unsent.append((packet, channel))
        return len(self._unsent) == 1 and self._flush()

    def _flush(self) -> bool:
        """Send what the socket takes; return whether that is all. Called with the lock."""
        self._is_held_up = False
        while self._unsent:
            packet, channel = self._unsent[0]
            if channel.fileno() < 0:  # nobody wants it any more
                del self._unsent[0]
                continue
            try:
                ancillary.send(self._control, packet, channel.fileno())
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno not in _FOR_NOW:
                    return True  # the zygote is gone; reading says so
                if error.errno == errno.ETOOMANYREFS and raise_descriptor_limit():
                    continue
                self._is_held_up = True
                return False
            if isinstance(channel, FileIO):
                channel.close()
            del self._unsent[0]
        return True

    def _watch(self) -> None:
        if not self._closed:
            events = READ | (WRITE if self._unsent and not self._is_held_up else 0)
            self._io.watch(self._control.fileno(), events, self._on_control)
            if self._is_held_up and self._again is None:
                self._again = self._io.call_later(_AGAIN, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        with self._lock:
            if not self._closed:
                self._flush()
        self._watch()

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
            packet, descriptor = ancillary.receive(self._control)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""
        self._has_spoken = True
        if packet == HERE:
            self._is_loading = False
            self._importing.clear()
        elif packet:
            self._on_packet(packet, descriptor)
        return packet

    def _lose(self) -> None:
        self.close()
        # Its socket closes in the middle of its exit: the status is decided, and the wait is a moment.
        self._program.end()
        status = "an unknown status" if self._program.status is None else f"status {self._program.status}"
        how = self._given_up or f"ended with {status}"
        when = f", when it may have been importing {', '.join(self._importing)}" if self._importing else ""
        self._on_lost(f"the zygote {how}{when}, and its processes with it", self._mark)


class _Watch:
    """Adds up for how long one zygote has not answered though it could.

    It must never take a slow one for a dead one: to give a zygote up is to lose every process that it has forked. So it
    adds up no time that has merely passed. That the host was suspended does not count, nor that the zygote waited for a
    core, or for memory that had been moved to a disk. Used in the I/O thread, every `LOOK_EVERY`.

    Args:
        pid: its process id, which is not another's for as long as this is used.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped = 0.0
        self._silent = 0.0
        self._used: float | None = None

    def heard(self) -> None:
        """It has answered, or nothing is asked of it."""
        self._stopped = self._silent = 0.0
        self._used = None

    def silent(self, *, loading: bool) -> str:
        """Something has been asked of it since the last look or before, and it has said nothing since.

        Returns what is wrong when that is too long; else nothing.

        Args:
            loading: whether it has never said anything yet.
        """
        state, used = _look_at(self._pid)
        before, self._used = self._used, used
        if state in _STOPPED:
            self._stopped += LOOK_EVERY
            self._silent += LOOK_EVERY
        else:
            self._stopped = 0.0
            # One that is ready to run, or waits for a disk, could have answered only while it had a core.
            waits = state == "S"
            self._silent += LOOK_EVERY if waits else min(used - before, LOOK_EVERY) if before is not None else 0.0
        if self._stopped >= _STOPPED_LIMIT:
            return "was stopped, by a signal or a debugger"
        limit = _LOADING_LIMIT if loading else _SILENCE_LIMIT
        if self._silent >= limit:
            return f"had been asked for something and said nothing for {limit:g} s" + (
                ", while it imported modules" if loading else ""
            )
        return ""


def raise_descriptor_limit() -> bool:
    """Go from the soft to the hard limit; return whether that makes a difference."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return soft != hard
    return False


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal or a debugger."""
    return _look_at(pid)[0] in _STOPPED


def _look_at(pid: int) -> tuple[str, float]:
    """Return a process's state, as one letter, and the seconds of CPU time that it has used; "Z" if it is gone."""
    try:
        # The name before them may hold anything, brackets too.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "Z", 0.0
    return fields[_STATE], (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")
