"""Process system: one zygote and one I/O thread, and the actors' processes that hang on them.

It ends everything when it is closed. It must never wait for a child or the zygote, but in `close`, which is bounded.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from ..cpython import exit_function_of_multiprocessing
from ..errors import SubactorsError
from ..linux.cgroup import Groups
from ..linux.kernel import check_platform, open_standard_descriptors
from ..wire.frames import decode_from_zygote
from ..wire.messages import Configuration, ErrorData, Exited, Forked, ForkFailed, PreloadFailed, ProcessLimits
from ..wire.objects import NEEDED_FOR_CODE
from .beginning import environment, module_path
from .exit import ProcessExit
from .forked_process import ForkedProcess
from .io import IOThread, Timer
from .packing import encoded_actor, first_message, pack
from .process import ActorProcess, ProcessListener
from .processes import Processes
from .shell import Shell
from .standby import Coming, Standby, StandbyPool
from .zygote_keeper import ForkStart, ZygoteKeeper

if TYPE_CHECKING:
    import socket

    from .popen import Popen

__all__ = ["ProcessSystem", "Startable"]

_KILL_LIMIT: Final = 2.0
"""Seconds that processes which were killed may take to be gone."""

Known = TypeVar("Known", bound=ForkedProcess)

Starter: TypeAlias = Standby | Coming | ForkStart
"""How an actor comes to its process. Both have the key, the channel, what to do when it is known here, and the rest."""


class Startable(Protocol):
    """What the system needs of an actor's class. `ProcessActor` has it."""

    @classmethod
    def _subactors_shell(cls) -> Shell:
        """Return what stands for an actor of this class in the host."""
        ...


class ProcessSystem:
    """Starts and ends processes for actors. Every method may be called from any thread of the process that made it.

    Making one starts nothing. A process forked from the host cannot use it: threads do not survive a fork.

    Args:
        preload: names of modules that the zygote imports once, for all actors to share; as `module:function` the
            function is called too. They must not start a thread, an event loop or a pool, nor open a socket.
        folders: where actors, and `late_preload`, find modules before any other place; `preload` does not look there.
        late_preload: as `preload`, but after it, and with `folders` on the path.
        preload_failed: is called with each of these that fails, and what it raised, once for each zygote; in the I/O
            thread, and must not wait.
        standby: how many processes wait, forked ahead, for the next actors. Each costs some megabytes of memory.
        rehearsal: an actor (class, arguments) that each standby process runs once to warm up, and the idle zygote a few
            times. Choose a typical one; it must soon stop by itself. The rules for `preload` apply.
        short_rehearsal: the same, with what most actors have in common only; done even where the zygote is hardly idle.
        for_many: whether several actors are expected, so that processes stand by, and the zygote rehearses, from the
            beginning. If not, that waits for the second actor: for one alone it costs more CPU time than it saves.
        withheld: names of the host's environment variables that neither the zygote nor any actor inherits. An actor
            that needs one is given it by whoever starts it, in its arguments or in `environ`.
        fenced: whether processes are put behind a fence, as far as this kernel has one (see `fence`). They cannot
            signal, trace or read host, zygote or each other then, and gain no privileges, as by `sudo`. Off, because an
            actor may do what its class could do in a thread.
        io: the I/O thread, which is closed with it; None: one of its own.
        lease: seconds for which this process may stand still before the zygote ends all, and then it, too; 0: for ever.
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
        short_rehearsal: tuple[type[Startable], tuple[Any, ...]] | None = None,
        for_many: bool = True,
        withheld: Iterable[str] = (),
        fenced: bool = False,
        io: IOThread | None = None,
        lease: float = 0.0,
    ) -> None:
        open_standard_descriptors()
        self._preload, self._late_preload = list(preload), tuple(late_preload)
        self._folders = [os.fsencode(folder) for folder in folders]
        self._preload_failed = preload_failed
        self._rehearsal, self._short_rehearsal = rehearsal, short_rehearsal
        self._for_many, self._fenced, self._lease = for_many, fenced, lease
        self._withheld = frozenset(map(os.fsencode, withheld))
        self._io = io or IOThread("subactors-io")
        self._owner = os.getpid()
        self._keys = itertools.count(1)
        self._zygotes = ZygoteKeeper(
            self._io,
            configure=self._configure,
            withheld=self._withheld,
            on_packet=self._on_packet,
            on_started=lambda: self._standby.fill(),  # noqa: PLW0108 - it is made below
            lose=self._lose,
        )
        self._standby = StandbyPool(
            standby,
            io=self._io,
            new_key=lambda: next(self._keys),
            fork=lambda key, channel: self._zygotes.fork_ahead(key, channel, fenced=fenced),
            after=0 if for_many else 2,
        )
        self._processes = Processes(self._io, lambda awaited: self._zygotes.look(awaited=awaited))
        self._groups = Groups()
        from .in_multiprocessing import meet  # noqa: PLC0415 - importing this module is to bring little

        meet(self._processes)

    def prepare(self, failed: Callable[[str], None] | None = None) -> None:
        """Start the zygote ahead of the first actor; returns at once. `failed` is told in the I/O thread why not."""
        self._make_ready()
        self._zygotes.configure()
        self._io.call(lambda: self._zygotes.start(failed))

    def expect_code(self) -> None:
        """Have what unpickles code that comes by value imported once, for all later actors; returns at once."""
        self._zygotes.preload(NEEDED_FOR_CODE)

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

        Raises:
            UnsupportedPlatformError: not on this operating system.
            StartError: the host has no descriptor left for its channel, or no thread for what comes from actors.
            SubactorsError: the system is closed, or belongs to the process that this one was forked from.
        """
        self._make_ready()
        shell = actor_class._subactors_shell()  # noqa: SLF001 - the class is made for this module
        behind_fence = self._fenced if fenced is None else fenced
        packed = pack((actor_class, args, dict(kwargs or {})))
        here, group = self._zygotes.surroundings(environ), self._groups.name_for(limits)
        start = first_message(shell.actor_urn, packed, here, capture, limits, group=group, fenced=behind_fence)

        def appoint(starter: Starter) -> tuple[Starter, ActorProcess]:
            return starter, self._appoint(starter, shell, listener, start.group, fenced=behind_fence)

        # First the process is known to all who hear of processes, so that no end of it is missed.
        may_stand_by = start.group is None and behind_fence == self._fenced
        taken = self._standby.take(appoint) if may_stand_by else None
        if taken is None:
            taken = self._zygotes.take(next(self._keys), actor_class.__name__, appoint)
            self._standby.start_begun()
        starter, process = taken
        # Then its first message is sent, which one that stands by reads at once. Any other is asked for only now.
        try:
            process.begin(start, packed.descriptors)
        except OSError as error:  # as for a descriptor that another thread has closed
            self._io.call(partial(process.on_start_failed, f"what it starts with could not be sent: {error.strerror}"))
        else:
            starter.begin(process)
        return process

    def launch(self, data: bytes, descriptors: list[int]) -> Popen:
        """Have a process of the `multiprocessing` context started, and return at once; see `context`.

        Args:
            data: what the process is told, pickled (see `context/child`).
            descriptors: what it is given; the first leads to the resource tracker.

        Raises what `spawn` raises.
        """
        from .popen import Popen  # noqa: PLC0415 - only who uses `multiprocessing` needs it

        self._make_ready()
        self.preload(["subactors.actors.context.child"])

        def appoint(starter: ForkStart) -> tuple[ForkStart, Popen]:
            forget = self._processes.forget
            popen = Popen(starter.key, theirs=starter.theirs, fenced=self._fenced, io=self._io, forget=forget)
            popen.begin(starter.channel, self._zygotes.surroundings(None), data, descriptors)
            self._processes.add(popen)
            return starter, popen

        starter, popen = self._zygotes.take(next(self._keys), "Process", appoint)
        starter.begin(popen)
        return popen

    def know(self, make: Callable[[int, IOThread, Callable[[int], None]], Known]) -> Known:
        """Return a process that is known from now on as those of `spawn`; raises what that raises.

        Args:
            make: makes it of its key, the I/O thread, and what it is to call with the key, last.
        """
        self._make_ready()
        process = make(next(self._keys), self._io, self._processes.forget)
        self._processes.add(process)
        return process

    def house(
        self,
        channel: socket.socket,
        make: Callable[[int, socket.socket | None, Callable[[int], None]], ForkedProcess],
        *,
        fenced: bool,
        group: str | None,
    ) -> None:
        """Have a process started for a host on another machine; see `node`. For the I/O thread. Raises as `spawn`.

        Args:
            channel: the process's end of its channel to that host; it stays open here.
            make: makes what stands for it here, of its key, what it closes once there is a process, and what it calls.
            fenced: as of `spawn`.
            group: its control group, if it will be in one.
        """
        self._make_ready()

        def finished(key: int) -> None:
            self._processes.forget(key)
            self._standby.actor_finished()

        def appoint(starter: Standby | Coming) -> Standby | Coming:
            process = make(starter.key, starter.theirs, finished)
            self._processes.add(process)
            starter.appoint(process)
            return starter

        taken = self._standby.take(appoint) if group is None and fenced == self._fenced else None
        if taken is None:
            theirs = channel.dup()
            process = make(next(self._keys), theirs, finished)
            self._processes.add(process)
            self._zygotes.request(process, theirs)
            self._standby.start_begun()
        else:
            taken.hand_over(channel)
        self._standby.start_over()

    def _appoint(
        self, starter: Starter, shell: Shell, listener: ProcessListener, group: str | None, *, fenced: bool
    ) -> ActorProcess:
        """Return the process of an actor, which is known from now on to those who hear of it."""
        process = ActorProcess(
            starter.key,
            shell,
            starter.channel,
            link=starter.link,
            theirs=starter.theirs,
            fenced=fenced,
            io=self._io,
            listener=listener,
            start_over=self._standby.start_over,
            finished=self._standby.actor_finished,
            forget=self._processes.forget,
            group=group,
        )
        shell._subactors_attach(process)  # noqa: SLF001 - the class is made for this module
        self._processes.add(process)
        starter.appoint(process)
        return process

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
        if not self._processes.close():
            return
        self._zygotes.is_closing = True
        self._io.call(self._standby.close)
        for process in self._processes.all():
            process.stop()
        if not self._processes.wait_for_ends(grace):
            for process in self._processes.all():
                process.kill()
            self._processes.wait_for_ends(_KILL_LIMIT)
        # In the I/O thread, which may still have to come to the start that `prepare` has asked for.
        self._io.call(self._zygotes.close)
        self._io.close()
        if (trackers := sys.modules.get(f"{__package__}.tracker")) is not None:
            trackers.wait_for_trackers(self._io, _KILL_LIMIT)
        self._zygotes.wait()
        for process in self._processes.all():
            process.on_closed(ProcessExit(unobserved="the process system was closed"))

    def close_at_exit(self) -> None:
        """Close at the host's exit, after `multiprocessing` has waited for its processes that are no daemons."""
        is_wanted = any(process.is_plain for process in self._processes.all())
        wait_for_processes = exit_function_of_multiprocessing()
        if is_wanted and wait_for_processes is not None and os.getpid() == self._owner:
            wait_for_processes()  # which it does once
        self.close()

    def preload(self, modules: Iterable[str]) -> None:
        """Have the zygote import modules, too, if none has been wanted yet; without effect if one has."""
        self._preload += [module for module in modules if module not in self._preload]

    def _configure(self) -> Configuration:
        from .in_multiprocessing import host_name  # noqa: PLC0415 - imported with the first system

        return Configuration(
            os.getpid(),
            environment(self._withheld),
            module_path(),
            self._folders,
            list(self._preload),
            list(self._late_preload),
            encoded_actor(self._rehearsal),
            encoded_actor(self._short_rehearsal),
            self._for_many,
            host_name(),
            self._lease,
        )

    def _make_ready(self) -> None:
        """See to it that processes can be started; raises what `spawn` raises."""
        check_platform()
        self._check_usable()
        self._io.begin()

    def _check_usable(self) -> None:
        if os.getpid() != self._owner:
            raise SubactorsError(
                "This process was forked from the one that made the process system, and has none of its threads. "
                "Make a new one here."
            )
        if self._processes.is_closed:
            raise SubactorsError("The process system is closed.")

    # --- in the I/O thread ------------------------------------------------------------------------------------------

    def _on_packet(self, packet: bytes, descriptor: int | None) -> None:
        match decode_from_zygote(packet):
            case PreloadFailed(entry, error):
                self._preload_failed(entry, error)
            case Forked(key, pid):
                if not self._standby.on_forked(key, pid, descriptor):
                    self._processes.on_forked(key, pid, descriptor)
            case ForkFailed(key, what):
                if not self._standby.drop(key) and (process := self._processes.get(key)) is not None:
                    process.on_start_failed(what)
            case Exited(key) as exited:
                if not self._standby.drop(key) and (process := self._processes.get(key)) is not None:
                    process.on_exited(exited)

    def _lose(self) -> list[ForkedProcess]:
        """Drop what stands by, as there is no zygote any more; return the processes that it had been asked for."""
        self._standby.clear()
        return [process for process in self._processes.all() if process.is_with_zygote]
