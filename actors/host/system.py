"""The process system: one zygote and one I/O thread, and the actors' processes that hang on them.

It starts the zygote with the first process (or before, by `prepare`), starts a new one when it has died, and ends
everything when it is closed. It must never wait for a child or the zygote, but in `close`, which is bounded.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, Self

from ..errors import StartError, SubactorsError
from ..linux.cgroup import CgroupTree
from ..linux.kernel import check_platform, open_standard_descriptors
from ..linux.mark import SWEEP_LIMIT
from ..wire.messages import (
    Configuration,
    ErrorData,
    Exited,
    Forked,
    ForkFailed,
    PreloadFailed,
    ProcessLimits,
    Start,
    decode_from_zygote,
)
from ..wire.rebuild import encode_object
from .channel import NewChannel, open_channel
from .exit import ProcessExit
from .io import IOThread, Timer
from .process import ActorProcess, ProcessListener, Shell
from .standby import StandbyPool
from .zygote import LOOK_EVERY, ZygoteConnection, current_directory, encoded, environment, module_path

__all__ = ["ProcessSystem", "Startable", "default_system"]

logger = logging.getLogger("subactors.actors")

_ZYGOTE_EXIT_LIMIT: Final = 2.0
"""Seconds that the zygote has to end everything when its socket closes, before it is killed."""

_LOOK_AT_CHANNELS_EVERY: Final = 2.0
"""Seconds between two looks at whether processes still have their channels; some microseconds for each."""

_DESCRIPTORS_PER_PROCESS: Final = 4


class Startable(Shell, Protocol):
    """What the system needs of an actor's class: how to stand for its actors in the host. `ProcessActor` has it."""

    @classmethod
    def _subactors_shell(cls) -> Self:
        """Return an actor that is not constructed, with an URN."""
        ...

    def _subactors_attach(self, process: ActorProcess) -> None:
        """Send the actor's messages to this process from now on."""


class ProcessSystem:
    """Starts and ends processes for actors. Every method may be called from any thread of the process that made it.

    Making one starts nothing. A process forked from the host cannot use it: threads do not survive a fork.

    Args:
        preload: names of modules that the zygote imports once, for all actors to share; as `module:function` the
            function is called too. They must not start a thread, an event loop or a pool, nor open a socket.
        folders: where actors, and `late_preload`, find modules before any other place; `preload` does not look there.
        late_preload: as `preload`, but after it, and with `folders` on the path.
        preload_failed: is called with each of these that fails, and what it raised; again when another zygote had to be
            started. It runs in the I/O thread and must not wait.
        standby: how many processes wait, forked ahead, for the next actors. Each costs some megabytes of memory, and
            saves its actor the time of a fork.
        rehearsal: class and arguments of an actor that each process which stands by starts and ends once, ahead of its
            own, and the zygote some times when it is idle; one like those that are to come, which stops by itself, and
            soon. What goes for `preload` goes for it.
        for_many: whether several actors are expected, so that processes stand by, and the zygote rehearses, from the
            beginning. If not, that waits for the second actor: for one alone it costs more CPU time than it saves.
        withheld: names of the host's environment variables that neither the zygote nor any actor inherits. An actor
            that needs one is given it by whoever starts it, in its arguments or in `environ`.
        fenced: whether processes are put behind a fence, as far as this kernel has one (see `fence`): they can
            neither signal, trace nor read host, zygote or each other, and gain no privileges, as by `sudo`. Off, as an
            actor may do what its class could do in a thread.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        folders: Sequence[str] = (),
        late_preload: Sequence[str] = (),
        preload_failed: Callable[[str, ErrorData], None] = lambda _entry, _error: None,
        standby: int = 0,
        rehearsal: tuple[type[Startable], tuple[Any, ...]] | None = None,
        for_many: bool = True,
        withheld: Iterable[str] = (),
        fenced: bool = False,
    ) -> None:
        open_standard_descriptors()
        self._preload = tuple(preload)
        self._folders = [os.fsencode(folder) for folder in folders]
        self._late_preload = tuple(late_preload)
        self._preload_failed = preload_failed
        self._rehearsal = rehearsal
        self._for_many = for_many
        self._withheld = tuple(map(os.fsencode, withheld))
        self._fenced = fenced
        self._io = IOThread("subactors-io")
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._keys = itertools.count(1)
        self._standby = StandbyPool(
            standby,
            lock=self._lock,
            io=self._io,
            new_key=lambda: next(self._keys),
            fork=self._fork_standby,
            after=0 if for_many else 2,
        )
        self._configuration: Configuration | None = None
        self._processes: dict[int, ActorProcess] = {}
        self._zygote: ZygoteConnection | None = None
        self._closed = False
        self._looks = False
        self._look_at_channels = 0.0
        self._groups: tuple[CgroupTree | None] | None = None
        self._idle = threading.Condition(self._lock)

    def prepare(self) -> None:
        """Start the zygote now, so that the first actor need not wait for its imports; returns at once."""
        check_platform()
        self._check_usable()
        self._io.begin()
        self._configure()
        self._io.call(self._start_zygote)

    def spawn(
        self,
        actor_class: type[Startable],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        listener: ProcessListener,
        capture: str | None = None,
        environ: Mapping[str, str] | None = None,
        limits: ProcessLimits | None = None,
        fenced: bool | None = None,
        accepted: Callable[[], object] | None = None,
    ) -> ActorProcess:
        """Have a process started for an actor, and return at once, long before it runs.

        Args:
            actor_class: what to start; resolved in the child by its import path where it has one.
            args: the constructor's.
            kwargs: the constructor's.
            listener: is told what becomes of it.
            capture: file that takes what the process writes to its standard output and error; made if missing. Where
                it cannot be made, the process works without one.
            environ: the process's whole environment; the host's of this moment, without what is withheld, if None.
            limits: what the kernel holds the process to; None for nothing.
            fenced: whether it is put behind a fence; the system's own answer if None. With another answer than that,
                none that stands by can be it.
            accepted: is called here when none of the below can be raised any more, right before the process is asked
                for, which from then on takes a core. It must not raise.

        Raises:
            UnsupportedPlatformError: not on this operating system.
            StartError: the host has no descriptor left for its channel, or no thread for what comes from actors.
            SubactorsError: the system is closed, or belongs to the process that this one was forked from.
        """
        check_platform()
        self._check_usable()
        self._io.begin()
        shell = actor_class._subactors_shell()  # noqa: SLF001 - the class is made for this module
        configuration = self._configure()
        variables = environment(self._withheld) if environ is None else encoded(environ)
        sys_path = module_path()
        directory = current_directory()
        start = Start(
            urn=shell.actor_urn,
            actor=encode_object((actor_class, args, dict(kwargs or {}))),
            directory=directory,
            # Mostly they are what the zygote has, and a new process need not make them again.
            environ=variables if variables != configuration.environ else None,
            sys_path=[*self._folders, *sys_path] if sys_path != configuration.sys_path else None,
            capture=os.path.join(directory, os.fsencode(capture)) if capture is not None else None,  # noqa: PTH118 - bytes
            limits=limits,
            group=self._group_for(limits),
        )
        with self._lock:
            if self._closed:
                raise SubactorsError("The process system is closed.")
            behind_fence = self._fenced if fenced is None else fenced
            standby = self._standby.take() if start.group is None and behind_fence == self._fenced else None
            channel, theirs, link = (
                (standby.channel, None, standby.link) if standby is not None else _channel(actor_class.__name__)
            )
            key = standby.key if standby is not None else next(self._keys)
            process = ActorProcess(
                key,
                shell,
                channel,
                link=link,
                theirs=theirs,
                fenced=behind_fence,
                io=self._io,
                listener=listener,
                start_over=self._on_start_over,
                forget=self._forget,
                group=start.group,
            )
            shell._subactors_attach(process)  # noqa: SLF001
            # Under the same lock as it is taken from those that stand by: who hears of its end finds it here or there.
            self._processes[key] = process
            if standby is not None:
                standby.process = process
                process.on_asked_for()
                process.take_on(standby.pid, standby.pidfd)
            self._standby.start_begun()
            looks, self._looks = self._looks, True
            self._raise_descriptor_limit(len(self._processes))
        if accepted is not None:
            accepted()
        process.begin(start)
        if not looks:
            self._io.call_later(LOOK_EVERY, self._look)
        if standby is not None:
            if not standby.is_watched:  # it has ended just now: its pidfd says so
                self._io.call(lambda: process.on_first_events(0))
        elif theirs is not None and not self._ask_zygote(process, theirs):
            self._io.call(lambda: self._fork(process, theirs))
        return process

    def _ask_zygote(self, process: ActorProcess, theirs: socket.socket) -> bool:
        """Ask the zygote for a process, in any thread; False if there is none now."""
        zygote = self._zygote
        return zygote is not None and zygote.fork(
            process.key, theirs, process.group, fenced=process.fenced, accepted=process.on_asked_for
        )

    @property
    def io(self) -> IOThread:
        """The I/O thread, for descriptors of the host that are to be watched with those of the actors."""
        return self._io

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Make a call in `delay` seconds, in the I/O thread, where it must not wait for anything."""
        return self._io.call_later(delay, callback)

    def call_after_rest(self, seconds: float, callback: Callable[[], None]) -> None:
        """Make a call for one who floods, in the I/O thread, after a rest that follows those of all who do."""
        self._io.call(lambda: self._io.rest(seconds, callback))

    def call(self, callback: Callable[[], None]) -> None:
        """Make a call in the I/O thread, where it must not wait for anything."""
        self._io.call(callback)

    def close(self, *, grace: float = 1.0) -> None:
        """Stop every process: ask, wait up to `grace` seconds in all, kill, end the zygote. May be repeated."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            processes = list(self._processes.values())
        self._io.call(self._close_standby)
        for process in processes:
            process.stop()
        if not self._wait_until_idle(grace):
            for process in list(self._processes.values()):
                process.kill()
            self._wait_until_idle(_ZYGOTE_EXIT_LIMIT)
        # In the I/O thread, which may still have to come to the start that `prepare` has asked for.
        self._io.call(self._close_zygote)
        self._io.close()
        if self._zygote is not None:
            self._zygote.wait(_ZYGOTE_EXIT_LIMIT)
        for process in list(self._processes.values()):
            process.on_closed(ProcessExit(unobserved="the process system was closed"))

    def _configure(self) -> Configuration:
        """Return what zygotes are given: the host's environment and module path when the first is wanted."""
        with self._lock:
            if self._configuration is None:
                self._configuration = Configuration(
                    os.getpid(),
                    environment(self._withheld),
                    module_path(),
                    self._folders,
                    list(self._preload),
                    list(self._late_preload),
                    encode_object((*self._rehearsal, {})) if self._rehearsal else b"",
                    self._for_many,
                )
            return self._configuration

    def _check_usable(self) -> None:
        if os.getpid() != self._owner:
            raise SubactorsError(
                "This process was forked from the one that made the process system, and has none of its threads. "
                "Make a new one here."
            )
        if self._closed:
            raise SubactorsError("The process system is closed.")

    def _wait_until_idle(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        with self._idle:
            while self._processes:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._idle.wait(remaining)
        return True

    def _group_for(self, limits: ProcessLimits | None) -> str | None:
        """Return the name of a control group for a process, if it has limits for one and there is a tree of them."""
        if limits is None or (limits.tree_bytes is None and limits.tree_processes is None):
            return None
        with self._lock:
            if self._groups is None:
                tree = CgroupTree.find()
                if tree is not None and tree.problem:
                    logger.warning("No control groups are used: %s.", tree.problem)
                    tree = None
                self._groups = (tree,)
        (tree,) = self._groups
        return tree.new_group() if tree is not None else None

    def _raise_descriptor_limit(self, processes: int) -> None:
        """Go from the soft to the hard limit, once the soft one comes into sight."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard and processes * _DESCRIPTORS_PER_PROCESS > soft // 2:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def _ensure_zygote(self) -> ZygoteConnection:
        if self._zygote is None:
            self._zygote = ZygoteConnection(self._io, self._configure(), self._on_packet, self._on_zygote_lost)
            with self._lock:
                self._standby.fill()
        return self._zygote

    def _start_zygote(self) -> None:
        if self._closed:
            return
        # One that does not start now is tried again, and reported, with the first process.
        with contextlib.suppress(StartError):
            self._ensure_zygote()

    def _close_zygote(self) -> None:
        if self._zygote is not None:
            self._zygote.close()

    def _fork(self, process: ActorProcess, theirs: socket.socket) -> None:
        try:
            self._ensure_zygote()
        except (OSError, SubactorsError) as error:
            process.on_start_failed(f"the zygote could not be started: {error}")
            return
        if not self._ask_zygote(process, theirs):
            process.on_start_failed("the process system was closed")

    def _fork_standby(self, key: int, channel: socket.socket) -> None:
        if self._zygote is None or not self._zygote.fork(key, channel, None, standby=True, fenced=self._fenced):
            raise OSError(errno.ESRCH, "there is no zygote")

    def _on_start_over(self) -> None:
        with self._lock:
            self._standby.start_over()

    def _look(self) -> None:
        """See whether zygote and channels are still there, and come again for as long as there are processes."""
        with self._lock:
            processes = list(self._processes.values())
            self._looks = bool(processes)
        if self._zygote is not None:
            self._zygote.look(awaited=any(process.awaits_zygote for process in processes))
        now = time.monotonic()
        if now >= self._look_at_channels:
            self._look_at_channels = now + _LOOK_AT_CHANNELS_EVERY
            for process in processes:
                process.look_at_channel()
        if processes:
            self._io.call_later(LOOK_EVERY, self._look)

    def _close_standby(self) -> None:
        with self._lock:
            self._standby.close()

    def _on_packet(self, packet: bytes, descriptor: int | None) -> None:
        message = decode_from_zygote(packet)
        if isinstance(message, PreloadFailed):
            self._preload_failed(message.entry, message.error)
            return
        with self._lock:
            process = self._processes.get(message.key)
            if process is None and not isinstance(message, Forked):
                self._standby.drop(message.key)
        match message:
            case Forked(key, pid):
                self._take_forked(key, process, pid, descriptor)
            case ForkFailed(_, what):
                if process is not None:
                    process.on_start_failed(what)
            case Exited():
                if process is not None:
                    process.on_exited(message)

    def _take_forked(self, key: int, process: ActorProcess | None, pid: int, pidfd: int | None) -> None:
        if process is None:
            if not self._standby.on_forked(key, pid, pidfd) and pidfd is not None:
                # It was to be killed before it existed.
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.close(pidfd)
        elif pidfd is not None:
            process.on_forked(pid, pidfd)
        else:
            # Without its pidfd it cannot be supervised; it ends as its channel closes.
            process.on_start_failed("the host has no descriptor left for it (see RLIMIT_NOFILE)")

    def _on_zygote_lost(self, how: str, mark: str) -> None:
        self._zygote = None
        with self._lock:
            self._standby.clear()
        lost = [process for process in list(self._processes.values()) if process.is_with_zygote]
        for process in lost:
            process.on_zygote_lost(how)
        if any(process.theirs is not None for process in lost):
            self._start_zygote()  # it takes a moment, too

        def swept(survivors: tuple[int, ...] | None) -> None:
            # Once, whether the sweep or the timer is first: one that is asked for again may lose another zygote.
            told, lost[:] = list(lost), []
            for process in told:
                if not self._closed and (theirs := process.theirs) is not None and process.begin_again():
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
        while survivors and not self._closed:
            survivors = end_marked(mark)

    def _forget(self, key: int) -> None:
        """Drop an ended process; the last thing that happens to it."""
        with self._idle:
            self._processes.pop(key, None)
            self._idle.notify_all()


def _channel(name: str) -> NewChannel:
    try:
        return open_channel()
    except OSError as error:
        raise StartError(f"{name} did not start: no channel for it: {error.strerror}") from error


_default_lock = threading.Lock()
_default: list[ProcessSystem] = []


def default_system() -> ProcessSystem:
    """Return the system that `ProcessActor.start` uses when its class names none; made once, closed at exit."""
    with _default_lock:
        if not _default or _default[0]._owner != os.getpid():  # noqa: SLF001 - a forked child makes its own
            _default[:] = [ProcessSystem()]
            atexit.register(_default[0].close)
        return _default[0]
