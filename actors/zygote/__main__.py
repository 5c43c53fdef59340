"""Zygote: a small program that imports what tasks need once, then forks one process per actor on request.

Started by the host (`host/zygote`) with the flags of that interpreter, it serves one control socket and ends when that
closes. It reaps every child, ends what a dead actor left behind, and reports each exit once, within a bound (see
`reaper`).

It must never start a thread, an event loop or a pool, and never open a client: a fork copies only the calling thread,
so a lock that another thread holds would stay locked in every child. It must never kill a process by an id that may be
another's: only a parent that has not yet reaped, or who has a pidfd, can be sure whom it means.

Why not `multiprocessing`'s fork server: it freezes environment, directory and descriptors when it starts, re-imports
the host's `__main__`, leaves its children alive when the host is killed, and knows nothing of grandchildren. Nor its
`Process` over a fork of our own: it opens two pipes for each, looks at all that live whenever one starts, and its
bootstrap has each child copy some 150 pages, a fifth of what it copies in all.

What costs a fork is not the call but the pages that parent and child touch after it, each of which is copied. So what
can be set up here once, for all children to inherit, is set up in `main`, and the path of a fork is kept short.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Final, NoReturn

import msgspec

from ..actor import StopsAtOnce
from ..child.life import Step, plain_processes, serve
from ..cpython import SHUTDOWN_LOCKS, end_threads, run_exit_functions, set_signal_handler
from ..fence import steps_of_a_fence
from ..linux import kernel
from ..linux.mark import keep_mark
from ..wire import ancillary
from ..wire.frames import encode_packet
from ..wire.messages import CHANNEL, HERE, Configuration, Fork, Forked, ForkFailed, FromZygote, Preload
from .chores import Chores
from .lease import Lease
from .loading import load, load_late
from .reaper import Reaper
from .setup import (
    OOM_SCORE,
    drop_the_hosts_signal_setup,
    open_oom_score,
    prepare_for_children,
    raise_descriptor_limit,
)

__all__ = ["main"]

_BURST: Final = 4
"""Forks without an end between them that are a burst: the cores are its."""

_FORKS_AT_ONCE: Final = 64
"""Forks behind each other, of those that are asked for. The host does not know their processes before, and no sooner
does a stop reach them. A descriptor or two of each are open meanwhile, as they are in the host."""

_FORKS_BEFORE_AN_END: Final = 16
"""Forks behind each other where an end is to be told, of which most come while all cores are busy."""

_requests: Final = msgspec.msgpack.Decoder(Fork | Preload)


class _Zygote:
    """Serves the control socket: forks, and has the rest done while nothing is asked.

    What runs for each fork is written for few functions, names and objects, as each is a page or two that both sides
    of the next fork copy: here `try` and `pass` (`contextlib.suppress` is 9 pages more), descriptors as numbers, and
    what is constant made ahead.
    """

    def __init__(self, control: socket.socket, host: int, configuration: Configuration) -> None:
        short = configuration.short_rehearsal
        if not (short or configuration.rehearsal):
            short = pickle.dumps((StopsAtOnce, (), {}))
        self._rehearsal = configuration.rehearsal or short
        self._chores = Chores(short, self._rehearsal, self._make_steps)
        # So many forks come before the time that chores take is worth it.
        self._forks_to_come = 0 if configuration.for_many else 2
        self._burst = 0
        self._has_one_ended = self._has_one_followed = False
        self._pid = os.getpid()
        self._descriptor_limits = raise_descriptor_limit()
        self._reaper = Reaper()
        self._has_news = False
        self._host = host
        self._lease = Lease(configuration.lease) if configuration.lease else None
        self._oom_score, self._own_oom_score = open_oom_score()
        self._wakeup, wakeup_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_end, False)
        signal.signal(signal.SIGCHLD, self._hear_of_an_end)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        self._fence = steps_of_a_fence()
        self._make_steps()
        # The children's, made ahead, with something else behind it in each. What it is need not be asked of the kernel.
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
        # Its number becomes free, which mostly is `CHANNEL`: what comes with a request has the right one at once.
        self._control = control.dup()
        control.close()
        self._asked = select.poll()
        self._asked.register(self._control.fileno(), select.POLLIN)

    def _make_steps(self) -> None:
        """Make what a child calls first. Made anew when the memory's gaps are filled, it is on a few pages."""
        self._fenced_steps = self._steps(*self._fence)
        self._open_steps = self._steps()

    def _steps(self, *fence: Step) -> tuple[Step, ...]:
        """Return what a child calls first. The fence is put on before anything of the actor runs."""
        return (
            (os.setsid, ()),
            *kernel.steps_of_a_child("subactor"),
            (signal.set_wakeup_fd, (-1,)),
            (set_signal_handler, (int(signal.SIGCHLD), int(signal.SIG_DFL))),
            *fence,  # before the ruleset is closed
            # What is open then, and no list made now: a module or a rehearsal may have what is closed later.
            kernel.closing_step(CHANNEL + 1),
            (resource.setrlimit, (resource.RLIMIT_NOFILE, self._descriptor_limits)),
        )

    def serve(self) -> None:
        """Serve the control socket until the host closes it or dies, then end everything, whatever happens."""
        try:
            self._serve_requests()
        finally:
            self._reaper.end_everything()
        if self._lease is not None and self._lease.is_over:
            self._control.close()  # it has no zygote any more, if it goes on
            self._lease.end_owner(self._host)

    def _serve_requests(self) -> None:
        self._say(HERE)
        poll = select.poll()
        control = self._control.fileno()
        for descriptor in (control, self._host, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        quiet = False
        while True:
            are_due = self._chores.are_left and self._forks_to_come <= 0
            # Where one starts after another has ended, there may never be such a rest. There will be more, and what is
            # done for them pays, even while something is asked.
            is_busy = self._chores.are_first and self._has_one_followed
            rest = 0 if quiet or is_busy else self._chores.rest(is_burst=self._burst > _BURST)
            ready = dict(poll.poll(self._reaper.patience(rest if are_due else None)))
            quiet = not ready and not self._reaper.dying
            if are_due and (quiet or is_busy):
                goes_on = self._chores.do_one()
                self._has_one_followed = False
                quiet = quiet and goes_on and not is_busy
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._has_news = True
            if self._has_news or time.monotonic() > self._reaper.due:
                self._tell_ends()
            if self._host in ready or not self._is_wanted(is_asked=control in ready):
                break

    def _is_wanted(self, *, is_asked: bool) -> bool:
        """Take up what is asked; return whether the host is still there, and not silent for longer than it may be."""
        if is_asked and not self._take_requests():
            return False
        return self._lease is None or not self._lease.has_ended(is_heard=is_asked)

    def _take_requests(self) -> bool:
        """Take up what is asked, and fork what is asked for; return whether the host is still there."""
        forks: list[tuple[Fork, int]] = []
        while len(forks) < _FORKS_AT_ONCE:
            try:
                packet, channel = ancillary.receive(self._control)
            except ConnectionError:
                return False
            if not packet:
                return False
            if packet == HERE:
                self._say(HERE)
            else:
                request = _requests.decode(packet)
                if isinstance(request, Preload):
                    self._fork_all(forks)
                    forks = []
                    load_late(request.entry)
                elif channel is None:
                    self._send(ForkFailed(request.key, "the zygote has no descriptor left for it (see RLIMIT_NOFILE)"))
                else:
                    forks.append((request, channel))
            if not self._asked.poll(0):
                break
        self._fork_all(forks)
        return True

    def _fork_all(self, forks: list[tuple[Fork, int]]) -> None:
        """Fork some processes behind each other: what runs between two forks are pages that are copied anew."""
        forked: list[tuple[int, int, int, int]] = []
        if self._oom_score is not None:
            # For the moment of the forks: children inherit it and need not write it.
            os.pwrite(self._oom_score, OOM_SCORE, 0)
        try:
            for request, channel in forks:
                self._fork(request, channel, forked)
                if len(forked) >= _FORKS_BEFORE_AN_END and (self._has_news or not self._reaper.due):
                    self._tell_forks(forked)
                    self._tell_ends()
        finally:
            if self._oom_score is not None:
                os.pwrite(self._oom_score, self._own_oom_score, 0)
        self._tell_forks(forked)

    def _tell_forks(self, forked: list[tuple[int, int, int, int]]) -> None:
        for key, pid, pidfd, channel in forked:
            self._send(Forked(key, pid), pidfd)
            os.close(pidfd)
            os.close(channel)
        forked.clear()

    def _tell_ends(self) -> None:
        self._has_news = False  # first: what is told of from here on may be missed by the look that follows
        for exited in self._reaper.reap():
            self._send(exited)
            self._has_one_ended = True

    def _fork(self, request: Fork, channel: int, forked: list[tuple[int, int, int, int]]) -> None:
        key, group = request.key, request.group
        self._forks_to_come -= 1
        if self._has_one_ended:
            self._has_one_ended = False
            self._has_one_followed = True
            self._burst = 0
        self._burst += 1
        if request.plain:
            # What it needs of `multiprocessing` is imported once, here; before the first of them nobody pays for it.
            from ..context.child import be  # noqa: PLC0415 - see above

            plain_processes[:] = [be]
        try:
            # Here, so that a child need not look for it.
            steps = self._fenced_steps if request.fenced else self._open_steps
            rehearsal = self._rehearsal if request.standby else None
            pid = os.fork()
            if pid == 0:
                self._live_as_child(channel, steps, rehearsal)
            self._reaper.children[pid] = key
            if group is not None:
                self._reaper.groups[key] = group
            forked.append((key, pid, os.pidfd_open(pid), channel))
        except OSError as error:
            self._send(ForkFailed(key, f"fork failed: {error.strerror or error}"))
            os.close(channel)

    def _live_as_child(self, channel: int, steps: tuple[Step, ...], rehearsal: bytes | None) -> NoReturn:
        """Be an actor's process, from the fork to its exit; no frame of the zygote below this one ever goes on."""
        code = 1
        try:
            if channel != CHANNEL:
                os.dup2(channel, CHANNEL, False)
            code = serve(self._channel, self._pid, steps, rehearsal=rehearsal)
        except BaseException:  # noqa: BLE001 - it may be anything, and this process has no other place for it
            traceback.print_exc()
        try:
            if getattr(threading, SHUTDOWN_LOCKS, True):
                end_threads()
            run_exit_functions()
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except BaseException:  # noqa: BLE001 - it may be anything, and must not be raised in the zygote
            traceback.print_exc()
        finally:
            os._exit(code)

    def _hear_of_an_end(self, _number: int, _frame: object) -> None:
        """Handle SIGCHLD, which is written to the wake-up descriptor, too, as it may come right before a wait."""
        self._has_news = True

    def _send(self, message: FromZygote, descriptor: int | None = None) -> None:
        self._say(encode_packet(message), descriptor)

    def _say(self, packet: bytes, descriptor: int | None = None) -> None:
        try:
            if descriptor is None:
                self._control.send(packet)
            else:
                ancillary.send(self._control, packet, descriptor)
        except ConnectionError:
            pass  # the host is gone: the next turn of the loop sees it and ends everything


def _receive_configuration(control: socket.socket) -> Configuration | None:
    """Wait for the first packet: a file in memory that holds the configuration, of any length; None without a host."""
    packet, descriptor = ancillary.receive(control)
    if not packet or descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return msgspec.msgpack.decode(file.read(), type=Configuration)


def main() -> None:
    """Run the zygote on the control socket whose descriptor is the program's only argument."""
    number = int(sys.argv[1])
    # What the host's own code has left inheritable is the host's.
    kernel.close_descriptors_but({0, 1, 2, number})
    kernel.open_standard_descriptors()  # of which the host may have closed some
    control = socket.socket(fileno=number)
    control.set_inheritable(False)
    kernel.set_process_name("subactors-zyg")
    # A module that never ends its import would keep it from seeing that the host is gone. There is nothing to end yet.
    kernel.end_with_parent(wanted=True)
    drop_the_hosts_signal_setup()
    configuration = _receive_configuration(control)
    if configuration is None:
        return
    sys.path[:] = map(os.fsdecode, configuration.sys_path)
    keep_mark(configuration.environ, os.environb)
    os.environb.clear()
    os.environb.update(configuration.environ)
    kernel.become_subreaper()
    try:
        # Before the imports, which take a while: what can be missing is told at once.
        host = os.pidfd_open(configuration.host_pid)
    except ProcessLookupError:
        return  # the host died while this program started
    for failure in load(configuration):
        with contextlib.suppress(OSError):  # the host is gone: `serve` sees it, too
            control.send(encode_packet(failure))
    kernel.open_standard_descriptors()
    prepare_for_children(configuration.host_name, configuration.host_pid)
    zygote = _Zygote(control, host, configuration)
    # Objects outside the collector's lists are not written to by a collection in a child, so their pages stay shared.
    gc.freeze()
    # From here on it ends what it has forked first.
    kernel.end_with_parent(wanted=False)
    zygote.serve()
    # Not sys.exit, which would take apart what is gone in a moment anyway.
    os._exit(0)


if __name__ == "__main__":
    main()
