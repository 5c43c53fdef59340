"""Zygote keeper: has one zygote running for a process system, and another when that is lost.

It starts the zygote with the first process, or before. It ends what a lost one has left, and has the next one fork
those processes that had not begun. It must never wait for a zygote, but in `wait`, which is bounded.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from ..errors import StartError, SubactorsError
from ..linux.mark import SWEEP_LIMIT
from ..wire.messages import Configuration
from .beginning import NewChannel, current_directory, encoded, environment, module_path, open_channel
from .io import IOThread
from .zygote import ZygoteConnection

if TYPE_CHECKING:
    from .forked_process import ForkedProcess

__all__ = ["ForkStart", "Surroundings", "ZygoteKeeper"]

T = TypeVar("T")

_EXIT_LIMIT: Final = 2.0
"""Seconds that the zygote has to end everything when its socket closes, before it is killed."""


class Surroundings(NamedTuple):
    """What a process is given of the host's moment.

    Attributes:
        directory: the current directory.
        environ: the whole environment; None where the zygote has the same.
        sys_path: the module search path; None as for `environ`.
    """

    directory: bytes
    environ: dict[bytes, bytes] | None
    sys_path: list[bytes] | None


class ForkStart:
    """A start of a process by a fork of its own.

    Attributes:
        key: number by which host and zygote will name the process.
        channel: the host's end of its channel.
        theirs: the process's end.
        link: what that one is called in `/proc/PID/fd`.
    """

    def __init__(self, key: int, ends: NewChannel, keeper: ZygoteKeeper) -> None:
        self.key = key
        self.channel, self.theirs, self.link = ends
        self._keeper = keeper

    def appoint(self, process: ForkedProcess) -> None:
        """There is no process yet that could be this one."""

    def begin(self, process: ForkedProcess) -> None:
        """Ask for the process, whose first message is on the channel."""
        self._keeper.request(process, self.theirs)


class ZygoteKeeper:
    """See the module. `request`, `surroundings` and `configure` are for any thread, all else is for the I/O thread.

    Args:
        io: the I/O thread.
        configure: makes the configuration of all zygotes, when the first is wanted.
        withheld: names of environment variables that no process inherits.
        on_packet: is called with what a zygote says, and the descriptor that came with it.
        on_started: is called when a zygote has been started.
        lose: is called when one is lost; returns the processes that it had been asked for.

    Attributes:
        is_closing: whether no zygote is to be started any more ahead of need. Any thread may set it.
    """

    def __init__(
        self,
        io: IOThread,
        *,
        configure: Callable[[], Configuration],
        withheld: AbstractSet[bytes],
        on_packet: Callable[[bytes, int | None], None],
        on_started: Callable[[], None],
        lose: Callable[[], Sequence[ForkedProcess]],
    ) -> None:
        self.is_closing = False
        self._io = io
        self._make_configuration = configure
        self._withheld = withheld
        self._on_packet = on_packet
        self._on_started = on_started
        self._lose = lose
        self._lock = threading.Lock()
        self._configuration: Configuration | None = None
        self._zygote: ZygoteConnection | None = None

    # --- in any thread ----------------------------------------------------------------------------------------------

    def configure(self) -> Configuration:
        """Return what zygotes are given: the host's environment and module path when the first is wanted."""
        with self._lock:
            if self._configuration is None:
                self._configuration = self._make_configuration()
            return self._configuration

    def surroundings(self, environ: Mapping[str, str] | None) -> Surroundings:
        """Return what a process is given of this moment; raises SubactorsError without a current directory.

        Args:
            environ: the process's whole environment; the host's, without what is withheld, if None.
        """
        configuration = self.configure()
        variables = environment(self._withheld) if environ is None else encoded(environ)
        sys_path = module_path()
        # Mostly they are what the zygote has, and a new process need not make them again.
        return Surroundings(
            current_directory(),
            variables if variables != configuration.environ else None,
            [*configuration.folders, *sys_path] if sys_path != configuration.sys_path else None,
        )

    def take(self, key: int, name: str, appoint: Callable[[ForkStart], T]) -> T:
        """Return what `appoint` makes of a process that is to be forked.

        Args:
            key: the process's.
            name: of its class.
            appoint: makes it what it is to be, and may raise.

        Raises:
            StartError: the host has no descriptor left for its channel.
        """
        try:
            ends = open_channel()
        except OSError as error:
            raise StartError(f"{name} did not start: no channel for it: {error.strerror}") from error
        try:
            return appoint(ForkStart(key, ends, self))
        except BaseException:
            ends.ours.close()
            ends.theirs.close()
            raise

    def request(self, process: ForkedProcess, theirs: socket.socket) -> None:
        """Have a process forked; where there is no zygote now, one is started for it."""
        if not self._ask(process, theirs):
            self._io.call(lambda: self._fork(process, theirs))

    def _ask(self, process: ForkedProcess, theirs: socket.socket) -> bool:
        """Ask the zygote for a process; False if there is none now."""
        zygote = self._zygote
        return zygote is not None and zygote.fork(
            process.key,
            theirs,
            process.group,
            fenced=process.fenced,
            plain=process.is_plain,
            accepted=process.on_asked_for,
        )

    def preload(self, entry: str) -> None:
        """Have this zygote, and those after it, import a module. If that cannot be asked now, the next call asks."""
        if entry in self.configure().preload:
            return
        zygote = self._zygote
        if zygote is None or zygote.preload(entry):
            self.configure().preload.append(entry)

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def start(self, failed: Callable[[str], None] | None = None) -> None:
        """Start a zygote ahead of need. One that does not start is tried again, and reported, with the next process.

        Args:
            failed: is told why it does not start; None: nobody is now.
        """
        if self.is_closing:
            return
        try:
            self._ensure()
        except (OSError, StartError) as error:
            if failed is not None:
                failed(str(error))

    def _ensure(self) -> None:
        if self._zygote is None:
            self._zygote = ZygoteConnection(self._io, self.configure(), self._on_packet, self._on_lost)
            self._on_started()

    def _fork(self, process: ForkedProcess, theirs: socket.socket) -> None:
        try:
            self._ensure()
        except (OSError, SubactorsError) as error:
            process.on_start_failed(f"the zygote could not be started: {error}")
            return
        if not self._ask(process, theirs):
            process.on_start_failed("the process system was closed")

    def fork_ahead(self, key: int, channel: socket.socket, *, fenced: bool) -> None:
        """Have a process forked that will stand by; raises OSError where there is no zygote."""
        if self._zygote is None or not self._zygote.fork(key, channel, None, standby=True, fenced=fenced):
            raise OSError(errno.ESRCH, "there is no zygote")

    def look(self, *, awaited: bool) -> None:
        """See whether the zygote still answers; see `ZygoteConnection.look`."""
        if self._zygote is not None:
            self._zygote.look(awaited=awaited)

    def close(self) -> None:
        """Have the zygote end everything and then itself."""
        if self._zygote is not None:
            self._zygote.close()

    def wait(self) -> None:
        """Wait until the zygote is gone, and kill it if that takes too long. For whoever has ended the I/O thread."""
        if self._zygote is not None:
            self._zygote.wait(_EXIT_LIMIT)

    def _on_lost(self, how: str, mark: str) -> None:
        self._zygote = None
        lost = list(self._lose())
        for process in lost:
            process.on_zygote_lost(how)
        if any(process.theirs is not None for process in lost):
            self.start()  # it takes a moment, too

        def swept(survivors: tuple[int, ...] | None) -> None:
            # Once, whether the sweep or the timer is first: one that is asked for again may lose another zygote.
            told, lost[:] = list(lost), []
            for process in told:
                if not self.is_closing and (theirs := process.theirs) is not None and process.begin_again():
                    self._fork(process, theirs)
                else:
                    process.on_swept(survivors)

        # A look at all processes takes a while, and at one that hangs in the kernel perhaps for ever.
        sweep = threading.Thread(target=lambda: self._sweep(mark, swept), name="subactors-sweep", daemon=True)
        try:
            sweep.start()
        except RuntimeError:  # the system has no thread left
            self._sweep(mark, swept)
        self._io.call_later(2 * SWEEP_LIMIT, lambda: swept(None))

    def _sweep(self, mark: str, swept: Callable[[tuple[int, ...]], None]) -> None:
        """End what a lost zygote has left behind, for as long as there is any. Runs in a thread of its own."""
        from .sweep import end_marked  # noqa: PLC0415 - imported when the zygote was started

        survivors = end_marked(mark)
        self._io.call(lambda: swept(survivors))
        while survivors and not self.is_closing:
            survivors = end_marked(mark)
