"""The zygote: a small program that imports what tasks need once, then forks one process per actor on request.

Started by the host as `python -m subactors.actors.zygote`, it serves one control socket and ends when that closes. It
reaps every child, ends what a dead actor left behind, and reports each exit once.

It must never start a thread, an event loop or a pool, and never open a client: a fork copies only the calling thread,
so a lock that another thread holds would stay locked in every child. It must never kill a process that it is not the
parent of: only a parent that has not yet reaped can be sure whose process id it names.

Why not `multiprocessing`'s fork server: it freezes environment, directory and descriptors when it starts, re-imports
the host's `__main__`, leaves its children alive when the host is killed, and knows nothing of grandchildren. Nor its
`Process` over a fork of our own: it opens two pipes for each, looks at all that live whenever one starts, and its
bootstrap has each child copy some 150 pages, a fifth of what it copies in all.

What costs a fork is not the call but the pages that parent and child touch after it, each of which is copied. So what
can be set up here once, for all children to inherit, is set up in `main`, and the path of a fork is kept short.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import atexit
import contextlib
import faulthandler
import gc
import io
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from typing import Final, NoReturn

import msgspec

from . import _ancillary, _cgroup, _fence, _linux
from ._child import Step, rehearse, serve
from ._loading import load
from ._mark import SWEEP_LIMIT, keep_mark
from ._sharing import settle_code, settle_memory
from ._wire import CHANNEL, HERE, Configuration, Exited, Fork, Forked, ForkFailed, FromZygote, encode_packet

__all__ = ["main"]

_QUIET: Final = 10
"""Milliseconds without anything to do after which the zygote sees to itself: not before the first forks are over."""

_REHEARSALS: Final = 12
"""After eight calls CPython 3.11 and later adapt a function to what it is used for, and its loops a little later."""

_SIGKILL: Final = int(signal.SIGKILL)

_HOLD_NOTHING_BACK: Final = {type(None), logging.NullHandler, type(logging.lastResort)}
"""Types of handlers; None is one that is gone."""

_OOM_SCORE: Final = b"500"
"""What an actor's process adds to its badness, so that the kernel kills it before the host when memory runs out."""


_requests: Final = msgspec.msgpack.Decoder(Fork)


class _Zygote:
    """The zygote's state: the children that it forked, and those whose tree is being ended.

    What runs for each fork is written for few functions, names and objects, as each is a page or two that both sides
    of the next fork copy: here `try` and `pass`, descriptors as numbers, and what is constant made ahead.
    """

    def __init__(self, control: socket.socket, host: int, configuration: Configuration) -> None:
        self._rehearsal = configuration.rehearsal
        # So many forks come before the time that chores take is worth it.
        self._forks_to_come = 0 if configuration.for_many else 2
        self._pid = os.getpid()
        descriptor_limits = _raise_descriptor_limit()
        self._children: dict[int, int] = {}
        self._dying: list[Exited] = []
        self._groups: dict[int, str] = {}
        self._sweep_until = 0.0
        self._host = host
        self._oom_score, self._own_oom_score = _open_oom_score()
        self._wakeup, wakeup_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_end, False)
        self._listing = _linux.open_children()
        signal.signal(signal.SIGCHLD, _wake_up)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        self._fenced_steps = self._steps(descriptor_limits, *_fence.steps_of_a_fence())
        self._open_steps = self._steps(descriptor_limits)
        # The children's, made ahead, with something else behind it in each. What it is need not be asked of the kernel.
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
        # Its number becomes free, which mostly is `CHANNEL`: what comes with a request has the right one at once.
        self._control = control.dup()
        control.close()

    @staticmethod
    def _steps(descriptor_limits: tuple[int, int], *fence: Step) -> tuple[Step, ...]:
        """Return what a child calls first. The fence is put on before anything of the actor runs."""
        return (
            (os.setsid, ()),
            *_linux.steps_of_a_child("subactor"),
            (signal.set_wakeup_fd, (-1,)),
            # Not signal.signal: what that adds, names for the numbers, costs a new process more than the call.
            (_signal.signal, (int(signal.SIGCHLD), int(signal.SIG_DFL))),
            *fence,  # before the ruleset is closed
            # What is open then, and no list made now: a module or a rehearsal may have what is closed later.
            _linux.closing_step(CHANNEL + 1),
            (resource.setrlimit, (resource.RLIMIT_NOFILE, descriptor_limits)),
        )

    def serve(self) -> None:
        """Serve the control socket until the host closes it or dies, then end everything, whatever happens."""
        try:
            self._serve_requests()
        finally:
            self._end_everything()

    def _serve_requests(self) -> None:
        self._say(HERE)
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._host, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        chores = deque([self._rehearse, self._settle_code, *[self._rehearse] * _REHEARSALS, settle_memory])
        quiet = False
        while True:
            # Milliseconds; an orphan that is being killed has no other alarm.
            are_due = chores and self._forks_to_come <= 0
            timeout = 20 if self._dying else None if not are_due else 0 if quiet else _QUIET
            ready = dict(poll.poll(timeout))
            quiet = not ready and not self._dying
            if quiet and are_due:
                try:
                    chores.popleft()()
                except BaseException:  # noqa: BLE001 - all that they do is save time, and an actor may mean itself by exiting
                    while len(chores) > 1:  # what failed would fail again
                        chores.popleft()
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._reap()
            elif self._dying:
                self._reap()
            if self._host in ready:
                break
            if self._control.fileno() in ready and not self._take_request():
                break

    def _rehearse(self) -> None:
        """Make the way that every actor goes a well-trodden one; see `rehearse`."""
        if not rehearse(self._rehearsal, threads=False):
            raise TimeoutError("A rehearsal did not come to its end.")
        # What the interpreter calls in a new process.
        threading._after_fork()  # type: ignore[attr-defined]  # noqa: SLF001 - private, and the stub does not know it
        logging._after_at_fork_child_reinit_locks()  # type: ignore[attr-defined]  # noqa: SLF001 - the same

    def _settle_code(self) -> None:
        settle_code(self._rehearse)

    def _take_request(self) -> bool:
        try:
            packet, channel = _ancillary.receive(self._control)
        except ConnectionError:
            return False
        if not packet:
            return False
        if packet == HERE:
            self._say(HERE)
            return True
        request = _requests.decode(packet)
        if channel is None:
            self._send(ForkFailed(request.key, "the zygote has no descriptor left for it (see RLIMIT_NOFILE)"))
            return True
        try:
            self._fork(request, channel)
        finally:
            os.close(channel)
        return True

    def _fork(self, request: Fork, channel: int) -> None:
        key, group = request.key, request.group
        self._forks_to_come -= 1
        try:
            if self._oom_score is not None:
                # For the moment of the fork: children inherit it and need not write it.
                os.pwrite(self._oom_score, _OOM_SCORE, 0)
            # Here, so that a child need not look for it.
            steps = self._fenced_steps if request.fenced else self._open_steps
            rehearsal = self._rehearsal if request.standby else None
            try:
                pid = os.fork()
                if pid == 0:
                    self._live_as_child(channel, steps, rehearsal)
            finally:
                if self._oom_score is not None:
                    os.pwrite(self._oom_score, self._own_oom_score, 0)
            self._children[pid] = key
            if group is not None:
                self._groups[key] = group
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            self._send(ForkFailed(key, f"fork failed: {error.strerror or error}"))
            return
        try:
            self._send(Forked(key, pid), pidfd)
        finally:
            os.close(pidfd)

    def _live_as_child(self, channel: int, steps: tuple[Step, ...], rehearsal: bytes | None) -> NoReturn:
        """Be an actor's process, from the fork to its exit; no frame of the zygote below this one ever goes on."""
        code = 1
        try:
            if channel != CHANNEL:
                os.dup2(channel, CHANNEL, False)
            serve(self._channel, self._pid, steps, rehearsal=rehearsal)
            code = 0
        except BaseException:  # noqa: BLE001 - it may be anything, and this process has no other place for it
            traceback.print_exc()
        try:
            # What the interpreter does at its end, but for taking itself apart: that is a copy of every page.
            if getattr(threading, "_shutdown_locks", True):  # before Python 3.13: there is a thread to wait for
                threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - the stub does not know it
            atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to do this without the rest
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except BaseException:  # noqa: BLE001 - the same
            traceback.print_exc()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Collect every child that has ended, its tree first, and report those that are gone with theirs."""
        died = False
        while (ended := _peek_ended_child()) is not None:
            key = self._children.pop(ended, None)
            if key is not None:
                # The unreaped leader keeps its group's id from being used again, so this hits its own group only.
                try:  # noqa: SIM105 - see the class
                    os.killpg(ended, _SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            _, status, usage = os.wait4(ended, 0)
            if key is not None:
                code = os.waitstatus_to_exitcode(status)
                exited = Exited(key, code, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, survivors=0)
                group = self._groups.get(key)
                if group is not None:
                    _cgroup.kill(group)
                    exited = msgspec.structs.replace(exited, group=_cgroup.use_of(group))
                self._dying.append(exited)
                died = True
        survivors = self._kill_orphans()
        if survivors and died:
            self._sweep_until = time.monotonic() + SWEEP_LIMIT
        if not survivors or time.monotonic() > self._sweep_until:
            self._report_the_dead(survivors)

    def _report_the_dead(self, survivors: int) -> None:
        for exited in self._dying:
            if exited.key in self._groups:
                _cgroup.remove(self._groups.pop(exited.key))
            self._send(msgspec.structs.replace(exited, survivors=survivors) if survivors else exited)
        self._dying.clear()

    def _kill_orphans(self) -> int:
        """Kill the children that the zygote did not fork; return how many there are.

        Every actor's process is a subreaper, so while it lives its daemons become its own children. What arrives here
        has outlived its actor.
        """
        children = _linux.children_in(self._listing)
        if len(children) == len(self._children):
            return 0  # forked here and not reaped yet, so it is these
        orphans = [pid for pid in map(int, children) if pid not in self._children]
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(orphans)

    def _end_everything(self) -> None:
        for group in self._groups.values():
            _cgroup.kill(group)
        deadline = time.monotonic() + SWEEP_LIMIT
        while (children := _linux.children_in(self._listing)) and time.monotonic() < deadline:
            for pid in map(int, children):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                    if pid in self._children:
                        os.killpg(pid, signal.SIGKILL)
            while (ended := _peek_ended_child()) is not None:
                os.waitpid(ended, 0)
            time.sleep(0.001)
        for group in self._groups.values():
            _cgroup.remove(group)

    def _send(self, message: FromZygote, descriptor: int | None = None) -> None:
        self._say(encode_packet(message), descriptor)

    def _say(self, packet: bytes, descriptor: int | None = None) -> None:
        try:
            if descriptor is None:
                self._control.send(packet)
            else:
                _ancillary.send(self._control, packet, descriptor)
        except ConnectionError:
            pass  # the host is gone: the next turn of the loop sees it and ends everything


def _wake_up(_number: int, _frame: object) -> None:
    """Handle SIGCHLD, or it would not be written to the wake-up descriptor."""


def _peek_ended_child() -> int | None:
    """Return a child that has ended, leaving it unreaped; None if there is none."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended is not None else None


def _raise_descriptor_limit() -> tuple[int, int]:
    """Go from the soft to the hard limit, as each child costs some; return both, which children get back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _open_oom_score() -> tuple[int | None, bytes]:
    """Return a descriptor of the zygote's `oom_score_adj`, None where children need not have it raised, and its value.

    The kernel takes the zygote last, as with it all actors end. Lowering it again to what it was needs no privilege.
    """
    # A container may have no writable /proc; actors run all the same.
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        own = os.read(descriptor, 16).strip()
        if int(own) < int(_OOM_SCORE):
            return descriptor, own
        os.close(descriptor)
    return None, b""


def _shut_logging_down() -> None:
    """Do what `logging` does at its exit, where there is a handler that may hold something back."""
    for handler in logging._handlerList:  # type: ignore[attr-defined]  # noqa: SLF001 - the stub does not know it
        if type(handler()) not in _HOLD_NOTHING_BACK:
            logging.shutdown()
            return


def _drop_the_hosts_signal_setup() -> None:
    """Unblock and no longer ignore what the host's I/O thread blocks and the host ignores; both outlive an exec."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    kept = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}  # Python itself ignores the last two
    for number in signal.valid_signals() - kept:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _prepare_for_children() -> None:
    """Set up what every child would have to, so that they inherit it instead."""
    # The host decides what a Ctrl-C at the terminal means; neither this session nor its children's hears of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A process that wakes up as the host sends it something would take the core that the host is sending on, and all
    # who wait for the host would wait for that process, too.
    _linux.be_background_work()
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A process that is killed loses what sits in a buffer.
            stream.reconfigure(line_buffering=True)
    # By number: a child has its own file behind it.
    faulthandler.enable(file=2, all_threads=True)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    # What the modules here want done at their exit is not for each child to do; what keeps its own order is.
    atexit._clear()  # noqa: SLF001 - there is no other way
    atexit.register(_shut_logging_down)
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        atexit.register(multiprocessing._exit_function)  # noqa: SLF001 - it is what that module registers itself


def _receive_configuration(control: socket.socket) -> Configuration | None:
    """Wait for the first packet: a file in memory that holds the configuration, of any length; None without a host."""
    packet, descriptor = _ancillary.receive(control)
    if not packet or descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return msgspec.msgpack.decode(file.read(), type=Configuration)


def main() -> None:
    """Run the zygote on the control socket whose descriptor is the program's only argument."""
    number = int(sys.argv[1])
    # What the host's own code has left inheritable is the host's.
    _linux.close_descriptors_but({0, 1, 2, number})
    _linux.open_standard_descriptors()  # of which the host may have closed some
    control = socket.socket(fileno=number)
    control.set_inheritable(False)
    _linux.set_process_name("subactors-zyg")
    _drop_the_hosts_signal_setup()
    configuration = _receive_configuration(control)
    if configuration is None:
        return
    sys.path[:] = map(os.fsdecode, configuration.sys_path)
    keep_mark(configuration.environ, os.environb)
    os.environb.clear()
    os.environb.update(configuration.environ)
    _linux.become_subreaper()
    try:
        # Before the imports, which take a while: what can be missing is told at once.
        host = os.pidfd_open(configuration.host_pid)
    except ProcessLookupError:
        return  # the host died while this program started
    for failure in load(configuration):
        with contextlib.suppress(OSError):  # the host is gone: `serve` sees it, too
            control.send(encode_packet(failure))
    _linux.open_standard_descriptors()
    _prepare_for_children()
    zygote = _Zygote(control, host, configuration)
    # Objects outside the collector's lists are not written to by a collection in a child, so their pages stay shared.
    gc.freeze()
    zygote.serve()
    # Not sys.exit, which would take apart what is gone in a moment anyway.
    os._exit(0)


if __name__ == "__main__":
    main()
